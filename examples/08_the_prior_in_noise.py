"""The prior in noise: three language models and the acoustic scale.

In a quiet room the sound decides. In a noisy room people rely on their prior: on what a speaker is
likely to say. A factored recogniser can do so by its language model and by the acoustic scale, the
weight of the sound. Real spoken orders in kitchen noise are recognised with three priors, from weak
to strong: single words by frequency, pairs of words, the grammar. Priors are compared at the scale
that commands have by default, so no scale is chosen on the tested orders.

    python examples/08_the_prior_in_noise.py --data DATA

measures on DATA/coffee_commands (real speakers, not part of the project), writes its figures to
08_the_prior_in_noise.json next to the picture, and draws 08_the_prior_in_noise.png. Without --data
the figures of an earlier run, committed in examples/results/, are drawn.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawing import BLUE, GREEN, RED, figure, found_by, save

from factored_asr.audio.mixing import mix
from factored_asr.compare.material import Item, read_labelled, read_noise
from factored_asr.decoder import BeamOptions, Search
from factored_asr.evaluation.significance import wilson
from factored_asr.features import FrontEnd
from factored_asr.graph import Graph, build_graph
from factored_asr.language import EstimateOptions, Grammar, NGramModel, estimate
from factored_asr.language.grammar.sampling import random_sentences
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.models.settings import COMMANDS
from factored_asr.understanding import Understander

SNRS = (math.inf, 18.0, 12.0, 6.0)  # decibels
SCALES = (0.05, 0.1, COMMANDS.acoustic_scale, 0.4)
EVERY = 8  # of the orders is used
N_SENTENCES = 3000  # drawn from the grammar, for the n-gram models to learn from


def main() -> None:
    """Measure if there is data, else take what was measured; then draw."""
    found = found_by(__file__, measure)
    default, n = found["scales"].index(COMMANDS.acoustic_scale), found["orders"]
    for prior, table in found["understood"].items():
        for snr, row in zip(found["snrs"], table, strict=True):
            low, high = wilson(round(row[default] * n), n)
            shares = " ".join(f"{share:4.0%}" for share in row)
            print(f"{prior:12} {snr:>5}: {row[default]:4.0%} ({low:.0%} to {high:.0%}) at the"
                  f" default scale; all scales: {shares}")  # fmt: skip
    draw(found)


def measure(data: Path) -> dict[str, Any]:
    """Share of orders understood, by prior, noise and acoustic scale."""
    folder = data / "coffee_commands"
    items = read_labelled(folder / "clean", folder / "labels.json")[::EVERY]
    noise = read_noise(folder / "kitchen_noise.flac")
    grammar = Grammar.read(folder / "grammar.yaml")
    recipe = Recipe(Bundle.find("en-us"))
    model, lexicon = recipe.bundle.acoustic_model(), recipe.read_lexicon().restrict(grammar.words)
    texts = sentences_of(grammar)
    priors: dict[str, NGramModel | Grammar] = {
        "single words": estimate(texts, EstimateOptions(order=1)),
        "word pairs": estimate(texts, EstimateOptions(order=2)),
        "grammar": grammar,
    }
    graphs = {
        name: build_graph(model, lexicon, prior, COMMANDS.graph) for name, prior in priors.items()
    }
    pdfs = np.unique(np.concatenate([graph.pdfs for graph in graphs.values()]))
    score, front_end = model.scorer(pdfs), FrontEnd(model.features)
    understander = Understander(grammar)
    right = {name: np.zeros((len(SNRS), len(SCALES))) for name in priors}
    for number, item in enumerate(items, start=1):
        for i, snr in enumerate(SNRS):
            clean = item.samples()
            samples = clean if snr == math.inf else mix(clean, noise, snr, item.name)
            scores = score(front_end.features(samples))
            for name, graph in graphs.items():
                for j, scale in enumerate(SCALES):
                    text = best_text(graph, scores * np.float32(scale), pdfs)
                    right[name][i, j] += understood(understander, text, item)
        print(f"decoded {number} of {len(items)}", end="\r", flush=True)
    print()
    return {
        "orders": len(items), "snrs": [str(snr) if snr < math.inf else "clean" for snr in SNRS],
        "scales": SCALES,
        "understood": {name: (counts / len(items)).tolist() for name, counts in right.items()},
    }


def sentences_of(grammar: Grammar) -> list[list[str]]:
    """Sentences drawn from a grammar, every way on being as likely."""
    return [list(words) for words in random_sentences(grammar, N_SENTENCES, seed=1)]


def best_text(graph: Graph, scores: np.ndarray, pdfs: np.ndarray) -> str:
    """The words of the best path; none where no sentence was finished."""
    search = Search(graph, BeamOptions(beam=13, lattice_beam=0), pdfs=pdfs)
    search.advance(scores)
    path = search.finish().best()
    return " ".join(path.words) if path.reached_final else ""


def understood(understander: Understander, text: str, item: Item) -> bool:
    """True if intent and all slots are as labelled."""
    found = understander.parse(text) if text else None
    if found is None or item.meaning is None or found.intent != item.meaning.intent:
        return False
    slots = {name: str(value) for name, value in found.slots.items()}
    return all(slots.get(name) == value for name, value in item.meaning.slots.items())


def draw(found: dict[str, Any]) -> None:
    """Above: the priors at the default scale. Below: the grammar at every scale and noise level."""
    drawing, (upper, lower) = figure(2, 1, width=4.6, height=8)
    names = [f"{float(snr):g} dB" if snr != "clean" else snr for snr in found["snrs"]]
    default, n = found["scales"].index(COMMANDS.acoustic_scale), found["orders"]
    for k, (prior, table) in enumerate(found["understood"].items()):
        places = np.arange(len(names)) + 0.06 * (k - 1)
        line(upper, places, [row[default] for row in table], n, prior, (RED, GREEN, BLUE)[k])
    upper.set_xticks(range(len(names)), names)
    upper.set(ylabel="orders understood, %", ylim=(0, 124), xlabel="kitchen noise")
    upper.set_title(f"Three priors, acoustic scale {COMMANDS.acoustic_scale}", fontsize=11)
    upper.legend(title="prior", fontsize=8, ncols=3, loc="upper center")
    for k, (row, name) in enumerate(zip(found["understood"]["grammar"], names, strict=True)):
        line(lower, np.array(found["scales"]) * 1.03 ** (k - 1.5), row, n, name, f"C{k}")
    lower.set(xlabel="acoustic scale", xscale="log", ylim=(0, 103), ylabel="orders understood, %")
    lower.set_title(f"The grammar at every scale ({n} orders)", fontsize=11)
    lower.set_xticks(found["scales"], [f"{scale:g}" for scale in found["scales"]])
    lower.set_xticks([], minor=True)
    lower.legend(title="noise", loc="lower right", ncols=2, fontsize=8)
    save(drawing, __file__)


def line(axes: Any, places: Any, shares: Sequence[float], n: int, name: str, colour: str) -> None:
    """A line with the 95 % intervals of its points."""
    intervals = np.array([wilson(round(share * n), n) for share in shares]).T
    axes.errorbar(places, 100 * np.array(shares), 100 * np.abs(intervals - np.array(shares)),
                  fmt="o-", label=name, color=colour, capsize=2, elinewidth=0.8)  # fmt: skip


if __name__ == "__main__":
    main()
