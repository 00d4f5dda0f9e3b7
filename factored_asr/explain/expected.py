"""Why not what was said? The expected words next to the result, and the factor that lost them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from factored_asr.explain.factors import FACTORS, Costs, Prices
from factored_asr.explain.path_costs import path_parts
from factored_asr.graph import build_alignment_graph
from factored_asr.language.grammar import normalise_text
from factored_asr.lexicon import Lexicon
from factored_asr.recognizer.session import Session

SMALL = 0.01  # cost


@dataclass(frozen=True)
class ExpectedWord:
    """One row of the expected words next to the recognised ones."""

    expected: str
    """Empty where the result has a word more."""
    recognised: str
    """Empty where the result has no word for it."""
    start: float | None = None
    """Seconds at which the expected word fits best; None without times."""
    end: float | None = None


@dataclass(frozen=True)
class Expected:
    """The expected words, and why they are not the result."""

    text: str
    lost_by: str
    """``same`` (they are the result), ``rejection``, ``vocabulary`` (a word has no pronunciation),
    ``beam`` (they cost less: the search lost them), or the factor that cost most, of `FACTORS`."""
    reason: str
    """One sentence for people."""
    rows: tuple[ExpectedWord, ...] = ()
    costs: Costs | None = None
    """Costs of the expected words by factor; None where they have no path."""
    difference: Costs | None = None
    """The same, less those of the result: above 0 speaks against the expected words."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a cost that is infinite is null."""
        def plain(costs: Costs | None) -> dict[str, float | None] | None:
            if costs is None:
                return None
            return {name: value if math.isfinite(value) else None
                    for name, value in costs.to_dict().items()}

        rows = [{"expected": row.expected, "recognised": row.recognised,
                 "start": None if row.start is None else round(row.start, 3),
                 "end": None if row.end is None else round(row.end, 3)} for row in self.rows]
        return {"text": self.text, "lost_by": self.lost_by, "reason": self.reason, "words": rows,
                "costs": plain(self.costs), "difference": plain(self.difference)}


class _NoLanguage:
    """A language model in which all costs nothing: that of the expected words is looked up apart.
    """

    def start(self) -> Hashable:
        return ()

    def score_word(self, state: Hashable, word: str) -> tuple[Hashable, float]:
        return state, 0.0

    def finish(self, state: Hashable) -> float:
        return 0.0


def explain_expected(
    text: str, session: Session, prices: Prices, lexicon: Lexicon, free: np.ndarray,
    result: Sequence[str], costs: Costs, rejected: str = "",
) -> Expected:
    """Explain why a sound was not recognised as these words.

    Parameters
    ----------
    session
        Of the whole sound, finished.
    prices
        The factors of the result; `lexicon` is the dictionary that they are a part of.
    free
        (n_frames,) float32: scaled log-likelihood of each frame in the best state of any phone.
    result, costs
        The words of the best path, and what they cost.
    rejected
        Why the result was rejected; empty if it was accepted.
    """
    words = tuple(normalise_text(text, lexicon.knows))
    same = tuple(words) == tuple(result)
    rows = _rows(words, result)
    if same and rejected:
        return Expected(text, "rejection", f"these words were found, and rejected: {rejected}",
                        rows, costs, Costs())
    if same:
        return Expected(text, "same", "these words are the result", rows, costs, Costs())
    if missing := lexicon.missing(words):
        what = "a word has" if len(missing) == 1 else "words have"
        reason = f"{what} no pronunciation: {', '.join(missing)}; give it with --words"
        return Expected(text, "vocabulary", reason, rows)
    pipeline = session.pipeline
    graph = build_alignment_graph(pipeline.model, lexicon, words, prices.options)
    beam = replace(pipeline.options.beam, beam=1e4, max_active=0, min_active=0, lattice_beam=0.0)
    forced = replace(pipeline, graph=graph, background=None, second_pass=None,
                     options=replace(pipeline.options, beam=beam))
    path = session.redecode(forced).lattice.best()
    if not path.reached_final:
        return Expected(text, "acoustic", "the sound is too short for these words", rows)
    scale = np.float32(pipeline.options.acoustic_scale)
    scores = session.acoustic.path_scores(graph.label_pdf[path.labels]) * scale
    own = lexicon.restrict(words).fitted(pipeline.model.topology.phones)
    known = replace(prices, lexicon=own, scorer=_NoLanguage(), hotwords=None)
    parts = path_parts(graph, path, scores, free, known)
    language, end = prices.language(words)
    found = sum((part.costs for part in parts), Costs())
    found = replace(found, language=sum(language) + end,
                    hotword=sum(prices.bonuses(words)), remainder=0.0)
    difference = found - costs
    seconds = pipeline.model.frame_seconds
    times = [(part.start * seconds, part.end * seconds) for part in parts if part.kind == "word"]
    lost_by, reason = _lost(words, language, difference)
    return Expected(text, lost_by, reason, _rows(words, result, times), found, difference)


def _lost(
    words: Sequence[str], language: Sequence[float], difference: Costs
) -> tuple[str, str]:
    """Return what lost the expected words, and a sentence about it."""
    if not math.isfinite(difference.language):
        at = next((i for i, cost in enumerate(language) if not math.isfinite(cost)), len(words))
        place = f"'{words[at]}' cannot follow" if at < len(words) else "it cannot end after"
        before = " ".join(words[:at]) or "the start"
        rest = replace(difference, language=0.0).total
        more = "more" if rest > 0 else "less"
        return "language", (f"the language model has no such sentence: {place} '{before}'; all "
                            f"else costs {abs(rest):.1f} {more} than the result")
    if difference.total < -SMALL:
        cheaper = -difference.total
        return "beam", (f"they cost {cheaper:.1f} less than the result: the search lost them, "
                        "wider beams find them")
    factor = max(FACTORS, key=lambda name: getattr(difference, name))
    cost = getattr(difference, factor)
    others = ", ".join(
        f"{name} {getattr(difference, name):+.1f}" for name in FACTORS
        if name != factor and abs(getattr(difference, name)) > SMALL
    )
    return factor, (f"they cost {difference.total:.1f} more than the result: {factor} {cost:+.1f}"
                    + (f", {others}" if others else ""))


def _rows(
    words: Sequence[str], result: Sequence[str], times: Sequence[tuple[float, float]] = ()
) -> tuple[ExpectedWord, ...]:
    """Put expected and recognised words next to each other, equal ones in one row."""
    rows = []
    for _, i, end, j, stop in SequenceMatcher(None, words, result, autojunk=False).get_opcodes():
        for k in range(max(end - i, stop - j)):
            at = i + k if i + k < end else None
            time = times[at] if at is not None and at < len(times) else (None, None)
            rows.append(ExpectedWord("" if at is None else words[at],
                                     result[j + k] if j + k < stop else "", *time))
    return tuple(rows)
