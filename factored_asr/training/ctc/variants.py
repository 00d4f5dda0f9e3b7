"""Which pronunciation of each word was spoken, by a head's log probabilities; and phone errors.

A sentence is a chain of words, each a choice of pronunciations; between phones there may be
blanks, and there must be one between two equal phones (A. Graves and others, "Connectionist
temporal classification", 2006, section 4). The best path through it selects the pronunciations, as
training of Gaussian mixtures does by realignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.errors import MissingError
from factored_asr.lexicon import Lexicon
from factored_asr.training.ctc._kernels import best_path

BLANK = 0
Phones = tuple[int, ...]
"""Outputs of the head; the blank is 0, phones are from 1."""
Variants = tuple[tuple[Phones, ...], ...]
"""Of each word of a sentence: its pronunciations."""


@dataclass(frozen=True, eq=False)
class PhoneNet:
    """All ways to pronounce a sentence, as a network of phones and blanks."""

    labels: np.ndarray
    """(n_nodes,) int32: the head's output of each node."""
    first_in: np.ndarray
    """(n_nodes + 1,) int32: where the sources of each node begin in `source`."""
    source: np.ndarray
    """Nodes from which a node may be reached, besides itself; int32."""
    start: np.ndarray
    """(n_nodes,) bool: a path may begin here."""
    end: np.ndarray
    """(n_nodes,) bool: a path may end here."""
    words: np.ndarray
    """(n_nodes, 2) int32: word and pronunciation of each node; -1 for the first blank."""


def variants_of(words: Iterable[str], lexicon: Lexicon, phones: Sequence[str]) -> Variants:
    """Return the pronunciations of each word as outputs of a head; stress digits are ignored.

    `phones` are the names of the outputs, the blank first. Raises MissingError for a word without
    a pronunciation, or with a phone that the head lacks.

    Examples
    --------
    >>> from factored_asr.lexicon import Pronunciation
    >>> lexicon = Lexicon({"a": (Pronunciation(("AH0",)), Pronunciation(("EY1",)))})
    >>> variants_of(["a"], lexicon, ("<blank>", "AH", "EY"))
    (((1,), (2,)),)
    """
    from factored_asr.lexicon.lexicon import strip_stress

    number = {name: i for i, name in enumerate(phones)}
    found = list[tuple[Phones, ...]]()
    for word in words:
        ways = dict.fromkeys(
            tuple(number.get(strip_stress(phone), -1) for phone in each.phones)
            for each in lexicon.find(word)
        )
        for way in ways:
            if min(way) < 1:
                raise MissingError(f"word {word!r} has a phone that the head has no output for")
        found.append(tuple(ways))
    return tuple(found)


def phone_net(variants: Variants) -> PhoneNet:
    """Return the network of all pronunciations of a sentence.

    Examples
    --------
    >>> net = phone_net((((1,), (2, 2)),))
    >>> net.labels.tolist()
    [0, 1, 0, 2, 0, 2, 0]
    >>> net.source[net.first_in[5]:net.first_in[6]].tolist()  # the second 2 needs the blank
    [4]
    """
    labels, words, sources = [BLANK], [(-1, -1)], [list[int]()]
    reached = [0]
    for word, ways in enumerate(variants):
        ends = list[int]()
        for way, phones in enumerate(ways):
            before = reached
            for phone in phones:
                node = len(labels)
                labels += [phone, BLANK]
                words += [(word, way)] * 2
                sources += [[n for n in before if labels[n] != phone], [node]]
                before = [node, node + 1]
            ends += before
        reached = ends
    start, end = (np.zeros(len(labels), np.bool_) for _ in range(2))
    start[[0, *(n for n, from_ in enumerate(sources) if 0 in from_)]] = True
    end[reached] = True
    counts = np.cumsum([0, *map(len, sources)])
    return PhoneNet(
        np.array(labels, np.int32), counts.astype(np.int32),
        np.array([n for from_ in sources for n in from_], np.int32), start, end,
        np.array(words, np.int32),
    )


def spoken_phones(variants: Variants, log_probs: np.ndarray) -> np.ndarray | None:
    """Return the phones of the best pronunciations, int32, or None where the sound is too short.

    `log_probs` are (n_frames, n_outputs), as the head gives them.

    Examples
    --------
    >>> heard = np.log(np.array([[.1, .1, .8], [.8, .1, .1]], np.float32))
    >>> spoken_phones((((1,), (2,)),), heard).tolist()
    [2]
    """
    net = phone_net(variants)
    path, _ = best_path(
        np.ascontiguousarray(log_probs, np.float32), net.labels, net.first_in, net.source,
        net.start, net.end,
    )
    if path[0] < 0:
        return None
    nodes = path[np.concatenate([[True], path[1:] != path[:-1]])]
    labels = net.labels[nodes]
    return labels[labels != BLANK]


def greedy_phones(log_probs: np.ndarray) -> np.ndarray:
    """Return the best output of each frame, equal neighbours once, without blanks.

    Examples
    --------
    >>> greedy_phones(np.log(np.array([[.1, .9], [.2, .8], [.9, .1], [.3, .7]]))).tolist()
    [1, 1]
    """
    best = log_probs.argmax(axis=1)
    kept = np.concatenate([[True], best[1:] != best[:-1]]) & (best != BLANK)
    return best[kept]


def phone_errors(reference: Sequence[int] | np.ndarray, hypothesis: Sequence[int] | np.ndarray
                 ) -> int:  # fmt: skip
    """Return substitutions + deletions + insertions.

    Examples
    --------
    >>> phone_errors([1, 2, 3], [1, 3, 3, 4])
    2
    """
    from kaldialign import edit_distance

    found = edit_distance([str(p) for p in reference], [str(p) for p in hypothesis])
    return int(found["total"])
