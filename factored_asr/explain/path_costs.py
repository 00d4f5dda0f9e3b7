"""The best path of a search, word by word and pause by pause, with its costs by factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from factored_asr._deprecated import renamed_fields
from factored_asr.explain.factors import Costs, Prices
from factored_asr.explain.transitions import path_transitions, units_of
from factored_asr.graph import Graph
from factored_asr.lattice import Path, PhoneSegment


@renamed_fields({"misfit": "excess"})  # old name
@dataclass(frozen=True)
class Part:
    """A stretch of a path: a word, a pause, or the end of the sentence.

    Examples
    --------
    >>> part = Part("word", "on", 10, 40, (), Costs(acoustic=90.0, language=2.0), free=85.0)
    >>> part.excess, part.costs.total
    (5.0, 92.0)
    """

    kind: str
    """``word``, ``pause``, ``end``; ``fragment`` for phones of a word that was broken off."""
    word: str
    """Empty unless it is a word."""
    start: int
    """First frame."""
    end: int
    """Frame after the last; that of the start for the end of the sentence."""
    phones: tuple[PhoneSegment, ...]
    """Its phones with their frames."""
    costs: Costs
    """Its costs, by factor."""
    free: float = 0.0
    """Acoustic cost of the best phones out of context, without regard to words: the reference for
    the acoustic cost of the path, which has no absolute zero."""

    @property
    def excess(self) -> float:
        """Return the acoustic cost above `free`; below 0 if phones in context fit better."""
        return self.costs.acoustic - self.free


def path_parts(
    graph: Graph, path: Path, scores: np.ndarray, free: np.ndarray, prices: Prices
) -> tuple[Part, ...]:
    """Return the parts of a path in order; their costs add up to the path's.

    A part's cost is that of its frames and of the epsilon arcs before each of them. What of it is
    not in the tables of the factors is its remainder.

    Parameters
    ----------
    path
        The best path of a search over the graph.
    scores
        (n_frames,) float32: scaled log-likelihood of each frame in the path's state.
    free
        (n_frames,) float32: the same in the best state of any phone out of context.
    """
    spans, n_frames = list(_spans(path)), path.n_frames
    paid = graph_costs(graph, path, prices.hotwords.shares if prices.hotwords else None)
    bonuses = iter(prices.bonuses(path.words))
    units = units_of(prices.topology, (
        ([each.phone for each in phones], kind in ("word", "fragment")) for kind, _, phones in spans
    ))
    transitions = iter(path_transitions(
        prices.topology, prices.options.transition_scale, graph, path, units
    ))
    language, end = _language(spans, prices)
    parts = []
    for (kind, word, phones), cost in zip(spans, language, strict=True):
        first, last = (phones[0].start, phones[-1].end) if phones else (n_frames, n_frames)
        here = slice(first, last)
        acoustic = -float(scores[here].sum(dtype=np.float64))
        known = Costs(
            acoustic,
            prices.pronunciation(word, [each.phone for each in phones]) if word else 0.0,
            cost, prices.options.word_penalty if word else 0.0,
            sum(islice(transitions, len(phones))),
            sum(prices.silence(each.phone) for each in phones if each.is_silence),
            bonus := next(bonuses) if kind == "word" else 0.0,
        )
        total = acoustic + float(paid[here].sum()) + bonus
        costs = known + Costs(remainder=total - known.total)
        fitting = -float(free[here].sum(dtype=np.float64))
        parts.append(Part(kind, word, first, last, phones, costs, fitting))
    language_end = end if path.reached_final else 0.0
    costs = Costs(language=language_end, remainder=float(paid[n_frames]) - language_end)
    return (*parts, Part("end", "", n_frames, n_frames, (), costs))


def graph_costs(
    graph: Graph, path: Path, shares: Mapping[str, float] | None = None
) -> np.ndarray:
    """Return the graph's costs before and in each frame, and after the last: (n_frames + 1,).

    `shares`: bonuses of words that its arcs have, which are left out.
    """
    taken = graph.arcs[path.arcs]
    if shares:
        said = np.flatnonzero(taken["word"])
        taken["cost"][said] += [shares.get(graph.words[i], 0.0) for i in taken["word"][said]]
    emits = taken["label"] != 0
    frame = np.cumsum(emits) - emits
    paid = np.bincount(frame, weights=taken["cost"].astype(np.float64), minlength=path.n_frames + 1)
    if path.reached_final:
        last = int(taken["target"][-1]) if len(taken) else graph.start
        paid[path.n_frames] += float(graph.final[last])
    return paid


_Span = tuple[str, str, tuple[PhoneSegment, ...]]
"""Kind, word and phones."""


def _spans(path: Path) -> Iterator[_Span]:
    """Yield the phones of the path, grouped into words and pauses."""
    word_at = {
        frame: number
        for number, segment in enumerate(path.segments) if segment.start is not None
        for frame in range(segment.start, segment.end or 0)
    }

    def place(phone: PhoneSegment) -> tuple[str, str, int]:
        number = word_at.get(phone.start, -1)
        if number >= 0:
            return "word", path.words[number], number
        return "pause" if phone.is_silence else "fragment", "", -1

    for (kind, word, _), phones in groupby(path.phones, place):
        yield kind, word, tuple(phones)
    for segment in path.segments:
        if segment.start is None:
            yield "word", segment.word, ()


def _language(spans: list[_Span], prices: Prices) -> tuple[list[float], float]:
    """Return the cost of each span in the language model, 0 if it is no word; and of the end."""
    each, end = prices.language([word for _, word, _ in spans if word])
    waiting = iter(each)
    return [next(waiting) if word else 0.0 for _, word, _ in spans], end
