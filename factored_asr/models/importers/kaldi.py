"""GMM models of Kaldi: ``final.mdl``, ``tree``, ``phones.txt`` and, if there, ``final.mat``.

Kaldi's phones may carry their place in the word (``AA_B``); here they are one phone in four
positions, and neighbours within the word count as in its middle. States that may be skipped
(Kaldi's silence) are passed one after the other. The first pass of a speaker-adaptive model has the
mixtures of ``final.alimdl``. Kaldi's own front end is near to, but not quite, `KALDI_FEATURES`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE, GmmModel
from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features import FeatureOptions
from factored_asr.models.importers import kaldi_files as files
from factored_asr.storage.reading import lines_with_text, whole_number

KALDI_FEATURES = FeatureOptions(
    frame_length=0.025, n_mels=23, low_hz=20.0, high_hz=8000.0, mel="htk", dct="ortho",
    remove_noise=False, remove_dc=True, delta="regression", normalisation="batch",
)
"""The cepstra of Kaldi's recipes (``--use-energy=false``), as near as the front end comes."""

SUFFIXES = {"_B": BEGIN, "_E": END, "_I": INTERNAL, "_S": SINGLE}
LEFT_PLACE = {BEGIN: END, SINGLE: END, INTERNAL: INTERNAL, END: INTERNAL}
RIGHT_PLACE = {BEGIN: INTERNAL, INTERNAL: INTERNAL, END: BEGIN, SINGLE: BEGIN}
"""Where a neighbour stands in its word, by where the phone stands in its own."""

SILENCES = ("SIL", "sil")
FILLERS = ("SPN", "NSN", "LAU", "spn", "nsn", "sp")


class KaldiWarning(UserWarning):
    """A detail of a model that could not be kept."""


def read_kaldi_model(
    folder: str | Path, features: FeatureOptions | Mapping[str, Any] | None = None
) -> GmmModel:
    """Read a GMM model of Kaldi.

    Parameters
    ----------
    folder
        Holds ``final.mdl``, ``tree`` and ``phones.txt`` (or ``phones/phones.txt``); ``final.mat``
        and ``final.alimdl`` where the model has them.
    features
        The front end it was trained on, or what differs in it from Kaldi's recipes; None (default)
        for nothing. Deltas or a splice are chosen by the size of the model.

    Raises MissingError for a file that is not there, FormatError for one that breaks its format and
    for files that do not fit each other. Warns with KaldiWarning of states that may be skipped,
    which are passed here.
    """
    folder = Path(folder)
    model, tree = files.read_model(folder / "final.mdl"), files.read_tree(folder / "tree")
    phones = _Phones.read(_phone_table(folder), model)
    matrix = folder / "final.mat"
    transform = files.read_matrix(matrix) if matrix.is_file() else None
    hmms = _hmms(model, tree, phones, folder)
    try:
        n_inputs = model.means.shape[1] if transform is None else transform.shape[1]
        if not isinstance(features, FeatureOptions):
            features = KALDI_FEATURES.changed(features or {})
        options = _features(features, n_inputs)
        if transform is not None and transform.shape[1] == options.n_features:
            transform = np.hstack([transform, np.zeros((len(transform), 1))])
        fillers = (phones.silence, *(name for name in FILLERS if name in phones.names))
        return GmmModel(phones.names, phones.silence, fillers, options, _densities(model),
                        transform=transform, **hmms, first_pass=_first_pass(folder, model))
    except OptionError as error:
        raise FormatError(f"the model's files do not fit each other: {error}", folder) from error


@dataclass(frozen=True)
class _Phones:
    """Phones without their place in the word, and the number that Kaldi has for each place."""

    names: tuple[str, ...]
    number: np.ndarray
    """(n_phones, N_POSITIONS) int32."""

    @staticmethod
    def read(path: Path, model: files.KaldiModel) -> _Phones:
        numbers = _symbols(path)
        places: dict[str, dict[int, int]] = {}
        for name, number in numbers.items():
            if number in model.topology:
                placed = name[-2:] in SUFFIXES and len(name) > 2
                base, place = (name[:-2], SUFFIXES[name[-2:]]) if placed else (name, -1)
                places.setdefault(base, {})[place] = number
        lacking = sorted(set(model.topology).difference(numbers.values()))
        if lacking:
            raise FormatError(f"phone {lacking[0]} of the model has no name", path)
        table = np.zeros((len(places), N_POSITIONS), np.int32)
        for row, of in enumerate(places.values()):
            for place in range(N_POSITIONS):
                # a phone without places (silence) is the same everywhere
                table[row, place] = of.get(-1, of.get(place, next(iter(of.values()))))
        return _Phones(tuple(places), table)

    @property
    def silence(self) -> str:
        for name in SILENCES:
            if name in self.names:
                return name
        raise FormatError(f"no phone of silence among {', '.join(self.names)}: must be SIL or sil")


