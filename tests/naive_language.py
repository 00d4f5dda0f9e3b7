"""Slow, obvious twins of the language models: dictionaries from word tuples to numbers."""

from __future__ import annotations

import math
import random
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from factored_asr.language import NGramArcs, NGramModel

Ngrams = dict[tuple[str, ...], tuple[float, float]]
"""n-gram → natural-log probability, natural-log back-off."""


def ngrams_of(model: NGramModel) -> Ngrams:
    """All n-grams of a model, by walking every row back to its unigram."""
    found: Ngrams = {}
    names: list[tuple[str, ...]] = [()]
    for at in model.orders:
        rows = zip(at.parent.tolist(), at.word.tolist(), strict=True)
        names = [(*names[p], model.words[w]) for p, w in rows]
        found.update(
            zip(names, zip(at.log_prob.tolist(), at.backoff.tolist(), strict=True), strict=True)
        )
    return found


def log_prob(ngrams: Ngrams, word: str, history: Sequence[str]) -> float:
    """The definition of a back-off model."""
    ngram = (*history, word)
    if ngram in ngrams:
        return ngrams[ngram][0]
    backoff = ngrams[tuple(history)][1] if tuple(history) in ngrams else 0.0
    return backoff + log_prob(ngrams, word, history[1:])


def score_sentence(ngrams: Ngrams, words: Sequence[str], order: int) -> float:
    text = ["<s>", *words, "</s>"]
    return sum(
        log_prob(ngrams, text[i], text[max(0, i - order + 1) : i]) for i in range(1, len(text))
    )


def walk(arcs: NGramArcs, words: Sequence[int]) -> float:
    """A sentence's log probability by taking one arc after the other."""
    word_arc = {
        (s, w): (p, t)
        for s, w, p, t in zip(
            arcs.source.tolist(),
            arcs.word.tolist(),
            arcs.log_prob.tolist(),
            arcs.target.tolist(),
            strict=True,
        )
    }
    down = {
        s: (p, t)
        for s, p, t in zip(
            arcs.backoff_source.tolist(),
            arcs.log_backoff.tolist(),
            arcs.backoff_target.tolist(),
            strict=True,
        )
    }
    state, total = arcs.start, 0.0
    for word in words:
        while (state, word) not in word_arc:
            total, state = total + down[state][0], down[state][1]
        total, state = total + word_arc[state, word][0], word_arc[state, word][1]
    while arcs.final[state] == -math.inf:
        total, state = total + down[state][0], down[state][1]
    return total + float(arcs.final[state])


def random_ngrams(
    seed: int, n_words: int, order: int, share: float = 0.3, closed: bool = False
) -> Ngrams:
    """A proper model, whose probabilities sum to one after every history, in random order.

    A closed one has every n-gram's words without the first as an n-gram too.
    """
    rng = random.Random(seed)
    words = ["<s>", "</s>", *(f"w{i}" for i in range(n_words))]
    weights = [0.0, *(rng.uniform(0.2, 1) for _ in words[1:])]
    ngrams: Ngrams = {
        (w,): (math.log(max(x / sum(weights), 1e-30)), 0.0)
        for w, x in zip(words, weights, strict=True)
    }
    for n in range(2, order + 1):
        for history in [h for h in ngrams if len(h) == n - 1 and h[-1] != "</s>"]:
            chosen = [w for w in words[1:] if rng.random() < share]
            chosen = [w for w in chosen if not closed or (*history[1:], w) in ngrams]
            raw = [rng.uniform(0.1, 1) for _ in chosen]
            mass = rng.uniform(0.3, 0.9) / sum(raw) if raw else 0.0
            for w, x in zip(chosen, raw, strict=True):
                ngrams[*history, w] = (math.log(x * mass), 0.0)
        reweigh(ngrams, n - 1)
    items = list(ngrams.items())
    head, tail = items[: len(words)], items[len(words) :]
    rng.shuffle(tail)
    return dict(head + tail)


def reweigh(ngrams: Ngrams, order: int) -> None:
    """Back-off weights of the histories of one order, so that their probabilities sum to one."""
    for history in [h for h in ngrams if len(h) == order]:
        after = [g for g in ngrams if len(g) == order + 1 and g[:-1] == history]
        explicit = sum(math.exp(ngrams[g][0]) for g in after)
        covered = sum(math.exp(log_prob(ngrams, g[-1], history[1:])) for g in after)
        weight = math.log((1 - explicit) / (1 - covered)) if after else 0.0
        ngrams[history] = (ngrams[history][0], weight)


