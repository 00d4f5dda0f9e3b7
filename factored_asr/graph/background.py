"""The background: what else might have been said, so that a grammar need not hear a command in it.

A grammar on its own hears its nearest sentence in any sound. Beside it stands a background: the
grammar's own words in any order, and phones out of context between them, for words it does not
have. A word costs something, a frame of phones too; a sentence of the grammar costs nothing of
that, so it wins where it fits the sound nearly as well as anything could. Words that pass for a
command in a wrong order fit this graph best of all, and in noise, which flattens what phones
score, words lose as much on both sides. After the *garbage models* of keyword spotting (Rose,
Paul 1990, "A hidden Markov model based keyword recognition system").

It is searched apart (`decoder.RivalSearch`): in the grammar's own graph the background would fall
out of the beam where speech begins like a command, and be missing where it stops to be one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.errors import OptionError
from factored_asr.graph.build import GraphOptions, build_graph
from factored_asr.graph.graph import ARC, Graph
from factored_asr.language.ngram import BEGIN, END, EPSILON, NGramModel

if TYPE_CHECKING:
    from factored_asr.lexicon import Lexicon

BACKGROUND = "<background>"
"""The word that stands for a phone of no word that is known."""
BACKGROUND_VERSION = 3
"""Raise it when a background is compiled to something else than before."""


@dataclass(frozen=True)
class BackgroundOptions:
    """What speech outside a grammar costs; the lower, the more sound is taken for that."""

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
    model: GmmModel,
    lexicon: Lexicon,
    words: Iterable[str],
    options: GraphOptions | None = None,
    background: BackgroundOptions | None = None,
) -> Graph:
    """Compile the background of a grammar.

    Parameters
    ----------
    model
        The grammar's.
    lexicon
        Pronunciations; a word that it lacks is heard as phones.
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
    """
    options, background = options or GraphOptions(), background or BackgroundOptions()
    names = (EPSILON, BEGIN, END, *sorted(set(words)))
    zeros = np.zeros(len(names) - 1)
    any_order = NGramModel.from_ngrams(names, [(np.arange(1, len(names))[:, None], zeros, zeros)])
    graph = build_graph(
        model, lexicon, any_order, replace(options, word_penalty=background.word_cost)
    )
    return _with_phones(graph, model, background, options.transition_scale)


def _with_phones(
    words: Graph, model: GmmModel, options: BackgroundOptions, transition_scale: float
) -> Graph:
    """The loop of words, with a loop of phones that may be entered before and after each."""
    speech = [i for i, name in enumerate(words.phones[1:]) if name not in words.silence_phones]
    states = [(phone, state) for phone in speech
              for state in range(int((model.hmm_pdfs[phone] >= 0).sum()))]
    phone, state = np.array(states, np.int32).T
    leave, stay = (
        options.phone_cost - transition_scale * table[phone, state]
        for table in (model.hmm_exit_log_probs, model.hmm_loop_log_probs)
    )
    hub = words.n_states
    label = len(words.label_pdf) + np.arange(len(phone))
    own = hub + 1 + np.arange(len(phone))  # the graph's state of each state of a phone
    last = own[np.append(state[1:] == 0, True)]
    before = np.where(state == 0, hub, own - 1)
    enter = np.unique([words.start, *np.flatnonzero(words.final < np.inf)])
    source = np.concatenate([words.sources, enter, before, own, last, last])
    arcs = np.concatenate([
        _with_frame_cost(words, options.frame_cost), _arcs(0, options.word_cost, hub, len(enter)),
        _arcs(label, leave, own, word=np.where(state > 0, 0, len(words.words))),
        _arcs(label, stay, own), _arcs(0, 0.0, hub, len(last)),
        _arcs(0, 0.0, words.start, len(last)),
    ])
    final = np.concatenate([words.final, [0.0], np.full(len(own), np.inf)]).astype(np.float32)
    joined = Graph.from_arcs(source.astype(np.int32), arcs, final, words.start)
    return replace(
        joined, words=(*words.words, BACKGROUND), phones=words.phones,
        label_pdf=np.append(words.label_pdf, model.hmm_pdfs[phone, state]),
        label_phone=np.append(words.label_phone, phone + 1),
        label_state=np.append(words.label_state, state),
        label_word_end=np.append(words.label_word_end, np.ones(len(label), bool)),
        silence_phones=words.silence_phones, frame_seconds=words.frame_seconds,
    )  # fmt: skip


def _with_frame_cost(graph: Graph, cost: float) -> np.ndarray:
    """Its arcs, where each frame of speech costs something more."""
    silent = np.isin(graph.phones, [EPSILON, *graph.silence_phones])[graph.label_phone]
    arcs = graph.arcs.copy()
    arcs["cost"] += np.where(silent, np.float32(0), np.float32(cost))[arcs["label"]]
    return arcs


def _arcs(
    label: np.ndarray | int, cost: np.ndarray | float, target: np.ndarray | int, n: int = 0,
    word: np.ndarray | int = 0,
) -> np.ndarray:
    arcs = np.zeros(n or np.size(label), ARC)
    arcs["label"], arcs["word"], arcs["cost"], arcs["target"] = label, word, cost, target
    return arcs
