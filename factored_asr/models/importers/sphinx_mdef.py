"""Sphinx's model definition: which senones and transition matrix each triphone has.

Two forms hold the same table: text (version 0.3) and a binary one (``bin_mdef.c``) that is a
twentieth of the work to read. Its look-up tree is left aside: the triphones say all it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE
from factored_asr.errors import FormatError
from factored_asr.storage.cursor import Cursor
from factored_asr.storage.reading import decode_text, whole_number

POSITION_LETTERS = {"b": BEGIN, "e": END, "i": INTERNAL, "s": SINGLE}
BINARY_POSITIONS = np.array([INTERNAL, BEGIN, END, SINGLE])  # by word_posn_t, mdef.h
TEXT_COUNTS = (
    "n_base", "n_tri", "n_state_map", "n_tied_state", "n_tied_ci_state", "n_tied_tmat"
)  # fmt: skip
BINARY_COUNTS = (
    "n_ciphone", "n_phone", "n_emit_state", "n_ci_sen", "n_sen", "n_tmat", "n_sseq", "n_ctx",
    "n_cd_tree", "sil",
)  # fmt: skip
BINARY_PHONE = np.dtype([("sequence", "i4"), ("matrix", "i4"), ("context", "u1", 4)])
_LARGEST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Definition:
    """A model definition. Its first entries are the phones out of context, then triphones."""

    path: Path
    phones: tuple[str, ...]
    fillers: np.ndarray
    """(n_phones,) bool."""
    contexts: np.ndarray
    """(n_triphones, 4) int32: centre, left, right, position (ours, see topology.py)."""
    matrix: np.ndarray
    """(n_entries,) int32: transition matrix of each entry."""
    sequence: np.ndarray
    """(n_entries,) int32: row of sequences of each entry."""
    sequences: np.ndarray
    """(n_sequences, n_states) int32: senone of each state."""
    n_senones: int
    n_matrices: int

    def __post_init__(self) -> None:
        for values, limit, what in (
            (self.sequences, self.n_senones, "senone"),
            (self.sequence, len(self.sequences), "senone sequence"),
            (self.matrix, self.n_matrices, "transition matrix"),
            (self.contexts[:, :3], len(self.phones), "phone of a triphone"),
            (self.contexts[:, 3], N_POSITIONS, "word position"),
        ):
            if (wrong := values[(values < 0) | (values >= limit)]).size:
                law = f"{what} {wrong[0]} is not one of {limit} (0..{limit - 1})"
                raise FormatError(law, self.path)
        if len(set(self.phones)) != len(self.phones):
            raise FormatError("a phone is defined twice", self.path)

    @property
    def centre(self) -> np.ndarray:
        """(n_entries,) int32: the phone that each entry realises."""
        return np.concatenate([np.arange(len(self.phones), dtype=np.int32), self.contexts[:, 0]])

    def distinct_hmms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the HMM of each entry, and for each HMM the first entry that is one.

        Entries of one phone, matrix and senone sequence are one HMM; those out of context lead.
        """
        key = self.centre.astype(np.int64) * self.n_matrices + self.matrix
        key = key * len(self.sequences) + self.sequence
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        order = np.argsort(first)  # the first entries are the phones, each with a key of its own
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return rank[inverse.reshape(-1)], first[order]

    def phone_of_senone(self) -> np.ndarray:
        """(n_senones,) int32: the first phone that uses a senone: its codebook, where tied."""
        owner = np.full(self.n_senones, -1, np.int32)
        senones = self.sequences[self.sequence[::-1]]  # backwards, so that the first one stays
        owner[senones.ravel()] = np.repeat(self.centre[::-1], senones.shape[1])
        if (owner < 0).any():
            raise FormatError(f"senone {np.argmin(owner)} belongs to no phone", self.path)
        return owner


def read_definition(path: str | Path) -> Definition:
    """Read an ``mdef``, text or binary; FormatError (with the line of a text) if it is broken."""
    path = Path(path)
    data = path.read_bytes()
    return (_read_binary if data[:4] in (b"BMDF", b"FDMB") else _read_text)(path, data)


def _read_binary(path: Path, data: bytes) -> Definition:
    order: Literal["<", ">"] = "<" if data[:4] == b"BMDF" else ">"
    integer, reader = f"{order}i4", Cursor(data, path, 4)
    version, skipped = reader.take(integer, 2, "a header").tolist()
    if version != 1:
        raise FormatError(f"version {version} of a binary model definition must be 1", path)
    reader.take("u1", skipped, "a description of the format")
    counts = dict(zip(BINARY_COUNTS, reader.take(integer, 10, "counts").tolist(), strict=True))
    n_phones, n_states = counts["n_ciphone"], counts["n_emit_state"]
    if not 0 < n_phones <= counts["n_phone"] or n_states < 1 or counts["n_ctx"] != 3:
        raise FormatError(
            f"{n_phones} phones of {counts['n_phone']} entries, {n_states} states each, "
            f"{counts['n_ctx']} phones of context: there must be phones, as many states in each, "
            "and triphones", path,
        )  # fmt: skip
    names = _names(reader, data, n_phones)
    reader.take("i8", counts["n_cd_tree"], "a tree of contexts")
    entries = reader.take(BINARY_PHONE.newbyteorder(order), counts["n_phone"], "phones")
    n_senones = reader.number(integer, "a size")
    if n_senones != counts["n_sseq"] * n_states:
        raise FormatError(
            f"{n_senones} senones in sequences must be {counts['n_sseq']} × {n_states}", path
        )
    sequences = reader.take(f"{order}u2", n_senones, "senone sequences").reshape(-1, n_states)
    if reader.left:
        raise FormatError(f"{reader.left} bytes follow where the file should end", path)
    triphones = entries["context"][n_phones:]
    if triphones.size and triphones[:, 0].max() >= N_POSITIONS:
        raise FormatError(f"word position {triphones[:, 0].max()} must be 0 to 3", path)
    contexts = np.empty(triphones.shape, np.int32)
    contexts[:, :3] = triphones[:, 1:]
    contexts[:, 3] = BINARY_POSITIONS[triphones[:, 0]]
    return Definition(
        path, names, entries["context"][:n_phones, 0] != 0, contexts,
        entries["matrix"].astype(np.int32), entries["sequence"].astype(np.int32),
        sequences.astype(np.int32), counts["n_sen"], counts["n_tmat"],
    )  # fmt: skip


