"""Exact times of recognised words, from the alignment of another acoustic model.

A network that is trained by CTC gets the order of phones right and their times only roughly. So
the words that it recognises, with the pronunciations it found, are laid over the sound by a model
whose states do follow the sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from factored_asr.acoustic.model import AcousticModel, AcousticSession
from factored_asr.decoder import BeamOptions, Search
from factored_asr.errors import MissingError
from factored_asr.graph import Graph, GraphOptions, build_alignment_graph, make_units
from factored_asr.lattice import Path
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.results.transcript import Word

GRAPH = GraphOptions(silence_probability=0.1, filler_probability=1e-4)
BEAMS = (BeamOptions(beam=200.0, max_active=1000, min_active=0, lattice_beam=0.0),
         BeamOptions(beam=1000.0, max_active=20_000, min_active=0, lattice_beam=0.0))
"""Tried one after the other, until a path reaches the end of the words."""

Spoken = tuple[str, tuple[str, ...]]
"""A word and its phones."""


class WordTimer:
    """Lays recognised words over their sound; any number of threads may share it."""

    def __init__(self, model: AcousticModel, name: str):
        self.model, self.name = model, name
        self._units = make_units(model, GRAPH.transition_scale)

    def listen(self) -> AcousticSession:
        """Begin a sound: it is to take the same samples as the recognising session."""
        return self.model.session(np.zeros(1, np.int64), whole=True)

    def retimed(
        self, words: Sequence[Word], sound: AcousticSession,
        laid: Mapping[tuple[Spoken, ...], Path] | None = None,
    ) -> tuple[Word, ...] | None:
        """Return the words with the times of this model; None where they do not fit the sound.

        Parameters
        ----------
        words
            Recognised words with their phones.
        sound
            A finished session of `listen`.
        laid
            What `word_costs` gave of this sound: strings among them are not laid again.
        """
        spoken = tuple((word.text, word.phones) for word in words)
        path = (laid or {}).get(spoken)
        if path is None and (graph := self._graph(spoken)) is not None:
            pdfs = graph.pdfs
            path = _laid(graph, pdfs, lambda: sound.scores(pdfs))
        if path is None:
            return None
        seconds, found = self.model.frame_seconds, []
        for word, segment in zip(words, path.segments, strict=True):
            phones = segment.phones
            found.append(replace(
                word, start=phones[0].start * seconds, end=phones[-1].end * seconds,
                phones=tuple(phone.phone for phone in phones),
                phone_ends=tuple(phone.end * seconds for phone in phones),
            ))
        return tuple(found)

    def word_costs(
        self, strings: Sequence[Sequence[Spoken]], sound: AcousticSession
    ) -> tuple[list[np.ndarray], dict[tuple[Spoken, ...], Path]] | None:
        """Return −log likelihood of a sound under each word of word strings, and their best paths.

        The costs are (n_words,) float64 for each string. All frames count: those before the first
        word for it, those of pauses for the word before. The sound is scored once for all strings.
        `sound` is as in `retimed`, and so is None; strings have at least one word.
        """
        graphs = [graph for string in strings if (graph := self._graph(string)) is not None]
        if len(graphs) < len(strings):
            return None
        pdfs = np.unique(np.concatenate([graph.pdfs for graph in graphs]))
        scores, costs, paths = np.concatenate([*sound.scores(pdfs)]), [], {}
        for string, graph in zip(strings, graphs, strict=True):
            path = _laid(graph, pdfs, lambda: [scores])
            if path is None:
                return None
            columns = np.searchsorted(pdfs, graph.label_pdf[path.labels])
            along = scores[np.arange(len(scores)), columns].astype(np.float64)
            starts = [segment.phones[0].start for segment in path.segments[1:]]
            costs.append(-np.add.reduceat(along, [0, *starts]))
            paths[tuple(string)] = path
        return costs, paths

    def _graph(self, words: Sequence[Spoken]) -> Graph | None:
        """Return the graph of these words alone; None where this model lacks one of the phones."""
        spoken: dict[str, dict[Pronunciation, None]] = {}
        for text, phones in words:
            spoken.setdefault(text, {})[Pronunciation(phones)] = None
        lexicon = Lexicon({text: tuple(each) for text, each in spoken.items()})
        try:
            return build_alignment_graph(self.model, lexicon, [text for text, _ in words], GRAPH,
                                         self._units)
        except MissingError:
            return None


def _laid(
    graph: Graph, pdfs: np.ndarray, scores: Callable[[], Iterable[np.ndarray]]
) -> Path | None:
    """Return the best path to the end of a graph; None where there is none."""
    for beam in BEAMS:
        search = Search(graph, beam, pdfs=pdfs)
        for block in scores():
            search.advance(block)
        path = search.finish().best()
        if path.reached_final:
            return path
    return None


@cache
def word_timer(model: str = "en-us") -> WordTimer:
    """Return the timer of a named model, which is read once."""
    from factored_asr.models.bundle import Bundle

    return WordTimer(Bundle.find(model).acoustic_model(), model)
