"""Folders of Vosk's models, as they are downloaded, and chain models of Kaldi in the same files.

Two layouts: ``am/final.mdl``, ``conf/``, ``graph/`` and ``ivector/``, or all in one folder. Of the
look-ahead pair ``HCLr.fst`` and ``Gr.fst`` dictionary, contexts and n-grams are recovered, and
graphs are then built as for any other model. A static graph ``HCLG.fst`` is searched as it is.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.nnet3 import ChainModel, KaldiFeatures
from factored_asr.acoustic.nnet3.model import FRAMES_PER_CHUNK
from factored_asr.acoustic.nnet3.network import MAX_STEP
from factored_asr.decoder import BeamOptions
from factored_asr.errors import FormatError, MissingError, ModelWarning, OptionError
from factored_asr.graph import Graph, GraphOptions
from factored_asr.language import NGramModel
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.folder import About, ModelFolder, write_model
from factored_asr.models.importers.kaldi_ivector import read_extractor
from factored_asr.models.importers.kaldi_nnet3 import ChainFile, read_chain_model
from factored_asr.models.importers.lookahead_fst import NGramFst, read_lookahead, read_ngram_fst
from factored_asr.models.importers.lookahead_graph import Dictionary, ngram_model, read_dictionary
from factored_asr.models.importers.static_graph import StaticGraph, read_static_graph
from factored_asr.models.importers.vosk_files import (
    VoskFiles,
    read_options,
    read_symbols,
    silences_of,
    whole,
)
from factored_asr.models.importers.vosk_topology import Phones, log_probs_of, topology_of
from factored_asr.models.settings import DecodeOptions
from factored_asr.storage.cache import cached, content_key
from factored_asr.storage.scratch import process_folder

BACKOFF = "#0"
MAX_NGRAMS = 1_000_000
"""N-grams of the first pass, by default."""
VERSION = 2
"""Raise it when the same folder gives another model than before."""
_BEAMS = {"beam": float, "max-active": int, "min-active": int}


@dataclass(frozen=True, eq=False)
class VoskModel:
    """The parts of such a folder."""

    acoustic: ChainModel
    lexicon: Lexicon | None
    """None: its files have no dictionary that graphs can be built from."""
    lm: NGramModel | None
    """None: the language model is in `graph` alone."""
    dictation: DecodeOptions
    commands: DecodeOptions
    graph: Graph | None = None
    """Of dictation, where the folder has a static one."""


def converted(files: VoskFiles) -> ModelFolder:
    """Return such a folder as one of our own, from the cache; convert it first if needed.

    Errors are those of `read_vosk_model`; warns with ModelWarning that the first time takes long.
    """

    def make() -> ModelFolder:
        warnings.warn(f"{files.folder} is read for the first time, which takes a minute",
                      ModelWarning, stacklevel=4)
        return write_vosk_model(files, process_folder() / "models" / key)

    def write(made: ModelFolder, folder: Path) -> dict[str, Any]:
        shutil.copytree(made.path, folder, dirs_exist_ok=True)
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
    write_model(folder, made.acoustic, lexicon=made.lexicon, lm=made.lm, about=about,
                graph=made.graph)
    return ModelFolder.open(folder)


def read_vosk_model(files: VoskFiles) -> VoskModel:
    """Read everything of such a folder.

    Raises MissingError for a file that is not there, FormatError for one that breaks its format, is
    not supported, or does not fit the others. Warns with ModelWarning of what is ignored.
    """
    options = read_options(files.conf) if files.conf else {}
    step = whole(options, "frame-subsampling-factor", 3, files.conf, 1, MAX_STEP)
    chain = read_chain_model(files.model, step)
    if files.ignored:
        names = ", ".join(path.name for path in files.ignored)
        warnings.warn(f"{files.folder}: {names} is ignored: give a second language model by "
                      "--rescore-lm", ModelWarning, stacklevel=2)
    has_pair = files.lookahead.is_file() and files.grammar.is_file()
    if not has_pair and not files.static.is_file():
        raise MissingError(f"{files.lookahead}: the model needs this file and Gr.fst, or HCLG.fst")
    phones, silences = Phones.read(files, chain), silences_of(files, options)
    static: StaticGraph | None = None
    if has_pair:
        grammar = read_ngram_fst(files.grammar)
        words = grammar.words or read_symbols(files.words)
        dictionary: Dictionary = _dictionary(files, chain, words, silences)
    else:
        words = read_symbols(files.words)
        static = read_static_graph(files, chain, phones, words, silences)
        dictionary = static.dictionary
    topology = topology_of(chain, phones, dictionary, files, silences)
    features = _features(files.mfcc)
    extractor = read_extractor(files.ivector, features) if chain.network.n_ivector else None
    try:
        acoustic = ChainModel(
            topology, features, chain.network, extractor,
            chain.log_priors if len(chain.log_priors) else None,
            whole(options, "frames-per-chunk", FRAMES_PER_CHUNK, files.conf),
        )
    except OptionError as error:
        raise FormatError(f"the model's files do not fit each other: {error}",
                          files.folder) from error
    settings = _settings(options, dictionary.silence_probability, files.conf)
    if static is not None:
        lexicon = _lexicon(dictionary, phones, words) if dictionary.phones else None
        graph = static.graph(topology, acoustic.frame_seconds, words)
        return VoskModel(acoustic, lexicon, None, settings, settings, graph)
    return VoskModel(acoustic, _lexicon(dictionary, phones, words), _ngrams(grammar, words, files),
                     settings, settings)


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
                               -log_probs_of(chain)[1], backoff[0], silences)
    except FormatError as error:
        raise FormatError(str(error), files.lookahead) from error


def _lexicon(dictionary: Dictionary, phones: Phones, words: Mapping[int, str]) -> Lexicon:
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
