"""The page of moving tokens: one file of HTML that holds all it needs and works by keyboard."""

from __future__ import annotations

from html import escape
from pathlib import Path

from factored_asr.explain.animation import Animation, to_json
from factored_asr.explain.html import POLICY
from factored_asr.explain.media import spectrogram_data, wav_data

HERE = Path(__file__).parent
SLIDERS = (
    ("beam", "Beam", "costs above the best token up to which others live"),
    ("lm", "LM weight", "how much the grammar's own costs count"),
    ("scale", "Acoustic scale", "how much the sound counts"),
)


def animation_page(animation: Animation, title: str = "") -> str:
    """Return the whole page; `title` is the name of the sound.

    The first frame of the model's own settings is shown first. The page needs a browser that
    unpacks ``deflate`` (`DecompressionStream`: all of them since 2023).
    """
    heading = escape(title or "a sound")
    spectrogram = spectrogram_data(animation.samples, animation.sample_rate)
    sound = wav_data(animation.samples, animation.sample_rate)
    sliders = "\n".join(
        f'<div class="slider"><label for="{name}">{label} <output id="{name}-value"></output>'
        f'</label><input type="range" id="{name}" min="0" step="1" '
        f'aria-describedby="{name}-about"><small id="{name}-about">{about}</small></div>'
        for name, label, about in SLIDERS
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>How tokens spread over the graph: {heading}</title>
<style>
{(HERE / "animation.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<header>
<h1>How tokens spread over the graph</h1>
<p>The sound {heading} is searched frame by frame. A circle is a state of the graph, named after its
phone. One without a name is a further state of it, a silence or a blank. A filled circle is a
<em>token</em>: the best path so far that ends there. The stronger its colour, the closer it is to
the best token. Tokens behind by more than the beam are dropped. Move the sliders, and another
sentence wins.</p>
</header>
<section aria-label="Settings" class="sliders">
{sliders}
</section>
<section aria-label="Result" class="result">
<p>Result: <strong id="winner" aria-live="polite"></strong> <span id="cost"></span></p>
<p>Best token of this frame: <span id="partial"></span></p>
</section>
<section aria-label="Frames" class="frames">
<div class="buttons"><button id="play" type="button">Play</button>
<button id="back" type="button" aria-label="one frame back">◀</button>
<button id="on" type="button" aria-label="one frame on">▶</button>
<span id="time"></span></div>
<label class="hidden" for="frame">Frame</label>
<div class="strip"><img alt="spectrogram of the sound" src="{spectrogram}">
<div id="now"></div></div>
<input type="range" id="frame" min="0" step="1">
<audio controls preload="auto" src="{sound}"></audio>
</section>
<section aria-label="Graph" class="graph">
<div id="scroller" tabindex="0" role="region" aria-label="the graph, scrolls"><svg id="graph"
role="img" aria-labelledby="graph-title"><title id="graph-title">The graph with its
tokens</title></svg></div>
<ul class="legend"><li><span class="dot best"></span>best token</li>
<li><span class="dot near"></span>token within the beam</li>
<li><span class="dot far"></span>beyond the beam: dropped next</li>
<li><span class="line"></span>path of the result</li></ul>
</section>
<section aria-label="All results" class="all">
<h2>All results with this beam</h2>
<div class="wide"><table id="all"><caption class="hidden">Result by LM weight and acoustic scale
</caption></table></div>
<ul id="texts" class="legend"></ul>
</section>
<p class="quiet">All of it was computed beforehand by the decoder of factored_asr; the page needs no
server. Keys: the sliders and buttons take the arrow keys, Space and Enter.</p>
</main>
<script type="application/json" id="data">{to_json(animation)}</script>
<script>
{(HERE / "animation.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""
