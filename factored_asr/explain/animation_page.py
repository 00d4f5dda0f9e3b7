"""The page of moving tokens: one file of HTML that holds all it needs and works by keyboard."""

from __future__ import annotations

import re
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

    Examples
    --------
    >>> from factored_asr.explain.animation import AnimationOptions, animate
    >>> from factored_asr.language import Grammar
    >>> from factored_asr.models import Bundle, Recipe
    >>> recipe = Recipe(Bundle.find("en-us"), Grammar.from_text(
    ...     "intents: {Music: {data: [{sentences: ['stop the music']}]}}"))
    >>> few = AnimationOptions(beams=(10,), lm_weights=(1,), acoustic_scales=(0.2,))
    >>> page = animation_page(animate(recipe, "examples/audio/music_stop.wav", options=few), "stop")
    >>> page[:15]
    '<!DOCTYPE html>'
    """
    parts = {
        "POLICY": POLICY, "HEADING": escape(title or "a sound"), "STYLE": _read("animation.css"),
        "SCRIPT": _read("animation.js"), "SLIDERS": "\n".join(_slider(*each) for each in SLIDERS),
        "SPECTROGRAM": spectrogram_data(animation.samples, animation.sample_rate),
        "SOUND": wav_data(animation.samples, animation.sample_rate), "DATA": to_json(animation),
    }
    return re.sub("@([A-Z]+)@", lambda found: parts[found[1]], _read("animation.html"))


def _slider(name: str, label: str, about: str) -> str:
    return (f'<div class="slider"><label for="{name}">{label} <output id="{name}-value"></output>'
            f'</label><input type="range" id="{name}" min="0" step="1" '
            f'aria-describedby="{name}-about"><small id="{name}-about">{about}</small></div>')


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
