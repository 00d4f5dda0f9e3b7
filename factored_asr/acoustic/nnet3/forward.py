"""The forward pass of a network over a sound that arrives in pieces.

A `NetworkStream` keeps of each node the last rows that later frames need: every row is computed
once, whatever the pieces are. Of nodes that only every third frame of the output needs, no other
rows are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.nnet3.descriptors import IVECTOR, Name, Rows
from factored_asr.acoustic.nnet3.network import INPUT, OUTPUT, Network, Node


@dataclass(eq=False)
class _Kept:
    """The last rows of one node, at frames `first`, `first` + step, …"""

    first: int
    step: int
    rows: np.ndarray

    @property
    def end(self) -> int:
        """The next frame to be computed."""
        return self.first + self.step * len(self.rows)

    def add(self, rows: np.ndarray) -> None:
        self.rows = np.concatenate([self.rows, rows]) if len(self.rows) else rows

    def drop_before(self, frame: int) -> None:
        n = min(max(0, (frame - self.first) // self.step), len(self.rows))
        if n:
            self.rows, self.first = self.rows[n:], self.first + n * self.step


class NetworkStream:
    """The forward pass over one sound: inputs as they come in, rows of the output as they follow.

    The first row of the input belongs to frame ``-network.context[0]``; rows of the output belong
    to frames 0, step, 2 · step, …

    `whole` False gives the rows of the node of `Network.tail`, True those of the output itself.

    >>> lines = ("input-node name=input dim=1", "output-node name=output input=Offset(input, -1)")
    >>> stream = NetworkStream(Network(lines, {}, step=2))
    >>> stream.accept(np.arange(5, dtype=np.float32)[:, None]).ravel().tolist()
    [0.0, 2.0, 4.0]
    """

    def __init__(self, network: Network, *, whole: bool = True):
        self._network = network
        self._target = OUTPUT if whole else network.tail[0]
        hidden = set() if whole else _behind(network, self._target)
        self._groups = [group for group in network.groups if hidden.isdisjoint(group)]
        self._kept: dict[str, _Kept] = {}
        self._readers: dict[str, list[tuple[str, int]]] = {name: [] for name in network.nodes}
        self._steps: dict[str, _Step] = {}
        first = network.first_frame
        self._late = first.get(IVECTOR, 0) - first[INPUT]  # frames before the i-vector is needed
        chains = _chains(network, self._groups, self._target)
        for group in self._groups:
            for name in group:
                if name not in chains:
                    continue  # part of a later node's chain
                step, chain = network.grid[name], chains[name]
                self._kept[name] = _Kept(first[name], step,
                                         np.zeros((0, network.dim(name)), np.float32))
                for of, by, _ in network.taken(chain[0].name):
                    self._readers[of].append((name, by))
                if chain[0].source is not None:
                    self._steps[name] = _Step(network, chain, set(group))
        self._groups = [group for group in self._groups if group[0] in self._steps]

    def accept(self, inputs: np.ndarray, ivectors: np.ndarray | None = None) -> np.ndarray:
        """Return the new rows of the target, (n, dim) float32.

        `inputs` (n, n_inputs) are the next frames, `ivectors` (n, n_ivector) that of each.
        """
        kept = self._kept
        given = kept[self._target].end
        kept[INPUT].add(inputs)
        if IVECTOR in kept:
            skip = min(self._late, len(inputs))
            self._late -= skip
            kept[IVECTOR].add(np.zeros((0, 0)) if ivectors is None else ivectors[skip:])
        for group in self._groups:
            frames = self._frames(group)
            if len(group) == 1:
                if len(frames):
                    kept[group[0]].add(self._steps[group[0]].rows(self._rows, frames))
                continue
            for frame in frames:
                now = range(frame, frame + frames.step, frames.step)
                for name in group:
                    kept[name].add(self._steps[name].rows(self._rows, now))
        target = kept[self._target]
        rows = target.rows[(given - target.first) // target.step :]
        self._drop()
        return rows

    def _frames(self, group: Sequence[str]) -> range:
        """The frames that can now be computed of a group."""
        first, ends = self._kept[group[0]].end, []
        for name in group:
            for of, by in self._steps[name].outside:
                kept = self._kept[of]
                ends.append(kept.end - kept.step + 1 - by)
        return range(first, max(min(ends, default=0), first), self._kept[group[0]].step)

    def _rows(self, name: str, frames: range, optional: bool) -> np.ndarray:
        kept = self._kept[name]
        at = (frames.start - kept.first) // kept.step
        step = frames.step // kept.step or 1
        n = len(frames)
        if at < 0 and optional:
            lacking = min(n, (-at + step - 1) // step)
            rows = kept.rows[at + lacking * step :: step][: n - lacking]
            return np.concatenate([np.zeros((lacking, rows.shape[1]), np.float32), rows])
        return kept.rows[at : at + (n - 1) * step + 1 : step]

    def _drop(self) -> None:
        """Let go of rows that nothing needs any more."""
        ends = {name: kept.end for name, kept in self._kept.items()}
        for name, kept in self._kept.items():
            kept.drop_before(min([ends[reader] + by for reader, by in self._readers[name]],
                                 default=ends[name]))


class _Step:
    """How the rows of one node are computed, through the nodes before it that no other reads."""

    def __init__(self, network: Network, chain: Sequence[Node], group: set[str]):
        source, layers = chain[0].source, [network.layers[n.layer] for n in chain if n.layer]
        assert source is not None
        self._source = source
        self._offsets = network.layers[chain[0].layer].offsets if chain[0].layer else (0,)
        self._operations = [layer.operation for layer in layers if layer.kind != "identity"]
        self._columns = slice(*chain[0].columns) if chain[0].columns else None
        self.outside = [(of, by) for of, by, _ in network.taken(chain[0].name) if of not in group]

    def rows(self, rows: Rows, frames: range) -> np.ndarray:
        if self._offsets == (0,):
            found = self._source.rows(rows, frames)
        else:
            found = np.concatenate([
                self._source.rows(rows, range(frames.start + by, frames.stop + by, frames.step))
                for by in self._offsets
            ], axis=1)
        if self._columns is not None:
            found = found[:, self._columns]
        for operation in self._operations:
            found = operation(found)
        return found


def _chains(
    network: Network, groups: Sequence[Sequence[str]], target: str
) -> dict[str, tuple[Node, ...]]:
    """Return the nodes whose rows are kept, each with the nodes that only lead to it, in order.

    An affine layer, its ReLU and its normalisation, say, are computed one right after the other.
    """
    readers: dict[str, list[str]] = {}
    alone = {group[0] for group in groups if len(group) == 1}
    for group in groups:
        for name in group:
            for of, _, _ in network.taken(name):
                readers.setdefault(of, []).append(name)
    chains: dict[str, tuple[Node, ...]] = {}
    for group in groups:
        for name in group:
            node, before = network.nodes[name], tuple[Node, ...]()
            if isinstance(node.source, Name) and not node.columns and name in alone:
                of = node.source.node
                is_free = of in alone and of != target and network.nodes[of].source is not None
                if is_free and readers[of] == [name] and network.taken(name) == [(of, 0, False)]:
                    before = chains.pop(of)
            chains[name] = (*before, node)
    return chains


def _behind(network: Network, target: str) -> set[str]:
    """Nodes that only the output needs, between it and the target."""
    behind, at = set[str](), OUTPUT
    while at != target:
        behind.add(at)
        source = network.nodes[at].source
        assert isinstance(source, Name)
        at = source.node
    return behind
