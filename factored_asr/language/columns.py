"""N-gram models as folders of memory-mapped arrays: millions of n-grams load at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.language.ngram import EPSILON, NGramModel, NGramOrder
from factored_asr.storage.reading import read_array, read_json, read_text, seal_of

FORMAT, VERSION = "factored_asr n-grams", 1
COLUMNS = {"parent": np.int32, "word": np.int32, "log_prob": np.float32, "backoff": np.float32}


def write_columns(model: NGramModel, folder: str | Path) -> None:
    """Write a model's columns as .npy files, its words as lines, and a manifest.

    Back-off weights of an order that has none, as the longest, take no room.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_columns(estimate([["yes", "please"]]), folder)
    >>> sorted(file.name for file in folder.iterdir())[:3]
    ['1.backoff.npy', '1.log_prob.npy', '1.parent.npy']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    longest = [n for n, order in enumerate(model.orders, start=1) if not order.backoff.any()]
    for n, order in enumerate(model.orders, start=1):
        for name in COLUMNS:
            if name != "backoff" or n not in longest:
                np.save(folder / f"{n}.{name}.npy", getattr(order, name))
    (folder / "words.txt").write_text("\n".join(model.vocabulary) + "\n", encoding="utf-8")
    manifest = {"format": FORMAT, "version": VERSION, "counts": model.counts,
                "without_backoff": longest, "seal": seal_of(folder)}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read_columns(folder: str | Path) -> NGramModel:
    """Map a folder of `write_columns` into memory; nothing is read before its use.

    Whether the n-grams refer to one another as they must is checked where a file has changed since
    it was written. Raises FormatError if the folder holds something else, or its arrays do not fit
    together.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.language import estimate
    >>> folder = tempfile.mkdtemp()
    >>> write_columns(estimate([["yes", "please"]]), folder)
    >>> read_columns(folder).counts
    (5, 3, 2)
    """
    folder = Path(folder)
    try:
        manifest = read_json(folder / "manifest.json")
        if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
            raise FormatError(f"expected {FORMAT}, version {VERSION}", folder / "manifest.json")
        words = (EPSILON, *read_text(folder / "words.txt").split("\n")[:-1])
        orders = _orders(folder, manifest)
        if manifest.get("seal") == seal_of(folder):
            return NGramModel(words, orders)
        _check(NGramModel(words, orders), folder)
    except FormatError:
        raise
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise FormatError(f"no n-gram model: {error}", folder) from error
    del orders  # and with them the pages that were read
    return NGramModel(words, _orders(folder, manifest))


def _check(model: NGramModel, folder: Path) -> None:
    """Raise FormatError unless rows are sorted and refer to existing rows and words."""
    if len(set(model.words)) < len(model.words):
        raise FormatError("a word comes twice", folder / "words.txt")
    if (model.orders[0].word != np.arange(1, len(model.words))).any():
        raise FormatError("row i of the unigrams must be word i + 1", folder)
    n_below = 1
    for n, at in enumerate(model.orders, start=1):
        if len(at) and not (0 <= at.parent.min() <= at.parent.max() < n_below
                            and 0 < at.word.min() <= at.word.max() < len(model.words)):
            raise FormatError(f"a history or a word of order {n} lies outside the model", folder)
        if (np.diff(at.parent.astype(np.int64) * len(model.words) + at.word) <= 0).any():
            raise FormatError(f"n-grams of order {n} are out of order, or come twice", folder)
        if not (np.isfinite(at.log_prob).all() and np.isfinite(at.backoff).all()):
            raise FormatError(f"order {n} has a log probability that is not finite", folder)
        n_below = len(at)


def _orders(folder: Path, manifest: Mapping[str, Any]) -> tuple[NGramOrder, ...]:
    longest = manifest.get("without_backoff", ())
    return tuple(_order(folder, n, int(count), n not in longest)
                 for n, count in enumerate(manifest["counts"], start=1))


def _order(folder: Path, n: int, count: int, has_backoff: bool) -> NGramOrder:
    columns = {}
    for name, dtype in COLUMNS.items():
        file = folder / f"{n}.{name}.npy"
        column = np.zeros(count if name == "backoff" else 0, dtype)  # takes no memory until read
        if count and (has_backoff or name != "backoff"):
            column = read_array(file, mapped=True)
        if column.shape != (count,) or column.dtype != dtype:
            raise FormatError(f"expected ({count},) {np.dtype(dtype)}, got {column.dtype}", file)
        columns[name] = column
    return NGramOrder(**columns)
