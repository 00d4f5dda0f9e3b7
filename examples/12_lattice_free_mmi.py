"""Lattice-free MMI on a toy: numerator, denominator and gradient, against brute force.

A network gives each frame a score for each pdf. Maximum mutual information asks that the sentence
which was said be likelier than everything else that could have been said. The numerator sums over
all ways to place the phones of the sentence in the frames. The denominator sums over all ways to
place any phones. Since a graph of phones is small, that sum needs no lattice. The gradient of the
objective with respect to the scores is one posterior less the other (Povey and others 2016).

Here three phones, T, EH and N, can follow each other in any order, and "ten" was said in eight
frames. Both sums are made twice: by walking along every path, and by the library's recursions.
Then gradient ascent moves the scores themselves, as training moves the weights of a network.

    python examples/12_lattice_free_mmi.py

draws 12_lattice_free_mmi.png: both posteriors, their difference, and the objective while it rises.
"""

import numpy as np
from drawing import BLUE, figure, save
from numpy.typing import NDArray

from factored_asr.training.chain.mmi import ChainGraph, denominator, mmi, numerator

Array = NDArray[np.float64]
PHONES = ("T", "EH", "N")
SAID = ("T", "EH", "N")
LOG_SHARE = np.log(1 / len(PHONES))
N_FRAMES, N_STEPS, RATE = 8, 60, 0.5
NAMES = [f"{phone} {part}" for phone in PHONES for part in ("first", "more")]


# --- the graphs: a phone has a pdf of its first frame, and a pdf of all others -----------------


def of_sentence(phones: tuple[str, ...]) -> ChainGraph:
    """One phone after the other, each as likely as in the other graph."""
    index = np.array([PHONES.index(phone) for phone in phones])
    n, never = len(index), np.full(len(index) - 1, -np.inf)
    return ChainGraph(2 * index, 2 * index + 1, np.arange(n - 1), np.arange(1, n),
                      np.full(n - 1, LOG_SHARE), np.append(LOG_SHARE, never), np.append(never, 0.0))


def of_all_phones() -> ChainGraph:
    """Every phone may follow every other: a bigram of phones, all alike."""
    n = len(PHONES)
    index = np.arange(n)
    source, target = np.repeat(index, n), np.tile(index, n)
    return ChainGraph(2 * index, 2 * index + 1, source, target, np.full(n * n, LOG_SHARE),
                      np.full(n, LOG_SHARE), np.zeros(n))


# --- brute force: every path, one by one -----------------------------------------------------


def paths(graph: ChainGraph) -> list[tuple[list[int], float]]:
    """All paths of eight frames: the pdf of each frame, and the log weight of the path."""
    ways = [(node, [int(graph.entry_pdf[node])], float(graph.log_start[node]))
            for node in range(graph.n_nodes) if graph.log_start[node] > -np.inf]  # fmt: skip
    for _ in range(N_FRAMES - 1):
        further = []
        for node, pdfs, weight in ways:
            further.append((node, [*pdfs, int(graph.loop_pdf[node])], weight))
            for arc in np.flatnonzero(graph.source == node):
                after = int(graph.target[arc])
                further.append((after, [*pdfs, int(graph.entry_pdf[after])],
                                weight + float(graph.log_arc[arc])))
        ways = further
    ends = [(pdfs, weight + float(graph.log_end[node])) for node, pdfs, weight in ways]
    return [(pdfs, weight) for pdfs, weight in ends if weight > -np.inf]


def by_hand(scores: Array, graph: ChainGraph) -> tuple[float, Array, int]:
    """The log of the sum over all paths, the share of paths with each pdf, and how many."""
    frames, found = np.arange(N_FRAMES), paths(graph)
    shares, total = np.zeros(scores.shape), 0.0
    for pdfs, weight in found:
        probability = np.exp(weight + scores[frames, pdfs].sum())
        shares[frames, pdfs] += probability
        total += probability
    return float(np.log(total)), shares / total, len(found)


def main() -> None:
    """Compare both ways, then let the objective rise, and draw it."""
    said, anything = of_sentence(SAID), of_all_phones()
    scores = np.random.default_rng(3).normal(0, 1, (N_FRAMES, len(NAMES)))
    above, above_shares, n_above = by_hand(scores, said)
    below, below_shares, n_below = by_hand(scores, anything)
    print(f"numerator: {n_above} paths, log sum {above:.4f}; denominator: {n_below:,} paths, log "
          f"sum {below:.4f}")
    print(f"objective {above - below:.4f}: 'ten' has {100 * np.exp(above - below):.1f} % of all "
          "that could be said")
    found = (numerator(scores, said), denominator(scores, anything, leak=0.0))
    apart = max(abs(found[0].log_sum - above), abs(found[1].log_sum - below))
    wrong = np.abs(found[0].posteriors - found[1].posteriors - (above_shares - below_shares)).max()
    print(f"recursions against brute force: sums {apart:.1e} apart, gradient {wrong:.1e} apart")
    step, moved = 1e-4, scores.copy()
    moved[2, 1] += step
    slope = (by_hand(moved, said)[0] - by_hand(moved, anything)[0] - (above - below)) / step
    print(f"gradient of '{NAMES[1]}' at frame 2: {above_shares[2, 1] - below_shares[2, 1]:+.4f}; "
          f"by a small change of the score: {slope:+.4f}")
    climb, learnt = [], scores.copy()
    for _ in range(N_STEPS):
        now = mmi(learnt, said, anything, leak=0.0)
        climb.append(now.objective)
        learnt = learnt + RATE * now.gradient
    print(f"{N_STEPS} steps of gradient ascent: objective {climb[0]:.2f}, then {climb[-1]:.2f}; "
          f"'ten' has {100 * np.exp(climb[-1]):.0f} %")
    draw(above_shares, below_shares, climb)


def draw(above: Array, below: Array, climb: list[float]) -> None:
    """Two posteriors, their difference, and the objective."""
    drawing, axes = figure(2, 2, width=9, height=6.4)
    for ax, (shares, title, colours, most) in zip(axes.flat, (
        (above, "numerator: paths of “ten”", "Blues", 1.0),
        (below, "denominator: paths of any phones", "Blues", 1.0),
        (above - below, "gradient: their difference", "RdBu", 1.0),
    ), strict=False):
        shown = ax.imshow(shares.T, aspect="auto", cmap=colours, vmax=most,
                          vmin=-most if colours == "RdBu" else 0)
        ax.set(title=title, xlabel="frame", yticks=range(len(NAMES)), yticklabels=NAMES)
        drawing.colorbar(shown, ax=ax)
    axes[1, 1].plot(climb, color=BLUE)
    axes[1, 1].set(title="scores moved along the gradient", xlabel="step",
                   ylabel="log numerator − log denominator")
    save(drawing, __file__)


if __name__ == "__main__":
    main()
