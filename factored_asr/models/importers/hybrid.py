"""A hybrid model as files: those of its Gaussian mixtures and of its network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.models.importers import gmm
from factored_asr.models.importers.nnet3 import read_network, write_network

MODEL = HybridModel


def read(folder: Path, facts: Mapping[str, Any]) -> HybridModel:
    """Read a model; errors of any sort where arrays and facts do not fit."""
    weight = float(facts.get("gaussian_weight", 0.0))
    return HybridModel(gmm.read(folder, facts), read_network(folder, facts)[0], weight)


def write(folder: Path, model: HybridModel) -> dict[str, Any]:
    """Write the arrays of a model; return what of it is no array."""
    facts = {**gmm.write(folder, model.gmm), **write_network(folder, model.network)}
    return {**facts, "gaussian_weight": model.gaussian_weight} if model.gaussian_weight else facts
