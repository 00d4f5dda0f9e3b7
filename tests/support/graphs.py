"""Small graphs and score matrices, random or spelled out."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from factored_asr.graph import ARC, Graph

PHONES = ("<eps>", "AA", "N", "SIL")


def graph_of(n_states, arcs, final, **parts):
    """A graph from (source, label, word, cost, target) rows and {state: final cost}."""
    arcs = sorted(arcs, key=lambda arc: (arc[0], arc[1] != 0))
    counts = np.bincount([arc[0] for arc in arcs], minlength=n_states)
    costs = np.full(n_states, np.inf)
    for state, cost in final.items():
        costs[state] = cost
    return Graph(
        start=0, first_arc=np.concatenate([[0], np.cumsum(counts)]),
        arcs=np.array([arc[1:] for arc in arcs], ARC), final=costs, **parts,
    )


def random_graph(n_states, n_arcs, n_labels, seed, p_epsilon=0.2):
    """A random graph whose arcs lead near, with self-loops, parallel and epsilon arcs."""
    generator = np.random.default_rng(seed)
    source = generator.integers(0, n_states, n_arcs)
    target = (source + generator.integers(0, 4, n_arcs)) % n_states
    label = generator.integers(1, n_labels + 1, n_arcs)
    label[generator.random(n_arcs) < p_epsilon] = 0
    word = np.where(generator.random(n_arcs) < 0.3, generator.integers(1, 9, n_arcs), 0)
    rows = zip(source, label, word, generator.exponential(1.0, n_arcs), target, strict=True)
    final = {int(s): float(c) for s, c in enumerate(generator.exponential(1.0, n_states)) if c < 1}
    return graph_of(n_states, list(rows), final)


def random_scores(n_frames, n_labels, seed):
    return np.random.default_rng(seed).normal(-4, 2, (n_frames, n_labels)).astype(np.float32)


@st.composite
def small_tasks(draw):
    """Graphs with epsilon loops, parallel arcs, dead ends, final states or none; -inf scores."""
    n_states, n_labels = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    states = st.integers(0, n_states - 1)
    arc = st.tuples(
        states, st.integers(0, n_labels), st.integers(0, 2), st.sampled_from([0.0, 0.25, 1.0, 2.5]),
        states,
    )
    arcs = draw(st.lists(arc, min_size=1, max_size=8))
    final = draw(st.dictionaries(states, st.sampled_from([0.0, 0.5, 3.0]), max_size=2))
    n_frames = draw(st.integers(0, 4))
    score = st.sampled_from([0.0, -0.5, -1.0, -2.25, -7.0, -np.inf])
    rows = draw(
        st.lists(st.lists(score, min_size=n_labels, max_size=n_labels),
                 min_size=n_frames, max_size=n_frames)
    )
    scores = np.array(rows, np.float32).reshape(n_frames, n_labels)
    parts = {"label_pdf": np.arange(-1, n_labels)}  # a label need not stand on any arc
    return graph_of(n_states, arcs, final, **parts), scores


def word_graph():
    arcs = [
        (0, 4, 0, 0.0, 0), (0, 1, 0, 0.0, 1), (1, 1, 0, 0.0, 1), (1, 2, 0, 0.0, 2),
        (2, 2, 0, 0.0, 2), (2, 3, 0, 0.0, 3), (3, 3, 0, 0.0, 3), (3, 4, 1, 0.0, 4),
        (4, 4, 0, 0.0, 4), (3, 1, 1, 0.0, 1),
    ]
    return graph_of(
        5, arcs, {4: 0.0, 3: 1.0}, words=("<eps>", "on"), phones=PHONES,
        silence_phones=frozenset({"SIL"}), label_pdf=np.array([-1, 0, 1, 2, 3]),
        label_phone=np.array([0, 1, 1, 2, 3]), label_state=np.array([0, 0, 1, 0, 0]),
        label_word_end=np.array([False, False, False, True, False]), frame_seconds=0.01,
    )


def spoken(labels):
    scores = np.full((len(labels), 4), -10.0, np.float32)
    scores[np.arange(len(labels)), np.array(labels) - 1] = 0.0
    return scores
