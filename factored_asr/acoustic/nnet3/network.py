"""A network of nnet3 as a value: nodes that take rows of other nodes at other frames.

Its forward pass over a sound that arrives in pieces is in forward.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from factored_asr.acoustic.nnet3.descriptors import (
    IVECTOR,
    Descriptor,
    Name,
    parse_descriptor,
)
from factored_asr.acoustic.nnet3.layers import Layer
from factored_asr.errors import FormatError

INPUT, OUTPUT = "input", "output"
MAX_CONTEXT = 1000
"""Frames that an output may depend on, to either side."""
MAX_STEP = 100
"""Frames from one output to the next."""
_TAIL = ("affine", "scale", "log_softmax", "identity")
"""Layers that may stand behind the rows kept of a whole sound."""


@dataclass(frozen=True)
class Node:
    """One node: an input, a layer of other nodes' rows, columns of a node, or the output."""

    name: str
    source: Descriptor | None = None
    """None: it is an input."""
    layer: str = ""
    """Name of its layer; empty: it passes its source on."""
    columns: tuple[int, int] | None = None
    """First and last column (not included) of its source that it passes on."""
    dim: int = 0
    """Elements of its rows, of an input."""


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes, in the text that nnet3 writes, and the layers that they name.

    Only what the node ``output`` needs is kept.

    Raises
    ------
    FormatError
        A line that is no node, a node that is not there, rows that do not fit, a circle without a
        delay.

    Examples
    --------
    >>> lines = ("input-node name=input dim=2",
    ...          "component-node name=a component=a input=Append(Offset(input, -1), input)",
    ...          "output-node name=output input=a")
    >>> layer = Layer("affine", 4, 1, {"weight": np.ones((1, 4)), "bias": np.zeros(1)})
    >>> network = Network(lines, {"a": layer})
    >>> network.context
    (1, 0)
    """

    lines: tuple[str, ...]
    """``input-node name=… dim=…``, ``component-node name=… component=… input=…``, ``output-node``,
    ``dim-range-node``."""
    layers: Mapping[str, Layer]
    step: int = 1
    """Frames from one output to the next: Kaldi's frame subsampling factor."""
    nodes: Mapping[str, Node] = field(init=False)
    """By name, those that the output needs."""

    def __post_init__(self) -> None:
        if not 1 <= self.step <= MAX_STEP:
            raise FormatError(f"the frame subsampling factor must be 1 to {MAX_STEP}, "
                              f"is {self.step}")
        nodes: dict[str, Node] = {}
        for line in self.lines:
            node = _node(line)
            if node.name in nodes:
                raise FormatError(f"two nodes of the name {node.name!r}")
            nodes[node.name] = node
        needed, waiting = dict[str, Node](), [OUTPUT]
        while waiting:
            name = waiting.pop()
            if name not in nodes:
                raise FormatError(f"a node {name!r} that is not there")
            if name not in needed:
                needed[name] = nodes[name]
                waiting += [each for each, _, _ in _sources(nodes[name])]
        kept = {name: node for name, node in nodes.items() if name in needed}
        used = {node.layer for node in kept.values() if node.layer}
        if lacking := sorted(used.difference(self.layers)):
            raise FormatError(f"a component {lacking[0]!r} that is not there")
        inputs = {name for name, node in kept.items() if node.source is None}
        if INPUT not in inputs or inputs - {INPUT, IVECTOR}:
            raise FormatError(f"inputs must be input and ivector, are {', '.join(sorted(inputs))}")
        put = object.__setattr__
        put(self, "nodes", kept)
        put(self, "layers", {name: self.layers[name] for name in self.layers if name in used})
        put(self, "lines", tuple(line for line in self.lines if _node(line).name in kept))
        self._check_dims()
        self.groups  # noqa: B018  raises where there is a circle

    def dim(self, name: str) -> int:
        """Return the number of elements of a node's rows."""
        return self._dims[name]

    @property
    def n_inputs(self) -> int:
        return self._dims[INPUT]

    @property
    def n_ivector(self) -> int:
        """Elements of the i-vector; 0: it takes none."""
        return self._dims.get(IVECTOR, 0)

    @property
    def n_outputs(self) -> int:
        return self._dims[OUTPUT]

    @cached_property
    def _dims(self) -> dict[str, int]:
        found: dict[str, int] = {}

        def dim(name: str) -> int:
            node = self.nodes[name]
            if name not in found:
                if node.source is None:
                    found[name] = node.dim
                elif node.layer:
                    found[name] = self.layers[node.layer].dim_out
                elif node.columns:
                    found[name] = node.columns[1] - node.columns[0]
                else:
                    found[name] = node.source.dim(dim)
            return found[name]

        try:
            for name in self.nodes:
                dim(name)
        except RecursionError:
            raise FormatError("nodes that go in a circle without a component") from None
        return found

    def _check_dims(self) -> None:
        for node in self.nodes.values():
            if node.source is None:
                continue
            n = node.source.dim(self.dim)
            if node.layer and self.layers[node.layer].dim_in != n:
                raise FormatError(f"component {node.layer!r} takes rows of "
                                  f"{self.layers[node.layer].dim_in} elements, is given {n}")
            if node.columns and not 0 <= node.columns[0] < node.columns[1] <= n:
                raise FormatError(f"node {node.name!r} takes columns {node.columns} of {n}")

    def taken(self, name: str) -> list[tuple[str, int, bool]]:
        """Return what a row of a node needs: nodes, frames from its own, and whether they may
        lack."""
        node = self.nodes[name]
        offsets = self.layers[node.layer].offsets if node.layer else (0,)
        return [(of, by + offset, optional) for of, by, optional in _sources(node)
                for offset in offsets]

    @cached_property
    def first_frame(self) -> dict[str, int]:
        """The first frame that output 0 needs of each node."""
        first, waiting = {OUTPUT: 0}, [OUTPUT]
        while waiting:
            name = waiting.pop()
            for of, by, optional in self.taken(name):
                frame = first[name] + (0 if optional else by)
                if frame < first.get(of, MAX_CONTEXT + 1):
                    if frame < -MAX_CONTEXT:
                        raise FormatError(f"the output needs more than {MAX_CONTEXT} frames before")
                    first[of] = frame
                    waiting.append(of)
        return first

    @cached_property
    def context(self) -> tuple[int, int]:
        """Frames of the input before and after a frame of the output that it depends on."""
        last, waiting = {OUTPUT: 0}, [OUTPUT]
        while waiting:
            name = waiting.pop()
            for of, by, optional in self.taken(name):
                frame = last[name] + by
                if not optional and frame > last.get(of, -MAX_CONTEXT):
                    if frame > MAX_CONTEXT:
                        raise FormatError(f"the output needs more than {MAX_CONTEXT} frames after")
                    last[of] = frame
                    waiting.append(of)
        return -self.first_frame[INPUT], last[INPUT]

    @property
    def size(self) -> str:
        """Layers, weights and context in words, as `info` prints them."""
        arrays = [array for layer in self.layers.values() for array in layer.arrays.values()]
        left, right = self.context
        return (f"{len(self.layers)} layers, {sum(each.size for each in arrays):,} weights, "
                f"{left} frames before and {right} after")

    @cached_property
    def grid(self) -> dict[str, int]:
        """By node: from one of its needed frames to the next, 1 or `step`; inputs have all."""
        remainders: dict[str, set[int]] = {OUTPUT: {0}}
        waiting = [OUTPUT]
        while waiting:
            name = waiting.pop()
            for of, by, _ in self.taken(name):
                there = remainders.setdefault(of, set())
                before = len(there)
                there |= {(each + by) % self.step for each in remainders[name]}
                if len(there) > before:
                    waiting.append(of)
        return {name: 1 if len(there) > 1 or name in (INPUT, IVECTOR) else self.step
                for name, there in remainders.items()}

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Nodes in the order of computation; those of a group need each other's earlier rows."""
        components = _strong_components({name: [of for of, _, _ in self.taken(name)]
                                         for name in self.nodes})
        ordered = []
        for group in components:
            members = set(group)
            now = {name: [of for of, by, optional in self.taken(name)
                          if of in members and by == 0] for name in group}
            for name in group:
                for of, by, optional in self.taken(name):
                    if of in members and (by > 0 or by < 0 and not optional):
                        raise FormatError(f"node {name!r} needs its own rows of other frames "
                                          "without IfDefined, or later ones")
            inner = _strong_components(now)
            if any(len(each) > 1 or each[0] in now[each[0]] for each in inner):
                raise FormatError(f"nodes in a circle without a delay: {', '.join(group)}")
            ordered.append(tuple(name for each in inner for name in each))
        return tuple(ordered)

    @cached_property
    def tail(self) -> tuple[str, tuple[str, ...]]:
        """A node, and the layers that make the output of its rows; see `finished`.

        The node's rows are few numbers where the output's are thousands.
        """
        layers: list[str] = []
        at = self.nodes[OUTPUT]
        while isinstance(at.source, Name) and at.columns is None:
            if at.layer:
                layer = self.layers[at.layer]
                if layer.kind not in _TAIL or layer.offsets != (0,):
                    break
                layers.insert(0, at.layer)
                if layer.kind == "affine":
                    return at.source.node, tuple(layers)
            below = self.nodes[at.source.node]
            if below.source is None:
                break
            at = below
        return OUTPUT, ()

    def finished(self, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of rows of the node of `tail`."""
        for name in self.tail[1]:
            rows = self.layers[name].operation(rows)
        return rows


def _sources(node: Node) -> list[tuple[str, int, bool]]:
    return [] if node.source is None else list(node.source.sources())


def _node(line: str) -> Node:
    """Parse a line of the text of nnet3."""
    kind, _, rest = line.strip().partition(" ")
    values, key = dict[str, str](), ""
    for word in rest.split():
        name, equals, value = word.partition("=")
        if equals and name.replace("-", "").isalpha():
            key = name
            values[key] = value
        elif key:
            values[key] += " " + word
    try:
        name = values["name"]
        if kind == "input-node":
            node = Node(name, dim=int(values["dim"]))
            if not 0 < node.dim < 1 << 20:
                raise ValueError
            return node
        if kind == "output-node":
            return Node(name, parse_descriptor(values["input"]))
        if kind == "component-node":
            return Node(name, parse_descriptor(values["input"]), values["component"])
        if kind == "dim-range-node":
            first = int(values["dim-offset"])
            columns = first, first + int(values["dim"])
            return Node(name, Name(values["input-node"]), columns=columns)
    except (KeyError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"a line that is no node of nnet3: {line[:200]!r}") from None
    raise FormatError(f"a node of a kind that is not supported: {line[:200]!r}")


def _strong_components(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Strongly connected components, what is needed first (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on, stack, found = set[str](), list[str](), list[list[str]]()
    for root in needs:
        work = [(root, 0)] if root not in index else []
        while work:
            name, at = work.pop()
            if at == 0:
                index[name] = low[name] = len(index)
                stack.append(name)
                on.add(name)
            elif needs[name][at - 1] in on:
                low[name] = min(low[name], low[needs[name][at - 1]])
            if at < len(needs[name]):
                work.append((name, at + 1))
                if needs[name][at] not in index:
                    work.append((needs[name][at], 0))
                continue
            if low[name] == index[name]:
                group = list[str]()
                while not group or group[-1] != name:
                    group.append(stack.pop())
                    on.discard(group[-1])
                found.append(group[::-1])
    return found


