"""A GMM acoustic model as plain arrays: ``GROUP.NAME.npy``, and facts for the manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.tree import DecisionTree
from factored_asr.features import FeatureOptions
from factored_asr.models.facts import names, record, text
from factored_asr.models.kinds import MANIFEST
from factored_asr.storage.reading import as_record, read_array, tuples

MODEL = GmmModel
DENSITIES = {"diagonal": DiagonalMixtures, "tied": TiedMixtures}
_ARRAYS = ("hmm_pdfs", "hmm_phone", "hmm_loop_log_probs", "hmm_exit_log_probs", "triphone_contexts",
           "triphone_hmms", "transform")


def read(folder: Path, facts: Mapping[str, Any]) -> GmmModel:
    """Read a model; errors of any sort where arrays and facts do not fit."""
    kind, more = DENSITIES[text(facts, "densities")], tuples(record(facts, "more"))
    densities = kind(**_read(folder, "density"), **more)
    tree, first_pass = _read(folder, "tree"), _read(folder, "first_pass")
    phones, arrays = names(facts, "phones"), _read(folder, "model")
    if others := set(arrays).difference(_ARRAYS):
        raise ValueError(f"a model has no array {min(others)!r}")
    return GmmModel(
        phones, text(facts, "silence"), names(facts, "fillers"),
        as_record(FeatureOptions, record(facts, "features"), folder / MANIFEST), densities,
        **arrays,
        tree=DecisionTree(phones, **tree) if tree else None,
        first_pass=kind(**first_pass, **more) if first_pass else None,
    )


def write(folder: Path, model: GmmModel) -> dict[str, Any]:
    """Write the arrays of a model; return what of it is no array."""
    (kind,) = (name for name, cls in DENSITIES.items() if isinstance(model.densities, cls))
    _write(folder, "model", {name: getattr(model, name) for name in _ARRAYS})
    more = _write(folder, "density", _fields(model.densities))
    _write(folder, "first_pass", _fields(model.first_pass))
    _write(folder, "tree", _fields(model.tree))
    return {"phones": model.phones, "silence": model.silence, "fillers": model.fillers,
            "features": dataclasses.asdict(model.features), "densities": kind, "more": more}


def _fields(record: Any) -> dict[str, Any]:
    if record is None:
        return {}
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _read(folder: Path, group: str) -> dict[str, Any]:
    """Arrays by their names without the group."""
    files = sorted(folder.glob(f"{group}.*.npy"))
    return {file.name.split(".")[1]: read_array(file) for file in files}


def _write(folder: Path, group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the arrays among some values; return the others."""
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{group}.{name}.npy", value, allow_pickle=False)
    return {name: v for name, v in values.items() if not isinstance(v, np.ndarray)}