def total(ngrams: Ngrams, history: Sequence[str]) -> float:
    words = [g[0] for g in ngrams if len(g) == 1]
    return sum(math.exp(log_prob(ngrams, w, history)) for w in words)


def prune(ngrams: Ngrams, order: int, threshold: float) -> Ngrams:
    """Entropy pruning as in Stolcke (1998), equations 5 to 8, from the longest n-grams down."""
    kept = dict(ngrams)
    for n in range(order, 1, -1):
        for ngram in [g for g in ngrams if len(g) == n]:
            needed = any(len(g) == n + 1 and g[:-1] == ngram for g in kept)
            if not needed and math.expm1(_loss(ngrams, ngram)) < threshold:
                del kept[ngram]
    for n in range(1, order):
        reweigh(kept, n)
    return kept


def _loss(ngrams: Ngrams, ngram: tuple[str, ...]) -> float:
    *history, word = ngram
    after = [g for g in ngrams if len(g) == len(ngram) and g[:-1] == tuple(history)]
    explicit = sum(math.exp(ngrams[g][0]) for g in after)
    covered = sum(math.exp(log_prob(ngrams, g[-1], history[1:])) for g in after)
    p, lower = ngrams[ngram][0], log_prob(ngrams, word, history[1:])
    old = math.log((1 - explicit) / (1 - covered))
    new = math.log((1 - explicit + math.exp(p)) / (1 - covered + math.exp(lower)))
    history_prob = math.exp(_marginal(ngrams, history))
    change = math.exp(p) * (lower + new - p) + (1 - explicit) * (new - old)
    return -history_prob * change


def _marginal(ngrams: Ngrams, words: Sequence[str]) -> float:
    first = "</s>" if words[0] == "<s>" else words[0]
    return ngrams[(first,)][0] + sum(
        log_prob(ngrams, words[i], words[:i]) for i in range(1, len(words))
    )


def write_arpa(ngrams: Ngrams, path: Path) -> None:
    order = max(map(len, ngrams))
    by_order = [[g for g in ngrams if len(g) == n] for n in range(1, order + 1)]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\\data\\\n")
        for n, some in enumerate(by_order, start=1):
            f.write(f"ngram {n}={len(some)}\n")
        for n, some in enumerate(by_order, start=1):
            f.write(f"\n\\{n}-grams:\n")
            for g in some:
                p, b = (x / math.log(10) for x in ngrams[g])
                f.write(f"{p:.9f} {' '.join(g)}" + (f"\t{b:.9f}\n" if b else "\n"))
        f.write("\n\\end\\\n")


def closed_under_suffixes(ngrams: Ngrams) -> Ngrams:
    """As a Sphinx trie needs it; the probabilities need not sum to one for a test of a format."""
    for n in range(2, 6):
        ngrams = {
            g: v for g, v in ngrams.items() if len(g) != n or (g[1:] in ngrams and g[:-1] in ngrams)
        }
    return ngrams


def write_sphinx_trie(ngrams: Ngrams, path: Path) -> None:
    """The trie of a model closed under suffixes, record by record, bit by bit."""
    words = [g[0] for g in ngrams if len(g) == 1]
    order = max(map(len, ngrams))
    number = {w: i for i, w in enumerate(words)}
    unit = math.log(1.0001)
    levels = []  # keys are reversed n-grams, in the order of their numbers
    for n in range(1, order + 1):
        some = [g[::-1] for g in ngrams if len(g) == n]
        levels.append(sorted(some, key=lambda g: [number[w] for w in g]))
    counts = [len(level) for level in levels]
    body = b""
    tables = [_bins(ngrams, level, k) for level in levels[1:] for k in (0, 1)]
    if order > 1:
        body = struct.pack("<i", 1)
        for table in tables[:-1]:  # the longest n-grams have no back-offs
            body += struct.pack("<65536f", *table)
    for g, first in zip([*levels[0], None], _pointers(levels, 0), strict=True):
        p, b = ngrams[g] if g else (0.0, 0.0)
        body += struct.pack("<ffI", p / unit, b / unit, first)
    for n in range(1, order):
        body += _bit_array(ngrams, levels, n, number, tables)
    text = b"".join(w.encode() + b"\0" for w in words)
    head = b"Trie Language Model" + struct.pack(f"<B{order}I", order, *counts)
    path.write_bytes(head + body + struct.pack("<i", len(text)) + text)


