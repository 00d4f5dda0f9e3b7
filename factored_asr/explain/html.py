"""An explanation as one HTML page that needs nothing but itself: sound, pictures, style, script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from html import escape
from pathlib import Path

from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.media import spectrogram_data, wav_data
from factored_asr.explain.rivals import Rival
from factored_asr.explain.text import (
    beside_sentence,
    factor_names,
    how_muted,
    is_beside,
    name_of,
    rival_sentence,
    verdict,
)
from factored_asr.explain.timeline import lattice_tier, rows

HERE = Path(__file__).parent
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
POLICY += "script-src 'unsafe-inline'"
SMALL = 0.05
BESIDE = "; last, how much less (−) or more (+) it cost than what the background heard in its time"


def as_html(explanation: Explanation, title: str = "") -> str:
    """The whole page.

    Parameters
    ----------
    title
        Name of the sound.
    """
    heading = escape(title or "a sound")
    sections = "\n".join(section for section in _sections(explanation) if section)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>Why {heading} was heard like this</title>
<style>
{(HERE / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<header>
<p class="file">{heading}</p>
{_heard(explanation)}
</header>
{sections}
</main>
<script>
{(HERE / "page.js").read_text(encoding="utf-8")}</script>
</body>
</html>"""


def _heard(explanation: Explanation) -> str:
    said = explanation.said
    buttons = " ".join(_play(explanation, each, name_of(each)) for each in explanation.words)
    if said.text:
        long = ' class="long"' if len(explanation.words) > 16 else ""
        heard = f"<h1{long}>{buttons}</h1>"
    elif explanation.is_refused:
        heard = (
            f'<p class="refused"><strong>Refused</strong> {escape(said.reason)}</p>'
            f'<p class="file">The nearest command, refused:</p>'
            f'<h1 class="nothing">{buttons or "no word at all"}</h1>'
        )
    else:
        heard = f'<h1 class="nothing">Nothing was heard</h1><p>{escape(said.reason)}</p>'
    sound = ""
    if len(explanation.samples):
        data = wav_data(explanation.samples, explanation.sample_rate)
        sound = f'<audio id="sound" controls preload="auto" src="{data}"></audio>'
    facts = [f"{said.duration:.2f} s of sound"]
    if explanation.parts:
        facts += [
            f"the best path costs {explanation.cost:,.2f}",
            f"acoustics count {explanation.acoustic_scale:g} times",
        ]
    against = f"<p>{escape(verdict(explanation))}</p>" if verdict(explanation) else ""
    return f'{heard}\n{against}<p class="facts">{" · ".join(facts)}</p>\n{sound}'


def _play(explanation: Explanation, each: Explained, text: str) -> str:
    start, end = (explanation.seconds(at) for at in (each.part.start, each.part.end))
    return (
        f'<button class="say" data-start="{start:.3f}" data-end="{end:.3f}" '
        f'title="hear {start:.2f} to {end:.2f} s">{escape(text)}</button>'
    )


def _sections(explanation: Explanation) -> Iterator[str]:
    yield _understood(explanation)
    if not explanation.parts:
        return
    yield _pictures(explanation)
    yield _bars(explanation)
    yield _muted(explanation)
    yield _numbers(explanation)


def _understood(explanation: Explanation) -> str:
    meaning = explanation.meaning
    if meaning is None:
        return ""
    slots = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in meaning.slots.items()
    )
    trace = "".join(f"<li>{escape(line)}</li>" for line in meaning.trace)
    others = "".join(
        f"<li>{escape(each.intent)}, as “{escape(each.text)}”: {each.confidence:.3f}</li>"
        for each in meaning.alternatives
    )
    others = f"<p>It might also have meant:</p><ul>{others}</ul>" if others else ""
    return f"""<section>
<h2>What it means</h2>
<div class="meaning"><p class="intent">{escape(meaning.intent)}
<span class="sure">probability {meaning.confidence:.3f}</span></p><dl>{slots}</dl></div>
<p>How the meaning was found:</p><ul class="trace">{trace}</ul>{others}
</section>"""


