"""Changes of the encoder that come with a head: of each matrix a product of two narrow ones.

The encoder's own weights come from another package and are not copied. What training changed of
them is small: W + down · up, where `down` has a few columns and `up` a few rows (E. Hu and others,
"LoRA: low-rank adaptation of large language models", 2021). They are added once, when a
recogniser is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from factored_asr.acoustic.network.encoder import Encoder
from factored_asr.errors import FormatError

CONVOLUTIONS = ("conv2", "conv3")
MATRICES = ("query_key_value", "out", "wide", "narrow")
"""Matrices of the encoder, and of each block, that may change; of block 2 they are ``2_out`` …"""
GROUP_NORM = "group_norm"
MAX_RANK = 64


@dataclass(frozen=True, eq=False)
class Changes:
    """What is added to an encoder's weights."""

    low_rank: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """By the name of a matrix: (n_inputs, rank) and (rank, n_outputs) float32."""
    group_norm: np.ndarray | None = None
    """(2, 288) float32: takes the place of the encoder's; None: that stays."""

    def __call__(self, encoder: Encoder) -> Encoder:
        """Return the encoder with the changes; ValueError where they do not fit it."""
        self.check(encoder)

        def changed(part: Any, names: tuple[str, ...], before: str = "") -> dict[str, np.ndarray]:
            pairs = {name: self.low_rank.get(before + name) for name in names}
            return {name: np.ascontiguousarray(getattr(part, name) + pair[0] @ pair[1])
                    for name, pair in pairs.items() if pair is not None}

        blocks = tuple(replace(block, **changed(block, MATRICES, f"{number}_"))
                       for number, block in enumerate(encoder.blocks))  # fmt: skip
        norm = encoder.group_norm if self.group_norm is None else self.group_norm
        return replace(encoder, blocks=blocks, group_norm=norm, **changed(encoder, CONVOLUTIONS))

    def check(self, encoder: Encoder) -> None:
        """Raise ValueError where the changes do not fit the encoder."""
        shapes = {name: getattr(encoder, name).shape for name in CONVOLUTIONS}
        for number, block in enumerate(encoder.blocks):
            shapes |= {f"{number}_{name}": getattr(block, name).shape for name in MATRICES}
        for name, (down, up) in self.low_rank.items():
            if shapes.get(name) != (len(down), up.shape[1]):
                raise ValueError(f"changes of {name}, {len(down)} by {up.shape[1]}: the encoder's "
                                 f"is {shapes.get(name)}")
        norm = self.group_norm
        if norm is not None and norm.shape != encoder.group_norm.shape:
            raise ValueError(f"{GROUP_NORM} of shape {norm.shape}")

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        norm = 0 if self.group_norm is None else self.group_norm.size
        return norm + sum(down.size + up.size for down, up in self.low_rank.values())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a head's file: ``down_2_out``, ``up_2_out``, …, ``group_norm``."""
        found = {} if self.group_norm is None else {GROUP_NORM: self.group_norm}
        for name, pair in self.low_rank.items():
            found |= dict(zip((f"down_{name}", f"up_{name}"), pair, strict=True))
        return found

    @staticmethod
    def from_arrays(values: Mapping[str, np.ndarray]) -> Changes | None:
        """Return the changes that a head's file holds; None where there are none.

        Raises FormatError where an array is missing, no matrix, too large, or not finite.
        """
        names = sorted({name.split("_", 1)[1] for name in values
                        if name.startswith(("down_", "up_"))})
        if not names and GROUP_NORM not in values:
            return None
        pairs = {}
        for name in names:
            down, up = (_matrix(values, f"{part}_{name}") for part in ("down", "up"))
            if down.shape[1] != up.shape[0] or down.shape[1] > MAX_RANK:
                raise FormatError(f"down_{name} {down.shape} and up_{name} {up.shape} do not fit, "
                                  f"or have a rank above {MAX_RANK}")
            pairs[name] = down, up
        return Changes(pairs, _matrix(values, GROUP_NORM) if GROUP_NORM in values else None)


def _matrix(values: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in values:
        raise FormatError(f"lacks {name}")
    found = np.ascontiguousarray(values[name], np.float32)
    if found.ndim != 2 or not np.isfinite(found).all():
        raise FormatError(f"{name} {found.shape} must be a matrix of finite numbers")
    return found
