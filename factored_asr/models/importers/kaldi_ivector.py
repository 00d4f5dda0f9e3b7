"""The extractor of i-vectors as Kaldi's recipes leave it: a folder of some files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from factored_asr.acoustic.nnet3 import IvectorExtractor, KaldiFeatures
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.models.importers import kaldi_files
from factored_asr.models.importers.kaldi_reader import KaldiReader
from factored_asr.models.importers.vosk_files import read_options, whole

IVECTOR_OPTIONS = {"max_count": 100.0}
"""What Vosk sets other than Kaldi's programs."""


def read_extractor(folder: Path | None, features: KaldiFeatures) -> IvectorExtractor:
    """Read the extractor of i-vectors: ``final.ie``, ``final.dubm``, ``final.mat``, …"""
    if folder is None:
        raise MissingError("the network takes i-vectors, and there is no folder ivector/ of them")
    splice = read_options(folder / "splice.conf") if (folder / "splice.conf").is_file() else {}
    cmvn = folder / "online_cmvn.conf"
    options = read_options(cmvn) if cmvn.is_file() else {}
    if options.get("norm-vars", "false") != "false" or options.get("norm-means", "true") != "true":
        raise FormatError("only the mean is normalised here", cmvn)
    ubm, means, inverse, offset = _mixture(folder), *_extractor(folder / "final.ie")
    try:
        return IvectorExtractor(
            kaldi_files.read_matrix(folder / "final.mat"),
            kaldi_files.read_matrix(folder / "global_cmvn.stats"), *ubm, means, inverse, offset,
            left=whole(splice, "left-context", 4, folder), **IVECTOR_OPTIONS,  # type: ignore[arg-type]
            right=whole(splice, "right-context", 4, folder),
            cmn_window=whole(options, "cmn-window", 600, cmvn),
            speaker_frames=whole(options, "speaker-frames", 600, cmvn),
            global_frames=whole(options, "global-frames", 200, cmvn),
        )
    except OptionError as error:
        raise FormatError(str(error), folder) from error


def _mixture(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constants, means over variances and inverse variances of ``final.dubm``."""
    reader = KaldiReader(folder / "final.dubm")
    if reader.word() not in ("<DiagGMM>", "<DiagGMMBegin>"):
        reader.fail("must be <DiagGMM>")
    if reader.peek() == "<GCONSTS>":
        reader.expect("<GCONSTS>")
        reader.vector()
    reader.expect("<WEIGHTS>")
    weights = reader.vector()
    reader.expect("<MEANS_INVVARS>")
    means = reader.matrix()
    reader.expect("<INV_VARS>")
    inverse = reader.matrix()
    if means.shape != inverse.shape or len(weights) != len(means) or not (inverse > 0).all():
        reader.fail("weights, means and variances that do not fit each other")
    with np.errstate(divide="ignore"):
        const = np.log(weights) - 0.5 * (
            means.shape[1] * np.log(2 * np.pi) - np.log(inverse).sum(axis=1)
            + (means * means / inverse).sum(axis=1)
        )
    return const, means, inverse


def _extractor(path: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Matrices M, inverse covariances and the offset of the prior of ``final.ie``."""
    reader = KaldiReader(path)
    reader.expect("<IvectorExtractor>", "<w>")
    weights = reader.matrix()
    reader.expect("<w_vec>")
    reader.vector()
    reader.expect("<M>")
    means = [reader.matrix() for _ in range(reader.count(15))]
    reader.expect("<SigmaInv>")
    inverse = [reader.symmetric() for _ in means]
    reader.expect("<IvectorOffset>")
    offset = reader.real()
    if weights.size:
        reader.fail("weights of Gaussians that depend on the i-vector, which is not supported")
    if len({each.shape for each in means}) != 1 or len({each.shape for each in inverse}) != 1:
        reader.fail("matrices of several sizes")
    return np.stack(means), np.stack(inverse), offset