def _pictures(explanation: Explanation) -> str:
    spectrogram = spectrogram_data(explanation.samples, explanation.sample_rate)
    lattice, told = lattice_tier(explanation)
    tiers = [*rows(explanation, spectrogram), ("lattice", lattice)]
    names = "".join(f'<div class="name {name or "time"}">{name}</div>' for name, _ in tiers)
    content = "".join(f'<div class="row {name or "time"}">{tier}</div>' for name, tier in tiers)
    return f"""<section>
<h2>Sound, states and rivals in time</h2>
<p>Click a word to hear its span. Each phone is a chain of states; each state lasts as long as it
fits. {escape(told)}</p>
<div class="timeline"><div class="names" aria-hidden="true">{names}</div>
<div class="scroller" tabindex="0" aria-label="timeline"><div class="tiers">{content}
<div id="playhead" hidden></div></div></div></div>
</section>"""


def _bars(explanation: Explanation) -> str:
    """Stacked bars; acoustics by their misfit, as they have no zero of their own."""
    parts = [each for each in explanation.parts if each.part.kind != "end" or _bar_of(each)]
    values = [_bar_of(each) for each in parts]
    above = max((sum(v for _, v in bar if v > 0) for bar in values), default=0.0)
    below = max((sum(-v for _, v in bar if v < 0) for bar in values), default=0.0)
    scale = 100 / max(above + below, 1e-6)
    zero = below * scale
    items = "\n".join(
        _bar_row(explanation, each, bar, scale, zero)
        for each, bar in zip(parts, values, strict=True)
    )
    names = {**factor_names(explanation), "acoustic": "acoustic misfit"}
    used = {name for bar in values for name, _ in bar}
    legend = "".join(
        f'<li><span class="swatch {name}"></span>{escape(names[name])}</li>'
        for name in FACTORS if name in used
    )
    last = BESIDE if explanation.background else ""
    return f"""<section>
<h2>What each word cost, and whom it beat</h2>
<p>A bar to the right of the line is a cost (−log probability), one to the left a gain. Acoustic
costs have no zero of their own, so bars show the <em>misfit</em>: what the word's states cost above
the best phones that could be, whatever they say. Under each word: its strongest rival, and for each
factor how much it spoke for the word (−, left) or for the rival (+, right){last}.</p>
<ul class="legend">{legend}</ul>
<ol class="bars">
{items}
</ol>
</section>"""


def _bar_of(each: Explained) -> list[tuple[str, float]]:
    """Factors and lengths of a part's bar."""
    values = each.costs.to_dict()
    values["acoustic"] = each.part.misfit if each.part.kind != "end" else 0.0
    return [(name, values[name]) for name in FACTORS if abs(values[name]) > SMALL]


def _bar_row(
    explanation: Explanation, each: Explained, bar: Sequence[tuple[str, float]], scale: float,
    zero: float,
) -> str:
    part = each.part
    start, end = (explanation.seconds(at) for at in (part.start, part.end))
    name = name_of(each)
    label = f'<span class="quiet">{escape(name)}</span>'
    if part.end > part.start:
        label = _play(explanation, each, name)
    total = sum(value for _, value in bar)
    told = ", ".join(f"{name} {value:+.1f}" for name, value in bar) or "nothing"
    rival = "" if each.rival is None else _rival_row(explanation, each.rival)
    if is_beside(each):
        rival += f'<div class="beside">{escape(beside_sentence(each))}</div>'
    return (
        f'<li class="of-{part.kind}"><div class="who">{label}'
        f'<span class="time">{start:.2f}–{end:.2f}</span></div><div class="bar" role="img" '
        f'aria-label="{escape(told)}" title="{escape(told)}">'
        f'<span class="zero" style="left:{zero:.2f}%"></span>'
        f'{_pieces(bar, scale, zero)}</div><div class="total">{total:.1f}</div>{rival}</li>'
    )


