"""Random sentences of a grammar, to read aloud, synthesise or inspect."""

from __future__ import annotations

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.language.grammar.grammar import Grammar

MAX_WORDS = 1000  # of a sentence: a grammar that repeats itself may never come to an end


def random_sentences(grammar: Grammar, n: int, seed: int = 0) -> tuple[tuple[str, ...], ...]:
    """Draw sentences by a random walk through G.

    Each next word, and the end, has the probability of its weight in the grammar; without weights
    all are equally likely. Long lists are thus not drawn more often than short ones.

    Parameters
    ----------
    n
        Number of sentences; one may come twice.
    seed
        The same seed gives the same sentences.

    Raises
    ------
    OptionError
        n is negative, or a sentence exceeds `MAX_WORDS`.

    Examples
    --------
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = [please] (stop | go);")
    >>> sorted({" ".join(words) for words in random_sentences(grammar, 50)})
    ['go', 'please go', 'please stop', 'stop']
    """
    if n < 0:
        raise OptionError(f"{n} sentences cannot be drawn: n must be 0 or more")
    names = ["", *sorted(grammar.words)]
    acceptor = grammar.acceptor({name: i for i, name in enumerate(names) if i})
    arcs_of: dict[int, list[tuple[int, int, float]]] = {}
    for state in acceptor.states():
        arcs = [(arc.ilabel, arc.nextstate, float(arc.weight)) for arc in acceptor.arcs(state)]
        arcs_of[state] = [*arcs, (0, -1, float(acceptor.final(state)))]
    shares = {state: _shares([cost for *_, cost in arcs]) for state, arcs in arcs_of.items()}
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(n):
        words, state = [], acceptor.start()
        while state >= 0:
            label, state, _ = arcs_of[state][rng.choice(len(shares[state]), p=shares[state])]
            words += [names[label]] * (label > 0)
            if len(words) > MAX_WORDS:
                raise OptionError(f"a sentence has more than {MAX_WORDS} words and no end")
        drawn.append(tuple(words))
    return tuple(drawn)


def _shares(costs: list[float]) -> np.ndarray:
    """Return probabilities from costs, -log."""
    weights = np.exp(min(costs) - np.array(costs))
    return np.asarray(weights / weights.sum())
