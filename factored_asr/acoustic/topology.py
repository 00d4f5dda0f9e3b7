"""The hidden Markov models of an acoustic model, as a value: all that graphs need to know of them.

A *symbol* is a phone with its place in the word, ``phone * 4 + position``. A *unit* is an HMM, a
chain of states. A symbol's neighbours select its unit. Each neighbour counts by its *class*, so
that a model which looks at no neighbour, or at the left one only, has a small table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from factored_asr.errors import OptionError

# Where in its word a phone stands.
BEGIN = 0
"""Position of a phone: the first of several in its word."""
END = 1
"""The last of several."""
INTERNAL = 2
"""Neither the first nor the last."""
SINGLE = 3
"""The only phone of its word."""
N_POSITIONS = 4
"""Number of positions of a phone in its word."""


def _empty() -> Any:
    return field(default_factory=lambda: np.zeros(0, np.int32))


@dataclass(frozen=True, eq=False)
class Topology:
    """The units of a model, their states, and which unit a phone in context is.

    From each state of a unit one can stay (loop), go on to the next state or out (exit), or go over
    the next state (skip). A frame that enters a state is scored by the state's entry pdf, a frame
    that stays by its loop pdf; in most models these are the same.

    Raises
    ------
    OptionError
        The arrays do not fit each other.

    Examples
    --------
    Three phones of one state each, without context, as CTC networks have them:

    >>> pdfs, half = np.arange(1, 4)[:, None], np.log(np.full((3, 1), 0.5))
    >>> topology = Topology(
    ...     ("A", "B", "C"), "", (), unit_phone=np.arange(3), entry_pdf=pdfs, loop_pdf=pdfs,
    ...     loop_log_prob=half, exit_log_prob=half, alone=np.arange(3), blank_pdf=0,
    ...     unit_of=np.repeat(np.arange(3), 4)[:, None, None])
    >>> topology.units_of(word_symbols([2, 0])).tolist(), topology.free_pdfs.tolist()
    ([2, 0], [0, 1, 2, 3])
    """

    phones: tuple[str, ...]
    """Names of the phones, silence and fillers among them."""
    silence: str
    """The phone of silence; empty for a model without one."""
    fillers: tuple[str, ...]
    """Phones that are no speech, silence among them."""
    unit_phone: np.ndarray
    """(n_units,) int32: index of the phone that a unit realises."""
    entry_pdf: np.ndarray
    """(n_units, max_states) int32: pdf of the frame that enters a state; -1 beyond the last."""
    loop_pdf: np.ndarray
    """(n_units, max_states) int32: pdf of the frames that stay in a state."""
    loop_log_prob: np.ndarray
    """(n_units, max_states) float32: log probability of staying another frame; may be -inf."""
    exit_log_prob: np.ndarray
    """(n_units, max_states) float32: log probability of going on to the next state, or out."""
    alone: np.ndarray
    """(n_phones,) int32: the unit of each phone out of context; -1 where there is none."""
    unit_of: np.ndarray
    """(n_phones * 4, n_left_classes, n_right_classes) int32: the unit of a symbol between
    neighbours of these classes."""
    left_class: np.ndarray = _empty()
    """(n_phones * 4,) int32: class of a symbol as left neighbour: its phone in ordinary triphones,
    the symbol itself where its own position in the word matters. Empty: there is one class only."""
    right_class: np.ndarray = _empty()
    """(n_phones * 4,) int32: class of a symbol as right neighbour; empty as for `left_class`."""
    skip_log_prob: np.ndarray = _empty()
    """(n_units, max_states) float32: log probability of going over the next state, to the one after
    it or out; -inf: not possible. Empty: never possible."""
    blank_pdf: int = -1
    """Pdf of the blank of CTC, which may stand between any two phones; -1: there is none."""
    edge: tuple[int, int] = (-1, -1)
    """Class of the left neighbour of an utterance's first phone, and of the right neighbour of its
    last. (-1, -1): those of silence, or class 0 without silence."""

    def __post_init__(self) -> None:
        put, n_symbols = object.__setattr__, len(self.phones) * N_POSITIONS
        for name, default in (
            ("left_class", np.zeros(n_symbols)), ("right_class", np.zeros(n_symbols)),
            ("skip_log_prob", np.full(np.shape(self.entry_pdf), -np.inf)),
        ):  # fmt: skip
            if not len(getattr(self, name)):
                put(self, name, default)
        for name in ("unit_phone", "entry_pdf", "loop_pdf", "alone", "unit_of", "left_class",
                     "right_class"):  # fmt: skip
            put(self, name, np.ascontiguousarray(getattr(self, name), np.int32))
        for name in ("loop_log_prob", "exit_log_prob", "skip_log_prob"):
            put(self, name, np.ascontiguousarray(getattr(self, name), np.float32))
        self._check_phones()
        self._check_states()
        self._check_context()
        if self.edge == (-1, -1):
            at = self.phones.index(self.silence) * N_POSITIONS + SINGLE if self.silence else -1
            edge = (int(self.left_class[at]), int(self.right_class[at])) if at >= 0 else (0, 0)
            put(self, "edge", edge)

    @property
    def n_units(self) -> int:
        """Return the number of units."""
        return len(self.unit_phone)

    @property
    def has_blank(self) -> bool:
        """Return True if the topology has a blank, as CTC does."""
        return self.blank_pdf >= 0

    @cached_property
    def is_silence(self) -> np.ndarray:
        """(n_phones,) bool: the phone is silence or a filler."""
        return np.isin(self.phones, [self.silence, *self.fillers])

    @cached_property
    def n_states(self) -> np.ndarray:
        """(n_units,) int: number of states of each unit."""
        return np.count_nonzero(self.entry_pdf >= 0, axis=1)

    @cached_property
    def free_pdfs(self) -> np.ndarray:
        """Sorted pdfs, int32, of all phones out of context, of silence and of the blank.

        The best of them says how well any phone at all could fit a frame. Those of all units for
        a model that has no phones out of context.
        """
        units = self.alone[self.alone >= 0] if (self.alone >= 0).any() else slice(None)
        pdfs = np.unique(np.append(self.entry_pdf[units], self.loop_pdf[units]))
        pdfs = np.union1d(pdfs, self.blank_pdf)
        return pdfs[pdfs >= 0].astype(np.int32)

    def units_of(self, symbols: np.ndarray | Sequence[int]) -> np.ndarray:
        """Return the units of an utterance's symbols, silence included, each in its context."""
        symbols = np.asarray(symbols, np.int64)
        if symbols.size and not 0 <= symbols.min() <= symbols.max() < len(self.unit_of):
            raise OptionError(f"symbols must lie in 0..{len(self.unit_of) - 1}")
        left = np.append(self.edge[0], self.left_class[symbols])[:-1]
        right = np.append(self.right_class[symbols], self.edge[1])[1:]
        return self.unit_of[symbols, left, right]

    def _check_phones(self) -> None:
        if len(set(self.phones)) != len(self.phones) or not self.phones:
            raise OptionError("phones must be distinct, and at least one")
        for phone in (*filter(None, [self.silence]), *self.fillers):
            if phone not in self.phones:
                raise OptionError(f"{phone!r} is not a phone of the model")

    def _check_states(self) -> None:
        shape = self.entry_pdf.shape
        if len(shape) != 2 or not all(shape):
            raise OptionError(f"entry_pdf must be (n_units, max_states), got {shape}")
        for name in ("loop_pdf", "loop_log_prob", "exit_log_prob", "skip_log_prob"):
            if getattr(self, name).shape != shape:
                raise OptionError(f"{name} must be {shape}, got {getattr(self, name).shape}")
        _check_indices("unit_phone", self.unit_phone, shape[:1], 0, len(self.phones))
        used = self.entry_pdf >= 0
        if not used[:, 0].all() or (used[:, 1:] & ~used[:, :-1]).any():
            raise OptionError("a unit needs a state, and -1 may only follow its last")
        if ((self.loop_pdf >= 0) != used).any():
            raise OptionError("loop_pdf and entry_pdf must be -1 for the same states")
        if not (self.exit_log_prob[used] > -np.inf).all():
            raise OptionError("a state that cannot be left: its exit log probability is -inf")
        for name in ("loop_log_prob", "exit_log_prob", "skip_log_prob"):
            if not (getattr(self, name)[used] < np.inf).all():
                raise OptionError(f"{name} must be numbers below +inf")
        last = used & ~np.append(used[:, 1:], np.zeros((len(used), 1), bool), axis=1)
        if (self.skip_log_prob[last] > -np.inf).any():
            raise OptionError("the last state of a unit has no next state to skip")

    def _check_context(self) -> None:
        n_phones, shape = len(self.phones), self.unit_of.shape
        n_symbols = n_phones * N_POSITIONS
        if len(shape) != 3 or shape[0] != n_symbols or not all(shape):
            raise OptionError(
                f"unit_of must be ({n_symbols}, n_left_classes, n_right_classes), got {shape}"
            )
        _check_indices("unit_of", self.unit_of, shape, 0, self.n_units)
        _check_indices("left_class", self.left_class, (n_symbols,), 0, shape[1])
        _check_indices("right_class", self.right_class, (n_symbols,), 0, shape[2])
        _check_indices("alone", self.alone, (n_phones,), -1, self.n_units)
        for side, edge, limit in zip(("left", "right"), self.edge, shape[1:], strict=True):
            if self.edge != (-1, -1) and not 0 <= edge < limit:
                raise OptionError(f"the {side} class of edge must lie in 0..{limit - 1}")
        phone = np.arange(n_phones)
        if (self.unit_phone[self.alone] != phone)[self.alone >= 0].any():
            raise OptionError("alone names a unit of another phone")
        if (self.unit_phone[self.unit_of] != np.repeat(phone, N_POSITIONS)[:, None, None]).any():
            raise OptionError("unit_of names a unit of another phone than its symbol's")


def scaled(scale: float, log_prob: np.ndarray) -> np.ndarray:
    """Return costs of log probabilities; what is impossible costs inf, with a scale of 0, too."""
    possible = log_prob > -np.inf
    return np.where(possible, -scale * np.where(possible, log_prob, 0), np.inf)


def word_symbols(phones: Sequence[int]) -> list[int]:
    """Return the symbols of a word's phones.

    Examples
    --------
    >>> word_symbols([5, 7, 5]), word_symbols([2])
    ([20, 30, 21], [11])
    """
    places = [INTERNAL] * len(phones)
    if phones:
        places[-1] = END
        places[0] = BEGIN if len(phones) > 1 else SINGLE
    return [phone * N_POSITIONS + place for phone, place in zip(phones, places, strict=True)]


def _check_indices(
    name: str, values: np.ndarray, shape: tuple[int, ...], lowest: int, limit: int
) -> None:
    if values.shape != shape:
        raise OptionError(f"{name} must be {shape}, got {values.shape}")
    if values.size and not lowest <= values.min() <= values.max() < limit:
        raise OptionError(f"{name} must lie in {lowest}..{limit - 1}")
