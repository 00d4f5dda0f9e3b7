"""The tiers of a decode above one time axis, as SVG: words, phones, states, lattice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from factored_asr.explain.competitors import Network, hypothesis_path
from factored_asr.explain.explanation import Explanation
from factored_asr.lattice import Lattice

PIXELS = 330  # a second, as in page.js
LETTER = 0.62  # width of a letter, for a font of size 1
FONT, SMALL_FONT, LEAST_FONT = 12.0, 11.0, 8.5  # pixels
N_LANES = 7  # of the lattice
LANE, PILL = 30, 21  # pixels from lane to lane, and height of a word's box
MAX_HYPOTHESES = 60  # words of the lattice tried for each second of sound


def rows(explanation: Explanation, spectrogram: str) -> Iterator[tuple[str, str]]:
    """Yield name and content of each row of the picture but the lattice."""
    yield "", time_axis(explanation)
    yield "sound", (
        f'<img class="spectrogram" alt="spectrogram" src="{spectrogram}" '
        f'style="width:{_width(explanation):.0f}px">'
    )
    yield "words", word_tier(explanation)
    yield "phones", phone_tier(explanation)
    yield "states", state_tier(explanation)


def time_axis(explanation: Explanation) -> str:
    """Return the seconds, with a mark each tenth."""
    width, marks = _width(explanation), []
    for tenth in range(int(explanation.transcript.duration * 10) + 1):
        x, is_long = tenth * PIXELS / 10, tenth % 5 == 0
        marks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{12 if is_long else 17}" y2="22"/>')
        if is_long and x < width - 20:
            marks.append(f'<text x="{x + 3:.1f}" y="14">{tenth / 10:g} s</text>')
    return _svg(width, 22, "axis", "".join(marks), "time in seconds")


def word_tier(explanation: Explanation) -> str:
    """Return a button a word, which plays it."""
    buttons = []
    for each in explanation.words:
        start, end = (explanation.seconds(at) for at in (each.part.start, each.part.end))
        name, width = escape(each.word), (end - start) * PIXELS
        if width:
            buttons.append(
                f'<button class="word" data-start="{start:.3f}" data-end="{end:.3f}" '
                f'style="left:{start * PIXELS:.1f}px;width:{width:.1f}px;'
                f'font-size:{min(14.0, width / (LETTER * len(name))):.1f}px" '
                f'title="{name}: {start:.2f} to {end:.2f} s. Click to play.">{name}</button>'
            )
    width = _width(explanation)
    return f'<div class="words" style="width:{width:.0f}px">{"".join(buttons)}</div>'


def phone_tier(explanation: Explanation) -> str:
    """Return a box a phone."""
    boxes = []
    phones = [phone for each in explanation.parts for phone in each.part.phones]
    for number, phone in enumerate(phones):
        start, end = explanation.seconds(phone.start), explanation.seconds(phone.end)
        kind = "silent" if phone.is_silence else f"turn{number % 2}"
        title = f"{phone.phone}, {end - start:.2f} s"
        boxes.append(_small_box(start, end, 24, kind, phone.phone, title))
    return _svg(_width(explanation), 24, "phones", "".join(boxes), "phones of the best path")


def state_tier(explanation: Explanation) -> str:
    """Return a box for each stay in a state, darker from state to state of its phone."""
    boxes = [
        _small_box(
            each.start, each.end, 20, f"state{min(each.state, 4)}", str(each.state + 1),
            f"state {each.state + 1} of {each.phone}, pdf {each.pdf}, "
            f"{each.end - each.start:.2f} s",
        )
        for each in explanation.states
    ]
    return _svg(_width(explanation), 20, "states", "".join(boxes), "HMM states of the best path")


def lattice_tier(explanation: Explanation) -> tuple[str, str]:
    """Return the competing words, with the best path highlighted; and a line on what is drawn."""
    lattice = explanation.lattice
    best = None if lattice is None else hypothesis_path(lattice, explanation.word_ids)
    if lattice is None or best is None:
        return "", "No lattice is drawn: it lacks the words of the best path."
    network = Network(lattice)
    drawn, n_all = _hypotheses(lattice, network, best.arcs, explanation.transcript.duration)
    of_arc = {arc: each for each in drawn for arc in each.arcs}
    edges = dict.fromkeys(
        edge for each in drawn if each.lane
        for edge in _edges(explanation, lattice, network.path(each.arcs[0]), of_arc, "edge")
    )
    edges |= dict.fromkeys(_edges(explanation, lattice, best.arcs, of_arc, "edge lit"))
    content = "".join([*edges, *(_pill(explanation, each) for each in drawn)])
    about = (
        f"{len(drawn):,} of {n_all:,} competing words are drawn, each with its cheapest path; "
        "the best path is blue. Lower lanes cost more."
    )
    height = (1 + max((each.lane for each in drawn), default=0)) * LANE + 4
    return _svg(_width(explanation), height, "lattice", content, "word lattice"), about


@dataclass(frozen=True)
class _Hypothesis:
    """A word of the lattice at about one time."""

    word: str
    start: int
    end: int
    excess: float
    """Cost of its cheapest path above the best."""
    lane: int
    arcs: tuple[int, ...]
    """The cheapest first."""


def _hypotheses(
    lattice: Lattice, network: Network, best: Sequence[int], duration: float
) -> tuple[list[_Hypothesis], int]:
    """Return the cheapest words that fit in the lanes, the best path's in lane 0; and how many
    there are in all."""
    excess = network.through - network.through.min()
    excess[list(best)] = -1.0
    groups = _groups(lattice, network, excess)
    ends: list[list[tuple[int, int]]] = [[] for _ in range(N_LANES)]
    drawn = []
    for group in groups[: int(MAX_HYPOTHESES * max(1.0, duration))]:
        arc = group[0]
        start, end = int(network.first_frame[arc]), int(network.last_frame[arc])
        for lane in range(1) if excess[arc] < 0 else range(1, N_LANES):
            if lane == 0 or all(end <= a or b <= start for a, b in ends[lane]):
                ends[lane].append((start, end))
                word, behind = lattice.spelt(int(lattice.arc_word[arc])), max(0.0, excess[arc])
                drawn.append(_Hypothesis(word, start, end, float(behind), lane, tuple(group)))
                break
    return drawn, len(groups)


def _groups(lattice: Lattice, network: Network, excess: np.ndarray) -> list[list[int]]:
    """Return the arcs of each word at about one time: the middle of one lies within the other."""
    arcs = np.flatnonzero((lattice.arc_word > 0) & (excess < np.inf))
    groups: list[list[int]] = []
    of_word: dict[int, list[list[int]]] = {}
    first, last = network.first_frame, network.last_frame
    middle = (first + last) // 2
    for arc in arcs[np.argsort(excess[arcs], kind="stable")].tolist():
        same = of_word.setdefault(int(lattice.arc_word[arc]), [])
        for group in same:
            one = group[0]
            if first[one] <= middle[arc] < last[one] or first[arc] <= middle[one] < last[arc]:
                group.append(arc)
                break
        else:
            groups.append([arc])
            same.append(groups[-1])
    return groups


def _edges(
    explanation: Explanation, lattice: Lattice, arcs: Sequence[int],
    of_arc: dict[int, _Hypothesis], kind: str,
) -> Iterator[str]:
    """Yield curves from word to word of a path, where both are drawn."""
    words = [of_arc.get(arc) for arc in arcs if lattice.arc_word[arc]]
    for one, other in zip(words, words[1:], strict=False):
        if one is None or other is None or one is other:
            continue
        x, u = (explanation.seconds(at) * PIXELS for at in (one.end, other.start))
        y, v = (each.lane * LANE + 5 + PILL / 2 for each in (one, other))
        bend = max(8.0, (u - x) / 2)
        yield (
            f'<path class="{kind}" d="M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {u - bend:.1f} '
            f'{v:.1f} {u:.1f} {v:.1f}"/>\n'
        )


def _pill(explanation: Explanation, each: _Hypothesis) -> str:
    start, end = explanation.seconds(each.start), explanation.seconds(each.end)
    x, y, width = start * PIXELS + 1, each.lane * LANE + 5, (end - start) * PIXELS - 2
    title = f"{each.word}, {start:.2f} to {end:.2f} s"
    title += "" if each.lane == 0 else f", {each.excess:.1f} above the best path"
    label = _label(each.word, x, max(3.0, width), y + 11, FONT)
    return _box(x, y, max(3.0, width), PILL, "pill" if each.lane else "pill lit", title, label)


def _small_box(
    start: float, end: float, height: int, kind: str, text: str, title: str
) -> str:
    x, width = start * PIXELS, (end - start) * PIXELS
    fits = (width - 2) / (LETTER * len(text)) >= LEAST_FONT  # a cut name of a phone is misleading
    label = _label(text, x, width, height / 2, SMALL_FONT) if fits else ""
    return _box(x, 0.5, width, height - 1, kind, title, label)


def _box(
    x: float, y: float, width: float, height: int, kind: str, title: str, label: str
) -> str:
    return (
        f'<g class="{kind}"><title>{escape(title)}</title><rect x="{x:.1f}" y="{y:g}" '
        f'width="{width:.1f}" height="{height}"/>{label}</g>'
    )


def _label(text: str, x: float, width: float, y: float, font: float) -> str:
    """Return the text, smaller if there is little room, then cut; empty if no letter fits."""
    size = min(font, (width - 4) / (LETTER * len(text)))
    if size < LEAST_FONT:
        size, n = LEAST_FONT, int((width - 2) / (LETTER * LEAST_FONT))
        text = text[: n - 1] + "…" if n > 1 else ""
    if not text:
        return ""
    place = f'x="{x + width / 2:.1f}" y="{y + size / 3:.1f}"'
    return f'<text {place} font-size="{size:.1f}">{escape(text)}</text>'


def _svg(width: float, height: float, kind: str, content: str, title: str) -> str:
    return (
        f'<svg class="{kind}" role="img" aria-label="{escape(title)}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">{content}</svg>'
    )


def _width(explanation: Explanation) -> float:
    return max(1.0, explanation.transcript.duration * PIXELS)
