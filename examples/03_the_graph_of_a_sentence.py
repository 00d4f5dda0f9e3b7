"""The graph of a sentence: G, L, L ∘ G, C and H drawn one at a time, then composed.

G says which words may follow each other, L how words are said, C which phone stands between which
neighbours, H through which states a phone goes. Composed they are one graph, in which the decoder
looks for the cheapest path; every cost is -log of a probability.
(Mohri, Pereira and Riley 2002.)

    python examples/03_the_graph_of_a_sentence.py

draws 03_the_graph_of_a_sentence.png.
"""

from typing import Any

import numpy as np
from drawing import figure, read_lexicon, save

from factored_asr.acoustic import N_POSITIONS
from factored_asr.graph import GraphOptions, make_units
from factored_asr.graph.build import compose_lexicon, expand_graph, lexicon_graph
from factored_asr.graph.convert import from_pynini
from factored_asr.graph.expand import expand_context, minimise
from factored_asr.graph.graph import EPSILON
from factored_asr.language import Grammar
from factored_asr.models.bundle import Bundle
from factored_asr.plots import plot_graph

GRAMMAR = """
intents:
  Turn:
    data:
      - sentences: ["(go|no)"]
"""


def main() -> None:
    """Compile a grammar of two sentences one factor at a time, and draw each step."""
    model = Bundle.find("en-us").acoustic_model()
    options = GraphOptions(silence_probability=0.1, filler_probability=0)
    grammar = Grammar.from_text(GRAMMAR)
    table = (EPSILON, *sorted(grammar.words))
    words = {word: i for i, word in enumerate(table) if i}
    units = make_units(model, options.transition_scale)

    # G reads words and writes words; an arc's probability lies in its cost.
    g = from_pynini(grammar.acceptor(words))
    # L reads phones and writes words. A closed loop: any sequence of words, silence in between.
    l, back_off = lexicon_graph(read_lexicon().restrict(words), words, model, options)  # noqa: E741
    # What both allow: phones in, the grammar's sentences out.
    lg = compose_lexicon(l, g, back_off, len(model.phones) * N_POSITIONS)
    # A phone sounds different next to different neighbours: C turns phones into triphones.
    clg, _ = minimise(expand_context(lg, units))
    # H turns a triphone into the states of its HMM, each with a loop that lets it last.
    hclg = expand_graph(lg, model, units, table)

    def phone(symbol: int) -> str:
        """The phone of an input label of L; that above all others lets back-off arcs through."""
        number = (symbol - 1) // N_POSITIONS
        return model.phones[number] if number < len(model.phones) else "#0"

    def triphone(unit: int) -> str:
        """The phone of a unit, and which of its HMMs that is."""
        pdf = units.labels.pdf[units.sequences[unit - 1, 0]]
        hmm = int(np.flatnonzero(model.hmm_pdfs[:, 0] == pdf)[0])
        return f"{model.phones[model.hmm_phone[hmm]]}.{hmm}"

    word = list(table)
    steps = (
        ("G: which words follow each other", g, word), ("L: how words are said", l, phone),
        ("L ∘ G, determinised and minimised", lg, phone),
        ("C ∘ L ∘ G: phones between their neighbours (phone.HMM)", clg, triphone),
        ("H ∘ C ∘ L ∘ G: states, each with its loop", hclg, None),
    )  # fmt: skip
    drawing, rows = figure(len(steps), 1, width=15, height=15)
    for row, (title, graph, labels) in zip(rows, steps, strict=True):
        print(f"{title}: {graph.n_states} states, {graph.n_arcs} arcs")
        # Numbers beyond the table are marks: #0, and where fillers may stand.
        spelt = graph.with_words((*table, "#0", *[""] * len(model.fillers)))
        plot_graph(spelt, labels=labels, ax=row).set_title(title, loc="left", fontsize=13)
    same_scale(rows)
    save(drawing, __file__)


def same_scale(rows: Any) -> None:
    """One unit is as long in every row; each row is as high as it needs."""
    width = max(row.get_xlim()[1] for row in rows)
    heights = [np.ptp(row.get_ylim()) for row in rows]
    rows[0].get_gridspec().set_height_ratios(heights)
    rows[0].figure.set_size_inches(1.1 * width + 1, 1.1 * sum(heights) + 2)
    for row in rows:
        row.set(xlim=(-0.6, width), anchor="W")


if __name__ == "__main__":
    main()
