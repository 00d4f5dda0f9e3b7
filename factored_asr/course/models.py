"""Exercises of lessons 1, 2 and 9: hidden Markov models and how they are trained."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from scipy.special import logsumexp

from factored_asr.course.exercise import Exercise, Mistake

Array = np.ndarray


def _hmms() -> list[tuple[Array, Array, Array]]:
    """Random (start, transitions, likelihoods), as logarithms."""
    random = np.random.default_rng(1)
    cases = []
    for n_states, n_frames in ((2, 3), (3, 4), (3, 5)):
        start = np.log(random.dirichlet(np.ones(n_states)))
        moves = np.log(random.dirichlet(np.ones(n_states), n_states))
        cases.append((start, moves, np.log(random.uniform(0.05, 0.9, (n_frames, n_states)))))
    return cases


def _paths(start: Array, moves: Array, scores: Array) -> dict[tuple[int, ...], float]:
    """Every path and its log probability with the frames."""
    found: dict[tuple[int, ...], float] = {}
    for path in map(tuple, product(range(len(start)), repeat=len(scores))):
        steps = sum(moves[a, b] for a, b in zip(path, path[1:], strict=False))
        found[path] = float(
            start[path[0]] + steps + sum(scores[t, s] for t, s in enumerate(path))
        )
    return found


def _all_paths(start: Array, moves: Array, scores: Array) -> float:
    return float(logsumexp(list(_paths(start, moves, scores).values())))


def _best_path(start: Array, moves: Array, scores: Array) -> list[int]:
    paths = _paths(start, moves, scores)
    best = max(paths, key=lambda path: paths[path])
    return list(best)


def _max_forward(start: Array, moves: Array, scores: Array) -> float:
    return max(_paths(start, moves, scores).values())


def _late_forward(start: Array, moves: Array, scores: Array) -> float:
    alpha = start
    for row in scores[1:]:
        alpha = logsumexp(alpha[:, None] + moves, axis=0) + row
    return float(logsumexp(alpha))


def _last_state(start: Array, moves: Array, scores: Array) -> float:
    alpha = start + scores[0]
    for row in scores[1:]:
        alpha = logsumexp(alpha[:, None] + moves, axis=0) + row
    return float(alpha[-1])


def _greedy(start: Array, moves: Array, scores: Array) -> list[int]:
    path = [int(np.argmax(start + scores[0]))]
    for row in scores[1:]:
        path.append(int(np.argmax(moves[path[-1]] + row)))
    return path


ONE_HMM = (
    Exercise(
        "forward",
        "forward(start, moves, scores) returns log p(X), summed over all paths. The first argument "
        "is (n_states,), log p of the first state. The second is (n_states, n_states), log p of "
        "state j after state i. The third is (n_frames, n_states), log p(frame | state).",
        _all_paths, _hmms(),
        (
            Mistake("This is the best path alone. Sum over the states before (logsumexp), do not "
                    "take their maximum.", _max_forward),
            Mistake("The first frame is missing: alpha begins as start + scores[0].",
                    _late_forward),
            Mistake("A path may end in any state: sum alpha of the last frame over all states.",
                    _last_state),
        ),
    ),
    Exercise(
        "viterbi",
        "viterbi(start, moves, scores) returns the list of states of the most probable path, one a "
        "frame. Arguments are those of forward.",
        _best_path, _hmms(),
        (
            Mistake("This takes the best state of each frame by itself. Add the transitions.",
                    lambda start, moves, scores: np.argmax(scores, axis=1).tolist()),
            Mistake("This decides at each frame and never comes back. Keep for each state the best "
                    "state before it, and trace back from the end.", _greedy),
            Mistake("The path is reversed: it was traced back from the end.",
                    lambda *given: _best_path(*given)[::-1]),
        ),
    ),
)  # fmt: skip


# --- Baum–Welch ----------------------------------------------------------------------------------


def _lattices() -> list[tuple[Array, Array]]:
    random = np.random.default_rng(2)
    return [(random.normal(-9, 2, (4, 3)), random.normal(-5, 2, (4, 3))) for _ in range(2)]


def _gammas() -> list[tuple[Array, Array]]:
    random = np.random.default_rng(3)
    return [(random.dirichlet(np.ones(n), 7), random.normal(0, 2, (7, 2))) for n in (2, 3)]


def _weighted(gamma: Array, frames: Array) -> tuple[Array, Array]:
    means, variances = [], []
    for weights in gamma.T:
        means.append(np.average(frames, axis=0, weights=weights))
        variances.append(np.average((frames - means[-1]) ** 2, axis=0, weights=weights))
    return np.array(means), np.array(variances)


def _by_frames(gamma: Array, frames: Array) -> tuple[Array, Array]:
    means = gamma.T @ frames / len(frames)
    return means, gamma.T @ frames**2 / len(frames) - means**2


def _hard(gamma: Array, frames: Array) -> tuple[Array, Array]:
    return _weighted(np.eye(gamma.shape[1])[gamma.argmax(axis=1)] + 1e-12, frames)


BAUM_WELCH = (
    Exercise(
        "posteriors",
        "posteriors(alpha, beta) returns p(state at t | all frames), (n_frames, n_states). alpha, "
        "beta: (n_frames, n_states) forward and backward logarithms.",
        lambda alpha, beta: np.exp(alpha + beta - logsumexp(alpha + beta, axis=1)[:, None]),
        _lattices(),
        (
            Mistake("Each frame is in some state, so each row must sum to 1, not each column.",
                    lambda a, b: np.exp(a + b - logsumexp(a + b, axis=0))),
            Mistake("The rows do not sum to 1: divide by their sum.", lambda a, b: np.exp(a + b)),
            Mistake("The frames after t count as well: use alpha + beta.",
                    lambda a, b: np.exp(a - logsumexp(a, axis=1)[:, None])),
        ),
    ),
    Exercise(
        "reestimate",
        "reestimate(gamma, frames) returns (means, variances), each (n_states, n_features). gamma: "
        "(n_frames, n_states) posteriors; frames: (n_frames, n_features).",
        _weighted, _gammas(),
        (
            Mistake("Divide by the occupancy of each state, gamma.sum(axis=0), not by the number "
                    "of frames.", _by_frames),
            Mistake("The variance is the mean square less the squared mean.",
                    lambda g, x: (_weighted(g, x)[0], (g.T @ x**2) / g.sum(axis=0)[:, None])),
            Mistake("This gives each frame to one state (Viterbi training). Weight each frame by "
                    "its posterior.", _hard),
        ),
    ),
)  # fmt: skip


# --- CTC -----------------------------------------------------------------------------------------

BLANK = 0


def _collapsed(labels: list[int]) -> list[int]:
    kept: list[int] = []
    before = None
    for label in labels:
        if label != before and label != BLANK:
            kept.append(label)
        before = label
    return kept


def _without_blank_first(labels: list[int]) -> list[int]:
    symbols = [label for label in labels if label != BLANK]
    return [x for i, x in enumerate(symbols) if i == 0 or x != symbols[i - 1]]


def _alignments(log_probs: Array, labels: list[int]) -> list[float]:
    n_frames, n_symbols = log_probs.shape
    return [
        float(sum(log_probs[t, s] for t, s in enumerate(path)))
        for path in product(range(n_symbols), repeat=n_frames)
        if _collapsed(list(path)) == labels
    ]


def _outputs() -> list[tuple[Array, list[int]]]:
    random = np.random.default_rng(4)
    labels = ([1], [1, 2], [1, 1], [2, 1, 2])
    return [(np.log(random.dirichlet(np.ones(3), 5)), each) for each in labels]


def _wrong_alignments(log_probs: Array, labels: list[int], collapse: Any) -> float:
    n_frames, n_symbols = log_probs.shape
    paths = [
        float(sum(log_probs[t, s] for t, s in enumerate(path)))
        for path in product(range(n_symbols), repeat=n_frames) if collapse(list(path)) == labels
    ]
    return float(logsumexp(paths)) if paths else -np.inf


TRAINING = (
    Exercise(
        "collapse",
        "collapse(labels) returns the symbols that a CTC path stands for: repeated labels are "
        "merged, then blanks (0) are removed. labels: a list of whole numbers.",
        _collapsed, [([1, 1, 0, 2],), ([1, 0, 1],), ([0, 0, 3, 3, 0],), ([2, 2, 0, 2, 1, 1],)],
        (
            Mistake("Merge repeats before you remove blanks: a blank keeps two equal symbols "
                    "apart.", _without_blank_first),
            Mistake("Repeated labels are one symbol: merge them.",
                    lambda labels: [each for each in labels if each != BLANK]),
            Mistake("Blanks are no symbols: remove them after merging.",
                    lambda x: [a for i, a in enumerate(x) if i == 0 or a != x[i - 1]]),
        ),
    ),
    Exercise(
        "ctc",
        "ctc(log_probs, labels) returns log p(labels), summed over all paths that collapse to "
        "them. log_probs: (n_frames, n_symbols), column 0 is the blank; labels: a list of symbols.",
        lambda log_probs, labels: float(logsumexp(_alignments(log_probs, labels))), _outputs(),
        (
            Mistake("This is the best alignment alone: sum over all of them.",
                    lambda log_probs, labels: max(_alignments(log_probs, labels))),
            Mistake("Two equal symbols in a row need a blank between them: do not skip it.",
                    lambda p, y: _wrong_alignments(p, _without_blank_first(y),
                                                   _without_blank_first)),
            Mistake("Blanks must be allowed between symbols, before the first and after the last.",
                    lambda p, y: _wrong_alignments(
                        np.where(np.arange(p.shape[1]) == BLANK, -1e9, p), y, _collapsed)),
        ),
    ),
)  # fmt: skip
