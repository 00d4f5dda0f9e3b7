"""Probabilities of pronunciations, counted from alignments.

The alignment of a sentence selects a pronunciation for every word. Their counts over a corpus give
the probabilities. Source: Chen, Xu, Povey, Khudanpur 2015, "Pronunciation and silence probability
modeling for ASR", section 2; Kaldi's get_prons.sh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from factored_asr.acoustic import END, SINGLE
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training.alignment import StateAlignment, Trained
from factored_asr.training.data import TrainingData

Counts = Mapping[str, Mapping[tuple[str, ...], int]]
"""Word → phones of a pronunciation → its count."""


def count_pronunciations(data: TrainingData, trained: Trained) -> Counts:
    """Count the pronunciations of each word of the corpus in the last alignments.

    Examples
    --------
    >>> import numpy as np
    >>> alignment = StateAlignment(
    ...     np.int32([[0, 0, 0, 3], [2, 0, 1, 0], [1, 2, 0, 1]]), np.int32([0, 1, 2]),
    ...     np.int32([0, 0, 0]))
    >>> spoken(alignment, ("SIL", "IY", "T"), "SIL")
    [('T', 'IY')]
    """
    model = trained.model
    counts: dict[str, Counter[tuple[str, ...]]] = {}
    for utterance, alignment in zip(data.utterances, trained.alignments, strict=True):
        if alignment is not None:
            found = spoken(alignment, model.phones, model.silence)
            if len(found) != len(utterance.words):
                continue  # a word pronounced as silence looks like a pause
            for word, phones in zip(utterance.words, found, strict=True):
                counts.setdefault(word, Counter())[phones] += 1
    return counts


def spoken(
    alignment: StateAlignment, phones: tuple[str, ...], silence: str
) -> list[tuple[str, ...]]:
    """Return the phones of each word of an utterance, in order, without pauses."""
    centre, position = alignment.phones[:, 0], alignment.phones[:, 3]
    speech = centre != phones.index(silence)
    ends = np.flatnonzero(np.isin(position[speech], (END, SINGLE))) + 1
    words = np.split(centre[speech], ends)[:-1]
    return [tuple(phones[i] for i in word) for word in words]


def weigh_pronunciations(lexicon: Lexicon, counts: Counts, imagined: float = 1.0) -> Lexicon:
    """Return the lexicon with probabilities of pronunciations from counts.

    The most frequent one of each word has probability 1, as in Kaldi, so that words with many
    pronunciations are not less likely. Words without counts, or with one pronunciation, stay.

    `imagined` is added to each count; higher: flatter probabilities. Raises OptionError if it is
    not above 0: pronunciations without counts would be impossible.

    Examples
    --------
    >>> a = Lexicon({"a": (Pronunciation(("AH",)), Pronunciation(("EY",)))})
    >>> for each in weigh_pronunciations(a, {"a": {("EY",): 9, ("AH",): 1}})["a"]:
    ...     print(*each.phones, each.probability)
    AH 0.2
    EY 1.0
    """
    if not imagined > 0:
        raise OptionError(f"imagined must be above 0, got {imagined}")
    weighed: dict[str, tuple[Pronunciation, ...]] = {}
    for word, found in counts.items():
        ways = lexicon.find(word)
        if len(ways) > 1:
            sums = [found.get(way.phones, 0) + imagined for way in ways]
            weighed[word] = tuple(
                way._replace(probability=n / max(sums)) for way, n in zip(ways, sums, strict=True)
            )
    return lexicon.replace(Lexicon(weighed))
