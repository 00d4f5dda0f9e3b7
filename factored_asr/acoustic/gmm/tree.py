"""Decision trees: which pdf a state of a phone in context has.

A node asks whether the left neighbour, the right one or the position in the word is one of a set.
A leaf is a pdf, also for contexts that training did not see. Source: Young, Odell, Woodland 1994,
"Tree-based state tying for high accuracy acoustic modelling". The first HMMs of a model are those
of the phones out of context. Tables of contexts are dense: small for some 40 phones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from factored_asr.acoustic.topology import N_POSITIONS, SINGLE
from factored_asr.errors import MissingError, OptionError

Indices = np.ndarray | int
LEAF = -1
LEFT, RIGHT, POSITION = 0, 1, 2
"""What a node asks for."""
_ARRAYS = ("roots", "asks", "members", "branches", "leaf_pdf", "frames", "gain")
_ASKS = ("left", "right", "place")
_PLACES = ("begin", "end", "inside", "alone")  # in the order of topology.BEGIN ... SINGLE


class TiedHmms(NamedTuple):
    """The HMMs that a tree makes of phones in context, as fields of an `GmmModel`."""

    triphone_contexts: np.ndarray
    """(n_contexts, 4) int32: every centre, left and right phone at every position."""
    triphone_hmms: np.ndarray
    """(n_contexts,) int32: the HMM of each."""
    hmm_phone: np.ndarray
    """(n_hmms,) int32; the first are the phones' alone, between silences."""
    hmm_pdfs: np.ndarray
    """(n_hmms, n_states) int32: pdf of each state, -1 beyond the last."""


