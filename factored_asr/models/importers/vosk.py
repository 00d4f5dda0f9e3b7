"""Folders of Vosk's models, as they are downloaded, and chain models of Kaldi in the same files.

Two layouts: ``am/final.mdl``, ``conf/``, ``graph/`` and ``ivector/``, or all in one folder. The
graph must be the look-ahead pair ``HCLr.fst`` and ``Gr.fst``: dictionary, contexts and n-grams are
recovered from it, and graphs are then built as for any other model.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.nnet3 import ChainModel, IvectorExtractor, KaldiFeatures
from factored_asr.acoustic.nnet3.model import FRAMES_PER_CHUNK
from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE, Topology
from factored_asr.decoder import BeamOptions
from factored_asr.errors import FormatError, MissingError, ModelWarning, OptionError
from factored_asr.graph import GraphOptions
from factored_asr.language import NGramModel
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.folder import About, ModelFolder, write_model
from factored_asr.models.importers import kaldi_files
from factored_asr.models.importers.kaldi_nnet3 import ChainFile, is_nnet3, read_chain_model
from factored_asr.models.importers.kaldi_reader import KaldiReader
from factored_asr.models.importers.lookahead_fst import NGramFst, read_lookahead, read_ngram_fst
from factored_asr.models.importers.lookahead_graph import Dictionary, ngram_model, read_dictionary
from factored_asr.models.settings import DecodeOptions
from factored_asr.storage.cache import cached, content_key
from factored_asr.storage.reading import read_text, whole_number
from factored_asr.storage.scratch import process_folder

NONWORD = "nonword"
WORD_PLACES = {"begin": BEGIN, "end": END, "internal": INTERNAL, "singleton": SINGLE}
BACKOFF = "#0"
MAX_NGRAMS = 1_000_000
"""N-grams of the first pass, by default."""
VERSION = 2
"""Raise it when the same folder gives another model than before."""
IVECTOR_OPTIONS = {"max_count": 100.0}
"""What Vosk sets other than Kaldi's programs."""
_BEAMS = {"beam": float, "max-active": int, "min-active": int}
_IGNORED = ("rescore", "rnnlm")


@dataclass(frozen=True, eq=False)
class VoskModel:
    """The parts of such a folder."""

    acoustic: ChainModel
    lexicon: Lexicon
    lm: NGramModel
    dictation: DecodeOptions
    commands: DecodeOptions


