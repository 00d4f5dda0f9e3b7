"""Draws what direct_meaning.py found: orders understood over the orders trained on.

    python tests/bench/draw_direct_meaning.py docs/pictures/direct_meaning.png

Each point is the mean of the seeds, each bar Wilson's 95 % interval at that mean.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from common import RESULTS  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from factored_asr.evaluation.significance import wilson  # noqa: E402

COLOURS = {"direct": "#1f5fa8", "direct + synthetic": "#2e7d4f"}
OTHERS = {"factored": "#b3261e", "words + rules": "#777777"}
CONDITIONS = {"clean": "clean", "6": "6 dB of kitchen noise"}


def main(path: str) -> None:
    found = json.loads((RESULTS / "direct_meaning.json").read_text(encoding="utf-8"))
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    for axes, (snr, title) in zip(panels, CONDITIONS.items(), strict=True):
        curves(axes, [row for row in found["curves"] if row["snr"] == snr])
        without_orders(axes, found["rows"], f"orders, {'clean' if snr == 'clean' else snr + ' dB'}")
        axes.set(title=title, xlabel="real orders in training", ylim=(0, 103))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("orders understood, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=120)
    print(f"drawn: {path}")


def curves(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """The direct networks, over the number of orders."""
    for name, colour in COLOURS.items():
        sizes = sorted({row["orders"] for row in rows if row["system"] == name})
        shares, n = [], rows[0]["of"]
        for size in sizes:
            shares.append(mean(row["right"] / n for row in rows
                               if (row["system"], row["orders"]) == (name, size)))  # fmt: skip
        limits = [(share, *wilson(round(share * n), n)) for share in shares]
        below = [100 * max(share - low, 0) for share, low, _ in limits]
        above = [100 * max(high - share, 0) for share, _, high in limits]
        axes.errorbar(sizes, [100 * share for share in shares], [below, above], color=colour,
                      marker="o", capsize=3, label=name)  # fmt: skip


def without_orders(axes: Axes, rows: Sequence[Sequence[str]], condition: str) -> None:
    """The systems that are trained on no order: a line and the band of its interval."""
    for name, colour in OTHERS.items():
        [share, interval] = [(row[2], row[3]) for row in rows if row[:2] == [condition, name]][0]
        low, high = (float(limit) for limit in interval.split("–"))
        value = float(share.split("=")[1].removesuffix("%"))
        axes.axhline(value, color=colour, linestyle="--", label=f"{name}: no order")
        axes.axhspan(low, high, color=colour, alpha=0.12)


if __name__ == "__main__":
    main(sys.argv[1])
