"""The Viterbi beam search over a decoding graph: start, advance, partial, finish.

A search of a whole file is a stream with one chunk; both give the same result bit for bit. Many
searches, in as many threads, may share one graph.

Source: Kaldi's FasterDecoder for beam, max_active and min_active (Povey et al., ASRU 2011).
"""

from __future__ import annotations

import threading
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.decoder import _kernels as kernels
from factored_asr.decoder import links
from factored_asr.errors import FormatError, OptionError
from factored_asr.graph import Graph
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.path import NO_PATH, Path, read_path


@dataclass(frozen=True)
class BeamOptions:
    """How much the search keeps. Wider is slower and closer to the true best path.

    Examples
    --------
    >>> narrow = BeamOptions(beam=8.0, lattice_beam=0.0)  # fast, and the best path alone
    >>> narrow.beam, narrow.max_active
    (8.0, 7000)
    """

    beam: float = 13.0
    """Cost by which a token may lie behind the best of its frame; higher is slower, more exact."""
    max_active: int = 7000
    """Tokens expanded a frame at most; higher is slower, more exact; 0 sets no limit."""
    min_active: int = 200
    """Tokens kept a frame even if the beam is narrower; higher saves narrow beams from dying."""
    beam_delta: float = 0.5
    """Cost added to the beam of a frame that max_active or min_active has set; higher is slower."""
    lattice_beam: float = 6.0
    """Cost by which a lattice path may lie behind the best; higher keeps more alternatives and is
    slower; 0 keeps the best path alone."""
    prune_interval: int = 50
    """Frames between two prunings of the lattice; higher is faster, takes more memory, and changes
    nothing in the result."""
    history_steps: int = 1 << 18
    """Back-pointers (12 bytes each) held before dead ones are dropped; lower saves memory."""

    def __post_init__(self) -> None:
        for name in ("beam", "beam_delta"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("max_active", "min_active", "lattice_beam", "history_steps"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not self.prune_interval >= 1:
            raise OptionError(f"prune_interval must be 1 or more, got {self.prune_interval}")
        if self.max_active and self.min_active > self.max_active:
            raise OptionError(
                f"min_active ({self.min_active}) must not exceed max_active ({self.max_active})"
            )


def decode(
    graph: Graph, log_likelihoods: np.ndarray, options: BeamOptions | None = None
) -> Lattice:
    """Find the best way through a graph for a whole utterance.

    Parameters
    ----------
    graph
        The decoding graph.
    log_likelihoods
        (n_frames, n_pdfs) float32: natural logarithms, already scaled; -inf is impossible. Columns
        that no label of the graph uses are not read.
    options
        How wide to search.

    Returns
    -------
    Lattice
        ``best()`` is the best path; ``reason`` says so where none survived or none was whole.

    Raises
    ------
    OptionError
        Too few columns for the graph's labels, or not a matrix.
    FormatError
        A score is NaN or +inf, or epsilon arcs form a cycle of negative cost.

    Examples
    --------
    >>> from factored_asr.graph import ARC
    >>> arcs = np.array([(1, 1, 0.5, 1), (2, 0, 0.1, 1)], dtype=ARC)
    >>> graph = Graph(start=0, first_arc=np.array([0, 1, 2]), arcs=arcs,
    ...               final=np.array([np.inf, 0.0]), words=("<eps>", "yes"))
    >>> path = decode(graph, np.log([[0.9, 0.1], [0.2, 0.8]])).best()
    >>> path.words, path.labels.tolist(), round(path.cost, 3)
    (('yes',), [1, 2], 0.929)
    """
    search = Search(graph, options)
    search.advance(log_likelihoods)
    return search.finish()


class _Scratch(threading.local):
    """Arrays whose content counts within one frame only: the searches of a thread share them."""

    def __init__(self) -> None:
        self.slots = np.zeros(0, np.uint32)
        self.rows = self.silent = np.zeros(0, np.int32)
        self.queue, self.waiting = np.zeros(0, np.int32), np.zeros(0, np.bool_)
        self.leaving = np.zeros((kernels.MANY + 1, 0), kernels.LEAVING)
        self.label_cost = np.zeros(0, np.float32)
        self.bins = np.zeros(kernels.N_BINS, np.int64)

    def room(self, n_states: int, n_tokens: int, n_labels: int) -> _Scratch:
        """Make room for a search of a graph with so many tokens a frame."""
        if len(self.slots) < n_states:
            self.slots = np.zeros(n_states, np.uint32)
        if len(self.queue) < n_tokens:
            self.queue, self.rows, self.silent = np.zeros((3, n_tokens), np.int32)
            self.waiting = np.zeros(n_tokens, np.bool_)
            self.leaving = np.zeros((kernels.MANY + 1, n_tokens), kernels.LEAVING)
        if len(self.label_cost) < n_labels:
            self.label_cost = np.zeros(n_labels, np.float32)
        return self


_SCRATCH = _Scratch()
BRANCH_STEPS = 1 << 14  # room of a branch for further steps
FIRST_TOKENS = 1 << 14  # room at the start; pages not yet used cost nothing


def label_columns(graph: Graph, pdfs: np.ndarray | None) -> np.ndarray:
    """Return the column of scores of each label, (n_labels + 1,) int32.

    `pdfs`: the ascending pdfs of the columns; None: column k is that of pdf k. Raises OptionError
    if they do not ascend, or lack one that a label of the graph uses.
    """
    if pdfs is None:
        return graph.label_pdf
    pdfs = np.asarray(pdfs)
    if pdfs.ndim != 1 or (np.diff(pdfs) <= 0).any():
        raise OptionError("pdfs must be a list of ascending numbers, each of them once")
    missing = np.setdiff1d(graph.pdfs, pdfs)
    if len(missing):
        raise OptionError(
            f"the graph uses {len(missing)} pdfs that are not among the {len(pdfs)} of the scores, "
            f"such as {missing[0]}"
        )
    columns = np.searchsorted(pdfs, graph.label_pdf).astype(np.int32)
    columns.flags.writeable = False  # as label_pdf: one specialisation of each kernel
    return columns


class Search:
    """One utterance being searched: `advance` as often as frames arrive, then `finish`.

    A search belongs to one thread at a time; its graph may be shared by any number.

    Examples
    --------
    >>> from factored_asr.graph import ARC
    >>> arcs = np.array([(1, 1, 0.5, 1), (2, 0, 0.1, 1)], dtype=ARC)
    >>> graph = Graph(start=0, first_arc=np.array([0, 1, 2]), arcs=arcs,
    ...               final=np.array([np.inf, 0.0]), words=("<eps>", "yes"))
    >>> search = Search(graph)
    >>> search.advance(np.log([[0.9, 0.1]]))
    >>> search.advance(np.log([[0.2, 0.8]]))
    >>> search.n_frames, search.finish().best().words
    (2, ('yes',))
    """

    def __init__(
        self, graph: Graph, options: BeamOptions | None = None, pdfs: np.ndarray | None = None
    ):
        """`pdfs`: the ascending pdfs whose scores the columns are; None: column k is pdf k."""
        self.graph, self.options = graph, options or BeamOptions()
        self._columns = label_columns(graph, pdfs)
        self._used = graph.pdfs if pdfs is None else np.unique(self._columns[1:])
        self._n_columns = int(self._used.max(initial=-1)) + 1 if pdfs is None else len(pdfs)
        self._exactly = pdfs is not None
        self._counters = np.zeros(kernels.N_COUNTERS, np.int64)
        self._most_tokens = min(graph.n_states, FIRST_TOKENS)
        self._forward = links.new_forward(
            self.options.lattice_beam, self.options.prune_interval, self._most_tokens
        )
        self.start()

    def start(self) -> None:
        """Begin a new utterance; what was searched before is dropped."""
        self._steps = np.zeros(max(self.options.history_steps, 16), kernels.STEP)
        self._offset = np.zeros(1, np.float64)
        self._dead_at: int | None = None
        self._dropped_at = -1
        self._counters[:] = 0
        status = kernels.NEED_TOKENS
        while status != kernels.DONE:
            status = self._enter()
            self._answer(status)

    def _scratch(self) -> _Scratch:
        return _SCRATCH.room(self.graph.n_states, self._most_tokens, len(self._columns))

    @property
    def _keeps_lattice(self) -> bool:
        return self.options.lattice_beam > 0

    def _enter(self) -> int:
        """The tokens before the first frame: the start and what epsilon arcs reach from it."""
        graph, counters = self.graph, self._counters
        scratch = self._scratch()
        tokens, past, room, layers, lattice_beam, _ = self._forward
        table = tokens[: self._most_tokens]
        table[0] = (graph.start, 0.0, kernels.NONE, kernels.NONE)
        scratch.slots[graph.start] = 0
        status, n_tokens, n_steps, best, n_links = kernels.close(
            graph.states, graph.arcs, np.float32(np.inf), table, 0, scratch.silent, 0, 1,
            scratch.slots, scratch.queue, scratch.waiting, self._steps, 0, -1, room, 0,
            lattice_beam,
        )
        if status == kernels.DONE and self._keeps_lattice:
            kernels.settle(graph.arcs, table, n_tokens, best, 0, 0, n_links, past, room, layers, 0,
                           lattice_beam)
        counters[kernels.N_TOKENS] = n_tokens if status == kernels.DONE else 0
        counters[kernels.N_STEPS], counters[kernels.BEST] = n_steps, best
        return status

    @property
    def n_frames(self) -> int:
        """Frames searched so far."""
        return int(self._counters[kernels.FRAME])

    @property
    def n_arcs_expanded(self) -> int:
        """Arcs looked at so far: the work done."""
        return int(self._counters[kernels.N_ARCS])

    @property
    def n_tokens_expanded(self) -> int:
        """Tokens expanded so far, the sum over frames."""
        return int(self._counters[kernels.N_EXPANDED])

    def advance(self, log_likelihoods: np.ndarray) -> None:
        """Search further frames: (n_frames, n_columns) float32, see `decode`."""
        scores, done = self._checked(log_likelihoods), 0
        options, graph = self.options, self.graph
        if self._keeps_lattice:
            self._forward = links.with_layers(self._forward, self.n_frames + len(scores))
        while done < len(scores) and self._dead_at is None:
            scratch = self._scratch()
            status, n_rows = kernels.advance(
                graph.states, graph.arcs, self._columns, scores[done:],
                np.float32(options.beam), np.float32(options.beam_delta),
                options.max_active or np.iinfo(np.int64).max, options.min_active,
                self._most_tokens, scratch.slots, scratch.queue, scratch.waiting, self._steps,
                scratch.label_cost, scratch.bins, self._counters, self._offset, scratch.rows,
                scratch.leaving, scratch.silent, self._forward,
            )
            done += n_rows
            self._answer(status)

    def branch(self) -> Search:
        """Return a search that goes on from here by itself, without a lattice; this one stays."""
        made, now, n_steps = copy(self), self._now(), int(self._counters[kernels.N_STEPS])
        made.options = replace(self.options, lattice_beam=0.0)
        made._forward = links.new_forward(0.0, self.options.prune_interval, self._most_tokens)
        made._forward.tokens[: len(now)] = now
        made._steps = np.zeros(n_steps + BRANCH_STEPS, kernels.STEP)
        made._steps[:n_steps] = self._steps[:n_steps]
        made._counters, made._offset = self._counters.copy(), self._offset.copy()
        made._counters[kernels.AT] = 0
        return made

    def partial(self) -> Path | None:
        """The best path so far, final or not; None where no path survives."""
        return None if self._dead_at is not None else self._path(use_final=False)

    def final_relative_cost(self) -> float:
        """How much worse the best token is that may end here than the best of all; inf if none."""
        cost, ending = self._token_costs()
        return float(ending.min() - cost.min()) if len(cost) else float("inf")

    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the states of the last frame's tokens, (n_tokens,) int32, and their costs.

        Costs are float64 and those of whole paths so far. Tokens whose cost is more than the beam
        above the least one are dropped when the next frame comes. Empty where no path survives.
        """
        cost, _ = self._token_costs()
        states = self._now()["state"][: len(cost)].copy()
        return states, cost.astype(np.float64) + float(self._offset[0])

    def part_paths(self) -> tuple[Path, ...]:
        """The best path that ends now in each part of the graph; `NO_PATH` where none does."""
        cost, ending = self._token_costs()
        states = self._now()["state"][: len(cost)]
        part = np.searchsorted(self.graph.parts, states, "right") - 1
        within = (np.where(part == each, ending, np.inf) for each in range(len(self.graph.parts)))
        return tuple(
            self._traced(int(np.argmin(costs)), float(costs.min()), True)
            if np.isfinite(costs.min(initial=np.inf)) else NO_PATH for costs in within
        )

    def finish(self) -> Lattice:
        """End the utterance: the best path to a final state, or the best of all if none ends."""
        seconds = self.graph.frame_seconds
        if self._dead_at is not None:
            reason = f"no path survived frame {self._dead_at}"
            return Lattice(self.n_frames, NO_PATH, seconds, reason)
        path = self._path(use_final=True)
        reason = "" if path.reached_final else "no path reached a final state of the graph"
        lattice = Lattice(self.n_frames, path, seconds, reason, self.graph.words)
        if not self._keeps_lattice:
            return lattice
        cost, ending = self._token_costs()
        ending = ending if path.reached_final else cost
        raw = links.raw_lattice(self.graph, self._forward, self.n_frames, ending - ending.min())
        return links.spelt_lattice(self.graph, raw, self.n_frames, lattice,
                                   self.options.lattice_beam)

    def _checked(self, log_likelihoods: np.ndarray) -> np.ndarray:
        try:
            with np.errstate(over="ignore"):
                scores = np.ascontiguousarray(log_likelihoods, np.float32).view()
        except (TypeError, ValueError) as error:
            raise OptionError(f"log_likelihoods must be a matrix of numbers: {error}") from None
        if scores.ndim != 2:
            raise OptionError(
                f"log_likelihoods must be (n_frames, n_pdfs), got an array of shape {scores.shape}"
            )
        n_columns, needed = scores.shape[1], self._n_columns
        if n_columns < needed or (self._exactly and n_columns > needed):
            use = "there are {} pdfs" if self._exactly else "the graph's labels use {}"
            raise OptionError(f"log_likelihoods has {n_columns} columns, {use.format(needed)}")
        if scores.size and not scores.max() < np.inf:  # NaN or +inf, perhaps in an unused column
            used = scores[:, self._used]
            bad = np.argwhere(~(used < np.inf))
            if len(bad):
                row, column = bad[0]
                raise FormatError(
                    f"log_likelihoods[{row}, {self._used[column]}] is {used[row, column]}: "
                    "a score must be a number below +inf"
                )
        scores.flags.writeable = False  # one type for all: one kernel is compiled
        return scores

    def _answer(self, status: int) -> None:
        """Make the room a kernel asked for, or say why the search ends."""
        if status != kernels.DONE:
            _SCRATCH.waiting[:] = False
        if status == kernels.NEED_TOKENS:
            self._make_room(min(self.graph.n_states, 2 * self._most_tokens))
        elif status == kernels.NEED_STEPS:
            self._drop_steps()
        elif status == kernels.NEED_LINKS:
            self._forward = links.with_links(self._forward, self._most_tokens)
        elif status == kernels.NO_TOKENS:
            self._dead_at = self.n_frames
        elif status == kernels.NEGATIVE_CYCLE:
            raise FormatError("epsilon arcs of the graph form a cycle of negative cost")

    def _make_room(self, most_tokens: int) -> None:
        """Room for so many tokens a frame; without a lattice those of the last one move over."""
        self._most_tokens = most_tokens
        if not self._keeps_lattice:
            now = self._now().copy()
            self._forward = links.new_forward(0.0, self.options.prune_interval, most_tokens)
            self._counters[kernels.AT] = 0
            self._forward.tokens[: len(now)] = now

    def _drop_steps(self) -> None:
        """Keep the steps some token leads back to; take more room where that is not enough."""
        now, size = self._now(), len(self._steps)
        n_steps = kernels.collect(now, len(now), self._steps, self._counters[kernels.N_STEPS],
                                  np.empty(size, np.int32))
        self._counters[kernels.N_STEPS] = n_steps
        asked_again = self._dropped_at == self.n_frames  # this frame's epsilon arcs fill it all
        self._dropped_at = self.n_frames
        if asked_again or size < 2 * n_steps + 4 * len(now):
            steps = np.zeros(max(2 * size, 4 * n_steps + 8 * len(now)), kernels.STEP)
            steps[:n_steps] = self._steps[:n_steps]
            self._steps = steps

    def _now(self) -> np.ndarray:
        """The tokens of the last frame."""
        at, n_tokens = self._counters[kernels.AT], self._counters[kernels.N_TOKENS]
        return self._forward.tokens[at : at + n_tokens]

    def _token_costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Cost of each token as it is, and if it ended here."""
        now = self._now() if self._dead_at is None else self._now()[:0]
        return now["cost"], now["cost"] + self.graph.final[now["state"]]

    def _path(self, use_final: bool) -> Path:
        cost, ending = self._token_costs()
        best = int(np.argmin(ending))
        reached_final = bool(np.isfinite(ending[best]))
        if not (use_final and reached_final):
            best, ending = int(np.argmin(cost)), cost
        return self._traced(best, float(ending[best]), use_final and reached_final)

    def _traced(self, token_index: int, cost: float, reached_final: bool) -> Path:
        """The path of a token of the last frame."""
        token, graph = self._now()[token_index], self.graph
        arcs, stays = kernels.trace(graph.start, graph.states, graph.arcs, self._steps,
                                    token["back"], token["arc"], self.n_frames)
        return read_path(graph, arcs, stays, float(self._offset[0]) + cost, reached_final)
