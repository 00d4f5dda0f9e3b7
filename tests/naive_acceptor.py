"""Slow, obvious twins of the algebra of acceptors: all sentences, written out."""

from __future__ import annotations

from factored_asr.language.acceptor import Acceptor

Said = dict[tuple[int, ...], float]
"""Sentences with their least costs."""


def sentences(acceptor: Acceptor, longest: int) -> Said:
    """Write out all sentences up to a length."""
    found: Said = {}
    level = {((), acceptor.start): 0.0}
    for _ in range(longest + 1):
        level = closed(acceptor, level)
        ahead: dict[tuple[tuple[int, ...], int], float] = {}
        for (said, state), cost in level.items():
            if (whole := cost + float(acceptor.final[state])) < found.get(said, float("inf")):
                found[said] = whole
            for label, _, more, target in acceptor.leaving(state).tolist():
                key = (*said, label), target
                if label:
                    ahead[key] = min(cost + more, ahead.get(key, float("inf")))
        level = ahead
    return found


def closed(acceptor: Acceptor, level: dict) -> dict:
    """Follow epsilons as long as any path becomes cheaper by it."""
    level, waiting = dict(level), list(level)
    while waiting:
        said, state = waiting.pop(0)
        for label, _, more, target in acceptor.leaving(state).tolist():
            cost = level[said, state] + more
            if not label and cost < level.get((said, target), float("inf")):
                level[said, target] = cost
                waiting.append((said, target))
    return level


def in_a_row(one: Said, other: Said, longest: int) -> Said:
    """Write out a sentence of the one and then one of the other."""
    found: Said = {}
    for first, cost in one.items():
        for second, more in other.items():
            both = first + second
            if len(both) <= longest:
                found[both] = min(cost + more, found.get(both, float("inf")))
    return found


def either(*several: Said) -> Said:
    """Write out the sentences of all."""
    found: Said = {}
    for each in several:
        for said, cost in each.items():
            found[said] = min(cost, found.get(said, float("inf")))
    return found
