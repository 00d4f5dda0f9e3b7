"""Growing decision trees: states of phones in similar contexts share a pdf.

A state in a context is one diagonal Gaussian: a count of frames, their sum and sum of squares.
Questions are sets of phones that cluster together (Singh, Raj, Stern 1999; Kaldi's
cluster-phones). The leaf whose best question gains most log-likelihood is split, until no question
gains enough (Young, Odell, Woodland 1994).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from factored_asr.acoustic import N_POSITIONS, DecisionTree
from factored_asr.acoustic.gmm.tree import LEAF, LEFT, POSITION, RIGHT
from factored_asr.errors import OptionError

CENTRE, STATE = 0, 4  # columns of ContextStatistics.contexts; those of LEFT etc. are asks + 1


@dataclass(frozen=True)
class TreeOptions:
    """How finely contexts are told apart."""

    n_leaves: int = 0
    """Leaves at most; higher: finer pdfs, less data for each. 0: by the amount of data
    (`leaves_for`)."""
    min_frames: float = 50.0
    """Frames of training that a leaf has at least; higher: fewer, safer leaves."""
    min_gain: float = 0.0
    """Log-likelihood that a question gains at least; higher: fewer leaves."""
    ask_position: bool = True
    """Ask for a phone's position in its word, too."""
    merge_leaves: bool = True
    """Merge leaves of one state into a pdf where that loses less than the last question gained."""
    variance_floor: float = 0.01
    """Least variance of a context, as a share of that of all frames; > 0."""

    def __post_init__(self) -> None:
        if self.n_leaves < 0 or self.min_frames < 0 or self.min_gain < 0:
            raise OptionError("n_leaves, min_frames and min_gain must be 0 or more")
        if not self.variance_floor > 0:
            raise OptionError(f"variance_floor must be above 0, got {self.variance_floor}")


def leaves_for(n_frames: float) -> int:
    """Return the number of leaves for so many frames of training.

    Kaldi's 400 for the half hour of AN4, otherwise in proportion to the cube root of the frames.
    On an hour of accented English 400 made no more errors than 560, and 900 made far more.

    Examples
    --------
    >>> leaves_for(193_631), leaves_for(380_000)
    (400, 501)
    """
    return round(400 * (n_frames / 193_631) ** (1 / 3))


@dataclass(frozen=True, eq=False)
class ContextStatistics:
    """Statistics of each state of each phone in context; those of parts of the data add up."""

    contexts: np.ndarray
    """(n_contexts, 5) int32: centre, left and right phone, position, state; distinct, sorted."""
    statistics: np.ndarray
    """(n_contexts, 1 + 2 * n_features) float64: count, sum of x, sum of x²."""

    def __add__(self, other: ContextStatistics) -> ContextStatistics:
        return _pooled(np.concatenate([self.contexts, other.contexts]),
                       np.concatenate([self.statistics, other.statistics]))

    @property
    def n_contexts(self) -> int:
        return len(self.contexts)

    def floor(self, share: float) -> np.ndarray:
        """Return a share of the variance over all frames, (n_features,)."""
        return share * variances(self.statistics.sum(axis=0))


def context_statistics(features: np.ndarray, contexts: np.ndarray) -> ContextStatistics:
    """Return statistics of frames (n_frames, n_features), each a state of a phone in context.

    `contexts` are (n_frames, 5), as in `ContextStatistics`.
    """
    x = np.asarray(features, np.float64)
    if len(x) != len(contexts):
        raise OptionError(f"{len(x)} frames of features, {len(contexts)} of contexts")
    return _pooled(np.asarray(contexts), np.column_stack([np.ones(len(x)), x, x * x]))


def _pooled(contexts: np.ndarray, statistics: np.ndarray) -> ContextStatistics:
    """Add up the rows of each distinct context."""
    base = contexts.max(axis=0, initial=0).astype(np.int64) + 1
    key = np.ravel_multi_index(tuple(contexts.T.astype(np.int64)), tuple(base))
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    if not len(first):
        return ContextStatistics(contexts.astype(np.int32), statistics)
    sums = np.add.reduceat(statistics[order], first, axis=0)
    return ContextStatistics(contexts[order[first]].astype(np.int32), sums)


def variances(statistics: np.ndarray) -> np.ndarray:
    """Return the variance of pooled frames, (..., n_features); 0 without frames."""
    n = statistics.shape[-1] // 2
    count = np.maximum(statistics[..., :1], 1e-300)
    mean = statistics[..., 1 : n + 1] / count
    return np.maximum(statistics[..., n + 1 :] / count - mean * mean, 0.0)


