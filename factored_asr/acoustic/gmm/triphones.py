"""The triphones of a Gaussian model, and the fall-back for those that it does not know.

A model lists the triphones it was trained on; every other context falls back, step by step, to
one that is listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE
from factored_asr.errors import OptionError

SUBSTITUTES = (INTERNAL, BEGIN, END, SINGLE)  # the order in which other positions are tried


@dataclass(frozen=True, eq=False)
class Triphones:
    """The triphones a model knows, and the fall-back for those it does not.

    Examples
    --------
    Phones 0 ``AH``, 1 ``SIL``, 2 ``T``; the model knows ``SIL-AH+T`` at the end of a word only.

    >>> from factored_asr.acoustic import BEGIN, END, Triphones
    >>> triphones = Triphones(3, contexts=[[0, 1, 2, END]], hmms=[3], silence=1, fillers=(1,))
    >>> triphones.hmm_index([0, 0, 2], [1, 2, 0], [2, 2, 0], BEGIN).tolist()
    [3, 3, 2]
    """

    n_phones: int
    """Number of context-independent phones; HMM i < n_phones is that of phone i out of context."""
    contexts: np.ndarray
    """(n_triphones, 4) int32: centre, left and right phone, position. May be empty."""
    hmms: np.ndarray
    """(n_triphones,) int32: the HMM of each."""
    silence: int = -1
    """The phone that stands for a word boundary in the fall-back, or -1 for none."""
    fillers: tuple[int, ...] = ()
    """Phones which, as a neighbour, count as silence (silence itself, noises)."""

    def __post_init__(self) -> None:
        contexts = np.ascontiguousarray(self.contexts, dtype=np.int32).reshape(-1, 4)
        hmms = np.ascontiguousarray(self.hmms, dtype=np.int32).reshape(-1)
        object.__setattr__(self, "contexts", contexts)
        object.__setattr__(self, "hmms", hmms)
        if len(contexts) != len(hmms):
            raise OptionError(f"{len(contexts)} triphones need as many HMMs, got {len(hmms)}")
        if len(contexts):
            _check_range(contexts[:, :3], self.n_phones, "a phone of a triphone")
            _check_range(contexts[:, 3], N_POSITIONS, "the word position of a triphone")
        for phone in (*self.fillers, self.silence):
            if phone >= self.n_phones:
                raise OptionError(f"filler {phone} is not one of {self.n_phones} phones")

    def hmm_index(
        self, centre: np.ndarray | int, left: np.ndarray | int, right: np.ndarray | int,
        position: np.ndarray | int,
    ) -> np.ndarray:
        """Return the HMM of each phone in its context, int32.

        Indices of phones and positions broadcast against each other; a neighbour of -1 is an
        unknown one and gives the HMM without context. Raises OptionError if one is out of range.
        """
        centre, left, right, position = map(np.asarray, (centre, left, right, position))
        _check_range(centre, self.n_phones, "a phone")
        _check_range(left, self.n_phones, "a left neighbour", lowest=-1)
        _check_range(right, self.n_phones, "a right neighbour", lowest=-1)
        _check_range(position, N_POSITIONS, "a word position")
        if not len(self.contexts):
            shape = np.broadcast_shapes(centre.shape, left.shape, right.shape, position.shape)
            return np.broadcast_to(centre, shape).astype(np.int32)
        n = self.n_phones
        flat = ((position.astype(np.int32) * n + centre) * n + left) * n + right
        unknown = (left < 0) | (right < 0)
        if not unknown.any():
            return self.table.reshape(-1)[flat]
        return np.where(unknown, centre, self.table.reshape(-1)[np.maximum(flat, 0)]).astype("i4")

    @cached_property
    def table(self) -> np.ndarray:
        """(4, n_phones, n_phones, n_phones) int32: HMM by position, centre, left and right phone.

        Built when a graph is compiled; decoding does not need it. The first HMM found is taken, as
        in Sphinx (``bin_mdef_phone_id_nearest``):

        1. the triphone itself, with noises as neighbours read as silence;
        2. the same at another word position;
        3. with the neighbours across the word's edges replaced by silence, at this position, then
           at another;
        4. the phone out of context.
        """
        n = self.n_phones
        exact = np.full((N_POSITIONS, n, n, n), -1, dtype=np.int32)
        centre, left, right, position = self.contexts.T
        exact[position, centre, left, right] = self.hmms
        alone = np.broadcast_to(np.arange(n, dtype=np.int32)[:, None, None], (n, n, n))
        if self.silence < 0:
            return np.stack([_first(*_tried(exact, p), alone) for p in range(N_POSITIONS)])
        read_as = np.arange(n)
        read_as[list(self.fillers)] = self.silence
        exact = exact[:, :, read_as][:, :, :, read_as]
        table = np.empty_like(exact)
        for p in range(N_POSITIONS):
            anywhere = _first(*_tried(exact, p))
            edge = anywhere
            if p in (BEGIN, SINGLE):
                edge = np.broadcast_to(edge[:, [self.silence]], edge.shape)
            if p in (END, SINGLE):
                edge = np.broadcast_to(edge[:, :, [self.silence]], edge.shape)
            table[p] = _first(anywhere, edge, alone)
        return table


def _tried(exact: np.ndarray, position: int) -> list[np.ndarray]:
    """Return the tables by position in the order in which they are tried for one position."""
    return [exact[position], *(exact[p] for p in SUBSTITUTES if p != position)]


def _first(*tables: np.ndarray) -> np.ndarray:
    """Return the first entry that is not -1, table by table."""
    found = tables[0]
    for table in tables[1:]:
        found = np.where(found >= 0, found, table)
    return found


def _check_range(values: np.ndarray, limit: int, what: str, lowest: int = 0) -> None:
    if values.size and (values.min() < lowest or values.max() >= limit):
        wrong = values[(values < lowest) | (values >= limit)].flat[0]
        raise OptionError(f"{what} must lie in {lowest}..{limit - 1}, got {wrong}")
