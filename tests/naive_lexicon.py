"""Slow, obvious twins of letters to phones: every way to share the phones out is written down."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

Pair = tuple[str, tuple[str, ...]]
Probs = Mapping[Pair, float]


def segmentations(word: str, phones: Sequence[str], width: int) -> Iterator[tuple[Pair, ...]]:
    """All ways to give each letter 0 to `width` phones, so that none is left."""
    if not word:
        if not phones:
            yield ()
        return
    for k in range(min(width, len(phones)) + 1):
        for rest in segmentations(word[1:], phones[k:], width):
            yield ((word[0], tuple(phones[:k])), *rest)


def probability(pairs: Sequence[Pair], probs: Probs) -> float:
    return math.prod(probs.get(pair, 0.0) for pair in pairs)


def expected_pairs(
    entries: Sequence[tuple[str, Sequence[str]]], probs: Probs, width: int
) -> tuple[dict[Pair, float], float]:
    """Expected counts and log likelihood of one pass of EM."""
    counts: dict[Pair, float] = defaultdict(float)
    log_likelihood = 0.0
    for word, phones in entries:
        ways = list(segmentations(word, phones, width))
        total = sum(probability(way, probs) for way in ways)
        if total:
            log_likelihood += math.log(total)
            for way in ways:
                for pair, n in Counter(way).items():
                    counts[pair] += n * probability(way, probs) / total
    return dict(counts), log_likelihood


def spellings(word: str, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, ...]]:
    """All sequences of pairs that have the letters of a word."""
    choices = [[pair for pair in pairs if pair[0] == letter] for letter in word]
    return itertools.product(*choices)
