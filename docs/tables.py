"""Tables of the documentation, made from the JSON files that commands have written.

    python docs/tables.py

writes benchmarks.md from tests/bench/results/, and in the other pages what stands between
``<!-- table: NAME -->`` and ``<!-- end -->`` from examples/results/. A test checks that the pages
are what this makes of the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from factored_asr._deprecated import MODULES, NAMES
from factored_asr.evaluation.significance import wilson

DOCS = Path(__file__).resolve().parent
BENCHES = DOCS.parent / "tests" / "bench" / "results"
EXAMPLES = DOCS.parent / "examples" / "results"
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

ABOUT_BENCHMARKS = """\
# Benchmarks

[What it reaches](what-it-reaches.md) is the summary. Each table was written by the command above
it, on one core of a small virtual machine. The load stands below it, since timings of a busy
machine are worth less. `python docs/tables.py` made this page. How figures are taken, and what was
tried on the way, is in `tests/bench/README.md`.
Rows of tools that did not help are kept as history: the code of subtraction, wiener, log-mmse,
variance, quantiles, again and 3 kinds was removed.
"""


def main() -> None:
    """Write every page that has tables."""
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Every page with tables, and what it should say."""
    made = {DOCS / "benchmarks.md": benchmarks()}
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if MARKED.search(text):
            made[page] = MARKED.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)
    return made


