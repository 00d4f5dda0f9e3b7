"""Exact times of recognised words, from the alignment of another acoustic model.

A network that is trained by CTC gets the order of phones right and their times only roughly. So
the words that it recognises, with the pronunciations it found, are laid over the sound by a model
whose states do follow the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from factored_asr.acoustic.model import AcousticModel, AcousticSession
from factored_asr.decoder import BeamOptions, Search
from factored_asr.errors import MissingError
from factored_asr.graph import GraphOptions, build_alignment_graph, make_units
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.results.transcript import Word

GRAPH = GraphOptions(silence_probability=0.1, filler_probability=1e-4)
BEAMS = (BeamOptions(beam=200.0, max_active=1000, min_active=0, lattice_beam=0.0),
         BeamOptions(beam=1000.0, max_active=20_000, min_active=0, lattice_beam=0.0))
"""Tried one after the other, until a path reaches the end of the words."""


class WordTimer:
    """Lays recognised words over their sound; any number of threads may share it."""

    def __init__(self, model: AcousticModel, name: str):
        self.model, self.name = model, name
        self._units = make_units(model, GRAPH.transition_scale)

    def listen(self) -> AcousticSession:
        """Begin a sound: it is to take the same samples as the recognising session."""
        return self.model.session(np.zeros(1, np.int64), whole=True)

    def retimed(self, words: Sequence[Word], sound: AcousticSession) -> tuple[Word, ...] | None:
        """Return the words with the times of this model; None where they do not fit the sound.

        Parameters
        ----------
        words
            Recognised words with their phones.
        sound
            A finished session of `listen`.
        """
        spoken: dict[str, dict[Pronunciation, None]] = {}
        for word in words:
            spoken.setdefault(word.text, {})[Pronunciation(word.phones)] = None
        lexicon = Lexicon({text: tuple(each) for text, each in spoken.items()})
        try:
            graph = build_alignment_graph(
                self.model, lexicon, [word.text for word in words], GRAPH, self._units
            )
        except MissingError:  # a phone that this model lacks
            return None
        for beam in BEAMS:
            search = Search(graph, beam, pdfs=graph.pdfs)
            for scores in sound.scores(graph.pdfs):
                search.advance(scores)
            path = search.finish().best()
            if path.reached_final:
                break
        else:
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


@cache
def word_timer(model: str = "en-us") -> WordTimer:
    """Return the timer of a named model, which is read once."""
    from factored_asr.models.bundle import Bundle

    return WordTimer(Bundle.find(model).acoustic_model(), model)
