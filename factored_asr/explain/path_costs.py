"""The best path of a search, word by word and pause by pause, with what each factor charged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.model import AcousticSession
from factored_asr.explain.factors import Costs, Prices
from factored_asr.graph import Graph
from factored_asr.lattice import Path, PhoneSegment


@dataclass(frozen=True)
class Part:
    """A stretch of a path: a word, a pause, or the end of the sentence."""

    kind: str
    """``word``, ``pause``, ``end``; ``fragment`` for phones of a word that was broken off."""
    word: str
    """Empty unless it is a word."""
    start: int
    """First frame."""
    end: int
    """Frame after the last; that of the start for the end of the sentence."""
    phones: tuple[PhoneSegment, ...]
    costs: Costs
    free: float = 0.0
    """The acoustic cost of the best phones out of context, whatever they say: what to hold that
    of the path against, as acoustic costs have no zero of their own."""

    @property
    def misfit(self) -> float:
        """Acoustic cost above that of the best phones; below 0 where context made it better."""
        return self.costs.acoustic - self.free


@dataclass(frozen=True, eq=False)
class FrameScores:
    """How well each frame of a path fits; scaled log-likelihoods, (n_frames,) float32 each."""

    path: np.ndarray
    """In the path's state."""
    free: np.ndarray
    """In the best state of any phone out of context, which knows nothing of words."""

    @staticmethod
    def of(
        session: AcousticSession, scale: float, pdfs: np.ndarray, free_pdfs: np.ndarray
    ) -> FrameScores:
        """Score the frames of a path.

        Parameters
        ----------
        session
            The whole sound, finished.
        scale
            The acoustic scale.
        pdfs
            (n_frames,) int: the path's in each frame.
        free_pdfs
            Those of all phones out of context.
        """
        free = [scores.max(axis=1) for scores in session.scores(free_pdfs)]
        path, weight = session.path_scores(pdfs), np.float32(scale)
        return FrameScores(path * weight, np.concatenate([path[:0], *free]) * weight)


def path_parts(
    graph: Graph, path: Path, scores: FrameScores, prices: Prices
) -> tuple[Part, ...]:
    """The parts of a path in their order; their costs add up to the path's.

    What the search paid on a part's frames, and on the epsilon arcs before each of them, is set
    against what the factors' tables say of it; the rest is its remainder.

    Parameters
    ----------
    path
        The best path of a search over the graph.
    scores
        Of its frames.
    """
    n_frames = path.n_frames
    paid, transitions = graph_costs(graph, path), _transitions(graph, path, prices)
    spans = list(_spans(path))
    language, end = _language(spans, prices)
    parts = []
    for (kind, word, phones), cost in zip(spans, language, strict=True):
        first, last = (phones[0].start, phones[-1].end) if phones else (n_frames, n_frames)
        here = slice(first, last)
        acoustic = -float(scores.path[here].sum(dtype=np.float64))
        known = Costs(
            acoustic,
            prices.pronunciation(word, [each.phone for each in phones]) if word else 0.0,
            cost, prices.options.word_penalty if word else 0.0, float(transitions[here].sum()),
            sum(prices.silence(each.phone) for each in phones if each.is_silence),
        )
        total = acoustic + float(paid[here].sum())
        costs = known + Costs(remainder=total - known.total)
        free = -float(scores.free[here].sum(dtype=np.float64))
        parts.append(Part(kind, word, first, last, phones, costs, free))
    language_end = end if path.reached_final else 0.0
    costs = Costs(language=language_end, remainder=float(paid[n_frames]) - language_end)
    return (*parts, Part("end", "", n_frames, n_frames, (), costs))


def graph_costs(graph: Graph, path: Path) -> np.ndarray:
    """What the graph charged before and in each frame, and after the last: (n_frames + 1,)."""
    taken = graph.arcs[path.arcs]
    emits = taken["label"] != 0
    frame = np.cumsum(emits) - emits
    paid = np.bincount(
        frame, weights=taken["cost"].astype(np.float64), minlength=path.n_frames + 1
    )
    if path.reached_final:
        last = int(taken["target"][-1]) if len(taken) else graph.start
        paid[path.n_frames] += float(graph.final[last])
    return paid


def _transitions(graph: Graph, path: Path, prices: Prices) -> np.ndarray:
    """The part of it that is transitions: (n_frames,)."""
    taken = graph.arcs[path.arcs]
    source = np.searchsorted(graph.first_arc, path.arcs, side="right") - 1
    stays = (taken["target"] == source)[taken["label"] != 0]
    return prices.transitions(graph, path.labels, stays)


_Span = tuple[str, str, tuple[PhoneSegment, ...]]
"""Kind, word and phones."""


def _spans(path: Path) -> Iterator[_Span]:
    """The phones of the path, gathered to words and pauses."""
    word_at = {
        frame: number
        for number, segment in enumerate(path.segments) if segment.start is not None
        for frame in range(segment.start, segment.end or 0)
    }
    gathered: list[PhoneSegment] = []
    of: tuple[str, str, int] | None = None
    for phone in path.phones:
        number = word_at.get(phone.start, -1)
        if number >= 0:
            now = "word", path.words[number], number
        else:
            now = ("pause" if phone.is_silence else "fragment"), "", -1
        if of is not None and now != of:
            yield *of[:2], tuple(gathered)
            gathered = []
        of = now
        gathered.append(phone)
    if of is not None:
        yield *of[:2], tuple(gathered)
    for segment in path.segments:
        if segment.start is None:
            yield "word", segment.word, ()


def _language(spans: list[_Span], prices: Prices) -> tuple[list[float], float]:
    """Cost of each span in the language model, 0 for what is no word; and of the end."""
    each, end = prices.language([word for _, word, _ in spans if word])
    waiting = iter(each)
    return [next(waiting) if word else 0.0 for _, word, _ in spans], end
