"""The graph of a sentence: G, L, L ∘ G, C and H drawn one at a time, then composed.

G says which words may follow each other, L how words are said, C which phone stands between which
neighbours, H through which states a phone goes. Composed they are one graph, in which the decoder
looks for the cheapest path; every cost is -log of a probability: "go" is three times as likely as
"no", so it costs 0.3 and "no" 1.4. (Mohri, Pereira and Riley 2002.)

    python examples/03_the_graph_of_a_sentence.py

draws 03_the_graph_of_a_sentence.png, from G to C ∘ L ∘ G, and 03_states.png, H ∘ C ∘ L ∘ G. The
pictures leave out the pauses between words, which every graph of the library allows; the printed
sizes are those with pauses and without.
"""

from collections.abc import Callable

import numpy as np
from drawing import figure, read_lexicon, save

from factored_asr.acoustic import N_POSITIONS
from factored_asr.graph import Graph, GraphOptions, make_units
from factored_asr.graph.build import compose_lexicon, expand_graph, lexicon_graph
from factored_asr.graph.convert import graph_of
from factored_asr.graph.expand import expand_context, minimise
from factored_asr.graph.graph import EPSILON
from factored_asr.language import Grammar
from factored_asr.models.bundle import Bundle
from factored_asr.plots import plot_graph

GRAMMAR = """#JSGF V1.0;
grammar turn;
public <turn> = /3/ go | /1/ no;
"""


Labels = Callable[[int], str] | list[str] | None
Step = tuple[str, Graph, Labels]


def main() -> None:
    """Compile a grammar of two sentences one factor at a time, and draw each step."""
    steps = compiled(pauses=False)
    for (title, graph, _), (_, larger, _) in zip(steps, compiled(pauses=True), strict=True):
        print(f"{title}: {graph.n_states} states, {graph.n_arcs} arcs;"
              f" with pauses {larger.n_states} and {larger.n_arcs}")  # fmt: skip
    for name, shown in ((__file__, steps[:-1]), ("03_states", steps[-1:])):
        drawing, rows = figure(len(shown), 1, width=4, height=9)
        for row, (title, graph, labels) in zip(np.atleast_1d(rows), shown, strict=True):
            plot_graph(graph, labels=labels, ax=row, down=name != __file__)
            row.set_title(title, loc="left", fontsize=9)
        if len(shown) > 1:
            same_scale(rows)
        save(drawing, name)


def compiled(pauses: bool) -> list[Step]:
    """G, L, L ∘ G, C ∘ L ∘ G and H ∘ C ∘ L ∘ G, each with its title and the names of its labels."""
    model = Bundle.find("en-us").acoustic_model()
    options = GraphOptions(silence_probability=0.1, filler_probability=0)
    grammar = Grammar.from_text(GRAMMAR)
    table = (EPSILON, *sorted(grammar.words))
    words = {word: i for i, word in enumerate(table) if i}
    units = make_units(model, options.transition_scale)

    # G reads words and writes words; an arc's probability lies in its cost.
    g = graph_of(grammar.acceptor(words))
    # L reads phones and writes words. A closed loop: any sequence of words, silence in between.
    l, back_off = lexicon_graph(read_lexicon().restrict(words), words, model, options)  # noqa: E741
    if not pauses:
        l = without_silence(l)  # noqa: E741
    # What both allow: phones in, the grammar's sentences out.
    lg = compose_lexicon(l, g, back_off, len(model.phones) * N_POSITIONS)
    # A phone sounds different next to different neighbours: C turns phones into triphones.
    clg, _ = minimise(expand_context(lg, units)[0])
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

    def spelt(graph: Graph) -> Graph:
        """Numbers beyond the table are marks: #0, and where fillers may stand."""
        return graph.with_words((*table, "#0", *[""] * len(model.fillers)))

    return [
        ("G: which words follow each other", spelt(g), list(table)),
        ("L: how words are pronounced", spelt(l), phone),
        ("L ∘ G, determinised and minimised", spelt(lg), phone),
        ("C ∘ L ∘ G: phones between neighbours\n(phone.number of its HMM)", spelt(clg), triphone),
        ("H ∘ C ∘ L ∘ G: states, each with its loop", spelt(hclg), None),
    ]  # fmt: skip


def without_silence(lexicon: Graph) -> Graph:
    """L without its loops of silence: those that write no word."""
    arcs = lexicon.arcs
    kept = (arcs["word"] != 0) | (arcs["target"] != lexicon.sources)
    return Graph.from_arcs(lexicon.sources[kept], arcs[kept], lexicon.final)


def same_scale(rows: np.ndarray) -> None:
    """One unit is as long in every row; each row is as high as it needs."""
    width = max(np.ptp(row.get_xlim()) for row in rows)
    heights = [np.ptp(row.get_ylim()) for row in rows]
    rows[0].get_gridspec().set_height_ratios(heights)
    rows[0].figure.set_size_inches(width + 0.4, sum(heights) + 0.5 * len(rows))
    for row in rows:
        row.set(xlim=(row.get_xlim()[0], row.get_xlim()[0] + width), anchor="W")


if __name__ == "__main__":
    main()
