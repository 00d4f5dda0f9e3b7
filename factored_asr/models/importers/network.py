"""A network as files: its head as ``head.npz``; the encoder comes from a package of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factored_asr.acoustic.network import NetworkModel, read_encoder, read_head, write_head
from factored_asr.acoustic.network.moonshine import PACKAGE, VERSION
from factored_asr.models.facts import names, text

MODEL = NetworkModel
HEAD = "head.npz"
ENCODER = f"{PACKAGE}=={VERSION} tiny-en"


def read(folder: Path, facts: Mapping[str, Any]) -> NetworkModel:
    """Read a model; errors of any sort where the facts do not fit."""
    if text(facts, "encoder") != ENCODER:
        raise ValueError(f"an encoder {facts['encoder']!r}, this program has {ENCODER!r}")
    weight, head = float(facts["prior_weight"]), read_head(folder / HEAD)
    if not 0 <= weight < float("inf"):
        raise ValueError(f"prior_weight {weight} must be at least 0")
    if names(facts, "phones") != head.phones[1:]:
        raise ValueError(f"phones that are not those of {HEAD}")
    return NetworkModel(read_encoder(), head, weight)


def write(folder: Path, model: NetworkModel) -> dict[str, Any]:
    """Write the head of a model; return the facts that go with it."""
    write_head(folder / HEAD, model.head)
    return {"encoder": ENCODER, "prior_weight": model.prior_weight, "phones": model.phones}
