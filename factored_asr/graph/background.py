"""The background: what else might have been said, so that a grammar need not hear a command in it.

A grammar on its own hears its nearest sentence in any sound. Beside it, the background is a loop
of all phones out of context, so it fits every speech about as well as phones alone can; each of
its frames costs something. A sentence of the grammar wins only where it fits the sound nearly as
well as free phones do. After the *garbage models* of keyword spotting (Rose, Paul 1990, "A hidden
Markov model based keyword recognition system").
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic import AcousticModel
from factored_asr.graph.graph import ARC, Graph

BACKGROUND = "<background>"
"""The word that stands for a phone outside the grammar."""
BACKGROUND_VERSION = 2
"""Raise it when a background is compiled to something else than before."""


def with_background(
    graph: Graph, model: AcousticModel, frame_cost: float, transition_scale: float = 1.0
) -> Graph:
    """A graph of commands that may also hear background in their place, each phone as one word.

    Words of one phone keep lattices small: a longer one would have an arc for every string of
    phones that it might be.

    Parameters
    ----------
    graph
        Compiled from the model, with its label tables.
    frame_cost
        Cost of a frame of background, silence aside; lower: more is taken for background.
    transition_scale
        Weight of the HMM transition costs.
    """
    names = graph.phones[1:]
    states = [(phone, state) for phone in range(len(names))
              for state in range(int((model.hmm_pdfs[phone] >= 0).sum()))]
    phone, state = np.array(states, np.int32).T
    silent = np.isin(names, list(graph.silence_phones))[phone]
    costs = np.where(silent, 0.0, frame_cost)
    leave, stay = (
        costs - transition_scale * table[phone, state]
        for table in (model.hmm_exit_log_probs, model.hmm_loop_log_probs)
    )
    first_label, hub = len(graph.label_pdf), graph.n_states
    label = first_label + np.arange(len(phone))
    own = hub + 1 + np.arange(len(phone))  # the graph's state of each state of a phone
    last = np.append(state[1:] == 0, True)
    before = np.where(state == 0, hub, own - 1)
    zeros = np.zeros(len(phone), np.int32)
    word = np.where(silent | (state > 0), 0, len(graph.words))
    source = np.concatenate([graph.sources, [graph.start], before, own, own[last]])
    arcs = np.concatenate([
        graph.arcs, _arcs(zeros[:1], zeros[:1], hub + zeros[:1]), _arcs(label, leave, own, word),
        _arcs(label, stay, own), _arcs(zeros[last], zeros[last], hub + zeros[last]),
    ])
    final = np.concatenate([graph.final, [0.0], np.full(len(phone), np.inf)]).astype(np.float32)
    joined = Graph.from_arcs(source.astype(np.int32), arcs, final, graph.start)
    return replace(
        joined, words=(*graph.words, BACKGROUND), phones=graph.phones,
        label_pdf=np.append(graph.label_pdf, model.hmm_pdfs[phone, state]),
        label_phone=np.append(graph.label_phone, phone + 1),
        label_state=np.append(graph.label_state, state),
        label_word_end=np.append(graph.label_word_end, ~silent),
        silence_phones=graph.silence_phones, frame_seconds=graph.frame_seconds,
    )  # fmt: skip


def _arcs(
    label: np.ndarray, cost: np.ndarray, target: np.ndarray, word: np.ndarray | int = 0
) -> np.ndarray:
    arcs = np.zeros(len(label), ARC)
    arcs["label"], arcs["word"], arcs["cost"], arcs["target"] = label, word, cost, target
    return arcs
