"""An explanation as one HTML page that holds all it needs: sound, pictures, style, script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from html import escape
from pathlib import Path

from factored_asr.explain.background import BackgroundShare
from factored_asr.explain.competitors import Competitor
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.media import spectrogram_data, wav_data
from factored_asr.explain.text import (
    SMALL,
    background_sentence,
    competitor_sentence,
    factor_names,
    how_found,
    models_sentence,
    name_of,
    no_competitors,
    verdict,
)
from factored_asr.explain.timeline import lattice_tier, rows
from factored_asr.lattice import Path as BestPath

HERE = Path(__file__).parent
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
POLICY += "script-src 'unsafe-inline'"


def as_html(explanation: Explanation, title: str = "") -> str:
    """Return the whole page.

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
<title>Why {heading} was recognised like this</title>
<style>
{(HERE / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<header>
<p class="file">{heading}</p>
{_result(explanation)}
</header>
{sections}
</main>
<script>
{(HERE / "page.js").read_text(encoding="utf-8")}</script>
</body>
</html>"""


def _result(explanation: Explanation) -> str:
    found = explanation.transcript
    buttons = " ".join(_play(explanation, each) for each in explanation.words)
    if found.text:
        long = ' class="long"' if len(explanation.words) > 16 else ""
        result = f"<h1{long}>{buttons}</h1>"
    elif explanation.is_rejected:
        result = (
            f'<p class="rejected"><strong>Rejected</strong> {escape(found.reason)}</p>'
            f'<p class="file">The best command, rejected:</p>'
            f'<h1 class="nothing">{buttons or "no word at all"}</h1>'
        )
    else:
        result = f'<h1 class="nothing">No result</h1><p>{escape(found.reason)}</p>'
    sound = ""
    if len(explanation.samples):
        data = wav_data(explanation.samples, explanation.sample_rate)
        sound = f'<audio id="sound" controls preload="auto" src="{data}"></audio>'
    facts = [f"{found.duration:.2f} s of sound"]
    if explanation.parts:
        facts += [f"the best path costs {explanation.cost:,.2f}",
                  f"acoustic scale {explanation.acoustic_scale:g}",
                  escape(models_sentence(explanation))]
    if (expected := explanation.expected) is not None:
        sound += (f'<p class="expected"><strong>Expected</strong> {escape(expected.text)}: lost by '
                  f"{escape(expected.lost_by)}, {escape(expected.reason)}</p>")
    against = f"<p>{escape(verdict(explanation))}</p>" if verdict(explanation) else ""
    return f'{result}\n{against}<p class="facts">{" · ".join(facts)}</p>\n{sound}'


def _play(explanation: Explanation, each: Explained) -> str:
    start, end = (explanation.seconds(at) for at in (each.part.start, each.part.end))
    return (
        f'<button class="say" data-start="{start:.3f}" data-end="{end:.3f}" '
        f'title="play {start:.2f} to {end:.2f} s">{escape(name_of(each))}</button>'
    )


def _sections(explanation: Explanation) -> Iterator[str]:
    yield _understood(explanation)
    if not explanation.parts:
        return
    yield _pictures(explanation)
    yield _bars(explanation)
    yield _ablations(explanation)
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
    others = f"<p>Other meanings in the lattice:</p><ul>{others}</ul>" if others else ""
    return f"""<section>
<h2>What it means</h2>
<div class="meaning"><p class="intent">{escape(meaning.intent)}
<span class="sure">probability {meaning.confidence:.3f}</span></p><dl>{slots}</dl></div>
<p>Where the meaning comes from:</p><ul class="trace">{trace}</ul>{others}
</section>"""


def _pictures(explanation: Explanation) -> str:
    spectrogram = spectrogram_data(explanation.samples, explanation.sample_rate)
    lattice, about = lattice_tier(explanation)
    tiers = [*rows(explanation, spectrogram), ("lattice", lattice)]
    names = "".join(f'<div class="name {name or "time"}">{name}</div>' for name, _ in tiers)
    content = "".join(f'<div class="row {name or "time"}">{tier}</div>' for name, tier in tiers)
    return f"""<section>
<h2>Sound, states and competing words</h2>
<p>Click a word to play it. Each phone is a chain of states. {escape(about)}</p>
<div class="timeline"><div class="names" aria-hidden="true">{names}</div>
<div class="scroller" tabindex="0" aria-label="timeline"><div class="tiers">{content}
<div id="playhead" hidden></div></div></div></div>
</section>"""


def _bars(explanation: Explanation) -> str:
    """Return the stacked bars, with the excess of acoustic costs, which have no absolute zero."""
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
    names = {**factor_names(explanation), "acoustic": "acoustic excess"}
    used = {name for bar in values for name, _ in bar}
    legend = "".join(
        f'<li><span class="swatch {name}"></span>{escape(names[name])}</li>'
        for name in FACTORS if name in used
    )
    last = (
        " Last: how much less (−) or more (+) it cost than the background model in the same time."
        if explanation.background else ""
    )
    return f"""<section>
<h2>Costs of each word, and its competitors</h2>
<p>A bar to the right of the line is a cost (−log probability), one to the left a gain. Acoustic
costs have no absolute zero, so bars show their <em>excess</em>: the cost above that of the best
phones, without regard to words. Below each word: its strongest competitor, and for each factor how
much it favoured the word (−, left) or the competitor (+, right).{last}
{escape(no_competitors(explanation))}</p>
<ul class="legend">{legend}</ul>
<ol class="bars">
{items}
</ol>
</section>"""


def _bar_of(each: Explained) -> list[tuple[str, float]]:
    """Return factors and lengths of a part's bar."""
    values = each.costs.to_dict()
    values["acoustic"] = each.part.excess if each.part.kind != "end" else 0.0
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
        label = _play(explanation, each)
    total = sum(value for _, value in bar)
    values = ", ".join(f"{name} {value:+.1f}" for name, value in bar) or "nothing"
    below = "" if each.competitor is None else _competitor_row(explanation, each.competitor)
    if sentence := background_sentence(each):
        below += f'<div class="background">{escape(sentence)}</div>'
    return (
        f'<li class="of-{part.kind}"><div class="who">{label}'
        f'<span class="time">{start:.2f}–{end:.2f}</span></div><div class="bar" role="img" '
        f'aria-label="{escape(values)}" title="{escape(values)}">'
        f'<span class="zero" style="left:{zero:.2f}%"></span>'
        f'{_pieces(bar, scale, zero)}</div><div class="total">{total:.1f}</div>{below}</li>'
    )


def _pieces(bar: Sequence[tuple[str, float]], scale: float, zero: float) -> str:
    """Return the stack: costs to the right of zero, gains to the left."""
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


def _competitor_row(explanation: Explanation, other: Competitor) -> str:
    values = other.difference.to_dict()
    bar = [(name, values[name]) for name in FACTORS if abs(values[name]) > SMALL]
    ours = sum(-value for _, value in bar if value < 0)
    theirs = sum(value for _, value in bar if value > 0)
    scale = 100 / max(ours + theirs, 1e-6)
    sentence = competitor_sentence(other, factor_names(explanation))
    return (
        f'<div class="competitor"><span class="mini" aria-hidden="true">'
        f'<span class="zero" style="left:{ours * scale:.1f}%"></span>'
        f'{_pieces(bar, scale, ours * scale)}</span><span>{escape(sentence)}</span></div>'
    )


def _ablations(explanation: Explanation) -> str:
    if not explanation.ablations:
        return ""
    ours = explanation.text
    lines = "".join(
        f'<tr><th scope="row">{escape(each.label)}</th>'
        f"<td>{'the same' if each.text == ours else _changes(ours.split(), each.text.split())}</td>"
        f'<td class="quiet">{escape(how_found(each))}</td></tr>'
        for each in explanation.ablations
    )
    return f"""<section>
<h2>Results without a factor</h2>
<p>Each line is a decode of the same sound with one factor left out or replaced.</p>
<table class="ablations"><thead><tr><th scope="col">change</th><th scope="col">result</th>
<th scope="col">how</th></tr></thead><tbody>{lines}</tbody></table>
</section>"""


def _changes(ours: list[str], theirs: list[str]) -> str:
    """Return the other words with insertions marked and deletions struck out."""
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
        f"<td>{each.part.excess:.2f}</td>"
        f"{_cell(each.background)}</tr>"
        for each in explanation.parts
    ]
    total, background = explanation.costs, explanation.background
    head = '<th scope="col">background</th>' if background else ""
    return f"""<section>
<h2>All numbers</h2>
<p>The search paid {explanation.cost:.3f} for the path; the factors add up to {total.total:.3f}. The
remainder is what determinisation and weight pushing moved along the path (0 in all), and what
backing off saved where the model has the n-gram.</p>
<details><summary>Show the table</summary><div class="wide" tabindex="0" role="region"
aria-label="all numbers, scrolls"><table class="numbers"><thead><tr>
<th scope="col">part</th><th scope="col">from</th><th scope="col">to</th>{heads}
<th scope="col">total</th><th scope="col">excess</th>{head}</tr></thead><tbody>
{"".join(lines)}</tbody><tfoot><tr><th scope="row">sum</th><td></td><td></td>{_cells(total)}
<td></td>{_cell(background)}</tr></tfoot></table></div></details>
</section>"""


def _cell(background: BackgroundShare | BestPath | None) -> str:
    return "" if background is None else f"<td>{background.cost:.2f}</td>"


def _cells(costs: Costs) -> str:
    return "".join(f"<td>{value + 0.0:.2f}</td>" for value in costs.to_dict().values())