def _names(reader: Cursor, data: bytes, count: int) -> tuple[str, ...]:
    """Take names ended by a zero byte each, all of them padded to a multiple of four bytes."""
    names = data[reader.at :].split(b"\0", count)
    if len(names) <= count:
        raise FormatError(f"phone {len(names) - 1} has a name without an end", reader.path)
    n_bytes = sum(map(len, names[:count])) + count
    reader.take("u1", n_bytes + -n_bytes % 4, "names of phones")
    return tuple(name.decode("utf-8", "replace") for name in names[:count])


def _read_text(path: Path, data: bytes) -> Definition:
    try:
        text = decode_text(data, path)
    except FormatError as error:
        raise FormatError(f"neither a text nor a binary model definition: {error}") from None
    lines = [
        (number, line.split())
        for number, line in enumerate(text.splitlines(), 1)
        if not line.startswith("#") and line.strip()
    ]
    if not lines or lines[0][1] != ["0.3"]:
        raise FormatError("a model definition must begin with its version, 0.3", path, 1)
    counts = _text_counts(path, lines[1 : 1 + len(TEXT_COUNTS)])
    n_phones, n_triphones = counts["n_base"], counts["n_tri"]
    body = lines[1 + len(TEXT_COUNTS) :]
    if n_phones < 1 or len(body) != n_phones + n_triphones:
        law = f"must be n_base {n_phones} + n_tri {n_triphones}"
        raise FormatError(f"{len(body)} lines of phones {law}", path)
    n_states, left = divmod(counts["n_state_map"], len(body))
    if left or n_states < 2:
        law = f"must be a multiple of {len(body)} phones, two states or more each"
        raise FormatError(f"n_state_map {counts['n_state_map']} {law}", path)
    return _text_phones(path, body, n_phones, n_states - 1, counts)


def _text_counts(path: Path, lines: list[tuple[int, list[str]]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for number, fields in lines:
        if len(fields) != 2 or whole_number(fields[0]) is None or fields[1] not in TEXT_COUNTS:
            law = f"must be a count and one of {', '.join(TEXT_COUNTS)}"
            raise FormatError(f"{' '.join(fields)!r} {law}", path, number)
        counts[fields[1]] = int(fields[0])
    missing = [name for name in TEXT_COUNTS if name not in counts]
    if missing:
        raise FormatError(f"the header lacks {', '.join(missing)}", path)
    return counts


def _index(text: str) -> int:
    number = whole_number(text)
    if number is None or number > _LARGEST:
        raise ValueError(f"matrix and senones as numbers up to {_LARGEST}")
    return number


def _text_phones(
    path: Path, lines: list[tuple[int, list[str]]], n_phones: int, n_states: int,
    counts: dict[str, int],
) -> Definition:
    index = {fields[0]: phone for phone, (_, fields) in enumerate(lines[:n_phones])}
    contexts, matrix, sequence = [], [], []
    sequences: dict[tuple[str, ...], int] = {}
    numbers: dict[tuple[str, ...], tuple[int, ...]] = {}
    for entry, (number, fields) in enumerate(lines):
        try:
            if len(fields) != n_states + 7 or fields[-1] != "N":
                raise ValueError(f"{n_states + 7} columns, the last N")
            if entry >= n_phones:
                base, left, right = (index[name] for name in fields[:3])
                contexts.append((base, left, right, POSITION_LETTERS[fields[3]]))
            elif fields[1:4] != ["-", "-", "-"]:
                raise ValueError("a phone without context (- - -)")
            elif index[fields[0]] != entry:
                raise ValueError("a name of its own")
            if fields[4] not in ("filler", "n/a"):
                raise ValueError("filler or n/a in the fifth column")
            matrix.append(_index(fields[5]))
            senones = tuple(fields[6:-1])
            if senones not in numbers:
                numbers[senones] = tuple(map(_index, senones))
            sequence.append(sequences.setdefault(senones, len(sequences)))
        except KeyError as error:
            message = f"{error.args[0]!r} must be a phone defined above, or b, e, i or s"
            raise FormatError(message, path, number) from None
        except ValueError as error:
            raise FormatError(f"{' '.join(fields)!r}: must have {error}", path, number) from None
    return Definition(
        path, tuple(fields[0] for _, fields in lines[:n_phones]),
        np.array([fields[4] == "filler" for _, fields in lines[:n_phones]]),
        np.array(contexts, np.int32).reshape(-1, 4), np.array(matrix, np.int32),
        np.array(sequence, np.int32), np.array(list(numbers.values()), np.int32),
        counts["n_tied_state"], counts["n_tied_tmat"],
    )  # fmt: skip
