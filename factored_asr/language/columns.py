"""An n-gram model as a folder of arrays, mapped into memory: millions of n-grams at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.language.ngram import EPSILON, NGramModel, NGramOrder

FORMAT, VERSION = "factored_asr n-grams", 1
COLUMNS = {"parent": np.int32, "word": np.int32, "log_prob": np.float32, "backoff": np.float32}


def write_columns(model: NGramModel, folder: str | Path) -> None:
    """Write a model's columns as .npy files, its words as lines, and a manifest."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for n, order in enumerate(model.orders, start=1):
        for name in COLUMNS:
            np.save(folder / f"{n}.{name}.npy", getattr(order, name))
    (folder / "words.txt").write_text("\n".join(model.vocabulary) + "\n", encoding="utf-8")
    manifest = {"format": FORMAT, "version": VERSION, "counts": model.counts}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read_columns(folder: str | Path) -> NGramModel:
    """Map what `write_columns` wrote; nothing is copied until it is looked at.

    Raises
    ------
    FormatError
        The folder holds something else, or its arrays do not fit together.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
            raise FormatError(f"expected {FORMAT}, version {VERSION}", folder / "manifest.json")
        words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")[:-1]
        orders = tuple(
            _order(folder, n, int(count)) for n, count in enumerate(manifest["counts"], start=1)
        )
    except FormatError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"no n-gram model: {error!r}", folder) from error
    for lower, upper in zip(orders, orders[1:], strict=False):
        if len(upper) and not 0 <= upper.parent[0] <= upper.parent[-1] < len(lower):
            raise FormatError("histories of n-grams lie outside the order below", folder)
    return NGramModel((EPSILON, *words), orders)


def _order(folder: Path, n: int, count: int) -> NGramOrder:
    columns = {}
    for name, dtype in COLUMNS.items():
        file = folder / f"{n}.{name}.npy"
        column = np.load(file, mmap_mode="r", allow_pickle=False) if count else np.zeros(0, dtype)
        if column.shape != (count,) or column.dtype != dtype:
            raise FormatError(f"expected ({count},) {np.dtype(dtype)}, got {column.dtype}", file)
        columns[name] = column
    return NGramOrder(**columns)
