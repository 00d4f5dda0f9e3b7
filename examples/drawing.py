"""What the examples share: where pictures go, the spoken words, a figure, a drawn transducer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from factored_asr.corpus.corpus import Corpus  # noqa: E402
from factored_asr.lexicon import Lexicon  # noqa: E402

HERE = Path(__file__).parent
ROOT = HERE.parent
BLUE, RED, GREY, GREEN = "#1f5fa8", "#b3261e", "#777777", "#2e7d4f"


@cache
def options() -> argparse.Namespace:
    """The command line: the same for every example."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=HERE / "output", help="where pictures go")
    parser.add_argument("--data", type=Path, help="folder of real recordings, where one uses them")
    parser.add_argument("--quick", action="store_true", help="a small run, where there is one")
    return parser.parse_args()


def output_folder() -> Path:
    """Where pictures and models go; made if need be."""
    folder: Path = options().output
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def figure(rows: int = 1, columns: int = 1, *, width: float, height: float) -> Any:
    """A figure and its axes."""
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained")


def save(drawing: Any, example: str) -> None:
    """Write a figure under the name of its example."""
    path = output_folder() / f"{Path(example).stem}.png"
    drawing.savefig(path, dpi=120)
    plt.close(drawing)
    print(f"drawn: {path}")


def found_by(example: str, measure: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What an example measures on the folder of --data, written down; without --data, what is
    committed of an earlier run."""
    name, folder = f"{Path(example).stem}.json", options().data
    if folder is None:
        committed = HERE / "results" / name
        if not committed.is_file():
            raise SystemExit(f"no results of an earlier run are there: give --data (see {example})")
        print(f"no --data: drawn from {name}, measured earlier")
        return dict(json.loads(committed.read_text(encoding="utf-8")))
    found = measure(folder)
    keep(example, found)
    print(f"written: {output_folder() / name}")
    return found


def begun(example: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a run with these settings found before it was broken off; else the settings alone."""
    path = output_folder() / f"{Path(example).stem}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    same = all(found.get(name) == value for name, value in settings.items())
    return found if found and same else dict(settings)


def keep(example: str, found: dict[str, Any]) -> None:
    """Write down what an example has found so far."""
    path = output_folder() / f"{Path(example).stem}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def read_corpus() -> Corpus:
    """Twenty words in eight synthetic voices."""
    return Corpus.read(HERE / "words")


def read_lexicon() -> Lexicon:
    """The pronunciations of the twenty words."""
    return Lexicon.read(HERE / "words" / "words.dict")
