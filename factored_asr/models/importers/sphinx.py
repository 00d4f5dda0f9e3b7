"""Acoustic models of CMU Sphinx: a folder of mdef, means, variances, mixture weights and the rest.

Semi-continuous, phonetically-tied and continuous models are told apart by their codebooks: one,
one a phone, or one a senone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr._deprecated import old_names
from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features import FeatureOptions
from factored_asr.models.importers.sphinx_arrays import (
    read_gaussians,
    read_mixture_weights,
    read_sendump,
    read_transitions,
)
from factored_asr.models.importers.sphinx_mdef import Definition, read_definition

SILENCE = "SIL"
VARIANCE_FLOOR = 1e-4  # Sphinx's varfloor
# What Sphinx takes for what feat.params leaves out (config_macro.h).
DEFAULTS = {
    "-samprate": "16000", "-frate": "100", "-wlen": "0.025625", "-nfft": "0", "-nfilt": "40",
    "-lowerf": "133.33334", "-upperf": "6855.4976", "-alpha": "0.97", "-ncep": "13",
    "-lifter": "0", "-transform": "legacy", "-remove_noise": "no", "-remove_dc": "no",
    "-feat": "1s_c_d_dd", "-cmn": "live", "-cmninit": "40,3,-1", "-svspec": "",
}  # fmt: skip
# What would change the features in a way that the front end does not know.
REQUIRED = {
    "-agc": "none", "-varnorm": "no", "-lda": "", "-round_filters": "yes", "-unit_area": "yes",
    "-doublebw": "no", "-logspec": "no", "-smoothspec": "no", "-warp_params": "",
}  # fmt: skip
YES = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


def read_sphinx_model(folder: str | Path, front_end: Mapping[str, Any] | None = None) -> GmmModel:
    """Read a Sphinx acoustic model.

    Parameters
    ----------
    folder
        Holds ``mdef``, ``means``, ``variances``, ``transition_matrices``, ``sendump`` or
        ``mixture_weights``, and ``feat.params`` where Sphinx's defaults do not hold.
    front_end
        Options of `FeatureOptions` that differ from these files; None for none.

    Raises MissingError for a file that is not there, FormatError for one that breaks its format and
    for files that do not fit each other.

    Examples
    --------
    >>> from factored_asr.models.en_us import pocketsphinx_model_path
    >>> model = read_sphinx_model(pocketsphinx_model_path() / "en-us")
    >>> len(model.phones), model.n_pdfs, len(model.hmm_pdfs), model.frame_seconds
    (42, 5126, 29324, 0.01)
    """
    folder = Path(folder)
    options, streams = read_feature_options(folder / "feat.params")
    definition = read_definition(_needed(folder, "mdef"))
    densities = _densities(folder, definition, streams)
    loop, exit_ = read_transitions(_needed(folder, "transition_matrices"))
    if loop.shape != (definition.n_matrices, definition.sequences.shape[1]):
        raise FormatError(
            f"{loop.shape[0]} matrices of {loop.shape[1]} states must be {definition.n_matrices} "
            f"of {definition.sequences.shape[1]}, as in mdef", folder / "transition_matrices",
        )  # fmt: skip
    hmm_of, first = definition.distinct_hmms()
    names = definition.phones
    try:
        return GmmModel(
            names, SILENCE, tuple(names[phone] for phone in np.flatnonzero(definition.fillers)),
            options.changed(front_end or {}), densities,
            hmm_pdfs=definition.sequences[definition.sequence[first]],
            hmm_phone=definition.centre[first],
            hmm_loop_log_probs=loop[definition.matrix[first]],
            hmm_exit_log_probs=exit_[definition.matrix[first]],
            triphone_contexts=definition.contexts, triphone_hmms=hmm_of[len(names) :],
        )  # fmt: skip
    except OptionError as error:
        raise FormatError(f"the model's files do not fit each other: {error}", folder) from error


def _needed(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise MissingError(f"{folder / name}: a Sphinx acoustic model needs this file")
    return folder / name


def _densities(
    folder: Path, definition: Definition, streams: tuple[int, ...]
) -> TiedMixtures | DiagonalMixtures:
    means, sizes = read_gaussians(_needed(folder, "means"))
    variances, other = read_gaussians(_needed(folder, "variances"))
    if means.shape != variances.shape or sizes != other:
        raise FormatError(
            f"shape {variances.shape} in streams {other} must be that of the means, "
            f"{means.shape} in {sizes}", folder / "variances",
        )  # fmt: skip
    if streams and streams != sizes:
        raise FormatError(f"streams of {sizes} features must be those of feat.params, {streams}",
                          folder / "means")
    for name, bad in (("means", ~np.isfinite(means)), ("variances", ~(variances < np.inf))):
        if bad.any() or (name == "variances" and variances.min() < 0):
            raise FormatError("a value is not finite, or a variance negative", folder / name)
    variances = np.maximum(variances, VARIANCE_FLOOR)
    n_books, n_gaussians, n_features = means.shape
    shape = (len(sizes), n_gaussians, definition.n_senones)
    if (folder / "sendump").is_file():
        weights = read_sendump(folder / "sendump", shape)
    else:
        weights = read_mixture_weights(_needed(folder, "mixture_weights"), shape)
    if n_books == 1:
        return TiedMixtures(means, variances, weights, np.zeros(shape[2], np.int32), sizes)
    if n_books == len(definition.phones):
        return TiedMixtures(means, variances, weights, definition.phone_of_senone(), sizes)
    if n_books != definition.n_senones or len(sizes) > 1:
        raise FormatError(
            f"{n_books} codebooks must be one, one a phone ({len(definition.phones)}), or one a "
            f"senone ({definition.n_senones}) of one stream", folder / "means",
        )  # fmt: skip
    flat = (n_books * n_gaussians, n_features)
    return DiagonalMixtures(
        means.reshape(flat), variances.reshape(flat), weights[0].T.reshape(-1),
        np.arange(n_books + 1) * n_gaussians,
    )  # fmt: skip


def read_feature_options(path: Path) -> tuple[FeatureOptions, tuple[int, ...]]:
    """Read ``feat.params``: the front end, and the features in each stream (empty if not given).

    The file holds ``-name value`` pairs; what is left out is as Sphinx's default. The mean is taken
    over speech (see `FeatureOptions`) where the file has any normalisation; ``-cmninit`` is the
    stored mean. Raises FormatError for a value or option that the front end cannot follow.
    """
    values = {**DEFAULTS, **_pairs(path)}
    for name, law in REQUIRED.items():
        if values.get(name, law) != law:
            raise FormatError(f"{name} {values[name]} is not supported, only {law or 'none'}", path)

    def number(name: str) -> float:
        return _float(values[name], name, path)

    n_cepstra, rate, length = int(number("-ncep")), number("-samprate"), number("-wlen")
    mean = [_float(part, "-cmninit", path) for part in values["-cmninit"].split(",")]
    try:
        options = FeatureOptions(
            sample_rate=int(rate), frame_shift=1.0 / number("-frate"), frame_length=length,
            n_fft=int(number("-nfft")) or 1 << (int(rate * length) - 1).bit_length(),
            n_mels=int(number("-nfilt")), low_hz=number("-lowerf"), high_hz=number("-upperf"),
            preemphasis=number("-alpha"), n_cepstra=n_cepstra, lifter=int(number("-lifter")),
            dct={"dct": "ortho"}.get(values["-transform"], values["-transform"]),  # type: ignore[arg-type]
            remove_noise=_flag(values, "-remove_noise", path),
            remove_dc=_flag(values, "-remove_dc", path),
            streams=values["-feat"],  # type: ignore[arg-type]
            normalisation="none" if values["-cmn"] == "none" else "speech",
            initial_mean=tuple((mean + [0.0] * n_cepstra)[:n_cepstra]),
        )  # fmt: skip
    except (OptionError, ZeroDivisionError) as error:
        raise FormatError(f"a front end that is not supported: {error}", path) from error
    return options, _streams(values["-svspec"], options.n_features, path)


def _streams(text: str, n_features: int, path: Path) -> tuple[int, ...]:
    """The sizes in a ``-svspec`` such as 0-12/13-25/26-38, which must name features in order."""
    if not text:
        return ()
    streams = []
    for part in text.split("/"):
        features: list[int] = []
        for piece in part.split(","):
            first, _, last = piece.partition("-")
            if not first.isdecimal() or not (last or first).isdecimal():
                raise FormatError(f"-svspec {text!r} must hold ranges such as 0-12", path)
            features += range(int(first), min(int(last or first), n_features) + 1)
        streams.append(features)
    if sum(streams, []) != list(range(n_features)) or not all(streams):
        raise FormatError(f"-svspec {text} must name all {n_features} features in order", path)
    return tuple(map(len, streams))


def _float(text: str, name: str, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{name} {text!r} must be a number", path)
    return value


def _flag(values: dict[str, str], name: str, path: Path) -> bool:
    if values[name] not in YES:
        raise FormatError(f"{name} {values[name]!r} must be yes or no", path)
    return YES[values[name]]


def _pairs(path: Path) -> dict[str, str]:
    pairs: dict[str, str] = {}
    if not path.is_file():
        return pairs
    for number, line in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), 1):
        fields = line.split("#")[0].split()
        names, values = fields[::2], fields[1::2]
        if len(names) != len(values) or not all(name.startswith("-") for name in names):
            raise FormatError(f"{line!r} must be pairs of -name and value", path, number)
        pairs.update(zip(names, values, strict=True))
    return pairs


__getattr__ = old_names(__name__)
