"""Costs of HMM transitions, phone by phone: of a decoded path, and of the paths of a lattice.

A search knows the states of its path. A lattice keeps only when each phone of a path begins and
ends; within these times the cheapest path is the best one through the phone's HMM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from factored_asr.acoustic.alignment import align_spans
from factored_asr.acoustic.topology import N_POSITIONS, SINGLE, Topology, word_symbols
from factored_asr.graph import Graph
from factored_asr.lattice import Lattice, Path

Scores = Callable[[np.ndarray], Iterable[np.ndarray]]
"""Ascending pdfs to scaled log-likelihoods of a whole sound, block by block, a column a pdf."""


def units_of(topology: Topology, stretches: Iterable[tuple[Sequence[str], bool]]) -> np.ndarray:
    """Return the unit of each phone of a path in its context; -1 for CTC's blank.

    Parameters
    ----------
    stretches
        Phones, and whether they are those of a word, of the whole path in order.
    """
    index = {phone: i for i, phone in enumerate(topology.phones)}
    symbols = np.array([
        symbol
        for phones, is_word in stretches
        for symbol in (
            word_symbols([index[phone] for phone in phones]) if is_word
            else [index.get(phone, -1) * N_POSITIONS + SINGLE for phone in phones]
        )
    ], np.int64)
    units = np.full(len(symbols), -1)
    units[symbols >= 0] = topology.units_of(symbols[symbols >= 0])
    return units


def path_transitions(
    topology: Topology, scale: float, graph: Graph, path: Path, units: np.ndarray
) -> list[float]:
    """Return the transition costs of each phone of a path.

    Parameters
    ----------
    scale
        Weight of the transitions.
    units
        The unit of each phone of the path: `units_of`.
    """
    taken = graph.arcs[path.arcs]
    source = np.searchsorted(graph.first_arc, path.arcs, side="right") - 1
    stays = (taken["target"] == source)[taken["label"] != 0]
    phone, state = graph.label_phone[path.labels], graph.label_state[path.labels]
    costs = []
    for unit, segment in zip(units, path.phones, strict=True):
        here = np.arange(segment.start, segment.end)
        here = here[phone[here] == phone[segment.start]]  # blanks within a word cost nothing
        entered = state[here[~stays[here]]]
        whole = path.reached_final or segment.end < path.n_frames
        after = np.append(entered, topology.n_states[unit] if whole else entered[-1:] + 1)[1:]
        ways = np.where(after - entered == 2, topology.skip_log_prob[unit, entered],
                        topology.exit_log_prob[unit, entered])
        loops = topology.loop_log_prob[unit, state[here[stays[here]]]]
        total = ways.sum(dtype=np.float64) + loops.sum(dtype=np.float64)
        costs.append(-scale * float(total) if unit >= 0 else 0.0)
    return costs


def lattice_transitions(
    lattice: Lattice, paths: Sequence[Sequence[int]], topology: Topology, scale: float,
    score: Scores,
) -> list[float]:
    """Return the transition costs of paths of a lattice (arcs in order), by the best states.

    Parameters
    ----------
    scale
        Weight of the transitions.
    score
        Scores of the whole sound.
    """
    spans = [_spans(lattice, arcs, topology) for arcs in paths]
    distinct = sorted(set().union(*spans))
    if not distinct:
        return [0.0] * len(paths)
    topology = _with_blanks(topology) if topology.has_blank else topology
    unit, start, stop = np.array(distinct).T
    pdfs = np.union1d(topology.entry_pdf[unit], topology.loop_pdf[unit])
    pdfs = pdfs[pdfs >= 0]
    scores = np.concatenate(list(score(pdfs)))
    found = align_spans(topology, unit, start, stop, scores, pdfs, scale)
    costs = dict(zip(distinct, (-found.transitions).tolist(), strict=True))
    return [sum(costs[span] for span in path) for path in spans]


def _spans(
    lattice: Lattice, arcs: Sequence[int], topology: Topology
) -> list[tuple[int, int, int]]:
    """Unit, first frame and frame after the last of each phone but blanks.

    Where blanks may prolong a phone, because others of its word follow, the unit is that of
    `_with_blanks`.
    """
    segments = [lattice.segment(arc) for arc in arcs]
    units = units_of(topology,
                     (([p.phone for p in each.phones], bool(each.word_id)) for each in segments))
    phones = [
        (phone, topology.has_blank and phone is not each.phones[-1])
        for each in segments for phone in each.phones
    ]
    return [
        (unit + goes_on * topology.n_units, phone.start, phone.end)
        for unit, (phone, goes_on) in zip(units.tolist(), phones, strict=True) if unit >= 0
    ]


def _with_blanks(topology: Topology) -> Topology:
    """Return the topology with a second copy of each unit that blanks may follow."""
    rows, last = np.arange(topology.n_units), topology.n_states - 1
    copies = rows + topology.n_units
    ends = {"entry_pdf": topology.blank_pdf, "loop_pdf": topology.blank_pdf, "loop_log_prob": 0.0,
            "exit_log_prob": 0.0, "skip_log_prob": -np.inf}
    tables: dict[str, Any] = {}
    for name, blank in ends.items():
        table = np.tile(getattr(topology, name), (2, 1))
        tables[name] = np.pad(table, ((0, 0), (0, 1)), constant_values=-1)
        tables[name][copies, last + 1] = blank
    tables["skip_log_prob"][:, -1] = -np.inf
    tables["skip_log_prob"][copies, last] = topology.exit_log_prob[rows, last]
    return replace(topology, unit_phone=np.tile(topology.unit_phone, 2), **tables)
