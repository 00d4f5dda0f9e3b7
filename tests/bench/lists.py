"""Entries of a grammar's list replaced at run time: CPU seconds, and what follows from it.

A grammar with a list in four places gets random names of two words of the dictionary
(``with_lists``; bar: 10,000 entries in 0.2 s, without guessed pronunciations). Next to it: the
first parse with the new list, and the same list compiled into the grammar. Names that the
dictionary lacks: seconds to guess a hundred.
"""

from __future__ import annotations

import random
import statistics
import time
import warnings
from collections.abc import Callable

from common import parser, report

from factored_asr import Recognizer
from factored_asr.graph import build_graph
from factored_asr.language import Grammar

TEXT = """
intents:
  Call: {data: [{sentences: ["[please] (call|ring) {contact} [now]", "is {contact} at home"]}]}
  Text: {data: [{sentences: ["send a message to {contact}", "message {contact}"]}]}
lists:
  contact: {replaceable: true}
"""


def cpu_seconds(run: Callable[[], object], repeat: int) -> float:
    """Median CPU seconds of a run."""
    seconds = []
    for _ in range(repeat):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds)


def main() -> None:
    """Replace lists of several sizes."""
    made = parser(__doc__)
    made.add_argument("--models", default="en-us,en-us-network")
    made.add_argument("--sizes", default="1,1000,10000,100000")
    made.add_argument("--compiled", type=int, default=1000, help="largest list to compile as well")
    options = made.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for model in options.models.split(","):
        recognizer = Recognizer.load(model, grammar=Grammar.from_text(TEXT))
        lexicon = recognizer.recipe.read_lexicon()
        chosen = random.Random(19)
        words = chosen.sample(sorted(word for word in lexicon if word.isalpha()), 20_000)
        first, last = words[:2000], words[2000:]
        recognizer.with_lists({"contact": ["anna"]})
        for size in map(int, options.sizes.split(",")):
            names = [f"{chosen.choice(first)} {chosen.choice(last)}" for _ in range(size)]
            seconds = cpu_seconds(lambda r=recognizer, n=names: r.with_lists({"contact": n}), 5)
            taught = recognizer.with_lists({"contact": names})

            def parse(taught: Recognizer = taught, name: str = names[0]) -> None:
                from factored_asr.models.grammars import read_understander

                lists = dict(taught.recipe.vocabulary.lists)
                reader = read_understander(taught.recipe.grammar, lists)
                assert reader.parse(f"call {name}").slots == {"contact": name}

            whole = "–"
            if size <= options.compiled:
                closed = taught.recipe.read_grammar()
                text = TEXT.replace("replaceable: true", f"values: {names}")
                closed = Grammar.from_text(text)
                whole = f"""{cpu_seconds(lambda r=recognizer, g=closed, x=lexicon: build_graph(
                    r.model, x, g, r.options.graph), 1):.2f}"""
            more = taught.graph.n_arcs - recognizer.graph.n_arcs
            rows.append([model, f"{size:,}", f"{seconds:.3f}", f"{cpu_seconds(parse, 3):.3f}",
                         f"{more:,}", whole])
        unknown = [f"{a}{b}" for a, b in zip(first[:100], last[:100], strict=True)]
        guess = cpu_seconds(lambda r=recognizer, n=unknown: r.with_lists({"contact": n}), 1)
        rows.append([f"{model}, 100 guessed words", "100", f"{guess:.3f}", "", "", ""])
    report(options, "Lists of a grammar", rows, [
        "model", "entries", "with_lists, CPU s", "first parse, CPU s", "arcs added",
        "compiled instead, CPU s",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
