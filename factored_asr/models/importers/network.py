"""A network as files: its head as ``head.npz``; the encoder comes from a package of its own.

A second head, ``taught.npz``, may bring changes of the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from factored_asr.acoustic.network import NetworkModel, read_encoder, read_head, write_head
from factored_asr.acoustic.network.moonshine import PACKAGE, VERSION
from factored_asr.models.facts import names, text
from factored_asr.storage.reading import is_file

MODEL = NetworkModel
HEAD, TAUGHT = "head.npz", "taught.npz"
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
    if head.changes is not None:
        raise ValueError(f"{HEAD} changes the encoder: that is for {TAUGHT}")
    model = NetworkModel(read_encoder(), head, weight)
    if not is_file(folder / TAUGHT):
        return model
    taught = read_head(folder / TAUGHT)
    if taught.changes is None or taught.phones != head.phones:
        raise ValueError(f"{TAUGHT} brings no changes, or its phones are not those of {HEAD}")
    taught.changes.check(model.encoder)
    return replace(model, taught_head=taught)


def write(folder: Path, model: NetworkModel) -> dict[str, Any]:
    """Write the head of a model; return the facts that go with it."""
    write_head(folder / HEAD, model.head)
    if model.taught_head is not None:
        write_head(folder / TAUGHT, model.taught_head)
    return {"encoder": ENCODER, "prior_weight": model.prior_weight, "phones": model.phones}