@dataclass(frozen=True)
class VoskFiles:
    """Where the files of such a folder are; those that may lack are None."""

    folder: Path
    model: Path
    mfcc: Path
    conf: Path | None
    lookahead: Path
    grammar: Path
    static: Path
    ivector: Path | None
    phones: Path | None
    words: Path | None
    word_boundary: Path | None
    ignored: tuple[Path, ...] = field(default=())
    """Of a second pass, which is not read."""

    @staticmethod
    def find(folder: str | Path) -> VoskFiles | None:
        """Return the files of a folder; None where it holds no chain model."""
        folder = Path(folder)
        for am, conf, graph, phones in (("am", "conf", "graph", "graph/phones"), (".",) * 4):
            model = folder / am / "final.mdl"
            if not model.is_file() or not is_nnet3(model):
                continue

            def there(*names: str) -> Path | None:
                return next((folder / name for name in names if (folder / name).exists()), None)

            return VoskFiles(
                folder, model, folder / conf / "mfcc.conf", there(f"{conf}/model.conf"),
                folder / graph / "HCLr.fst", folder / graph / "Gr.fst",
                folder / graph / "HCLG.fst", there("ivector", "extractor", "ivector_extractor"),
                there(f"{graph}/phones.txt"), there(f"{graph}/words.txt"),
                there(f"{phones}/word_boundary.int"),
                tuple(folder / name for name in _IGNORED if (folder / name).exists()),
            )
        return None

    def stamps(self) -> list[tuple[str, int, int]]:
        """Return name, size and time of change of every file: what the folder is known by."""
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        stats = [(file.resolve(), file.stat()) for file in files]
        return [(str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def converted(files: VoskFiles) -> ModelFolder:
    """Return such a folder as one of our own, from the cache; convert it first if needed.

    Errors are those of `read_vosk_model`; warns with ModelWarning that the first time takes long.
    """

    def make() -> ModelFolder:
        warnings.warn(f"{files.folder} is read for the first time, which takes a minute",
                      ModelWarning, stacklevel=4)
        return write_vosk_model(files, process_folder() / "models" / key)

    def write(made: ModelFolder, folder: Path) -> dict[str, Any]:
        for file in made.path.iterdir():
            shutil.copyfile(file, folder / file.name)
        return {}

    key = content_key("vosk", VERSION, files.stamps())
    about = {"model": files.folder.name, "language": "", "kind": "converted model"}
    return cached(key, make, write, ModelFolder.open, about)


def write_vosk_model(files: VoskFiles, folder: Path, about: About | None = None) -> ModelFolder:
    """Convert such a folder to a model folder of our own; errors as of `read_vosk_model`."""
    made = read_vosk_model(files)
    about = about or About(
        origin=files.folder.name,
        settings={"dictation": made.dictation.to_dict(), "commands": made.commands.to_dict()},
    )
    write_model(folder, made.acoustic, lexicon=made.lexicon, lm=made.lm, about=about)
    return ModelFolder.open(folder)


def read_vosk_model(files: VoskFiles) -> VoskModel:
    """Read everything of such a folder.

    Raises MissingError for a file that is not there, FormatError for one that breaks its format, is
    not supported, or does not fit the others. Warns with ModelWarning of what is ignored.
    """
    options = read_options(files.conf) if files.conf else {}
    step = _whole(options, "frame-subsampling-factor", 3, files.conf)
    chain = read_chain_model(files.model, step)
    if files.ignored:
        names = ", ".join(path.name for path in files.ignored)
        warnings.warn(f"{files.folder}: {names} is ignored: give a second language model by "
                      "--rescore-lm", ModelWarning, stacklevel=2)
    if not files.lookahead.is_file() or not files.grammar.is_file():
        if files.static.is_file():
            raise FormatError("a graph HCLG.fst, of which dictionary and language model cannot be "
                              "recovered: only models with HCLr.fst and Gr.fst are read; take "
                              "the small model of this language, which has them", files.static)
        raise MissingError(f"{files.lookahead}: the model needs this file, and Gr.fst")
    grammar = read_ngram_fst(files.grammar)
    words = grammar.words or _symbols(files.words)
    dictionary = _dictionary(files, chain, words, _silences(options))
    phones = _Phones.read(files, chain)
    topology = _topology(chain, phones, dictionary, files, _silences(options))
    features = _features(files.mfcc)
    extractor = read_extractor(files.ivector, features) if chain.network.n_ivector else None
    try:
        acoustic = ChainModel(
            topology, features, chain.network, extractor,
            chain.log_priors if len(chain.log_priors) else None,
            _whole(options, "frames-per-chunk", FRAMES_PER_CHUNK, files.conf),
        )
    except OptionError as error:
        raise FormatError(f"the model's files do not fit each other: {error}",
                          files.folder) from error
    settings = _settings(options, dictionary.silence_probability, files.conf)
    return VoskModel(acoustic, _lexicon(dictionary, phones, words), _ngrams(grammar, words, files),
                     settings, settings)


def read_options(path: Path) -> dict[str, str]:
    """Read a configuration file of Kaldi, ``--name=value`` on each line."""
    found = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        text = text.partition("#")[0].strip()
        if not text:
            continue
        name, equals, value = text.partition("=")
        if not name.startswith("--"):
            raise FormatError(f"must be --name=value, is {text!r}", path, line)
        found[name[2:]] = value if equals else "true"
    return found


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
            left=_whole(splice, "left-context", 4, folder), **IVECTOR_OPTIONS,  # type: ignore[arg-type]
            right=_whole(splice, "right-context", 4, folder),
            cmn_window=_whole(options, "cmn-window", 600, cmvn),
            speaker_frames=_whole(options, "speaker-frames", 600, cmvn),
            global_frames=_whole(options, "global-frames", 200, cmvn),
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


@dataclass(frozen=True, eq=False)
class _Phones:
    """Phones without their place in the word, and the number that Kaldi has for each place."""

    names: tuple[str, ...]
    numbers: np.ndarray
    """(n_phones, N_POSITIONS) int32."""

    @property
    def of(self) -> dict[int, tuple[int, int]]:
        """By number: phone and the place that it stands for; of several places, the last."""
        return {int(number): (row, place) for row, places in enumerate(self.numbers)
                for place, number in enumerate(places)}

    @staticmethod
    def read(files: VoskFiles, chain: ChainFile) -> _Phones:
        numbers = sorted(chain.entries)
        places = _boundaries(files.word_boundary) if files.word_boundary else {}
        if lacking := [number for number in numbers if places and number not in places]:
            raise FormatError(f"phone {lacking[0]} of the model is not there", files.word_boundary)
        groups: list[dict[int, int]] = []
        for number in numbers:
            place = WORD_PLACES.get(places.get(number, NONWORD))
            # Kaldi numbers the places of one phone one after the other
            if place is None or place == BEGIN or not groups or place in groups[-1]:
                groups.append({})
            groups[-1].update(dict.fromkeys(range(N_POSITIONS), number) if place is None else
                              {place: number})
        table = [[group.get(place, next(iter(group.values()))) for place in range(N_POSITIONS)]
                 for group in groups]
        return _Phones(_names(files, numbers, table), np.array(table, np.int32))


def _names(files: VoskFiles, numbers: Sequence[int], table: list[list[int]]) -> tuple[str, ...]:
    """Names of phones: those of ``phones.txt``, or numbers where it belongs to another model."""
    symbols = _symbols(files.phones) if files.phones else {}
    symbols = {number: name for number, name in symbols.items()
               if number and not name.startswith("#")}
    named = []
    for row in table:
        both = {symbols.get(number, "") for number in row}
        bare = {name[:-2] if name[-2:] in ("_B", "_E", "_I", "_S") and len(both) > 1 else name
                for name in both}
        named.append(bare.pop() if len(bare) == 1 else "")
    if sorted(symbols) == list(numbers) and all(named) and len(set(named)) == len(named):
        return tuple(named)
    if symbols:
        warnings.warn(f"{files.phones}: its phones are not those of the model; they are named by "
                      "their numbers: p11", ModelWarning, stacklevel=2)
    return tuple(f"p{row[BEGIN]}" for row in table)


def _topology(
    chain: ChainFile, phones: _Phones, dictionary: Dictionary, files: VoskFiles,
    silences: tuple[int, ...],
) -> Topology:
    """A unit for each transition state; which one a phone is, the phone before it says.

    All `silences` are fillers: Kaldi gives silence and noise a phone for each place in a word, and
    these share their pdfs.
    """
    for phone, states in chain.entries.items():
        if len(states) != 2 or {target for target, _ in states[0].transitions} != {0, 1}:
            raise FormatError(f"phone {phone} has {len(states) - 1} states: chain models of one "
                              "state with a loop are supported", files.model)
    n_phones, n_symbols = len(phones.names), len(phones.names) * N_POSITIONS
    rows = np.array([[number for number in places] for places in phones.numbers]).ravel()
    table = np.full((rows.max() + 1, int(chain.tuples[:, 0].max()) + 1), -1, np.int32)
    before, phone, row = dictionary.contexts.T
    size = max(rows.max(), before.max(), phone.max()) + 1
    table = np.full((size, size), -1, np.int32)
    table[phone, before] = row
    table = _filled(table, phones, chain)
    left = np.append(rows, 0)  # of each class of a left neighbour: its number; the edge has 0
    unit_of = table[rows][:, left][:, :, None]
    loop, leave = _log_probs(chain)
    silence = next(name for name, numbers in zip(phones.names, phones.numbers, strict=True)
                   if dictionary.silence in numbers)
    of = phones.of
    return Topology(
        phones.names, silence, tuple(
            name for name, numbers in zip(phones.names, phones.numbers, strict=True)
            if name == silence or set(numbers.tolist()) <= set(silences)),
        unit_phone=np.array([of[int(number)][0] for number in chain.tuples[:, 0]]),
        entry_pdf=chain.tuples[:, 2:3], loop_pdf=chain.tuples[:, 3:4],
        loop_log_prob=loop[:, None], exit_log_prob=leave[:, None],
        alone=unit_of.reshape(n_phones, N_POSITIONS, -1)[:, SINGLE, n_symbols],
        unit_of=unit_of, left_class=np.arange(n_symbols), edge=(n_symbols, 0),
    )


def _filled(table: np.ndarray, phones: _Phones, chain: ChainFile) -> np.ndarray:
    """Give contexts that no word of the dictionary has the unit of a context near to them.

    That of the same phone before in another place in the word, else the phone's commonest one.
    """
    table = table.copy()
    seen = table.copy()
    for places in phones.numbers:  # as left neighbour
        columns = seen[:, places]
        first = np.argmax(columns >= 0, axis=1)
        near = columns[np.arange(len(columns)), first]
        for number in places:
            table[:, number] = np.where(table[:, number] < 0, near, table[:, number])
    first_row: dict[int, int] = {}
    for row, number in enumerate(chain.tuples[:, 0].tolist()):
        first_row.setdefault(number, row)
    for number, row in first_row.items():
        known = seen[number][seen[number] >= 0]
        common = np.bincount(known).argmax() if len(known) else row
        table[number] = np.where(table[number] < 0, common, table[number])
    return table


def _log_probs(chain: ChainFile) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities of staying in each transition state, and of leaving it."""
    transitions = chain.transitions
    both = np.full((2, len(chain.tuples)), -np.inf)
    for number in range(1, len(transitions)):
        row, target = transitions[number]
        both[int(target > 0), row] = chain.log_probs[number]
    return both[0], both[1]


def _dictionary(
    files: VoskFiles, chain: ChainFile, words: Mapping[int, str], silences: tuple[int, ...]
) -> Dictionary:
    backoff = [number for number, word in words.items() if word == BACKOFF]
    if not backoff:
        raise FormatError(f"its table of words has no {BACKOFF}", files.grammar)
    graph = read_lookahead(files.lookahead)
    labels = graph.arcs["word"]
    if len(labels) and (labels.min() < 0 or not words or labels.max() > max(words)):
        raise FormatError("a word that is not in the table of words", files.lookahead)
    try:
        return read_dictionary(graph, chain.transitions[:, 0], chain.tuples[:, 0],
                               -_log_probs(chain)[1], backoff[0], silences)
    except FormatError as error:
        raise FormatError(str(error), files.lookahead) from error


def _lexicon(dictionary: Dictionary, phones: _Phones, words: Mapping[int, str]) -> Lexicon:
    """Words that can be written into a dictionary file; others, say ``#`` or ``a(b)``, are left
    out."""
    name_of = {number: phones.names[row] for number, (row, _) in phones.of.items()}
    entries: dict[str, list[Pronunciation]] = {}
    probability = np.minimum(np.exp(-dictionary.cost), 1.0).tolist()
    for label, spoken, p in zip(dictionary.words.tolist(), dictionary.phones, probability,
                                strict=True):
        word = words.get(label, "")
        if _is_plain(word) and spoken and p > 0:
            names = tuple(name_of[number] for number in spoken)
            entries.setdefault(word, []).append(Pronunciation(names, p))
    if not entries:
        raise FormatError("no word of the graph has a pronunciation")
    return Lexicon({word: tuple(each) for word, each in entries.items()})


def _is_plain(word: str) -> bool:
    is_mark = word.startswith(("<", "#", ";;", "!")) and len(word) > 1
    return bool(word) and not is_mark and word != "#" and not (word[-1] == ")" and "(" in word[1:])


def _ngrams(grammar: NGramFst, words: Mapping[int, str], files: VoskFiles) -> NGramModel:
    try:
        return ngram_model(grammar, words)
    except (FormatError, OptionError) as error:
        raise FormatError(str(error), files.grammar) from error


def _features(path: Path) -> KaldiFeatures:
    options = read_options(path)
    try:
        return KaldiFeatures.from_options(options)
    except OptionError as error:
        raise FormatError(str(error), path) from error


def _settings(
    options: Mapping[str, str], silence_probability: float, path: Path | None
) -> DecodeOptions:
    """Beams and scale of ``model.conf``; our own search has no beam of a lattice by default."""
    try:
        beams: dict[str, Any] = {name.replace("-", "_"): kind(options[name])
                                 for name, kind in _BEAMS.items() if name in options}
        return DecodeOptions(
            acoustic_scale=float(options.get("acoustic-scale", 1.0)),
            beam=BeamOptions(**{"beam": 13.0, "max_active": 7000, **beams}, lattice_beam=0.0),
            graph=GraphOptions(silence_probability=min(1.0, max(1e-4, silence_probability)),
                               filler_probability=0.0, denials=False),
            max_ngrams=MAX_NGRAMS,
        )
    except (ValueError, OptionError) as error:
        raise FormatError(f"options of decoding: {error}", path) from error


def _silences(options: Mapping[str, str]) -> tuple[int, ...]:
    text = options.get("endpoint.silence-phones", "")
    numbers = [whole_number(part) for part in text.replace(",", ":").split(":") if part]
    return tuple(number for number in numbers if number)


def _whole(options: Mapping[str, str], name: str, default: int, path: Path | None) -> int:
    value = whole_number(options[name]) if name in options else default
    if value is None or not 0 <= value <= 100_000:
        raise FormatError(f"--{name} must be 0 to 100000, is {options[name]!r}", path)
    return value


def _boundaries(path: Path) -> dict[int, str]:
    found = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        fields = text.split()
        if not fields:
            continue
        number = whole_number(fields[0])
        if len(fields) != 2 or number is None or fields[1] not in (NONWORD, *WORD_PLACES):
            raise FormatError(f"must be a phone and its place, is {text!r}", path, line)
        found[number] = fields[1]
    return found


def _symbols(path: Path | None) -> dict[int, str]:
    if path is None:
        raise MissingError("the model has no table of words: words.txt, or one in Gr.fst")
    found = {}
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        fields = text.split()
        if not fields:
            continue
        number = whole_number(fields[-1])
        if len(fields) != 2 or number is None:
            raise FormatError(f"must be a symbol and its number, is {text!r}", path, line)
        found[number] = fields[0]
    return found
