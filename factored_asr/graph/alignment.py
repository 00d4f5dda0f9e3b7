"""The graph of one word sequence, to align sound with it: written out directly, without pynini."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from factored_asr.errors import MissingError, OptionError
from factored_asr.graph.build import GraphOptions, no_pronunciation, pauses, word_labels
from factored_asr.graph.expand import expand_graph
from factored_asr.graph.graph import EPSILON, Graph, arcs_of
from factored_asr.graph.units import HasTopology, Units, make_units
from factored_asr.lexicon import Lexicon

Ways = tuple[tuple[str, ...], ...]
"""Ways to say one written word, each a sequence of words."""


def linear_graph(
    lexicon: Lexicon, words: Sequence[str | Ways], model: HasTopology, options: GraphOptions
) -> tuple[Graph, tuple[str, ...]]:
    """Return L ∘ G of one word sequence; silence and fillers loop at node i, before word i.

    Written out directly, its symbols as `lexicon_graph`'s. Returns it with its table of words.
    """
    index = {phone: i for i, phone in enumerate(model.topology.phones)}
    slots = [((word,),) if isinstance(word, str) else word for word in words]
    table = (EPSILON, *dict.fromkeys(word for ways in slots for way in ways for word in way))
    word_id = {word: i for i, word in enumerate(table)}
    silence, fillers = pauses(model.topology, options)
    rows, n_states = list[tuple[int, int, int, float, int]](), len(slots) + 1
    nodes = list(range(n_states))
    for at, ways in enumerate(slots):
        for way in ways:
            inside = range(n_states, n_states + len(way) - 1)
            nodes += inside
            n_states += len(inside)
            ends = zip((at, *inside), way, (*inside, at + 1), strict=True)
            for source, word, target in ends:
                for each in lexicon.find(word):
                    labels = word_labels([index[phone] for phone in each.phones], 0)
                    inner = range(n_states, n_states + len(labels) - 1)
                    n_states += len(inner)
                    steps = zip((source, *inner), labels, (*inner, target), strict=True)
                    for first, label, second in steps:
                        says = (word_id[word], -np.log(each.probability))
                        says = says if first == source else (0, 0.0)
                        rows.append((first, label, *says, second))
    rows += [(node, label, 0, cost, node) for node in nodes for label, cost in silence + fillers]
    final = np.full(n_states, np.inf, np.float32)
    final[len(slots)] = 0.0
    return Graph.from_arcs(*arcs_of(rows), final), table


def build_alignment_graph(
    model: HasTopology, lexicon: Lexicon, words: Sequence[str | Ways],
    options: GraphOptions | None = None, units: Units | None = None,
) -> Graph:
    """Compile H ∘ C ∘ L ∘ G of these words alone, without pynini.

    Every pronunciation is allowed, and silence and fillers before, between and after the words.
    Where several ways to say a word are given, each a sequence of words, any of them is allowed.
    `units`: kept from `make_units`; for one sentence they are nearly all the work.

    Raises
    ------
    MissingError
        A word has no pronunciation, or a pronunciation a phone the model lacks.
    OptionError
        There are no words.

    Examples
    --------
    >>> from factored_asr.lexicon import Pronunciation
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us").acoustic_model()
    >>> lexicon = Lexicon({"yes": (Pronunciation(("Y", "EH", "S")),)})
    >>> sorted(set(build_alignment_graph(model, lexicon, ["yes"]).arcs["word"].tolist()))
    [0, 1]
    """
    options = options or GraphOptions()
    if not words:
        raise OptionError("an alignment needs at least one word, got none")
    names = [name for word in words for name in ([word] if isinstance(word, str) else
                                                 [name for way in word for name in way])]
    if unknown := lexicon.missing(names):
        raise MissingError(no_pronunciation(unknown))
    lexicon = lexicon.restrict(names).fitted(model.topology.phones)
    lexicon.check_phones(model.topology.phones)
    lg, table = linear_graph(lexicon, words, model, options)
    return expand_graph(lg, model, units or make_units(model, options.transition_scale), table)
