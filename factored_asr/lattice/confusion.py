"""Confusion networks of word lattices: confidence of each word, and minimum-Bayes-risk decoding.

After Xu, Povey, Mangu, Zhu: "Minimum Bayes risk decoding and system combination based on a
recursion for edit distance" (Computer Speech and Language, 2011). All paths of the lattice are
aligned to one word string. Each place of the string, and each gap, then has a distribution over
words. The words of highest probability make a better string, until nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.paths import best_path
from factored_asr.lattice.posteriors import arc_posteriors

DELETION = 1.0 + 1e-5
"""Slightly above the other costs, so that ties do not skip places of the string."""
MATCH, SKIP, INSERT = 0, 1, 2


@dataclass(frozen=True)
class Slot:
    """One place of a confusion network."""

    word: str
    """The word of the string; "" in a gap, which most probably holds no word."""
    word_id: int
    """Its id; 0 in a gap."""
    confidence: float
    """Probability of `word`, 0 to 1."""
    start: float
    """Mean first frame of `word`, over the paths that have it; nan in a gap."""
    end: float
    alternatives: tuple[tuple[str, float], ...]
    """(word, probability), most probable first; "" is no word. They sum to 1."""


@dataclass(frozen=True)
class ConfusionNetwork:
    """The words of one string with their competitors in the lattice.

    Slots are gap, word, gap, word, ..., gap.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-3\\n"
    >>> network = confusion_network(read_slf_text(text))
    >>> network.text, len(network.slots)  # gap, word, gap
    ('yes', 3)
    """

    slots: tuple[Slot, ...]
    """Gap, word, gap, word, and so on, a gap at the end."""
    risk: float
    """Upper bound of the expected number of word errors of the string, by the lattice."""

    @property
    def words(self) -> tuple[Slot, ...]:
        """The slots that hold words."""
        return self.slots[1::2]

    @property
    def text(self) -> str:
        """Return the words of the string."""
        return " ".join(slot.word for slot in self.words)


def confusion_network(
    lattice: Lattice, word_ids: Sequence[int] | None = None, *, scale: float = 1.0,
    minimise_risk: bool = False, max_rounds: int = 20,
) -> ConfusionNetwork:
    """Return the confusion network of a lattice: its words aligned to one word string.

    Parameters
    ----------
    lattice
        Of a search; all its paths count.
    word_ids
        The string; None (default) takes the lattice's best path.
    scale
        As in `arc_posteriors`.
    minimise_risk
        Improve the string to that of the lowest expected number of word errors; default False.
    max_rounds
        Number of strings tried at most, default 20.

    Examples
    --------
    >>> from factored_asr.lattice.files import read_slf_text
    >>> text = "N=2 L=2 acscale=1\\nI=0 t=0\\nI=1 t=0.3\\n"
    >>> text += "J=0 S=0 E=1 W=yes a=-7 l=-1\\nJ=1 S=0 E=1 W=no a=-6 l=-2\\n"
    >>> slot, = confusion_network(read_slf_text(text)).words
    >>> slot.word, round(slot.confidence, 4), slot.start, slot.end
    ('yes', 0.5, 0.0, 30.0)
    """
    if max_rounds < 1:
        raise OptionError(f"the number of rounds must be at least 1, got {max_rounds}")
    if word_ids is None:
        path = best_path(lattice)
        word_ids = path.word_ids if path else ()
    elif any(not 0 < i < len(lattice.words) for i in word_ids):
        raise OptionError(f"word ids must be 1 to {len(lattice.words) - 1}")
    aligner = _Aligner(lattice, scale)
    string = _with_gaps(word_ids)
    found = aligner.align(string)
    while minimise_risk and max_rounds > 1:
        max_rounds -= 1
        winners = aligner.vocabulary[found.gamma.argmax(0)]
        better = _with_gaps(winners[winners > 0])
        if np.array_equal(better, string):
            break
        tried = aligner.align(better)
        if tried.risk >= found.risk - 1e-9:
            break
        string, found = better, tried
    return ConfusionNetwork(_slots(lattice, aligner, string, found), found.risk)


def _with_gaps(word_ids: Sequence[int] | np.ndarray) -> np.ndarray:
    string = np.zeros(2 * len(word_ids) + 1, np.int64)
    string[1::2] = word_ids
    return string


@dataclass(frozen=True, eq=False)
class _Alignment:
    """Sums over all paths, aligned to one string; rows are the aligner's words."""

    risk: float
    gamma: np.ndarray
    """(n_words, n_places) float64: probability of each word in each place."""
    start: np.ndarray
    """(n_words, n_places) float64: sum of probability times frame at which the word begins."""
    end: np.ndarray


