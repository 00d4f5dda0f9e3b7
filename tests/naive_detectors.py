"""Keyword spotting by trying every beginning: slow, and with nothing to get wrong."""

from __future__ import annotations

import numpy as np


def naive_spot(
    scores: np.ndarray, columns: list[int], blank: int, longest: int
) -> list[float]:
    """The best path of the keyword that ends in its last phone at each frame, or -inf."""
    found = []
    for end in range(len(scores)):
        best = -np.inf
        for begin in range(max(0, end - longest + 1), end + 1):
            best = max(best, _path(scores[begin : end + 1], columns, blank))
        found.append(best)
    return found


def naive_align(scores: np.ndarray, columns: list[int], blank: int) -> float:
    """The best score of a path through all frames, by trying every path."""
    return _path(scores, columns, blank)


def _path(scores: np.ndarray, columns: list[int], blank: int) -> float:
    """The best path from the start of the first phone at frame 0 to the last phone at the end."""
    states = [columns[0]]
    for phone in columns[1:]:
        states += [blank, phone]
    value = {0: float(scores[0, columns[0]])}
    for row in scores[1:]:
        after: dict[int, float] = {}
        for state, before in value.items():
            for to in (state, state + 1, state + 2):
                if to >= len(states):
                    continue
                if to == state + 2 and (state % 2 or states[to] == states[state]):
                    continue
                after[to] = max(after.get(to, -np.inf), before + float(row[states[to]]))
        value = after
    return value.get(len(states) - 1, -np.inf)