def log_likelihood(statistics: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the log-likelihood of pooled frames under the Gaussian of their mean and variance.

    Statistics are (..., 1 + 2 * n_features): count, sum, sum of squares; `floor` is the least
    variance of each feature. Two frames, -1 and 1, have variance 1, so each has -½ log 2π - ½:

    >>> float(log_likelihood(np.array([2.0, 0.0, 2.0]), np.array([0.01])).round(4))
    -2.8379
    """
    variance = variances(statistics)
    floored = np.maximum(variance, floor)
    a_frame = -0.5 * (np.log(2 * np.pi * floored) + variance / floored).sum(axis=-1)
    return statistics[..., 0] * a_frame


def agglomerate(
    statistics: np.ndarray, floor: np.ndarray, max_loss: float = np.inf
) -> Iterator[tuple[int, int, float]]:
    """Merge items bottom-up, each time the two whose pooling loses least log-likelihood.

    Yields (a, b, loss): what was item b joins item a; a < b. Ends when the least loss exceeds
    `max_loss`, or one item is left.
    """
    items = np.array(statistics, np.float64)
    own = log_likelihood(items, floor)
    loss = np.full((len(items), len(items)), np.inf)
    for i in range(len(items) - 1):
        loss[i, i + 1 :] = own[i] + own[i + 1 :] - log_likelihood(items[i] + items[i + 1 :], floor)
    for _ in range(len(items) - 1):
        a, b = divmod(int(np.argmin(loss)), len(items))
        if not loss[a, b] <= max_loss:
            return
        yield a, b, float(loss[a, b])
        items[a] += items[b]
        own[a] = log_likelihood(items[a], floor)
        loss[b, :] = loss[:, b] = np.inf
        pooled = own[a] + own - log_likelihood(items[a] + items, floor)
        loss[:a, a] = np.where(np.isinf(loss[:a, a]), np.inf, pooled[:a])
        loss[a, a + 1 :] = np.where(np.isinf(loss[a, a + 1 :]), np.inf, pooled[a + 1 :])


def phone_questions(statistics: ContextStatistics, n_phones: int, share: float) -> np.ndarray:
    """Return sets of similar phones, (n_questions, n_phones) bool, distinct, small ones first.

    For each state, phones are clustered by its frames in all contexts; each intermediate cluster
    and each single phone is a question.
    """
    floor = statistics.floor(share)
    sets = [np.eye(n_phones, dtype=bool)]
    for state in np.unique(statistics.contexts[:, STATE]):
        here = statistics.contexts[:, STATE] == state
        pooled = _by_value(statistics.contexts[here, CENTRE], statistics.statistics[here], n_phones)
        seen = np.flatnonzero(pooled[:, 0] > 0)
        clusters = np.eye(n_phones, dtype=bool)[seen]
        for a, b, _ in agglomerate(pooled[seen], floor):
            clusters[a] |= clusters[b]
            if clusters[a].sum() < len(seen):  # all phones: no question
                sets.append(clusters[a : a + 1].copy())
    questions = np.unique(np.concatenate(sets), axis=0)
    return questions[np.argsort(questions.sum(axis=1), kind="stable")]


POSITION_QUESTIONS = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1]], bool
)
"""Begin, end, inside, alone; begins a word (alone or not), ends one."""


def _by_value(values: np.ndarray, statistics: np.ndarray, n_values: int) -> np.ndarray:
    """Return the sums of the rows of each value, (n_values, ...)."""
    one_hot = np.zeros((n_values, len(values)))
    one_hot[values, np.arange(len(values))] = 1.0
    return one_hot @ statistics


@dataclass(frozen=True, eq=False)
class Split:
    """The best question of a node."""

    gain: float
    asks: int = LEAF
    members: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    """(n_values,) bool: those with the answer yes."""


def best_split(
    contexts: np.ndarray, statistics: np.ndarray, questions: dict[int, np.ndarray],
    floor: np.ndarray, min_frames: float,
) -> Split:
    """Return the question that gains most over pooling these contexts; of equal ones the first."""
    total = statistics.sum(axis=0)
    whole = float(log_likelihood(total, floor))
    best = Split(-np.inf)
    for asks, members in questions.items():
        pooled = _by_value(contexts[:, asks + 1], statistics, members.shape[1])
        yes = members.astype(np.float64) @ pooled
        no = total - yes
        enough = np.minimum(yes[:, 0], no[:, 0]) >= max(min_frames, 1e-6)
        if not enough.any():
            continue
        candidates = np.flatnonzero(enough)
        parted = log_likelihood(yes[candidates], floor) + log_likelihood(no[candidates], floor)
        top = int(np.argmax(parted))
        if parted[top] - whole > best.gain:
            best = Split(float(parted[top] - whole), asks, members[candidates[top]])
    return best


def grow_tree(
    statistics: ContextStatistics, phones: tuple[str, ...], n_states: np.ndarray,
    options: TreeOptions | None = None, whole: tuple[int, ...] = (),
) -> DecisionTree:
    """Build the trees of all states of all phones from statistics of the contexts seen in training.

    `n_states` are those of each phone's HMM, (n_phones,). Phones in `whole`, silence and noises,
    are not split. Every state of every phone has a pdf, even one that was never seen; pdfs are
    numbered by phone, state and leaf. Raises OptionError if the phones have more states than there
    may be leaves.
    """
    options = options or TreeOptions()
    n_roots = int(np.sum(n_states))
    n_leaves = options.n_leaves or max(n_roots, leaves_for(statistics.statistics[:, 0].sum()))
    if n_leaves < n_roots:
        raise OptionError(f"{n_roots} states of phones need as many leaves, not {n_leaves}")
    growing = _Growing(statistics, len(phones), options)
    centre, state = statistics.contexts[:, CENTRE], statistics.contexts[:, STATE]
    roots = np.full((len(phones), int(np.max(n_states))), -1, np.int32)
    for phone in range(len(phones)):
        for s in range(int(n_states[phone])):
            rows = np.flatnonzero((centre == phone) & (state == s))
            roots[phone, s] = growing.add(rows, None, phone not in whole)
    max_loss = -np.inf
    for _ in range(n_leaves - n_roots):
        gain = growing.split_next()
        if gain is None:
            break
        max_loss = gain if options.merge_leaves else -np.inf
    return growing.tree(phones, roots, max_loss)


class _Growing:
    """Growing trees: a list for each property of the nodes, and a queue of splits."""

    def __init__(self, statistics: ContextStatistics, n_phones: int, options: TreeOptions):
        self.data, self.options = statistics, options
        self.floor = statistics.floor(options.variance_floor)
        sets = phone_questions(statistics, n_phones, options.variance_floor)
        self.questions = {LEFT: sets, RIGHT: sets}
        if options.ask_position:
            self.questions[POSITION] = POSITION_QUESTIONS
        self.rows: list[np.ndarray] = []  # of the statistics
        self.root: list[int] = []
        self.split: list[Split] = []  # that was made, of a leaf one without a question
        self.branches: list[tuple[int, int]] = []
        self.queue: list[tuple[float, int, Split]] = []

    def add(self, rows: np.ndarray, root: int | None, may_split: bool = True) -> int:
        """Add a leaf to the queue of leaves that may be split; return its number."""
        node = len(self.rows)
        self.rows.append(rows)
        self.root.append(node if root is None else root)
        self.split.append(Split(0.0))
        self.branches.append((-1, -1))
        if may_split and len(rows) > 1:
            found = best_split(
                self.data.contexts[rows], self.data.statistics[rows], self.questions, self.floor,
                self.options.min_frames,
            )  # fmt: skip
            if found.gain > self.options.min_gain:
                heapq.heappush(self.queue, (-found.gain, node, found))
        return node

    def split_next(self) -> float | None:
        """Make the split that gains most; return its gain, None without any."""
        if not self.queue:
            return None
        _, node, split = heapq.heappop(self.queue)
        rows, root = self.rows[node], self.root[node]
        yes = split.members[self.data.contexts[rows, split.asks + 1]]
        self.split[node] = split
        self.branches[node] = self.add(rows[~yes], root), self.add(rows[yes], root)
        return split.gain

    def tree(self, phones: tuple[str, ...], roots: np.ndarray, max_loss: float) -> DecisionTree:
        """Number the pdfs; leaves of a root are merged while that loses at most `max_loss`."""
        pooled = np.stack([self.data.statistics[rows].sum(axis=0) for rows in self.rows])
        members = np.zeros((len(pooled), max(len(phones), N_POSITIONS)), bool)
        for node, split in enumerate(self.split):
            members[node, : len(split.members)] = split.members
        asks = np.array([split.asks for split in self.split])
        root, leaf_pdf, n_pdfs = np.array(self.root), np.full(len(pooled), -1), 0
        for each in roots[roots >= 0]:
            leaves = np.flatnonzero((root == each) & (asks == LEAF))
            joined = np.arange(len(leaves))
            for a, b, _ in agglomerate(pooled[leaves], self.floor, max_loss):
                joined[joined == b] = a
            _, number = np.unique(joined, return_inverse=True)
            leaf_pdf[leaves] = n_pdfs + number
            n_pdfs += int(number.max()) + 1
        return DecisionTree(
            phones, roots, asks, members, np.array(self.branches), leaf_pdf, pooled[:, 0],
            np.array([split.gain for split in self.split]),
        )  # fmt: skip