def benchmarks() -> str:
    """The page of all benchmark tables."""
    parts = [ABOUT_BENCHMARKS]
    for file in sorted(BENCHES.glob("*.json")):
        each = json.loads(file.read_text(encoding="utf-8"))
        parts.append(f"## {each['title']}\n\n```sh\n{each['command']}\n```\n\n"
                     f"{table(each['header'], each['rows'])}\n{each['load']}\n")  # fmt: skip
    return "\n".join(parts)


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    cells = ([str(cell).replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


# --- example 08 ---------------------------------------------------------------------------------


def priors() -> str:
    """Orders understood by prior and noise, at the acoustic scale of commands, with intervals."""
    found = example("08")
    conditions = [snr if snr == "clean" else f"{float(snr):.0f} dB" for snr in found["snrs"]]
    return table(["what could have been said", *conditions], (
        [prior, *(with_interval(row[found["scales"].index(0.2)], found["orders"]) for row in rows)]
        for prior, rows in found["understood"].items()
    ))  # fmt: skip


def with_interval(share: float, n: int) -> str:
    """A share with its 95 % interval, in %."""
    low, high = wilson(round(share * n), n)
    return f"{100 * share:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


# --- example 09 ---------------------------------------------------------------------------------


def curves() -> str:
    """Systems by minutes of AN4: the mean over seeds of rates and of their intervals."""
    return by_task("an4, ", shown)


def cost() -> str:
    """Systems by minutes of AN4: the mean of the seconds of training."""
    return by_task("an4, ", lambda rows: f"{mean(row['seconds'] for row in rows):.0f} s")


def digits() -> str:
    """Systems by speakers left out."""
    return by_task("digits, ", shown)


def by_task(of: str, cell: Callable[[list[dict[str, Any]]], str]) -> str:
    """A row for each system, a column for each task that begins so."""
    rows = [row for row in example("09")["trained"] if row["task"].startswith(of)]
    tasks = {row["task"]: row["minutes"] for row in rows}
    systems = dict.fromkeys(row["system"] for row in rows)
    seeds = {task: len({row["seed"] for row in rows if row["task"] == task}) for task in tasks}
    names = [f"{minutes:.0f} min, {seeds[task]} seed{'s' * (seeds[task] > 1)}"
             if of == "an4, " else task.removeprefix(of)
             for task, minutes in tasks.items()]  # fmt: skip
    return table(["", *names], (
        [system, *(cell([row for row in rows if (row["task"], row["system"]) == (task, system)])
                   for task in tasks)]
        for system in systems
    ))  # fmt: skip


def ready() -> str:
    """en-us and the end-to-end recogniser that comes trained."""
    return table(["", "sounds", "system", "share", "CPU × real time"], (
        [f"{row['task']}: {row['measure']}", row["sounds"],
         "factored, en-us" if row["system"] == "ours" else f"end-to-end, {row['system']} tiny",
         shown([row]), f"{row['cpu']:.3f}"]
        for row in example("09")["ready"]
    ))  # fmt: skip


# --- example 10 ---------------------------------------------------------------------------------


def swaps() -> str:
    """Every combination of factors."""
    rows = example("10")["rows"]
    languages = dict.fromkeys(row["language"] for row in rows)
    cells = {(row["acoustic"], row["lexicon"], row["language"]): row for row in rows}
    pairs = dict.fromkeys((row["acoustic"], row["lexicon"]) for row in rows)
    return table(["acoustic model", "lexicon", *languages], (
        [*pair, *(shown([cells[*pair, name]]) for name in languages)] for pair in pairs
    ))  # fmt: skip


# --- example 14 ---------------------------------------------------------------------------------


def sharing() -> str:
    """Errors and cost of one trunk with four heads, and of four networks."""
    found = example("14")
    tasks = next(iter(found["systems"].values()))["errors"]
    return table(["", "weights", "CPU × real time", *tasks], (
        [name, f"{each['weights']:,}", f"{each['cpu']:.5f}",
         *(f"{100 * mean(rates):.1f} % ({100 * min(rates):.1f}–{100 * max(rates):.1f})"
           for rates in each["errors"].values())]
        for name, each in found["systems"].items()
    ))  # fmt: skip


def shown(rows: Sequence[dict[str, Any]]) -> str:
    """The mean of shares, and of their intervals."""
    rate, low, high = (100 * mean(row[key] for row in rows) for key in ("rate", "low", "high"))
    return f"{rate:.1f} % ({low:.1f}–{high:.1f})"


def example(number: str) -> dict[str, Any]:
    """What an example found."""
    [file] = EXAMPLES.glob(f"{number}_*.json")
    return dict(json.loads(file.read_text(encoding="utf-8")))


# --- from sound to meaning ----------------------------------------------------------------------


def meanings() -> str:
    """What each system understands of each kind of input."""
    found = bench("direct_meaning")
    return table(found["header"], found["rows"])


def meaning_curves() -> str:
    """Orders understood by the direct network over the orders that it was trained on."""
    rows = [row for row in bench("direct_meaning")["curves"] if row["snr"] == "clean"]
    sizes = sorted({row["orders"] for row in rows})

    def cell(system: str, n: int, kind: str) -> str:
        found = [row for row in rows if (row["system"], row["orders"]) == (system, n)]
        if not found:
            return "–"
        return with_interval(mean(row[kind] / row["of"] for row in found), found[0]["of"])

    kinds = {"right": "", "constrained": ", constrained"}
    return table(["trained on", *(f"{n} orders" for n in sizes)], (
        [system + name, *(cell(system, n, kind) for n in sizes)]
        for system in dict.fromkeys(row["system"] for row in rows) for kind, name in kinds.items()
    ))  # fmt: skip


def meaning_failures() -> str:
    """The first sentences of each kind on which each system fails."""
    rows, seen = [], dict[tuple[str, str], int]()
    for each in bench("direct_meaning")["failures"]:
        key = each["input"], each["system"]
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 2:
            slots = ", ".join(f"{name} {value}" for name, value in each["slots"].items())
            rows.append([*key, each["said"], each["words"] or "–", slots or "nothing"])
    return table(["input", "system", "said", "words", "understood"], rows)


def bench(name: str) -> dict[str, Any]:
    """What a benchmark found."""
    return dict(json.loads((BENCHES / f"{name}.json").read_text(encoding="utf-8")))


# --- old names ----------------------------------------------------------------------------------


def deprecated() -> str:
    """Old modules and names, which warn, and what they are called now."""
    modules = [(old, new) for old, new in MODULES.items()]
    names = [
        (f"{module}.{pair.partition('=')[0]}", f"{home}.{pair.rpartition('=')[2]}")
        for module, homes in NAMES.items() for home, pairs in homes.items()
        for pair in pairs.split()
    ]
    rows = [["deprecated", f"`factored_asr.{old}`", f"`factored_asr.{new}`"]
            for old, new in sorted(set(modules + names))]
    return table(["", "old name", "new name"], rows)


TABLES: dict[str, Callable[[], str]] = {
    each.__name__: each for each in (
        priors, curves, cost, digits, ready, swaps, meanings, meaning_curves, meaning_failures,
        sharing, deprecated,
    )
}

if __name__ == "__main__":
    main()