@dataclass(frozen=True, eq=False)
class DecisionTree:
    """Trees for all states of all phones, as arrays over nodes.

    Examples
    --------
    Phone ``AH`` of one state: another pdf after ``N`` than elsewhere.

    >>> tree = DecisionTree(
    ...     phones=("AH", "N"), roots=[[0], [3]], asks=[LEFT, LEAF, LEAF, LEAF],
    ...     members=[[0, 1, 0, 0], [0] * 4, [0] * 4, [0] * 4],
    ...     branches=[[1, 2], [-1, -1], [-1, -1], [-1, -1]], leaf_pdf=[-1, 0, 1, 2],
    ...     frames=[90, 50, 40, 70], gain=[123, 0, 0, 0])
    >>> tree.pdfs(centre=0, left=[0, 1], right=1, position=2, state=0).tolist()
    [0, 1]
    >>> print(tree.describe("AH"))
    AH, state 0: 90 frames
      left N? (gain 123)
        yes: pdf 1 (40 frames)
        no: pdf 0 (50 frames)
    """

    phones: tuple[str, ...]
    """The phones of the model, in its order."""
    roots: np.ndarray
    """(n_phones, n_states) int32: node where the tree of each state begins; -1 beyond the last
    state of a phone."""
    asks: np.ndarray
    """(n_nodes,) int32: LEFT, RIGHT or POSITION; LEAF for a leaf."""
    members: np.ndarray
    """(n_nodes, max(n_phones, 4)) bool: the values to which the answer is yes."""
    branches: np.ndarray
    """(n_nodes, 2) int32: the nodes for no and yes, each above its parent; -1 for a leaf."""
    leaf_pdf: np.ndarray
    """(n_nodes,) int32: pdf of a leaf, -1 for inner nodes; leaves may share one."""
    frames: np.ndarray
    """(n_nodes,) float32: frames of training that came by."""
    gain: np.ndarray
    """(n_nodes,) float32: log-likelihood that the question gained; 0 for a leaf."""

    def __post_init__(self) -> None:
        kinds = {"members": bool, "frames": np.float32, "gain": np.float32}
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name), kinds.get(name, np.int32))
            object.__setattr__(self, name, array)
        self._check()

    @property
    def n_nodes(self) -> int:
        """Inner nodes and leaves."""
        return len(self.asks)

    @property
    def n_leaves(self) -> int:
        """Leaves; several may share a pdf."""
        return int((self.asks == LEAF).sum())

    @property
    def n_pdfs(self) -> int:
        """Pdfs, numbered from 0."""
        return int(self.leaf_pdf.max()) + 1

    @property
    def n_states(self) -> int:
        """States of the longest HMM."""
        return self.roots.shape[1]

    def leaves(
        self, centre: Indices, left: Indices, right: Indices, position: Indices, state: Indices
    ) -> np.ndarray:
        """Return the leaf of states of phones in context; -1 where the phone lacks the state.

        All are indices, broadcast against each other (positions: see topology.py). Raises
        OptionError if one is out of range.
        """
        given = [np.asarray(part) for part in (centre, left, right, position, state)]
        limits = (len(self.phones),) * 3 + (N_POSITIONS, self.n_states)
        for values, limit in zip(given, limits, strict=True):
            if values.size and (values.min() < 0 or values.max() >= limit):
                raise OptionError(f"a value of a context lies outside 0..{limit - 1}")
        shape = np.broadcast_shapes(*(values.shape for values in given))
        flat = [np.broadcast_to(values, shape).ravel() for values in given]
        node, context = self.roots[flat[0], flat[4]], np.stack(flat[1:4])
        asking = np.flatnonzero((node >= 0) & (self.asks[node] != LEAF))
        while len(asking):
            at = node[asking]
            value = context[self.asks[at], asking]
            node[asking] = self.branches[at, self.members[at, value].astype(np.int32)]
            asking = asking[self.asks[node[asking]] != LEAF]
        return node.reshape(shape)

    def pdfs(
        self, centre: Indices, left: Indices, right: Indices, position: Indices, state: Indices
    ) -> np.ndarray:
        """Return the pdf of states of phones in context, int32; see `leaves`."""
        leaf = self.leaves(centre, left, right, position, state)
        return np.where(leaf < 0, -1, self.leaf_pdf[leaf]).astype(np.int32)

    def tied_hmms(self, silence: int, fillers: Sequence[int] = ()) -> TiedHmms:
        """Return an HMM for each sequence of pdfs that a phone has in some context.

        As neighbours, the fillers count as silence.
        """
        n, states = len(self.phones), np.arange(self.n_states)
        axes = (np.arange(n), np.arange(n), np.arange(n), np.arange(N_POSITIONS))
        contexts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 4)
        counts_as = np.arange(n)
        counts_as[list(fillers)] = silence
        centre, left, right, position = contexts.T[:, :, None]
        pdfs = self.pdfs(centre, counts_as[left], counts_as[right], position, states)
        distinct, hmm = np.unique(np.column_stack([centre, pdfs]), axis=0, return_inverse=True)
        alone = self.pdfs(axes[0][:, None], silence, silence, SINGLE, states)
        return TiedHmms(
            contexts.astype(np.int32), (hmm.ravel() + n).astype(np.int32),
            np.concatenate([axes[0], distinct[:, 0]]).astype(np.int32),
            np.concatenate([alone, distinct[:, 1:]]).astype(np.int32),
        )  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all but the phones' names: ``DecisionTree(phones, **arrays)`` is the tree."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @staticmethod
    def from_arrays(phones: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> DecisionTree:
        """Return the tree of saved `arrays`; MissingError if one is not there."""
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise MissingError(f"a decision tree needs the arrays {', '.join(missing)}")
        return DecisionTree(tuple(phones), **{name: arrays[name] for name in _ARRAYS})

    def describe(self, phone: str | None = None, state: int | None = None) -> str:
        """Return the trees as text, questions indented below questions.

        They are those of one phone or state, of all where None. MissingError: no such phone.
        """
        if phone is not None and phone not in self.phones:
            raise MissingError(f"the tree has no phone {phone!r}")
        lines = []
        for i, name in enumerate(self.phones):
            for s, root in enumerate(self.roots[i].tolist()):
                if phone in (None, name) and state in (None, s) and root >= 0:
                    lines.append(f"{name}, state {s}: {self.frames[root]:.0f} frames")
                    lines += self._below(root, 1, "")
        return "\n".join(lines)

    def _below(self, node: int, depth: int, answer: str) -> Iterator[str]:
        indent = "  " * depth
        kind = int(self.asks[node])
        if kind == LEAF:
            yield f"{indent}{answer}pdf {self.leaf_pdf[node]} ({self.frames[node]:.0f} frames)"
            return
        asked, names = self.question(node)
        yield f"{indent}{answer}{asked} {' '.join(names)}? (gain {self.gain[node]:.0f})"
        no, yes = self.branches[node].tolist()
        yield from self._below(yes, depth + 1, "yes: ")
        yield from self._below(no, depth + 1, "no: ")

    def question(self, node: int) -> tuple[str, tuple[str, ...]]:
        """Return what an inner node asks for (left, right, place), and the values of "yes"."""
        kind = int(self.asks[node])
        names = _PLACES if kind == POSITION else self.phones
        return _ASKS[kind], tuple(names[i] for i in np.flatnonzero(self.members[node]))

    def _check(self) -> None:
        n, width = self.n_nodes, max(len(self.phones), N_POSITIONS)
        ends = {"members": (width,), "branches": (2,)}
        for name in _ARRAYS[1:]:
            shape, wanted = getattr(self, name).shape, (n, *ends.get(name, ()))
            if shape != wanted:
                raise OptionError(f"{name} must be {wanted}, got {shape}")
        if self.roots.ndim != 2 or len(self.roots) != len(self.phones) or not n:
            raise OptionError(f"a tree of {len(self.phones)} phones has roots {self.roots.shape}")
        if self.roots.min() < -1 or self.roots.max() >= n or (self.roots[:, 0] < 0).any():
            raise OptionError(f"roots must be nodes, 0..{n - 1}, and each phone needs one")
        leaf = self.asks == LEAF
        if not np.isin(self.asks, (LEAF, LEFT, RIGHT, POSITION)).all():
            raise OptionError("a node asks of its left (0), right (1), position (2), or is a leaf")
        below = self.branches[~leaf]
        if (below <= np.flatnonzero(~leaf)[:, None]).any() or (below >= n).any():
            raise OptionError("branches must lead to nodes of a higher number")
        if (self.leaf_pdf[leaf] < 0).any():
            raise OptionError("every leaf needs a pdf")
