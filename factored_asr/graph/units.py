"""What graphs need of an acoustic model's topology, as look-up tables: units, labels, costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from factored_asr.acoustic.topology import END, N_POSITIONS, SINGLE, Topology, scaled
from factored_asr.graph.graph import Labels

BLANK = "<blank>"
"""The phone that stands for CTC's blank in the graph of a model that has one."""


class HasTopology(Protocol):
    """All that graphs are built from, of an acoustic model."""

    @property
    def topology(self) -> Topology: ...

    @property
    def frame_seconds(self) -> float: ...


@dataclass(frozen=True, eq=False)
class Units:
    """The units of a topology with their states as labels.

    Here a unit also says whether it ends a word. A *label* is a state of a unit as it is entered,
    or as it is stayed in where that is another pdf; 0 is epsilon.
    """

    unit_of: np.ndarray
    """(n_symbols, n_left_classes, n_right_classes) int32: unit of a symbol in its context."""
    left_class: np.ndarray
    """(n_symbols,) int32: class of a symbol as left neighbour."""
    right_class: np.ndarray
    """(n_symbols,) int32: class of a symbol as right neighbour."""
    same_left: np.ndarray
    """(n_symbols, n_left_classes) int32: the first left class that gives the same units."""
    edge: tuple[int, int]
    """Classes before the first and after the last phone of an utterance."""
    sequences: np.ndarray
    """(n_sequences, max_states) int32: labels of the states in order, padded with 0; one sequence
    a unit, and more where states may be skipped."""
    first_sequence: np.ndarray
    """(n_units + 1,) int64: where the sequences of each unit begin."""
    skip_cost: np.ndarray
    """(n_sequences,) float32: cost of its skips above that of the exits in their place."""
    labels: Labels
    """(n_labels + 1,) each: what a label is."""
    loop_label: np.ndarray
    """(n_labels + 1,) int32: the label of staying in the state that a label enters."""
    enter_cost: np.ndarray
    """(n_labels + 1,) float32: cost of leaving the label's state, paid on entering it."""
    loop_cost: np.ndarray
    """(n_labels + 1,) float32: cost of a frame in which the label stays in its state."""
    blank: int = 0
    """The label of CTC's blank; 0: there is none."""