def _bins(ngrams: Ngrams, level: list[tuple[str, ...]], k: int) -> list[float]:
    values = sorted({ngrams[g[::-1]][k] / math.log(1.0001) for g in level})
    return values + [values[-1]] * (65536 - len(values))


def _pointers(levels: list[list[tuple[str, ...]]], n: int) -> Iterator[int]:
    """Where the children of each entry begin in the level above, and where the last ones end."""
    above = levels[n + 1] if n + 1 < len(levels) else []
    at = 0
    for g in levels[n]:
        yield at
        at += sum(child[:-1] == g for child in above)
    yield at


def _bit_array(
    ngrams: Ngrams,
    levels: list[list[tuple[str, ...]]],
    n: int,
    number: dict[str, int],
    tables: list[list[float]],
) -> bytes:
    word_bits = len(levels[0]).bit_length()
    highest = n == len(levels) - 1
    next_bits = 0 if highest else len(levels[n + 1]).bit_length()
    bits, at = 0, 0
    for g, first in zip([*levels[n], None], _pointers(levels, n), strict=True):
        values = ngrams[g[::-1]] if g else None
        index = [
            tables[2 * (n - 1) + k].index(values[k] / math.log(1.0001)) if values else 0
            for k in ((0,) if highest else (1, 0))
        ]
        fields = [(number[g[-1]] if g else 0, word_bits), *((i, 16) for i in index)]
        for value, width in [*fields, (first if not highest else 0, next_bits)]:
            bits |= value << at
            at += width
    return bits.to_bytes((at + 7) // 8 + 8, "little")


def kneser_ney(sentences: Sequence[Sequence[str]], order: int) -> Ngrams:
    """Interpolated modified Kneser–Ney by its definition: Chen and Goodman (1998), section 3.

    In place of logs, every probability is asked for by recursion. The vocabulary is that of the
    text, with </s> and <unk>; <s> is never foretold.
    """
    texts = [("<s>", *sentence, "</s>") for sentence in sentences]
    seen: Counter[tuple[str, ...]] = Counter()
    before: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for text in texts:
        for n in range(1, order + 1):
            for i in range(len(text) - n + 1):
                seen[text[i : i + n]] += 1
                if i:
                    before[text[i : i + n]].add(text[i - 1])
    counts = {
        g: len(before[g]) if len(g) < order and g[0] != "<s>" else n for g, n in seen.items()
    }
    del counts[("<s>",)]
    words = sorted({w for text in texts for w in text} | {"<unk>"})

    def discount(count: int, n: int) -> float:
        of = Counter(c for g, c in counts.items() if len(g) == n)
        y = of[1] / (of[1] + 2 * of[2])
        k = min(count, 3)
        return k - (k + 1) * y * of[k + 1] / of[k] if count else 0.0

    def prob(word: str, history: tuple[str, ...]) -> float:
        here = {g: c for g, c in counts.items() if g[:-1] == history}
        total = sum(here.values())
        if not here:
            return prob(word, history[1:])
        lost = sum(discount(c, len(g)) for g, c in here.items())
        count = counts.get((*history, word), 0)
        lower = prob(word, history[1:]) if history else (word != "<s>") / (len(words) - 1)
        return (count - discount(count, len(history) + 1) + lost * lower) / total

    found: Ngrams = {}
    for g in [*((w,) for w in words), *(g for g in counts if len(g) > 1)]:
        here = {f: c for f, c in counts.items() if f[:-1] == g}
        lost = sum(discount(c, len(f)) for f, c in here.items())
        p = prob(g[-1], g[:-1])
        found[g] = (
            math.log(p) if p else -99 * math.log(10),
            math.log(lost / sum(here.values())) if here else 0.0,
        )
    return found


def random_text(seed: int, n_sentences: int, n_words: int) -> list[list[str]]:
    """Sentences in which common words are common and each word likes some to follow it."""
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(n_words)]
    weights = [1 / (i + 1) for i in range(n_words)]
    likes = {w: rng.choices(words, weights, k=3) for w in words}
    texts = []
    for _ in range(n_sentences):
        text = rng.choices(words, weights)
        while rng.random() < 0.85:
            text += rng.choices(words, weights) if rng.random() < 0.4 else [
                rng.choice(likes[text[-1]])
            ]
        texts.append(text)
    return texts
