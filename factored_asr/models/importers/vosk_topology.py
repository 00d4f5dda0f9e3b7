"""The phones and HMMs of a chain model, without their places in the word, as a `Topology`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.topology import BEGIN, N_POSITIONS, SINGLE, Topology
from factored_asr.errors import FormatError, ModelWarning
from factored_asr.models.importers.kaldi_nnet3 import ChainFile
from factored_asr.models.importers.lookahead_graph import Dictionary
from factored_asr.models.importers.vosk_files import (
    NONWORD,
    WORD_PLACES,
    VoskFiles,
    read_boundaries,
    read_symbols,
)


@dataclass(frozen=True, eq=False)
class Phones:
    """Phones without their place in the word, and the number that Kaldi has for each place."""

    names: tuple[str, ...]
    numbers: np.ndarray
    """(n_phones, N_POSITIONS) int32."""

    @property
    def of(self) -> dict[int, tuple[int, int]]:
        """By number: phone and the place that it stands for; of several places, the last."""
        return {int(number): (row, place) for row, places in enumerate(self.numbers)
                for place, number in enumerate(places)}

    @staticmethod
    def read(files: VoskFiles, chain: ChainFile) -> Phones:
        numbers = sorted(chain.entries)
        places = read_boundaries(files.word_boundary) if files.word_boundary else {}
        if lacking := [number for number in numbers if places and number not in places]:
            raise FormatError(f"phone {lacking[0]} of the model is not there", files.word_boundary)
        groups: list[dict[int, int]] = []
        for number in numbers:
            place = WORD_PLACES.get(places.get(number, NONWORD))
            # Kaldi numbers the places of one phone one after the other
            if place is None or place == BEGIN or not groups or place in groups[-1]:
                groups.append({})
            groups[-1].update(dict.fromkeys(range(N_POSITIONS), number) if place is None else
                              {place: number})
        table = [[group.get(place, next(iter(group.values()))) for place in range(N_POSITIONS)]
                 for group in groups]
        return Phones(_names(files, numbers, table), np.array(table, np.int32))


def _names(files: VoskFiles, numbers: Sequence[int], table: list[list[int]]) -> tuple[str, ...]:
    """Names of phones: those of ``phones.txt``, or numbers where it belongs to another model."""
    symbols = read_symbols(files.phones) if files.phones else {}
    symbols = {number: name for number, name in symbols.items()
               if number and not name.startswith("#")}
    named = []
    for row in table:
        both = {symbols.get(number, "") for number in row}
        bare = {name[:-2] if name[-2:] in ("_B", "_E", "_I", "_S") and len(both) > 1 else name
                for name in both}
        named.append(bare.pop() if len(bare) == 1 else "")
    if sorted(symbols) == list(numbers) and all(named) and len(set(named)) == len(named):
        return tuple(named)
    if symbols:
        warnings.warn(f"{files.phones}: its phones are not those of the model; they are named by "
                      "their numbers: p11", ModelWarning, stacklevel=2)
    return tuple(f"p{row[BEGIN]}" for row in table)


def topology_of(
    chain: ChainFile, phones: Phones, dictionary: Dictionary, files: VoskFiles,
    silences: tuple[int, ...],
) -> Topology:
    """A unit for each transition state; which one a phone is, the phone before it says.

    All `silences` are fillers: Kaldi gives silence and noise a phone for each place in a word, and
    these share their pdfs.
    """
    for phone, states in chain.entries.items():
        if len(states) != 2 or {target for target, _ in states[0].transitions} != {0, 1}:
            raise FormatError(f"phone {phone} has {len(states) - 1} states: chain models of one "
                              "state with a loop are supported", files.model)
    n_phones, n_symbols = len(phones.names), len(phones.names) * N_POSITIONS
    rows = phones.numbers.ravel()
    before, phone, row = dictionary.contexts.T
    size = max(rows.max(), before.max(), phone.max()) + 1
    table = np.full((size, size), -1, np.int32)
    table[phone, before] = row
    table = _filled(table, phones, chain)
    left = np.append(rows, 0)  # of each class of a left neighbour: its number; the edge has 0
    unit_of = table[rows][:, left][:, :, None]
    loop, leave = log_probs_of(chain)
    silence = next(name for name, numbers in zip(phones.names, phones.numbers, strict=True)
                   if dictionary.silence in numbers)
    of = phones.of
    return Topology(
        phones.names, silence, tuple(
            name for name, numbers in zip(phones.names, phones.numbers, strict=True)
            if name == silence or set(numbers.tolist()) <= set(silences)),
        unit_phone=np.array([of[int(number)][0] for number in chain.tuples[:, 0]]),
        entry_pdf=chain.tuples[:, 2:3], loop_pdf=chain.tuples[:, 3:4],
        loop_log_prob=loop[:, None], exit_log_prob=leave[:, None],
        alone=unit_of.reshape(n_phones, N_POSITIONS, -1)[:, SINGLE, n_symbols],
        unit_of=unit_of, left_class=np.arange(n_symbols), edge=(n_symbols, 0),
    )


def _filled(table: np.ndarray, phones: Phones, chain: ChainFile) -> np.ndarray:
    """Give contexts that no word of the dictionary has the unit of a context near to them.

    That of the same phone before in another place in the word, else the phone's commonest one.
    """
    table = table.copy()
    seen = table.copy()
    for places in phones.numbers:  # as left neighbour
        columns = seen[:, places]
        first = np.argmax(columns >= 0, axis=1)
        near = columns[np.arange(len(columns)), first]
        for number in places:
            table[:, number] = np.where(table[:, number] < 0, near, table[:, number])
    first_row: dict[int, int] = {}
    for row, number in enumerate(chain.tuples[:, 0].tolist()):
        first_row.setdefault(number, row)
    for number, row in first_row.items():
        known = seen[number][seen[number] >= 0]
        common = np.bincount(known).argmax() if len(known) else row
        table[number] = np.where(table[number] < 0, common, table[number])
    return table


def log_probs_of(chain: ChainFile) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities of staying in each transition state, and of leaving it."""
    transitions = chain.transitions
    both = np.full((2, len(chain.tuples)), -np.inf)
    for number in range(1, len(transitions)):
        row, target = transitions[number]
        both[int(target > 0), row] = chain.log_probs[number]
    return both[0], both[1]
