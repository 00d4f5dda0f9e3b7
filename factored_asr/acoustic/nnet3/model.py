"""A chain model as an acoustic model: what everything outside sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from factored_asr.acoustic.gmm.tools import NoiseTools
from factored_asr.acoustic.model import AcousticModel, AcousticSession, Frames, SpeakerEvidence
from factored_asr.acoustic.nnet3.features import KaldiFeatures
from factored_asr.acoustic.nnet3.ivector import IvectorExtractor
from factored_asr.acoustic.nnet3.network import Network
from factored_asr.acoustic.nnet3.session import ChainSession
from factored_asr.acoustic.topology import Topology
from factored_asr.errors import OptionError

FRAMES_PER_CHUNK = 24
"""Frames of the input that the network takes at once, at least; that of Vosk, where Kaldi has 20.
The i-vector changes from chunk to chunk, so scores depend on it."""


@dataclass(frozen=True, eq=False)
class ChainModel:
    """An `AcousticModel` of a network of nnet3 over HMMs, trained by lattice-free MMI.

    Its outputs are scores of pdfs, not probabilities: they are used as they are, with an acoustic
    scale of 1. Source: D. Povey et al. (2016), "Purely sequence-trained neural networks for ASR
    based on lattice-free MMI".

    Raises
    ------
    OptionError
        The parts do not fit each other.
    """

    name = "chain"

    topology: Topology
    features: KaldiFeatures
    network: Network
    extractor: IvectorExtractor | None = None
    """Of i-vectors; None: the network takes none."""
    log_priors: np.ndarray | None = None
    """(n_pdfs,) subtracted from the outputs; None: nothing is."""
    frames_per_chunk: int = FRAMES_PER_CHUNK
    """Frames of the input with one i-vector, at least; higher: faster, and a longer delay."""

    def __post_init__(self) -> None:
        topology, network = self.topology, self.network
        highest = max(int(topology.entry_pdf.max()), int(topology.loop_pdf.max()))
        if highest >= network.n_outputs:
            raise OptionError(f"a pdf {highest} beyond the {network.n_outputs} outputs")
        if self.features.n_features != network.n_inputs:
            raise OptionError(f"{self.features.n_features} features for a network of "
                              f"{network.n_inputs} inputs")
        n_ivector = self.extractor.dim if self.extractor else 0
        if n_ivector != network.n_ivector:
            raise OptionError(f"i-vectors of {n_ivector} elements for a network that takes "
                              f"{network.n_ivector}")
        if self.extractor and self.extractor.n_features != network.n_inputs:
            raise OptionError(f"i-vectors of {self.extractor.n_features} features, the network's "
                              f"are {network.n_inputs}")
        if self.log_priors is not None and len(self.log_priors) != network.n_outputs:
            raise OptionError(f"{len(self.log_priors)} priors of {network.n_outputs} outputs")
        if not 1 <= self.frames_per_chunk <= 1000:
            raise OptionError(f"frames_per_chunk must be 1 to 1000, got {self.frames_per_chunk}")

    @property
    def phones(self) -> tuple[str, ...]:
        return self.topology.phones

    @property
    def silence(self) -> str:
        return self.topology.silence

    @property
    def fillers(self) -> tuple[str, ...]:
        return self.topology.fillers

    @property
    def n_pdfs(self) -> int:
        return self.network.n_outputs

    @property
    def sample_rate(self) -> int:
        return int(self.features.sample_frequency)

    @property
    def frame_seconds(self) -> float:
        """Seconds of a frame of the output."""
        return self.features.shift * self.network.step / self.sample_rate

    @property
    def chunk(self) -> int:
        """Frames of the input that the network takes at once: whole frames of the output."""
        return -(-self.frames_per_chunk // self.network.step) * self.network.step

    @property
    def look_ahead_seconds(self) -> float:
        """Seconds of sound after a frame's beginning that its scores need."""
        frames = self.chunk + self.network.context[1]
        return frames * self.features.shift / self.sample_rate

    @cached_property
    def is_silence(self) -> np.ndarray:
        """(n_pdfs,) bool: the pdf is of silence and fillers alone."""
        topology, found = self.topology, np.zeros(self.n_pdfs, np.bool_)
        silent = topology.is_silence[topology.unit_phone]
        for of, value in ((silent, True), (~silent, False)):
            for table in (topology.entry_pdf, topology.loop_pdf):
                pdfs = table[of]
                found[pdfs[pdfs >= 0]] = value
        return found

    def scores_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of rows before the last layer, (n, n_pdfs)."""
        scores = self.network.finished(rows)
        return scores if self.log_priors is None else scores - self.log_priors

    def describe(self) -> dict[str, str]:
        """Return what `info` prints of the model: name of each fact → its value."""
        facts = {
            "phones": f"{len(self.phones)}: {' '.join(self.phones)}", "pdfs": self.n_pdfs,
            "network": f"nnet3, {self.network.size}",
            "i-vector": f"{self.extractor.dim} elements" if self.extractor else "none",
            "front end": f"{self.features.kind} of Kaldi, {self.features.n_features} values",
            "sample rate": f"{self.sample_rate} Hz", "frame": f"{self.frame_seconds:g} s",
        }
        return {name: str(value) for name, value in facts.items()}

    def session(
        self, pdfs: np.ndarray, *, whole: bool, after: AcousticSession | None = None
    ) -> ChainSession:
        """Begin a sound; see `AcousticModel.session`. Nothing goes on from one to the next."""
        return ChainSession(self, pdfs, whole)

    def configured(self, tools: NoiseTools) -> ChainModel:
        """Return the model itself; OptionError for tools against noise and priors."""
        for name, used in (("vts", tools.noise is not None), ("scale", tools.snr_scale is not None),
                           ("mask or no-removal", bool(tools.front_end))):
            if used:
                _refuse(f"the tool against noise {name}")
        if tools.prior_weight:
            _refuse("the weight of a prior")
        return self

    def adapted(
        self, sounds: Sequence[SpeakerEvidence], options: Any = None,
        previous: AcousticModel | None = None,
    ) -> ChainModel:
        """Raise OptionError: i-vectors adapt a chain model as it listens."""
        _refuse("adaptation to a speaker without transcripts (fMLLR)")

    def normalised_over(self, sounds: Sequence[AcousticSession]) -> ChainModel:
        """Return the model itself: i-vectors stand for what differs between speakers."""
        return self

    def read_frames(self, path: str | Path) -> Frames:
        """Raise OptionError: the model takes sound alone."""
        _refuse(f"{path}: reading of ready-made frames")


def _refuse(what: str) -> NoReturn:
    raise OptionError(f"{what} is for Gaussian mixtures, not for chain models of Kaldi")
