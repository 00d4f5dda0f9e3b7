"""How often a word is said in each of its ways: what alignments tell of a lexicon.

The alignment of a sentence chooses a pronunciation for every word. Counted over a corpus, these
choices make the probabilities of pronunciations (Chen, Xu, Povey, Khudanpur 2015, "Pronunciation
and silence probability modeling for ASR", section 2; Kaldi's get_prons.sh): a way that nobody
takes no longer stands beside the usual one as its equal.
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
"""Word → phones → how often it was said so."""


def count_pronunciations(data: TrainingData, trained: Trained) -> Counts:
    """Count how each word of the corpus was said, by the last alignments.

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
            said = spoken(alignment, model.phones, model.silence)
            if len(said) != len(utterance.words):
                continue  # a word that is said by silence cannot be told from a pause
            for word, phones in zip(utterance.words, said, strict=True):
                counts.setdefault(word, Counter())[phones] += 1
    return counts


def spoken(
    alignment: StateAlignment, phones: tuple[str, ...], silence: str
) -> list[tuple[str, ...]]:
    """The phones of each word of an utterance, in order; pauses are left out."""
    centre, position = alignment.phones[:, 0], alignment.phones[:, 3]
    speech = centre != phones.index(silence)
    ends = np.flatnonzero(np.isin(position[speech], (END, SINGLE))) + 1
    words = np.split(centre[speech], ends)[:-1]
    return [tuple(phones[i] for i in word) for word in words]


def weigh_pronunciations(lexicon: Lexicon, counts: Counts, imagined: float = 1.0) -> Lexicon:
    """A lexicon whose pronunciations have the probabilities that counts give them.

    The likeliest one of each word keeps probability 1, as in Kaldi: words with many ways to say
    them are no less likely for it. Words that were not counted, or have one way, stay as they are.

    Parameters
    ----------
    imagined
        How often each way is taken to have been heard besides, > 0. Higher: what is rare is
        believed less.

    Raises
    ------
    OptionError
        `imagined` is not above 0: what was never heard would be impossible.

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
    for word, heard in counts.items():
        ways = lexicon.find(word)
        if len(ways) > 1:
            seen = [heard.get(way.phones, 0) + imagined for way in ways]
            weighed[word] = tuple(
                way._replace(probability=n / max(seen)) for way, n in zip(ways, seen, strict=True)
            )
    return lexicon.replace(Lexicon(weighed))
