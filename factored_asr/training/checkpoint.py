"""Checkpoints: the state of training on disk, without pickle.

A checkpoint is one ``.npz`` file: arrays, and a JSON text that says which fields of which frozen
dataclasses they are. An interruption at any moment leaves the old file or the new one.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.storage.reading import parse_json, read_arrays
from factored_asr.storage.writing import whole_file
from factored_asr.training.alignment import StateAlignment, Trained
from factored_asr.training.em import PassReport

VERSION = 1
ROOM = "factored_asr."  # only classes of our own are made from a file
TEXT = "text"
_FORMER = {
    "acoustic.model:AcousticModel": "acoustic.gmm.model:GmmModel",
    "acoustic.gmm:DiagonalMixtures": "acoustic.gmm.mixtures:DiagonalMixtures",
    "acoustic.gmm:TiedMixtures": "acoustic.gmm.mixtures:TiedMixtures",
    "acoustic.tree:DecisionTree": "acoustic.gmm.tree:DecisionTree",
}
"""Classes in checkpoints of earlier versions, and where they are now."""


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a stage after one of its passes."""

    key: str
    """Digest of data, lexicon and options."""
    stage: str
    number: int
    """Passes done."""
    done: bool
    """Whether the stage is finished."""
    trained: Trained
    log: tuple[PassReport, ...]
    """Reports of all passes so far, also of earlier stages."""

    def write(self, path: str | Path) -> None:
        """Write it; the old file is replaced once the new one is safe on disk."""
        arrays: dict[str, np.ndarray] = {}
        trained = dataclasses.replace(self.trained, alignments=())
        value = dataclasses.replace(self, trained=trained)
        text = json.dumps({
            "version": VERSION, "value": _pack(value, arrays),
            "alignments": _pack(_joined(self.trained.alignments), arrays),
        })  # fmt: skip
        arrays[TEXT] = np.frombuffer(text.encode(), np.uint8)
        with whole_file(path, unique=False) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, path: str | Path) -> Checkpoint:
        """Read a checkpoint; FormatError if the file is none, or one of another version."""
        try:
            arrays = read_arrays(path)
            text = parse_json(arrays.pop(TEXT).tobytes().decode("utf-8"))
            if text["version"] != VERSION:
                raise FormatError(f"version {text['version']}, must be {VERSION}", path)
            found = _unpack(text["value"], arrays)
            alignments = _parted(*_unpack(text["alignments"], arrays))
            if not (isinstance(found, cls) and isinstance(found.trained, Trained)):
                raise FormatError("no checkpoint of training", path)
            trained = dataclasses.replace(found.trained, alignments=alignments)
            return dataclasses.replace(found, trained=trained)
        except (ValueError, LookupError, TypeError, AttributeError, ImportError) as error:
            raise FormatError(f"no whole checkpoint of training: {error}", path) from error


def _pack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return JSON for a value; its arrays are added to `arrays` under a number."""
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if dataclasses.is_dataclass(value):
        kind = type(value)
        names = [field.name for field in dataclasses.fields(value) if field.init]
        fields = {name: _pack(getattr(value, name), arrays) for name in names}
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    if isinstance(value, tuple):
        return {"tuple": [_pack(each, arrays) for each in value]}
    if isinstance(value, Mapping):
        return {"map": [[_pack(k, arrays), _pack(v, arrays)] for k, v in value.items()]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no place in a checkpoint")


def _unpack(text: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(text, dict):
        return text
    if "array" in text:
        return arrays[text["array"]]
    if "tuple" in text:
        return tuple(_unpack(each, arrays) for each in text["tuple"])
    if "map" in text:
        return {_unpack(key, arrays): _unpack(each, arrays) for key, each in text["map"]}
    room, place = text["class"][: len(ROOM)], text["class"][len(ROOM) :]
    if room != ROOM:
        raise ValueError(f"a value of the foreign class {text['class']}")
    module, name = _FORMER.get(place, place).split(":")
    kind = getattr(importlib.import_module(ROOM + module), name)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ValueError(f"{text['class']} is no record")
    found = {key: _unpack(each, arrays) for key, each in text["fields"].items()}
    return kind.from_dict(found) if hasattr(kind, "from_dict") else kind(**found)


def _joined(alignments: tuple[StateAlignment | None, ...]) -> tuple[np.ndarray, ...]:
    """Return alignments as four arrays: sizes (-1: none), then all of them."""
    sizes = [(-1, -1) if a is None else (len(a.phones), len(a.state)) for a in alignments]
    there = [a for a in alignments if a is not None]
    none = np.zeros(0, np.int32)
    return (
        np.array(sizes, np.int64).reshape(-1, 2),
        np.concatenate([np.zeros((0, 4), np.int32), *(a.phones for a in there)]),
        np.concatenate([none, *(a.segment for a in there)]),
        np.concatenate([none, *(a.state for a in there)]),
    )


def _parted(
    sizes: np.ndarray, phones: np.ndarray, segment: np.ndarray, state: np.ndarray
) -> tuple[StateAlignment | None, ...]:
    ends = np.cumsum(np.maximum(sizes, 0), axis=0)
    found: list[StateAlignment | None] = []
    for (n_segments, n_frames), (s, f) in zip(sizes.tolist(), ends.tolist(), strict=True):
        if n_segments < 0:
            found.append(None)
        else:
            frames = slice(f - n_frames, f)
            found.append(StateAlignment(phones[s - n_segments : s], segment[frames], state[frames]))
    return tuple(found)
