"""The HMMs of a model as a value: its laws, and the look-up of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from factored_asr.acoustic import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE, Topology
from factored_asr.acoustic.topology import scaled, word_symbols
from factored_asr.errors import OptionError


def topology(**changes: Any) -> Topology:
    """Phones A and SIL; A has one unit after SIL and another after itself, SIL one of one state."""
    units = np.zeros((2 * N_POSITIONS, 2, 1), np.int32)
    units[:N_POSITIONS, 1], units[N_POSITIONS:] = 1, 2
    half = np.full((3, 2), np.log(0.5), np.float32)
    skip = np.full((3, 2), -np.inf)
    skip[0, 0] = np.log(0.1)
    parts: dict[str, Any] = {
        "phones": ("A", "SIL"), "silence": "SIL", "fillers": ("SIL",), "unit_phone": [0, 0, 1],
        "entry_pdf": [[0, 1], [2, 3], [4, -1]], "loop_pdf": [[5, 6], [5, 6], [4, -1]],
        "loop_log_prob": half, "exit_log_prob": half, "skip_log_prob": skip, "alone": [-1, 2],
        "unit_of": units, "left_class": np.repeat([1, 0], N_POSITIONS),
    }  # fmt: skip
    return Topology(**{**parts, **changes})


def test_units_are_looked_up_by_the_classes_of_their_neighbours() -> None:
    a, sil = BEGIN, N_POSITIONS + SINGLE
    assert topology().units_of([a, a, sil, a]).tolist() == [0, 1, 2, 0]
    assert topology(edge=(1, 0)).units_of([a, sil]).tolist() == [1, 2]
    assert topology().units_of([]).tolist() == []
    assert topology().n_states.tolist() == [2, 2, 1]
    with pytest.raises(OptionError, match=r"symbols must lie in 0\.\.7"):
        topology().units_of([8])


def test_free_pdfs_are_those_of_phones_out_of_context_and_of_the_blank() -> None:
    assert topology().free_pdfs.tolist() == [4]
    assert topology(blank_pdf=9, alone=[1, 2]).free_pdfs.tolist() == [2, 3, 4, 5, 6, 9]
    assert topology(alone=[-1, -1]).free_pdfs.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_places_in_a_word() -> None:
    assert [symbol % 4 for symbol in word_symbols([0, 0, 0, 0])] == [BEGIN, INTERNAL, INTERNAL, END]
    assert word_symbols([1]) == [4 + SINGLE] and word_symbols([]) == []


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"phones": ("A", "A")}, "phones must be distinct"),
        ({"silence": "sil"}, "'sil' is not a phone"),
        ({"entry_pdf": [0, 1, 2]}, "must be .n_units, max_states."),
        ({"loop_pdf": [[0], [0], [0]]}, r"loop_pdf must be \(3, 2\)"),
        ({"unit_phone": [0, 0, 2]}, r"unit_phone must lie in 0\.\.1"),
        ({"unit_phone": [0, 0]}, r"unit_phone must be \(3,\)"),
        ({"entry_pdf": [[0, 1], [-1, 3], [4, -1]]}, "a unit needs a state"),
        ({"loop_pdf": [[5, 6], [5, -1], [4, -1]]}, "for the same states"),
        ({"exit_log_prob": np.full((3, 2), -np.inf)}, "cannot be left"),
        ({"loop_log_prob": np.full((3, 2), np.nan)}, "loop_log_prob must be numbers"),
        ({"skip_log_prob": np.zeros((3, 2))}, "no next state to skip"),
        ({"unit_of": np.zeros((2, 1, 1))}, r"unit_of must be \(8, n_left_classes"),
        ({"unit_of": np.full((8, 2, 1), 3)}, r"unit_of must lie in 0\.\.2"),
        ({"unit_of": np.zeros((8, 2, 1))}, "a unit of another phone than its symbol's"),
        ({"left_class": np.full(8, 2)}, r"left_class must lie in 0\.\.1"),
        ({"right_class": np.ones(8)}, r"right_class must lie in 0\.\.0"),
        ({"alone": [2, -1]}, "alone names a unit of another phone"),
        ({"edge": (2, 0)}, r"left class of edge must lie in 0\.\.1"),
    ],
)  # fmt: skip
def test_what_a_topology_must_be(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(OptionError, match=law):
        topology(**changes)


def test_transitions_without_weight_cost_nothing_and_stay_impossible() -> None:
    assert scaled(0.0, np.array([-1.0, -np.inf])).tolist() == [0.0, np.inf]
    assert scaled(0.5, np.array([-1.0, -np.inf])).tolist() == [0.5, np.inf]