def _pieces(bar: Sequence[tuple[str, float]], scale: float, zero: float) -> str:
    """The stack: costs to the right of zero, gains to the left."""
    right, left, pieces = zero, zero, []
    for name, value in bar:
        width = abs(value) * scale
        if value < 0:
            left -= width
        pieces.append(
            f'<span class="{name}" style="left:{left if value < 0 else right:.2f}%;'
            f'width:{width:.2f}%"></span>'
        )
        if value > 0:
            right += width
    return "".join(pieces)


def _rival_row(explanation: Explanation, rival: Rival) -> str:
    values = rival.difference.to_dict()
    bar = [(name, values[name]) for name in FACTORS if abs(values[name]) > SMALL]
    ours = sum(-value for _, value in bar if value < 0)
    theirs = sum(value for _, value in bar if value > 0)
    scale = 100 / max(ours + theirs, 1e-6)
    sentence = rival_sentence(rival, factor_names(explanation))
    return (
        f'<div class="rival"><span class="mini" aria-hidden="true">'
        f'<span class="zero" style="left:{ours * scale:.1f}%"></span>'
        f'{_pieces(bar, scale, ours * scale)}</span><span>{escape(sentence)}</span></div>'
    )


def _muted(explanation: Explanation) -> str:
    if not explanation.muted:
        return ""
    lines = []
    for each in explanation.muted:
        heard = "the same" if each.text == explanation.text else _changes(
            explanation.text.split(), each.text.split()
        )
        lines.append(
            f'<tr><th scope="row">{escape(each.label)}</th><td>{heard}</td>'
            f'<td class="quiet">{escape(how_muted(each))}</td></tr>'
        )
    return f"""<section>
<h2>What would have been heard without a factor</h2>
<p>Each line is a decode of its own, of the same sound.</p>
<table class="muted"><thead><tr><th scope="col">muted or swapped</th><th scope="col">heard</th>
<th scope="col">how</th></tr></thead><tbody>{"".join(lines)}</tbody></table>
</section>"""


def _changes(ours: list[str], theirs: list[str]) -> str:
    """The other words, those that differ marked, those that are gone struck out."""
    pieces = []
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(escape(" ".join(theirs[c:d])))
            continue
        if b > a:
            pieces.append(f"<del>{escape(' '.join(ours[a:b]))}</del>")
        if d > c:
            pieces.append(f"<ins>{escape(' '.join(theirs[c:d]))}</ins>")
    return " ".join(pieces) or "nothing"


def _numbers(explanation: Explanation) -> str:
    names = factor_names(explanation)
    heads = "".join(f'<th scope="col">{escape(names[name])}</th>' for name in FACTORS)
    lines = [
        f'<tr><th scope="row">{escape(name_of(each))}</th>'
        f"<td>{explanation.seconds(each.part.start):.2f}</td>"
        f"<td>{explanation.seconds(each.part.end):.2f}</td>{_cells(each.costs)}"
        f"<td>{each.part.misfit:.2f}</td>{_beside_cell(each)}</tr>"
        for each in explanation.parts
    ]
    total, rival = explanation.costs, explanation.background
    beside = '<th scope="col">background</th>' if rival else ""
    paid = f"<td>{rival.cost:.2f}</td>" if rival else ""
    return f"""<section>
<h2>All numbers</h2>
<p>The search paid {explanation.cost:.3f} for the path; the factors add up to {total.total:.3f}. The
remainder is what determinisation and weight pushing charged at another place (0 in all), and what
backing off where the n-gram was there made cheaper.</p>
<details><summary>Show the table</summary><div class="wide"><table class="numbers"><thead><tr>
<th scope="col">part</th><th scope="col">from</th><th scope="col">to</th>{heads}
<th scope="col">total</th><th scope="col">misfit</th>{beside}</tr></thead><tbody>
{"".join(lines)}</tbody><tfoot><tr><th scope="row">sum</th><td></td><td></td>{_cells(total)}
<td></td>{paid}</tr></tfoot></table></div></details>
</section>"""


def _beside_cell(each: Explained) -> str:
    return "" if each.background is None else f"<td>{each.background.cost:.2f}</td>"


def _cells(costs: Costs) -> str:
    return "".join(f"<td>{value + 0.0:.2f}</td>" for value in costs.to_dict().values())
