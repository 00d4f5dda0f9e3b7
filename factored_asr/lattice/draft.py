"""A lattice being read: nodes by their names in a file, sorted at the end."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.lattice.lattice import Lattice
from factored_asr.storage.reading import whole_number

MAX_FRAMES = 1 << 31


@dataclass(frozen=True)
class DraftArc:
    """One arc of a file."""

    source: int
    target: int
    word: int
    acoustic: float
    """Scaled cost."""
    graph: float
    lm: float = 0.0
    frames: int = 0
    """Number of frames, in files that state it."""
    line: int = 1


@dataclass
class Draft:
    """The lattice read so far. Nodes are numbered in order of appearance."""

    path: str | Path
    words: list[str]
    fixed_words: bool = False
    """True if the table of words is given, and no word may be added."""
    arcs: list[DraftArc] = field(default_factory=list)
    frame: dict[int, int] = field(default_factory=dict)
    final: dict[int, float] = field(default_factory=dict)
    start: int | None = 0

    def __post_init__(self) -> None:
        self._nodes: dict[str, int] = {}
        self._ids = {word: i for i, word in reversed(list(enumerate(self.words)))}

    def node(self, name: str, line: int) -> int:
        """Return the number of a node; a new name gets a new one."""
        if whole_number(name) is None:
            raise FormatError(f"a node is a number, got {name!r}", self.path, line)
        return self._nodes.setdefault(name, len(self._nodes))

    def new_node(self) -> int:
        """Return a new node without a name in the file."""
        return self._nodes.setdefault(f"+{len(self._nodes)}", len(self._nodes))

    def word(self, name: str, line: int) -> int:
        """Return the id of a word; with a given table it may be a number."""
        found = self._ids.get(name)
        if found is None and not self.fixed_words:
            found = self._ids[name] = len(self.words)
            self.words.append(name)
        if found is None and (number := whole_number(name)) is not None:
            found = number if number < len(self.words) else None
        if found is None:
            raise FormatError(f"word {name!r} is not in the table of words", self.path, line)
        return found

    def number(self, text: str, line: int) -> float:
        """Read a finite number."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(f"expected a finite number, got {text!r}", self.path, line)
        return value

    def header_number(self, header: Mapping[str, str], key: str, default: float) -> float:
        """Read a number of the header; return `default` if it is not there."""
        return self.number(header[key], 1) if key in header else default

    def time_nodes(self, line: int) -> None:
        """Set the frames of nodes from those of arcs; FormatError if paths disagree."""
        frame = {0: 0} if self._nodes else {}
        leaving = self._leaving()
        for node in self._ordered(line):
            for arc in leaving[node] if node in frame else ():
                end = frame[node] + arc.frames
                if frame.setdefault(arc.target, end) != end:
                    raise FormatError(
                        f"paths to one node differ in their frames: {frame[arc.target]} and {end}",
                        self.path, arc.line,
                    )
        self.frame = frame

    def _leaving(self) -> dict[int, list[DraftArc]]:
        """Return the arcs of each node, in the order of the file."""
        leaving = defaultdict(list)
        for arc in self.arcs:
            leaving[arc.source].append(arc)
        return leaving

    def _ordered(self, line: int) -> list[int]:
        """Sort the nodes: the start first, every arc to a later one (Kahn 1962), ties by time."""
        waits, leaving = Counter(arc.target for arc in self.arcs), self._leaving()
        if self.start is not None and waits[self.start]:
            raise FormatError("an arc leads back to the start", self.path, line)

        def rank(node: int) -> tuple[bool, int, int]:
            return node != self.start, self.frame.get(node, 0), node

        ready = [rank(node) for node in self._nodes.values() if not waits[node]]
        heapq.heapify(ready)
        order = []
        while ready:
            node = heapq.heappop(ready)[-1]
            order.append(node)
            for arc in leaving[node]:
                waits[arc.target] -= 1
                if not waits[arc.target]:
                    heapq.heappush(ready, rank(arc.target))
        if len(order) < len(self._nodes):
            raise FormatError("the arcs of the lattice run in a circle", self.path, line)
        return order

    def lattice(self, line: int, acoustic_scale: float, frame_seconds: float | None) -> Lattice:
        """Return the lattice. `line` is the line of errors about the whole lattice."""
        order = self._ordered(line)
        place = {node: i for i, node in enumerate(order)}
        for arc in self.arcs:
            if self.frame.get(arc.target, 0) < self.frame.get(arc.source, 0):
                raise FormatError("an arc leads back in time", self.path, arc.line)
        if any(not 0 <= at < MAX_FRAMES for at in self.frame.values()):
            raise FormatError(f"a node's frame must lie in [0, {MAX_FRAMES})", self.path, line)
        arcs = sorted(self.arcs, key=lambda arc: place[arc.source])
        frames = np.array([self.frame.get(node, 0) for node in order], np.int32)
        return Lattice(
            node_frame=frames,
            arc_source=np.array([place[arc.source] for arc in arcs], np.int32),
            arc_target=np.array([place[arc.target] for arc in arcs], np.int32),
            arc_word=np.array([arc.word for arc in arcs], np.int32),
            arc_pronunciation=np.zeros(len(arcs), np.int32),
            arc_acoustic=np.array([arc.acoustic for arc in arcs], np.float64),
            arc_graph=np.array([arc.graph for arc in arcs], np.float64),
            arc_lm=np.array([arc.lm for arc in arcs], np.float64),
            final=np.array([self.final.get(node, math.inf) for node in order], np.float64),
            words=tuple(self.words), n_frames=int(frames.max(initial=0)),
            frame_seconds=frame_seconds, acoustic_scale=acoustic_scale,
        )