def _hmms(
    model: files.KaldiModel, tree: files.KaldiTree, phones: _Phones, folder: Path
) -> dict[str, Any]:
    """Ask the tree about every context; equal answers of a phone are one HMM of a `GmmModel`."""
    n = len(phones.names)
    silence = phones.names.index(phones.silence)
    alone = np.array([(phone, silence, silence, SINGLE) for phone in range(n)], np.int32)
    grid = np.indices((n, n, n, N_POSITIONS) if tree.width > 1 else (0,) * 4, np.int32)
    contexts = grid.reshape(4, -1).T
    asked = np.concatenate([alone, contexts])
    centre = phones.number[asked[:, 0], asked[:, 3]]
    window = centre[:, None]
    if tree.width > 1:
        left = phones.number[asked[:, 1], _places(LEFT_PLACE)[asked[:, 3]]]
        right = phones.number[asked[:, 2], _places(RIGHT_PLACE)[asked[:, 3]]]
        window = np.stack([left, centre, right], axis=1)
    chains = {number: _chain(model, number, folder) for number in np.unique(centre).tolist()}
    pdfs = np.full((len(asked), max(map(len, chains.values()))), -1, np.int32)
    for number, classes in chains.items():
        rows = np.flatnonzero(centre == number)
        for state, pdf_class in enumerate(classes):
            pdfs[rows, state] = tree.pdfs(window[rows], np.full(len(rows), pdf_class))
            if (pdfs[rows, state] < 0).any():
                raise FormatError(f"no pdf for state {state} of phone {number}", folder / "tree")
    keys = np.concatenate([centre[:, None], pdfs], axis=1)
    _, first, hmm = np.unique(keys[n:], axis=0, return_index=True, return_inverse=True)
    rows = np.concatenate([np.arange(n), n + first])
    loop = _loops(model, centre[rows], pdfs[rows], folder)
    with np.errstate(divide="ignore", invalid="ignore"):  # what is no number is refused later
        exit_ = np.where(pdfs[rows] >= 0, np.log1p(-np.exp(loop)), -np.inf)
    return {
        "hmm_pdfs": pdfs[rows], "hmm_phone": asked[rows, 0], "hmm_loop_log_probs": loop,
        "hmm_exit_log_probs": exit_, "triphone_contexts": contexts,
        "triphone_hmms": n + hmm.reshape(-1),
    }


def _places(of: Mapping[int, int]) -> np.ndarray:
    return np.array([of[place] for place in range(N_POSITIONS)])


def _chain(model: files.KaldiModel, phone: int, folder: Path) -> list[int]:
    """The pdf classes of a phone's states, one after the other."""
    states = model.topology[phone][:-1]
    for number, state in enumerate(states):
        targets = {target for target, _ in state.transitions}
        if state.entry_class < 0 or number + 1 not in targets | {len(states)}:
            raise FormatError(f"phone {phone} has a state without sound", folder / "final.mdl")
        if targets - {number, number + 1}:
            warnings.warn(KaldiWarning(
                f"phone {phone}: states that may be skipped are passed one after the other"
            ), stacklevel=4)
            break
    return [state.entry_class for state in states]


def _loops(
    model: files.KaldiModel, phones: np.ndarray, pdfs: np.ndarray, folder: Path
) -> np.ndarray:
    """Log probability of staying in each state, -inf where it cannot be stayed in."""
    known: dict[tuple[int, int, int], float] = {}
    transition = 1
    for phone, state, pdf in model.triples.tolist():
        known[phone, state, pdf] = -np.inf
        for target, _ in model.topology[phone][state].transitions:
            if target == state:
                known[phone, state, pdf] = float(model.log_probs[transition])
            transition += 1
    loop = np.full(pdfs.shape, -np.inf)
    for row, state in np.argwhere(pdfs >= 0).tolist():
        triple = int(phones[row]), state, int(pdfs[row, state])
        if triple not in known:
            raise FormatError(
                f"the tree gives phone {triple[0]}, state {state} the pdf {triple[2]}, which "
                "final.mdl does not know", folder / "tree",
            )
        loop[row, state] = known[triple]
    return loop


def _densities(model: files.KaldiModel) -> DiagonalMixtures:
    return DiagonalMixtures(model.means, model.variances, model.weights, model.first_gaussian)


def _first_pass(folder: Path, model: files.KaldiModel) -> DiagonalMixtures | None:
    path = folder / "final.alimdl"
    if not path.is_file():
        return None
    first = files.read_model(path)
    if len(first.first_gaussian) != len(model.first_gaussian):
        raise FormatError("has other pdfs than final.mdl", path)
    return _densities(first)


def _features(options: FeatureOptions, n_inputs: int) -> FeatureOptions:
    """Deltas or splices, as many as the model takes."""
    n = options.n_cepstra
    for chosen in (options, replace(options, streams="1s_c")):
        if n_inputs in (chosen.n_features, chosen.n_features + 1):
            return chosen
    for splice in range(1, 16):
        if n_inputs in (n * (2 * splice + 1), n * (2 * splice + 1) + 1):
            return replace(options, splice=splice)
    raise OptionError(f"{n_inputs} features a frame are no deltas or splice of {n} cepstra")


def _phone_table(folder: Path) -> Path:
    for name in ("phones.txt", "lang/phones.txt", "phones/phones.txt", "graph/phones.txt"):
        if (folder / name).is_file():
            return folder / name
    raise MissingError(f"{folder / 'phones.txt'}: the names of the phones are needed")


def _symbols(path: Path) -> dict[str, int]:
    numbers = {}
    for line, text in lines_with_text(path):
        fields = text.split()
        if len(fields) != 2 or (number := whole_number(fields[1])) is None:
            raise FormatError(f"must be a phone and its number, is {text!r}", path, line)
        if fields[0] != "<eps>" and not fields[0].startswith("#"):
            numbers[fields[0]] = number
    return numbers
