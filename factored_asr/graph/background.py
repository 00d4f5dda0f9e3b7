"""The background model: speech outside a grammar, so that not every sound becomes a command.

A grammar alone finds its nearest sentence in any sound. It competes with a background model: the
grammar's own words in any order, and phones out of context between them, for words that it lacks.
A word has a cost, a frame of phones too. A sentence of the grammar pays none of these, so it wins
where it fits the sound nearly as well as anything could. Words that resemble a command in a wrong
order fit this graph best, and noise, which flattens what phones score, lowers words on both sides.
After the *garbage models* of keyword spotting (Rose, Paul 1990, "A hidden Markov model based
keyword recognition system").

It is searched apart (`recognizer.Session`): in the graph of the grammar the background would fall
out of the beam where speech begins like a command. It would then be missing where the speech
is no command any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.acoustic.topology import Topology, scaled
from factored_asr.errors import OptionError
from factored_asr.graph.build import GraphOptions, build_graph
from factored_asr.graph.graph import Graph, Labels, arcs_of
from factored_asr.graph.units import HasTopology
from factored_asr.language.ngram import BEGIN, END, EPSILON, NGramModel

if TYPE_CHECKING:
    from factored_asr.lexicon import Lexicon

BACKGROUND = "<background>"
"""The word that stands for a phone of no word that is known."""
BACKGROUND_VERSION = 3
"""Raise it when a background is compiled to something else than before."""


@dataclass(frozen=True)
class BackgroundOptions:
    """What speech outside a grammar costs; the lower, the more sound is taken for that.

    Examples
    --------
    >>> BackgroundOptions(word_cost=3.0).frame_cost  # more speech is taken for no command
    0.03
    """

    word_cost: float = 4.0
    """Cost of a word, and of each stretch of phones, > 0."""
    frame_cost: float = 0.03
    """Cost of each frame of a word, >= 0."""
    phone_cost: float = 0.33
    """Cost of each frame of the phones that are no word, >= 0."""

    def __post_init__(self) -> None:
        for name in ("word_cost", "frame_cost", "phone_cost"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise OptionError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.word_cost == 0:
            raise OptionError("word_cost must be above 0: words would cost no more in any order")


def build_background(
    model: HasTopology, lexicon: Lexicon, words: Iterable[str],
    options: GraphOptions | None = None, background: BackgroundOptions | None = None,
) -> Graph:
    """Compile the background of a grammar.

    Parameters
    ----------
    model
        The grammar's.
    lexicon
        Pronunciations; a word that it lacks is recognised as phones.
    words
        Those of the grammar.
    options
        Of the grammar's graph: silences, fillers and transitions cost the same in both.
    background
        What speech outside the grammar costs.

    Raises
    ------
    MissingError
        None of the words has a pronunciation, or one has a phone that the model lacks.

    Examples
    --------
    >>> from factored_asr.lexicon import Lexicon, Pronunciation
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us").acoustic_model()
    >>> lexicon = Lexicon({"yes": (Pronunciation(("Y", "EH", "S")),)})
    >>> BACKGROUND in build_background(model, lexicon, ["yes"]).words
    True
    """
    options, background = options or GraphOptions(), background or BackgroundOptions()
    names = (EPSILON, BEGIN, END, *sorted(set(words)))
    zeros = np.zeros(len(names) - 1)
    any_order = NGramModel.from_ngrams(names, [(np.arange(1, len(names))[:, None], zeros, zeros)])
    graph = build_graph(model, lexicon, any_order,
                        replace(options, word_penalty=background.word_cost))
    return _with_phones(graph, model.topology, background, options.transition_scale)


def _with_phones(
    words: Graph, topology: Topology, options: BackgroundOptions, transition_scale: float
) -> Graph:
    """The loop of words, with a loop of phones that may be entered before and after each."""
    hub = words.n_states
    enter = np.unique([words.start, *np.flatnonzero(words.final < np.inf)])
    rows, labels = _phone_loop(words, topology, options.phone_cost, transition_scale)
    if topology.has_blank:
        (blank,) = np.flatnonzero(words.labels.phone == len(words.phones) - 1)
        rows.append((hub, int(blank), 0, 0.0, hub))
    rows = [*((int(state), 0, 0, options.word_cost, hub) for state in enter), *rows]
    source, loop = arcs_of(rows)
    n_states = int(loop["target"].max()) + 1
    final = np.full(n_states, np.inf, np.float32)
    final[:hub], final[hub] = words.final, 0.0
    joined = Graph.from_arcs(
        np.concatenate([words.sources, source]),
        np.concatenate([_with_frame_cost(words, options.frame_cost), loop]), final, words.start,
    )
    return replace(
        joined, words=(*words.words, BACKGROUND), phones=words.phones,
        silence_phones=words.silence_phones, frame_seconds=words.frame_seconds,
    ).with_labels(words.labels.join(labels))


def _phone_loop(
    words: Graph, topology: Topology, phone_cost: float, transition_scale: float
) -> tuple[list[tuple[int, int, int, float, int]], Labels]:
    """Arcs (source, label, word, cost, target) from the hub through each phone and back.

    They lead from its end to the start of the words, too. Also returns what their labels are.
    """
    hub, word, first_label = words.n_states, len(words.words), len(words.labels.pdf)
    units = topology.alone[(topology.alone >= 0) & ~topology.is_silence]
    n_all, at = int(topology.n_states[units].sum()), hub + 1
    rows: list[tuple[int, int, int, float, int]] = []
    entered, looped = list[tuple[int, ...]](), list[tuple[int, ...]]()
    for unit in units.tolist():
        n, phone = int(topology.n_states[unit]), int(topology.unit_phone[unit]) + 1
        leave, stay, skip = (
            (phone_cost + scaled(transition_scale, table[unit])).tolist()
            for table in (topology.exit_log_prob, topology.loop_log_prob, topology.skip_log_prob)
        )
        for state in range(n):
            label = first_label + at - hub - 1
            rows.append((at - 1 if state else hub, label, 0 if state else word, leave[state], at))
            if state + 2 < n and skip[state] < np.inf:
                extra = skip[state] - leave[state]
                rows.append((at, label + 2, 0, leave[state + 2] + extra, at + 2))
            elif state + 2 == n and skip[state] < np.inf:
                rows.append((at, 0, 0, skip[state] - leave[state], hub))
            pdf, of_loop = topology.entry_pdf[unit, state], topology.loop_pdf[unit, state]
            entered.append((pdf, phone, state, 1))
            if of_loop != pdf:
                looped.append((of_loop, phone, state, 1))
                label = first_label + n_all + len(looped) - 1
            rows.append((at, label, 0, stay[state], at))
            at += 1
        rows += [(at - 1, 0, 0, 0.0, hub), (at - 1, 0, 0, 0.0, words.start)]
    columns = np.array([*entered, *looped], np.int32).reshape(-1, 4).T
    # Within a state, arcs to the next one stand before its loop.
    rows.sort(key=lambda row: row[0] == row[4])
    return rows, Labels._make(columns).typed()


def _with_frame_cost(graph: Graph, cost: float) -> np.ndarray:
    """Its arcs, where each frame of speech costs something more."""
    silent = np.isin(graph.phones, [EPSILON, *graph.silence_phones])[graph.label_phone]
    arcs = graph.arcs.copy()
    arcs["cost"] += np.where(silent, np.float32(0), np.float32(cost))[arcs["label"]]
    return arcs
