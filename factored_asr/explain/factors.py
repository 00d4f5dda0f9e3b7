"""The factors of a decode, and what each of them charges: a path's cost taken apart.

A search minimises one number,

    -log p(sound | states) - log P(states | phones) - log P(phones | words) - log P(words),

acoustics scaled. Each addend is a factor of the model with a table of its own, so each can be
looked up again for the path that won. What a graph charges besides is the *remainder*:
determinisation and weight pushing move costs to other places of the path (their sum over it is
0), and where the graph let the search back off although the n-gram was there, because that was
cheaper, the difference stays (never above 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields

import numpy as np

from factored_asr.acoustic.model import AcousticModel
from factored_asr.graph import Graph, GraphOptions, make_units
from factored_asr.language import WordScorer
from factored_asr.lattice import Lattice
from factored_asr.lexicon import Lexicon


@dataclass(frozen=True, slots=True)
class Costs:
    """What each factor charges for a stretch of a path: -log, scaled as the search had it.

    Examples
    --------
    >>> heard, rival = Costs(acoustic=9.1, language=2.0), Costs(acoustic=6.0, language=9.2)
    >>> difference = heard - rival
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
    """Of staying in HMM states and leaving them, scaled."""
    silence: float = 0.0
    """Of beginning a silence or filler between words."""
    remainder: float = 0.0
    """What the search paid here besides."""

    @property
    def total(self) -> float:
        """The sum of all factors."""
        return float(sum(astuple(self)))

    def __add__(self, other: Costs) -> Costs:
        return Costs(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Costs) -> Costs:
        return Costs(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def to_dict(self) -> dict[str, float]:
        """Each factor by its name, and their `total`."""
        values = dict(zip(FACTORS, astuple(self), strict=True))
        return {name: round(value, 4) for name, value in {**values, "total": self.total}.items()}


FACTORS = tuple(each.name for each in fields(Costs))
"""Names of the factors, in the order in which they are shown."""


@dataclass(frozen=True, eq=False)
class Prices:
    """The tables of all factors but the acoustic one: what words, phones and silences cost."""

    model: AcousticModel
    lexicon: Lexicon
    scorer: WordScorer
    """The language model of the first pass, or the grammar."""
    options: GraphOptions
    _label_costs: dict[tuple[int, ...], tuple[float, float]] = field(default_factory=dict)

    def language(self, words: Sequence[str]) -> tuple[list[float], float]:
        """Cost of each word in its history, and of ending after them."""
        state, costs = self.scorer.start(), []
        for word in words:
            state, log_prob = self.scorer.score_word(state, word)
            costs.append(-log_prob)
        return costs, -self.scorer.finish(state)

    def pronunciation(self, word: str, phones: Sequence[str]) -> float:
        """Cost of saying a word like this; 0 where the lexicon does not say so."""
        for spoken in () if self.lexicon.missing([word]) else self.lexicon.find(word):
            if spoken.phones == tuple(phones):
                return -float(np.log(spoken.probability))
        return 0.0

    def silence(self, phone: str) -> float:
        """Cost of beginning a silence or filler between words."""
        is_silence = phone == self.model.silence
        options = self.options
        probability = options.silence_probability if is_silence else options.filler_probability
        return -float(np.log(probability)) if probability else 0.0

    def transitions(self, graph: Graph, labels: np.ndarray, stays: np.ndarray) -> np.ndarray:
        """(n_frames,) float64: what staying (`stays`) or entering costs in each frame.

        A state's exit is paid on entering it: from then on it is certain that it is left.
        """
        if not graph.has_phones:
            return np.zeros(len(labels))
        if not self._label_costs:
            self._label_costs.update(self._tabulate())
        columns = graph.label_pdf, graph.label_phone, graph.label_state, graph.label_word_end
        keys = zip(*(column[labels].tolist() for column in columns), strict=True)
        costs = np.array([self._label_costs[tuple(map(int, key))] for key in keys])
        return costs[np.arange(len(labels)), stays.astype(int)] if len(labels) else np.zeros(0)

    def _tabulate(self) -> dict[tuple[int, ...], tuple[float, float]]:
        """(pdf, phone, state, ends a word) → costs of leaving and of staying."""
        units = make_units(self.model, self.options.transition_scale)
        rows = zip(
            *(column.tolist() for column in units.labels[:3]),
            map(int, units.labels.word_end.tolist()), strict=True,
        )
        pairs = zip(units.enter_cost.tolist(), units.loop_cost.tolist(), strict=True)
        return dict(zip(rows, pairs, strict=True))


def lattice_costs(
    lattice: Lattice, arcs: Sequence[int], prices: Prices, transitions: float
) -> Costs:
    """What each factor charges for a whole path of a lattice, in all its cost there.

    Parameters
    ----------
    transitions
        What the path's states charge, which a lattice does not keep: `PathStates`.
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
    )
    total = acoustic + float(lattice.arc_graph[chosen].sum() + lattice.final[last])
    return known + Costs(remainder=total - known.total)
