"""The tiers of a decode above one time axis, as SVG: words, phones, states, lattice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from factored_asr.explain.explanation import Explanation
from factored_asr.explain.rivals import Network, heard_path
from factored_asr.lattice import Lattice
from factored_asr.lattice.paths import arc_excess

PIXELS = 330  # a second, as in page.js
LETTER = 0.62  # width of a letter, for a font of size 1
FONT, LEAST_FONT = 12.0, 8.5  # pixels
N_LANES = 7  # of the lattice
LANE, PILL = 30, 21  # pixels from lane to lane, and of each
MAX_HYPOTHESES = 60  # looked at for each second of sound


def time_axis(explanation: Explanation) -> str:
    """Seconds, with a mark each tenth."""
    width, duration = _width(explanation), explanation.said.duration
    marks = []
    for tenth in range(int(duration * 10) + 1):
        x = tenth * PIXELS / 10
        long = tenth % 5 == 0
        marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{12 if long else 17}" y2="22"/>')
        if long and x < width - 20:
            marks.append(f'<text x="{x + 3:.1f}" y="14">{tenth / 10:g} s</text>')
    return _svg(width, 22, "axis", "".join(marks), "time in seconds")


def word_tier(explanation: Explanation) -> str:
    """A button a word: it plays its span."""
    buttons = []
    for each in explanation.parts:
        part = each.part
        if part.kind != "word" or part.start == part.end:
            continue
        start, end = explanation.seconds(part.start), explanation.seconds(part.end)
        name = escape(each.word)
        buttons.append(
            f'<button class="word" data-start="{start:.3f}" data-end="{end:.3f}" '
            f'style="left:{start * PIXELS:.1f}px;width:{(end - start) * PIXELS:.1f}px;'
            f'font-size:{min(14.0, (end - start) * PIXELS / (LETTER * len(name))):.1f}px" '
            f'title="{name}: {start:.2f} to {end:.2f} s. Click to hear it.">{name}</button>'
        )
    width = _width(explanation)
    return f'<div class="words" style="width:{width:.0f}px">{"".join(buttons)}</div>'


def phone_tier(explanation: Explanation) -> str:
    """A box a phone."""
    boxes = []
    phones = [phone for each in explanation.parts for phone in each.part.phones]
    for number, phone in enumerate(phones):
        start, end = explanation.seconds(phone.start), explanation.seconds(phone.end)
        kind = "silent" if phone.is_silence else f"turn{number % 2}"
        boxes.append(_box(start, end, 24, kind, phone.phone, f"{phone.phone}, {end - start:.2f} s"))
    return _svg(_width(explanation), 24, "phones", "".join(boxes), "phones of the best path")


def state_tier(explanation: Explanation) -> str:
    """A box a stay in a state, darker from state to state of its phone."""
    boxes = [
        _box(
            each.start, each.end, 20, f"state{min(each.state, 4)}", str(each.state + 1),
            f"state {each.state + 1} of {each.phone}, density {each.pdf}, "
            f"{each.end - each.start:.2f} s",
        )
        for each in explanation.states
    ]
    return _svg(_width(explanation), 20, "states", "".join(boxes), "HMM states of the best path")


def lattice_tier(explanation: Explanation) -> tuple[str, str]:
    """The words that competed, the best path lit; and a line on what is drawn."""
    lattice = explanation.lattice
    best = None if lattice is None else heard_path(lattice, explanation.word_ids)
    if lattice is None or best is None:
        return "", "The search kept no lattice."
    network = Network(lattice)
    drawn, n_all = _hypotheses(lattice, network, best.arcs, explanation.said.duration)
    n_lanes = 1 + max((each.lane for each in drawn), default=0)
    of_arc = {arc: each for each in drawn for arc in each.arcs}
    edges = [_edges(explanation, lattice, network.path(each.arcs[0]), of_arc, "edge")
             for each in drawn if each.lane]
    lit = _edges(explanation, lattice, best.arcs, of_arc, "edge lit")
    pills = "".join(_pill(explanation, each) for each in drawn)
    content = "".join(dict.fromkeys("".join(edges).splitlines())) + lit + pills
    told = (
        f"{len(drawn):,} of {n_all:,} competing words are drawn, each with its cheapest path; "
        "the best path is lit. Lower lanes cost more."
    )
    height = n_lanes * LANE + 4
    return _svg(_width(explanation), height, "lattice", content, "word lattice"), told


@dataclass(frozen=True)
class _Hypothesis:
    """A word of the lattice: the arcs that say it at about one time, the cheapest first."""

    word: str
    start: int
    end: int
    excess: float
    """How far its cheapest path lies behind the best."""
    lane: int
    arcs: tuple[int, ...]


def _hypotheses(
    lattice: Lattice, network: Network, best: Sequence[int], duration: float
) -> tuple[list[_Hypothesis], int]:
    """The cheapest words that find a place in the lanes, the best path's in lane 0; and how many
    there are in all."""
    excess = arc_excess(lattice)
    excess[list(best)] = -1.0
    waiting = np.flatnonzero((lattice.arc_word > 0) & (excess < np.inf))
    waiting = waiting[np.argsort(excess[waiting], kind="stable")]
    groups: list[list[int]] = []
    by_word: dict[int, list[list[int]]] = {}
    first, last = network.first_frame, network.last_frame
    for arc in waiting.tolist():
        middle = (int(first[arc]) + int(last[arc])) // 2
        same = by_word.setdefault(int(lattice.arc_word[arc]), [])
        for group in same:
            if first[group[0]] <= middle < last[group[0]] or (
                first[arc] <= (first[group[0]] + last[group[0]]) // 2 < last[arc]
            ):
                group.append(arc)
                break
        else:
            groups.append([arc])
            same.append(groups[-1])
    ends: list[list[tuple[int, int]]] = [[] for _ in range(N_LANES)]
    drawn = []
    for group in groups[: int(MAX_HYPOTHESES * max(1.0, duration))]:
        start, end = int(first[group[0]]), int(last[group[0]])
        word = lattice.spelt(int(lattice.arc_word[group[0]]))
        lanes = range(1) if excess[group[0]] < 0 else range(1, N_LANES)
        for lane in lanes:
            if lane == 0 or all(end <= a or b <= start for a, b in ends[lane]):
                ends[lane].append((start, end))
                behind = max(0.0, float(excess[group[0]]))
                drawn.append(_Hypothesis(word, start, end, behind, lane, tuple(group)))
                break
    return drawn, len(groups)


def _pill(explanation: Explanation, each: _Hypothesis) -> str:
    start, end = explanation.seconds(each.start), explanation.seconds(each.end)
    x, y = start * PIXELS + 1, each.lane * LANE + 5
    width = max(3.0, (end - start) * PIXELS - 2)
    said = f"{each.word}, {start:.2f} to {end:.2f} s"
    said += "" if each.lane == 0 else f", {each.excess:.1f} behind the best path"
    kind = "pill lit" if each.lane == 0 else "pill"
    return (
        f'<g class="{kind}"><title>{escape(said)}</title><rect x="{x:.1f}" y="{y}" rx="5" '
        f'width="{width:.1f}" height="{PILL}"/>{_label(each.word, x, width, y + 11)}</g>'
    )


def _label(text: str, x: float, width: float, y: float, font: float = FONT) -> str:
    """The text, smaller where it has little room, then cut, and nothing where no letter fits."""
    size = min(font, (width - 4) / (LETTER * len(text)))
    if size < LEAST_FONT:
        size, n = LEAST_FONT, int((width - 2) / (LETTER * LEAST_FONT))
        text = text[: n - 1] + "…" if n > 1 else ""
    if not text:
        return ""
    place = f'x="{x + width / 2:.1f}" y="{y + size / 3:.1f}"'
    return f'<text {place} font-size="{size:.1f}">{escape(text)}</text>'


def _edges(
    explanation: Explanation, lattice: Lattice, arcs: Sequence[int],
    of_arc: dict[int, _Hypothesis], kind: str,
) -> str:
    """Curves from word to word of a path, one a line, as far as both are drawn."""
    words = [of_arc.get(arc) for arc in arcs if lattice.arc_word[arc]]
    lines = []
    for one, other in zip(words, words[1:], strict=False):
        if one is None or other is None or one is other:
            continue
        x, u = (explanation.seconds(at) * PIXELS for at in (one.end, other.start))
        y, v = (each.lane * LANE + 5 + PILL / 2 for each in (one, other))
        bend = max(8.0, (u - x) / 2)
        lines.append(
            f'<path class="{kind}" d="M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {u - bend:.1f} '
            f'{v:.1f} {u:.1f} {v:.1f}"/>\n'
        )
    return "".join(lines)


def _box(start: float, end: float, height: int, kind: str, text: str, title: str) -> str:
    x, width = start * PIXELS, (end - start) * PIXELS
    fits = (width - 2) / (LETTER * len(text)) >= LEAST_FONT  # half a phone's name says nothing
    label = _label(text, x, width, height / 2, 11.0) if fits else ""
    return (
        f'<g class="{kind}"><title>{escape(title)}</title><rect x="{x:.1f}" y="0.5" '
        f'width="{width:.1f}" height="{height - 1}"/>{label}</g>'
    )


def _svg(width: float, height: float, kind: str, content: str, title: str) -> str:
    return (
        f'<svg class="{kind}" role="img" aria-label="{escape(title)}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{content}</svg>'
    )


def _width(explanation: Explanation) -> float:
    return max(1.0, explanation.said.duration * PIXELS)


def rows(explanation: Explanation, spectrogram: str) -> Iterator[tuple[str, str]]:
    """Name and content of each row of the picture."""
    width = _width(explanation)
    picture = (
        f'<img class="spectrogram" alt="spectrogram" src="{spectrogram}" '
        f'style="width:{width:.0f}px">'
    )
    yield "", time_axis(explanation)
    yield "sound", picture
    yield "words", word_tier(explanation)
    yield "phones", phone_tier(explanation)
    yield "states", state_tier(explanation)
