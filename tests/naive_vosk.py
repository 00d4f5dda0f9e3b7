"""Slow, obvious twins of what is recovered from Vosk's graphs: walk them arc by arc."""

from __future__ import annotations

import math

from support.vosk_files import CONTEXTS


def probability(word: str, history: tuple[str, ...]) -> float:
    """P(word | history) by backing off through the contexts that the file was written from."""
    contexts = {words: (following, end, backoff) for words, following, end, backoff in CONTEXTS}
    while history not in contexts:
        history = history[1:]
    following, end, backoff = contexts[history]
    if word == "</s>" and end is not None:
        return end
    if word in following:
        return following[word]
    return backoff * probability(word, history[1:])


def ngram_log_prob(fst: object, word: int | None, context: list[int]) -> float:
    """ln P of a word (None: the end) in a context of labels, oldest first, by an NGramFst."""
    state = 0
    children = {(int(parent), int(label)): number for number, (parent, label)
                in enumerate(zip(fst.parent, fst.oldest, strict=True)) if number}
    for label in reversed(context):  # from the latest word to the oldest
        if (state, label) not in children:
            break
        state = children[state, label]
    total = 0.0
    while True:
        if word is None and fst.final[state] < math.inf:
            return total - float(fst.final[state])
        for at in range(fst.first[state], fst.first[state + 1]):
            if fst.word[at] == word:
                return total - float(fst.cost[at])
        total -= float(fst.backoff[state])
        state = int(fst.parent[state])
