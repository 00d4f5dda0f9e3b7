"""The factors of a decode: the cost of a path, split by the model that charges it.

A search minimises one number,

    -log p(sound | states) - log P(states | phones) - log P(phones | words) - log P(words),

acoustics scaled. Each addend is a factor of the model with a table of its own, in which the costs
of the best path are looked up. The *remainder* is all other cost of the graph: determinisation and
weight pushing move costs along the path (their sum over it is 0). Where backing off was cheaper
than the n-gram that the model has, the difference stays (never above 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from factored_asr.acoustic.topology import Topology
from factored_asr.graph import GraphOptions
from factored_asr.language import HotwordScorer, WordScorer
from factored_asr.lattice import Lattice
from factored_asr.lexicon import Lexicon


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of a stretch of a path by factor: -log, scaled as in the search.

    Examples
    --------
    >>> best, other = Costs(acoustic=9.1, language=2.0), Costs(acoustic=6.0, language=9.2)
    >>> difference = best - other
    >>> round(difference.acoustic, 1), round(difference.language, 1), round(difference.total, 1)
    (3.1, -7.2, -4.1)
    """

    acoustic: float = 0.0
    """Of the frames in the path's states."""
    pronunciation: float = 0.0
    """Of the phones, given the word: the lexicon's."""
    language: float = 0.0
    """Of the words: the n-gram model's by the exact back-off rule, or the grammar's."""
    penalty: float = 0.0
    """`GraphOptions.word_penalty`."""
    transitions: float = 0.0
    """Of staying in HMM states and leaving them, times `GraphOptions.transition_scale`."""
    silence: float = 0.0
    """Of beginning a silence or filler between words."""
    hotword: float = 0.0
    """Of hotwords, below 0, at the last word of each phrase."""
    remainder: float = 0.0
    """All other cost of the search here."""

    @property
    def total(self) -> float:
        """Return the sum of all factors."""
        return float(sum(astuple(self)))

    def __add__(self, other: Costs) -> Costs:
        return Costs(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Costs) -> Costs:
        return Costs(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def to_dict(self) -> dict[str, float]:
        """Return the cost of each factor by its name, and their `total`."""
        values = dict(zip(FACTORS, astuple(self), strict=True))
        return {name: round(value, 4) for name, value in {**values, "total": self.total}.items()}


FACTORS = tuple(each.name for each in fields(Costs))
"""Names of the factors, in the order in which they are shown."""


@dataclass(frozen=True, eq=False)
class Prices:
    """The tables of all factors but the acoustic one: costs of words, phones and silences."""

    topology: Topology
    """Of the acoustic model."""
    lexicon: Lexicon
    scorer: WordScorer
    """The language model of the first pass, or the grammar."""
    options: GraphOptions
    hotwords: HotwordScorer | None = None
    """The hotwords of the search; None: there are none."""

    def bonuses(self, words: Sequence[str]) -> list[float]:
        """Return the cost of hotwords at each word, at most 0 where their bonuses are above 0."""
        if self.hotwords is None:
            return [0.0] * len(words)
        return [-bonus for bonus in self.hotwords.bonuses(tuple(words))]

    def language(self, words: Sequence[str]) -> tuple[list[float], float]:
        """Return the cost of each word in its history, and of ending after them."""
        state, costs = self.scorer.start(), []
        for word in words:
            state, log_prob = self.scorer.score_word(state, word)
            costs.append(-log_prob)
        return costs, -self.scorer.finish(state)

    def pronunciation(self, word: str, phones: Sequence[str]) -> float:
        """Return the cost of a pronunciation of a word; 0 if the lexicon lacks it."""
        for spoken in () if self.lexicon.missing([word]) else self.lexicon.find(word):
            if spoken.phones == tuple(phones):
                return -float(np.log(spoken.probability))
        return 0.0

    def silence(self, phone: str) -> float:
        """Return the cost of beginning a silence or filler between words; CTC's blank costs 0."""
        if phone not in (self.topology.silence, *self.topology.fillers):
            return 0.0
        is_silence, options = phone == self.topology.silence, self.options
        probability = options.silence_probability if is_silence else options.filler_probability
        return -float(np.log(probability)) if probability else 0.0


def lattice_costs(
    lattice: Lattice, arcs: Sequence[int], prices: Prices, transitions: float
) -> Costs:
    """Return the costs by factor of a whole path of a lattice; they add up to its cost there.

    Parameters
    ----------
    transitions
        Costs of the path's transitions, which a lattice does not keep: `lattice_transitions`.
    """
    chosen = list(arcs)
    spoken = [lattice.pronunciations[i] for i in lattice.arc_pronunciation[chosen].tolist()]
    names = [lattice.spelt(i) if i else "" for i in lattice.arc_word[chosen].tolist()]
    words = [name for name in names if name]
    each, end = prices.language(words)
    acoustic = float(lattice.arc_acoustic[chosen].sum())
    last = int(lattice.arc_target[chosen[-1]]) if chosen else 0
    known = Costs(
        acoustic,
        sum(prices.pronunciation(n, p) for n, p in zip(names, spoken, strict=True) if n),
        sum(each) + end,
        prices.options.word_penalty * len(words),
        transitions,
        sum(
            prices.silence(phone)
            for name, phones in zip(names, spoken, strict=True) if not name for phone in phones
        ),
        sum(prices.bonuses(words)),
    )
    total = acoustic + float(lattice.arc_graph[chosen].sum() + lattice.final[last])
    return known + Costs(remainder=total - known.total)