def make_units(model: HasTopology, transition_scale: float = 1.0) -> Units:
    """Tabulate the units of a model.

    Parameters
    ----------
    transition_scale
        Weight of the transition costs; `GraphOptions.transition_scale`.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> units = make_units(Bundle.find("en-us").acoustic_model())
    >>> units.sequences.shape[1]  # states of a unit
    3
    """
    topology = model.topology
    ends_word = np.isin(np.arange(N_POSITIONS), (END, SINGLE)) & ~topology.is_silence[:, None]
    pairs, unit = np.unique(topology.unit_of * 2 + ends_word.reshape(-1, 1, 1), return_inverse=True)
    unit_of = unit.reshape(topology.unit_of.shape).astype(np.int32)
    same_left = np.empty(unit_of.shape[:2], np.int32)
    for symbol, rows in enumerate(unit_of):
        same_left[symbol] = first_equal(rows)
    states, labels, loop_label, enter, loop = _labels(
        topology, pairs // 2, pairs % 2, transition_scale
    )
    blank = len(labels.pdf) if topology.has_blank else 0
    if blank:
        row = [topology.blank_pdf, len(topology.phones) + 1, 0, 0]
        labels = labels.join(Labels._make(np.array(row)[:, None]))
        loop_label = np.append(loop_label, blank)
        enter, loop = np.append(enter, 0), np.append(loop, 0)
    possible = topology.skip_log_prob > -np.inf
    extra = np.full(possible.shape, np.inf)
    exits, skips = topology.exit_log_prob[possible], topology.skip_log_prob[possible]
    extra[possible] = transition_scale * (exits - skips)
    sequences, first_sequence, skip_cost = _sequences(states, extra[pairs // 2])
    return Units(
        unit_of, topology.left_class, topology.right_class, same_left, topology.edge, sequences,
        first_sequence, skip_cost, labels.typed(), loop_label.astype(np.int32),
        enter.astype(np.float32), loop.astype(np.float32), blank,
    )


def _labels(
    topology: Topology, unit: np.ndarray, ends_word: np.ndarray, transition_scale: float
) -> tuple[np.ndarray, Labels, np.ndarray, np.ndarray, np.ndarray]:
    """Return labels of units' states, what each is, its loop label, costs of entry and loop."""
    entry, loop = topology.entry_pdf[unit], topology.loop_pdf[unit]
    real, phone = entry >= 0, topology.unit_phone[unit][:, None] + 1
    costs = [
        np.where(real, scaled(transition_scale, table[unit]), 0).astype(np.float32)
        for table in (topology.exit_log_prob, topology.loop_log_prob)
    ]
    columns = [entry, phone, np.arange(entry.shape[1]), ends_word[:, None], loop,
               *(cost.view(np.int32) for cost in costs)]  # fmt: skip
    fields = np.stack([np.broadcast_to(column, entry.shape) for column in columns], axis=-1)[real]
    _, first, inverse = np.unique(_row_keys(fields), return_index=True, return_inverse=True)
    distinct = fields[first]
    states = np.zeros(entry.shape, np.int32)
    states[real] = inverse + 1
    # A loop has a label of its own where its pdf is another.
    other = distinct[:, 4] != distinct[:, 0]
    loops, which = np.unique(distinct[other][:, [4, 1, 2, 3, 6]], axis=0, return_inverse=True)
    loop_label = np.arange(1 + len(distinct) + len(loops))
    loop_label[1 : len(distinct) + 1][other] = 1 + len(distinct) + which.ravel()
    meaning = np.concatenate([[[-1, 0, 0, 0]], distinct[:, :4], loops[:, :4]]).T
    enter = np.zeros(len(loop_label), np.float32)
    enter[1 : len(distinct) + 1] = distinct[:, 5].astype(np.int32).view(np.float32)
    loop_bits = np.concatenate([[0], distinct[:, 6], loops[:, 4]]).astype(np.int32)
    return states, Labels._make(meaning), loop_label, enter, loop_bits.view(np.float32)


def first_equal(rows: np.ndarray) -> list[int]:
    """Return the number of the first row that is equal to it, for each row of a matrix."""
    firsts: dict[bytes, int] = {}
    return [firsts.setdefault(row.tobytes(), i) for i, row in enumerate(rows)]


def _row_keys(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row of a matrix of integers; they order as the rows do.

    Numbers sort ten times faster than rows.
    """
    keys, n_keys = np.zeros(len(rows), np.int64), 1
    for column in rows.T:
        values, rank = np.unique(column, return_inverse=True)
        if n_keys * len(values) >= np.iinfo(np.int64).max:
            kept, keys = np.unique(keys, return_inverse=True)
            n_keys = len(kept)
        keys, n_keys = keys * len(values) + rank, n_keys * len(values)
    return keys


def _sequences(
    states: np.ndarray, skip_cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ways through each unit that skip no two states in a row, and what their skips cost.

    `skip_cost` (n_units, max_states): of going over the next state rather than into it.
    """
    if not (skipping := (skip_cost < np.inf) & (states > 0)).any():
        n_units = len(states)
        return states, np.arange(n_units + 1), np.zeros(n_units, np.float32)
    rows, counts, costs = list[list[int]](), list[int](), list[float]()
    for labels, skips, extra in zip(states.tolist(), skipping.tolist(), skip_cost, strict=True):
        ways, done, n_states = [([0], 0.0)], [], np.count_nonzero(labels)  # states so far, cost
        while ways:
            way, cost = ways.pop()
            at = way[-1]
            for step, longer in ((1, cost), (2, cost + float(extra[at])))[: 1 + skips[at]]:
                if at + step >= n_states:
                    done.append(([labels[state] for state in way], longer))
                else:
                    ways.append(([*way, at + step], longer))
        rows += [way + [0] * (len(labels) - len(way)) for way, _ in done]
        costs += [cost for _, cost in done]
        counts.append(len(done))
    first = np.concatenate([[0], np.cumsum(counts)])
    return np.array(rows, np.int32), first, np.array(costs, np.float32)
