"""Random topologies, and a model that has nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import Topology

N_PHONES = 3
RANDOM_KINDS = {
    "triphones": {}, "left context": {"right": False}, "blank": {"right": False, "blank": True},
    "skips": {"skips": True}, "two pdfs": {"pdfs": 2},
}
"""Options of `random_topology`, by what they make."""


def random_topology(
    rng: np.random.Generator, *, right: bool = True, pdfs: int = 1, skips: bool = False,
    blank: bool = False,
) -> Topology:
    """Units of one to three states that depend on context at random; costs are quarters.

    `pdfs`: 1, or 2 where entering and staying in a state differ.
    """
    n_units, n_symbols = 12, 4 * N_PHONES
    length = rng.integers(1, 4, (n_units, 1))
    real = np.arange(3) < length
    entry = np.where(real, rng.integers(0, 9, (n_units, 3)), -1)
    loop = entry if pdfs == 1 else np.where(real, rng.integers(9, 14, (n_units, 3)), -1)
    phone = np.arange(n_units) % N_PHONES
    # Units k, k + 3, k + 6, k + 9 are of phone k; left classes 0 and 1 need not be told apart.
    unit_of = phone[np.arange(n_symbols) // 4][:, None, None] + 3 * rng.integers(
        0, 4, (n_symbols, N_PHONES, N_PHONES if right else 1)
    )
    unit_of[:, 1] = unit_of[:, 0]
    skip = np.where(rng.random((n_units, 3)) < 0.5, -rng.integers(0, 8, (n_units, 3)) / 4, -np.inf)
    classes = rng.permutation(np.arange(n_symbols) % N_PHONES)
    return Topology(
        ("A", "B", "C"), "C", ("C",), phone, entry, loop, -rng.integers(0, 8, (n_units, 3)) / 4,
        -rng.integers(0, 8, (n_units, 3)) / 4, [0, 1, 2], unit_of, classes,
        classes if right else np.zeros(n_symbols),
        np.where((np.arange(3) < length - 1) & skips, skip, -np.inf), 20 if blank else -1,
    )  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What a graph needs of an acoustic model."""

    topology: Topology
    frame_seconds: float = 0.01
