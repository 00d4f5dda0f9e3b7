"""A chain model as files: arrays in three ``.npz``, and facts for the manifest."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.nnet3 import (
    ChainModel,
    IvectorExtractor,
    KaldiFeatures,
    Layer,
    Network,
)
from factored_asr.acoustic.topology import Topology
from factored_asr.models.facts import names, record, text, whole
from factored_asr.models.kinds import MANIFEST
from factored_asr.storage.reading import as_record, read_arrays

MODEL = ChainModel
NETWORK, IVECTOR, TOPOLOGY = "network.npz", "ivector.npz", "topology.npz"
_UNITS = tuple(field.name for field in dataclasses.fields(Topology)
               if field.name not in ("phones", "silence", "fillers", "blank_pdf", "edge"))


def read(folder: Path, facts: Mapping[str, Any]) -> ChainModel:
    """Read a model; errors of any sort where arrays and facts do not fit."""
    network, arrays = read_network(folder, facts)
    topology = Topology(
        names(facts, "phones"), text(facts, "silence"), names(facts, "fillers"),
        **read_arrays(folder / TOPOLOGY), blank_pdf=-1, edge=_edge(facts["edge"]),
    )
    extractor = None
    if facts["ivector"] is not None:
        arrays_of, numbers = read_arrays(folder / IVECTOR), record(facts, "ivector")
        if both := set(arrays_of).intersection(numbers):
            raise ValueError(f"ivector: {min(both)!r} is an array, and a number")
        values: dict[str, Any] = {**arrays_of, **numbers}
        extractor = IvectorExtractor(**values)
    features = as_record(KaldiFeatures, record(facts, "features"), folder / MANIFEST)
    return ChainModel(topology, features, network, extractor, arrays.get("log_priors"),
                      whole(facts, "frames_per_chunk"))


def read_network(folder: Path, facts: Mapping[str, Any]) -> tuple[Network, dict[str, np.ndarray]]:
    """Read a network and the arrays that lie with it; errors of any sort where they do not fit."""
    arrays = read_arrays(folder / NETWORK)
    described = record(facts, "layers")
    layers = {name: _layer(name, record(described, name), arrays) for name in described}
    return Network(names(facts, "nodes"), layers, whole(facts, "step")), arrays


def write_network(
    folder: Path, network: Network, more: Mapping[str, np.ndarray] | None = None
) -> dict[str, Any]:
    """Write a network, and `more` arrays by name; return what of it is no array."""
    arrays = {f"{name}/{key}": array for name, layer in network.layers.items()
              for key, array in layer.arrays.items()}
    _save(folder / NETWORK, {**arrays, **(more or {})})
    layers = {name: {"kind": layer.kind, "dim_in": layer.dim_in, "dim_out": layer.dim_out,
                     "arrays": list(layer.arrays), "facts": dict(layer.facts)}
              for name, layer in network.layers.items()}
    return {"nodes": network.lines, "layers": layers, "step": network.step}


def write(folder: Path, model: ChainModel) -> dict[str, Any]:
    """Write the arrays of a model; return what of it is no array."""
    topology, ex = model.topology, model.extractor
    priors = {} if model.log_priors is None else {"log_priors": model.log_priors}
    network = write_network(folder, model.network, priors)
    _save(folder / TOPOLOGY, {name: getattr(topology, name) for name in _UNITS})
    numbers = None
    if ex is not None:
        values = {field.name: getattr(ex, field.name) for field in dataclasses.fields(ex)}
        numbers = {name: v for name, v in values.items() if not isinstance(v, np.ndarray)}
        _save(folder / IVECTOR, {n: v for n, v in values.items() if n not in numbers})
    units = hashlib.sha256()
    for name in _UNITS:
        units.update(getattr(topology, name).tobytes())
    return {"units": units.hexdigest(), "phones": topology.phones, "silence": topology.silence,
            "fillers": topology.fillers, "edge": topology.edge,
            "features": dataclasses.asdict(model.features),
            **network, "ivector": numbers, "frames_per_chunk": model.frames_per_chunk}


def _save(file: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(file, **arrays)


def _layer(name: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Layer:
    own = {key: arrays[f"{name}/{key}"] for key in names(facts, "arrays")}
    return Layer(text(facts, "kind"), whole(facts, "dim_in"), whole(facts, "dim_out"), own,
                 record(facts, "facts"))


def _edge(classes: Any) -> tuple[int, int]:
    """The classes of the neighbours at the ends of an utterance."""
    if not (isinstance(classes, list) and len(classes) == 2
            and all(isinstance(each, int) for each in classes)):
        raise ValueError(f"edge must be two integers, is {classes!r:.80}")
    return classes[0], classes[1]
