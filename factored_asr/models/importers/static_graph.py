"""``HCLG.fst``: a graph of dictation that holds dictionary and language model, searched as it is.

It reads transition-ids, writes words and has its self-loops, as the graphs here do. So only its
labels are to be told: the score, phone and place of each transition. Words and n-grams cannot be
taken out of it. But the files next to it may list the words' phones, from which graphs of grammars
and of other language models are built.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic.topology import END, SINGLE, Topology
from factored_asr.errors import FormatError, ModelWarning
from factored_asr.graph import Graph
from factored_asr.graph.graph import EPSILON, MAX_LABEL, Labels
from factored_asr.models.importers.kaldi_nnet3 import ChainFile
from factored_asr.models.importers.lookahead_graph import Dictionary, read_contexts
from factored_asr.models.importers.vosk_files import VoskFiles, read_symbols
from factored_asr.models.importers.vosk_topology import Phones
from factored_asr.storage.reading import lines_with_text, whole_number

SILENCE_PROBABILITY = 0.5
"""Of graphs built here; Kaldi's dictionaries are made with it."""


@dataclass(frozen=True, eq=False)
class StaticGraph:
    """The graph, and what the files next to it say of words and phones."""

    plain: Graph
    """Its labels are transition-ids."""
    chain: ChainFile
    phones: Phones
    dictionary: Dictionary
    """Its words are empty where no file lists their phones."""

    def graph(self, topology: Topology, frame_seconds: float, words: Mapping[int, str]) -> Graph:
        """Return the graph with its words and the meaning of its labels.

        Marks such as ``<unk>`` and ``[noise]`` become no word.
        """
        names = [EPSILON, *(words.get(i, str(i)) for i in range(1, max(words) + 1))]
        spoken = np.array([not _is_mark(name) for name in names])
        arcs = self.plain.arcs.copy()
        arcs["word"] *= spoken[arcs["word"]]
        silent = topology.is_silence
        return replace(
            self.plain, arcs=arcs, words=tuple(names), phones=(EPSILON, *topology.phones),
            silence_phones=frozenset(np.array(topology.phones)[silent].tolist()),
            frame_seconds=frame_seconds,
        ).with_labels(self._labels(silent))

    def _labels(self, silent: np.ndarray) -> Labels:
        row, target = self.chain.transitions[1:].T
        _, _, entry, loop = self.chain.tuples[row].T
        pdf = np.where(target == 0, loop, entry)
        of = self.phones.of
        phone, place = np.array([of[number] for number in self.chain.tuples[row, 0].tolist()]).T
        ends_word = np.isin(place, (END, SINGLE)) & ~silent[phone]
        columns = (np.append(-1, pdf), np.append(0, phone + 1), np.zeros(len(pdf) + 1, np.int32),
                   np.append(False, ends_word))
        return Labels._make(columns).typed()


def read_static_graph(
    files: VoskFiles, chain: ChainFile, phones: Phones, words: Mapping[int, str],
    silences: tuple[int, ...],
) -> StaticGraph:
    """Read the graph; FormatError where it does not fit the model and its table of words.

    Warns with ModelWarning that only dictation is there, where no other graph can be built.
    """
    graph = Graph.read(files.static)
    n_labels, last = len(chain.transitions) - 1, max(words, default=0)
    if last >= MAX_LABEL:
        raise FormatError(f"the number of a word is {last}, must be below {MAX_LABEL}", files.words)
    for name, most in (("label", n_labels), ("word", last)):
        if int(graph.arcs[name].max(initial=0)) > most:
            raise FormatError(f"a {name} {graph.arcs[name].max()}, the model's go up to {most}",
                              files.static)
    if (phones.numbers == phones.numbers[:, :1]).all():
        raise FormatError("its phones have no places in the word (word_boundary.int), without which"
                          " words in such a graph have no times", files.static)
    contexts = read_contexts(graph.fields, chain.transitions[:, 0], chain.tuples[:, 0])
    if not len(contexts):
        raise FormatError("reads no phone of the model", files.static)
    silence = silences[0] if silences else int(phones.numbers.min())
    if silence not in phones.numbers:
        raise FormatError(f"phone {silence} of silence is not one of the model", files.model)
    labels, spelled = _pronunciations(files, phones, words)
    if not spelled:
        _tell(files, "the folder has no align_lexicon.int")
    elif len(np.unique(contexts[:, :2], axis=0)) < len(contexts):
        _tell(files, "its phones depend on the phone after them")
        labels, spelled = np.zeros(0, np.int32), ()
    dictionary = Dictionary(labels, spelled, np.zeros(len(spelled)), contexts, silence,
                            SILENCE_PROBABILITY)
    return StaticGraph(graph, chain, phones, dictionary)


def _tell(files: VoskFiles, why: str) -> None:
    warnings.warn(f"{files.static}: only dictation by this graph: {why}, so no graph of a grammar "
                  "or another language model can be built", ModelWarning, stacklevel=3)


def _is_mark(word: str) -> bool:
    return len(word) > 1 and (word[0] in "<!#" or word[0] == "[" and word[-1] == "]")


def _pronunciations(
    files: VoskFiles, phones: Phones, words: Mapping[int, str]
) -> tuple[np.ndarray, tuple[tuple[int, ...], ...]]:
    """Words and their phones, as numbers, of ``align_lexicon.int`` or ``.txt``."""
    if path := files.align_lexicon:
        rows = [(line, [*map(whole_number, text.split())]) for line, text in lines_with_text(path)]
    elif (path := files.align_lexicon_text) and files.phones:
        word_of = {name: number for number, name in words.items()}
        phone_of = {name: number for number, name in read_symbols(files.phones).items()}
        rows = [(line, [*map(word_of.get, fields[:2]), *map(phone_of.get, fields[2:])])
                for line, text in lines_with_text(path) if (fields := text.split())]
    else:
        return np.zeros(0, np.int32), ()
    known, found = phones.of, dict[tuple[int, tuple[int, ...]], None]()
    for line, row in rows:
        if None in row:
            raise FormatError("a word or phone without a number", path, line)
        numbers = [number for number in row if number is not None]
        if lacking := [number for number in numbers[2:] if number not in known]:
            raise FormatError(f"phone {lacking[0]} is not one of the model", path, line)
        if len(numbers) > 2 and numbers[1] in words and numbers[1]:
            found[numbers[1], tuple(numbers[2:])] = None
    return np.array([word for word, _ in found], np.int32), tuple(spelled for _, spelled in found)
