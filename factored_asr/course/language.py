"""Exercises of lessons 5 and 6: lexicon, triphones and n-grams."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from factored_asr.course.exercise import Exercise, Mistake

Pronunciations = dict[str, list[list[str]]]

LINES = (
    "tomato T AH M EY T OW", "tomato(2) T AH M AA T OW", "read R IY D", "read(2) R EH D",
    "read(3) R IY D Z", "a AH",
)  # fmt: skip


def _read(lines: Sequence[str], *, strip: bool = True, last: bool = False) -> Pronunciations:
    found: Pronunciations = {}
    for line in lines:
        word, *phones = line.split()
        name = word.split("(")[0] if strip else word
        found[name] = [phones] if last else [*found.get(name, []), phones]
    return found


def _contexts(phones: Sequence[str], edge: str = "SIL") -> list[str]:
    full = [edge, *phones, edge]
    return [f"{a}-{b}+{c}" for a, b, c in zip(full, full[1:], full[2:], strict=False)]


LEXICON = (
    Exercise(
        "read_lexicon",
        "read_lexicon(lines) returns a dictionary from word to its list of pronunciations, each a "
        'list of phones. A line is a word and its phones; "word(2)" is another pronunciation.',
        _read, [(list(LINES[:2]),), (list(LINES),)],
        (
            Mistake('"tomato(2)" is a pronunciation of "tomato": remove the number.',
                    lambda lines: _read(lines, strip=False)),
            Mistake("Only the last pronunciation is kept: append to a list.",
                    lambda lines: _read(lines, last=True)),
            Mistake("Phones must be a list, not a string.",
                    lambda lines: {word: [" ".join(each) for each in several]
                                   for word, several in _read(lines).items()}),
        ),
    ),
    Exercise(
        "triphones",
        'triphones(phones) returns "LEFT-PHONE+RIGHT" for each phone of a word. At both edges the '
        "neighbour is SIL.",
        _contexts, [(["K", "AE", "T"],), (["AY"],), (["S", "T", "AA", "P"],)],
        (
            Mistake("A word does not wrap around: its edges have the neighbour SIL.",
                    lambda x: [f"{x[i - 1]}-{p}+{x[(i + 1) % len(x)]}" for i, p in enumerate(x)]),
            Mistake("The phones at the edges are triphones, too: their neighbour is SIL.",
                    lambda x: _contexts(x)[1:-1]),
            Mistake("Left and right neighbour are exchanged.",
                    lambda x: [each for each in reversed(_contexts(x[::-1]))]),
        ),
    ),
)  # fmt: skip


# --- n-grams -------------------------------------------------------------------------------------

Bigrams = dict[tuple[str, str], float]
TEXTS = [["turn", "it", "on"], ["turn", "it", "off"], ["turn", "the", "light", "on"]]


def _bigrams(
    texts: Sequence[Sequence[str]], *, begin: bool = True, end: bool = True, joint: bool = False
) -> Bigrams:
    pairs: Counter[tuple[str, str]] = Counter()
    for text in texts:
        words = [*["<s>"][: int(begin)], *text, *["</s>"][: int(end)]]
        pairs.update(zip(words, words[1:], strict=False))
    histories: Counter[str] = Counter()
    for (history, _), count in pairs.items():
        histories[history] += count
    total = sum(pairs.values())
    return {pair: count / (total if joint else histories[pair[0]])
            for pair, count in pairs.items()}  # fmt: skip


NGRAMS = (
    Exercise(
        "bigrams",
        "bigrams(texts) returns {(history, word): p(word | history)} by counting, without "
        'smoothing. texts: lists of words; a sentence begins with "<s>" and ends with "</s>".',
        _bigrams, [(TEXTS[:2],), (TEXTS,)],
        (
            Mistake('The end of the sentence is a word as well: count "</s>".',
                    lambda texts: _bigrams(texts, end=False)),
            Mistake('The first word has a history as well: "<s>".',
                    lambda texts: _bigrams(texts, begin=False)),
            Mistake("This is p(history, word). Divide by the count of the history.",
                    lambda texts: _bigrams(texts, joint=True)),
        ),
    ),
    Exercise(
        "perplexity",
        "perplexity(log_probs) returns the perplexity of a text from the natural log probabilities "
        "of its words, a list.",
        lambda logs: math.prod(math.exp(each) for each in logs) ** (-1 / len(logs)),
        [([math.log(0.5), math.log(0.25)],), ([math.log(0.1)] * 4,)],
        (
            Mistake("Take the mean over the words, not the sum.", lambda x: math.exp(-sum(x))),
            Mistake("The logarithms are natural: the base is e, not 10.",
                    lambda x: 10 ** (-sum(x) / len(x))),
            Mistake("The sign is reversed: a probable text has a low perplexity.",
                    lambda x: math.exp(sum(x) / len(x))),
        ),
    ),
)  # fmt: skip