class _Aligner:
    """A lattice with one end, its arcs grouped by the node that they lead to."""

    def __init__(self, lattice: Lattice, scale: float) -> None:
        posteriors = arc_posteriors(lattice, scale=scale)
        n_nodes = len(lattice.node_frame)
        ends = np.flatnonzero(np.isfinite(lattice.final))
        self.n_nodes = n_nodes + 1
        no_word = np.zeros(len(ends), np.int64)
        source = np.concatenate([lattice.arc_source, ends]).astype(np.int64)
        target = np.concatenate([lattice.arc_target, no_word + n_nodes])
        word = np.concatenate([lattice.arc_word, no_word])
        probability = np.concatenate([posteriors.arc, posteriors.final[ends]])
        by_target = np.argsort(target, kind="stable")
        by_target = by_target[probability[by_target] > 0]
        self.source, self.target = source[by_target], target[by_target]
        self.vocabulary = np.unique(np.append(word[by_target], 0))
        self.row = np.searchsorted(self.vocabulary, word[by_target])
        frames = np.concatenate([lattice.node_frame, [lattice.n_frames]]).astype(np.float64)
        self.begins, self.ends = frames[self.source], frames[self.target]
        reached = np.bincount(self.target, probability[by_target], self.n_nodes)
        self.share = probability[by_target] / reached[self.target]
        self.first = np.searchsorted(self.target, np.arange(self.n_nodes + 1))

    def align(self, string: np.ndarray) -> _Alignment:
        insertion = np.concatenate([[0.0], np.cumsum(string != 0)])
        """(n_places + 1,): cost of all places up to each, where the path has no word for them."""
        distance = np.zeros((self.n_nodes, len(string) + 1))
        distance[0] = insertion
        move = np.zeros((len(self.source), len(string) + 1), np.int8)
        for node in range(1, self.n_nodes):
            here = slice(self.first[node], self.first[node + 1])
            if here.start < here.stop:
                cost, move[here] = self._step(distance, here, string, insertion)
                distance[node] = self.share[here] @ cost
        return self._counts(string, move, float(distance[-1, -1]))

    def _step(
        self, distance: np.ndarray, here: slice, string: np.ndarray, insertion: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the edit distances after each arc to one node, and their moves."""
        word = self.vocabulary[self.row[here]][:, None]
        before = distance[self.source[here]]
        skip = before + np.where(word == 0, 0.0, DELETION)
        match = np.full_like(skip, np.inf)
        match[:, 1:] = before[:, :-1] + (word != string)
        direct = np.minimum(skip, match)
        cost = np.minimum.accumulate(direct - insertion, axis=1) + insertion
        move = np.where(match <= skip, MATCH, SKIP)
        return cost, np.where(cost < direct - 1e-9, INSERT, move)

    def _counts(self, string: np.ndarray, move: np.ndarray, risk: float) -> _Alignment:
        """Carry the probability of all paths back from the end along the moves."""
        shape = len(self.vocabulary), len(string) + 1
        gamma, start, end = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        flow = np.zeros((self.n_nodes, shape[1]))
        flow[-1, -1] = 1.0
        for node in range(self.n_nodes - 1, 0, -1):
            here = slice(self.first[node], self.first[node + 1])
            if here.start == here.stop:
                continue
            source, row = self.source[here], self.row[here]
            mass = _through_insertions(self.share[here, None] * flow[node], move[here])
            gamma[0] += np.where(move[here] == INSERT, mass, 0.0).sum(0)
            np.add.at(flow, source, np.where(move[here] == SKIP, mass, 0.0))
            matched = np.where(move[here] == MATCH, mass, 0.0)
            np.add.at(flow, source, np.pad(matched[:, 1:], ((0, 0), (0, 1))))
            np.add.at(gamma, row, matched)
            np.add.at(start, row, matched * self.begins[here, None])
            np.add.at(end, row, matched * self.ends[here, None])
        # The rest at the start has no word for the places before it.
        gamma[0] += np.cumsum(flow[0][::-1])[::-1]
        return _Alignment(risk, gamma[:, 1:], start[:, 1:], end[:, 1:])


def _through_insertions(mass: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Return the mass of each place with that of the insertions directly after it."""
    n_places = mass.shape[1]
    stop = np.where(move == INSERT, n_places, np.arange(n_places))
    after = np.full_like(stop, n_places)
    after[:, :-1] = np.minimum.accumulate(stop[:, ::-1], axis=1)[:, ::-1][:, 1:]
    total = np.zeros((len(mass), n_places + 1))
    total[:, :-1] = np.cumsum(mass[:, ::-1], axis=1)[:, ::-1]
    return total[:, :-1] - np.take_along_axis(total, after, axis=1)


def _slots(
    lattice: Lattice, aligner: _Aligner, string: np.ndarray, found: _Alignment
) -> tuple[Slot, ...]:
    names = [lattice.spelt(i) if i else "" for i in aligner.vocabulary]
    slots = []
    for place, word_id in enumerate(string.tolist()):
        gamma = found.gamma[:, place]
        ranked = [int(i) for i in np.argsort(-gamma, kind="stable") if gamma[i] > 1e-9]
        at = int(np.searchsorted(aligner.vocabulary, word_id))
        known = at < len(names) and aligner.vocabulary[at] == word_id and gamma[at] > 1e-12
        share = float(gamma[at]) if known else 0.0
        start, end = (float(sums[at, place]) / share if word_id and known else math.nan
                      for sums in (found.start, found.end))
        slots.append(Slot(
            lattice.spelt(word_id) if word_id else "", word_id, min(share, 1.0), start, end,
            tuple((names[i], float(gamma[i])) for i in ranked),
        ))
    return tuple(slots)
