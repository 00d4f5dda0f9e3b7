"""The page of moving tokens says what the decoder says, and its controls work in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import AXE, PROGRAM, Page, browser

from factored_asr.audio.reading import read_audio
from factored_asr.cli import main
from factored_asr.decoder import decode
from factored_asr.errors import OptionError
from factored_asr.explain.animation import (
    NO_TOKEN,
    Animation,
    AnimationOptions,
    animate,
    beam_of,
    unpacked,
)
from factored_asr.explain.animation_page import animation_page
from factored_asr.graph import build_graph
from factored_asr.graph.grammar_scorer import Weighted
from factored_asr.language import Grammar
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "animation" / "tokens.html"
SOUND = ROOT / "examples" / "audio" / "music_stop.wav"
GRAMMAR = "intents: {Music: {data: [{sentences: ['(/30/ play|/1/ stop) the music']}]}}"
FEW = AnimationOptions(beams=(2, 60), lm_weights=(0.5, 1, 12), acoustic_scales=(0.05, 0.2))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe(Bundle.find("en-us"), Grammar.from_text(GRAMMAR))


@pytest.fixture(scope="module")
def animation(recipe: Recipe) -> Animation:
    return animate(recipe, SOUND, options=FEW)


def test_each_run_is_the_decoders_verdict_on_the_graph_that_is_compiled(
    recipe: Recipe, animation: Animation
) -> None:
    model, lexicon = recipe.bundle.acoustic_model(), recipe.read_lexicon()
    model = model.configured(recipe.settings.tools)
    plain = replace(recipe.settings.graph, denials=False, filler_probability=0.0)
    samples, _ = read_audio(SOUND, sample_rate=16_000)
    runs = iter(animation.runs)
    graphs = {weight: build_graph(model, lexicon, Weighted(recipe.read_grammar(), weight), plain)
              for weight in FEW.lm_weights}
    session = model.session(graphs[1].pdfs, whole=True)
    blocks = [session.accept(samples), *session.finish()]
    some = np.concatenate([block for block in blocks if len(block)])
    scores = np.full((len(some), graphs[1].pdfs.max() + 1), -np.inf, np.float32)
    scores[:, graphs[1].pdfs] = some
    for beam in FEW.beams:
        for weight, graph in graphs.items():
            for scale in FEW.acoustic_scales:
                run = next(runs)
                assert (run.beam, run.lm_weight, run.acoustic_scale) == (beam, weight, scale)
                if beam == 2:  # where tokens are lost depends on where costs stand in a graph
                    continue
                best = decode(graph, scores * np.float32(scale), beam_of(200.0)).best()
                assert run.text == " ".join(best.words)
                assert run.cost == pytest.approx(best.cost, abs=0.02)


def test_the_winner_changes_with_each_setting(animation: Animation) -> None:
    won = {(run.beam, run.lm_weight, run.acoustic_scale): run.text for run in animation.runs}
    assert won[60, 1, 0.2] == "stop the music"
    assert won[60, 12, 0.2] == "play the music", "the grammar counts more"
    assert won[60, 12, 0.05] == "", "the sound counts less"
    assert won[2, 1, 0.2] == "play the music", "a search error"


def test_the_page_holds_the_tokens_of_the_search(animation: Animation) -> None:
    page = animation_page(animation, "<music>")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found and "<music>" not in page
    values = json.loads(found[1])
    levels, step = unpacked(values), values["step"]
    assert levels.shape == (12, values["n_frames"], len(values["graph"]["states"]))
    for run, told, kept in zip(animation.runs, values["runs"], levels, strict=True):
        assert values["texts"][told["text"]] == run.text
        assert (kept != NO_TOKEN).any(axis=1).all() or run.reason
        near = kept != NO_TOKEN
        assert np.abs(kept[near] * step - run.behind[near]).max() <= step / 2 + 1e-6
        assert (run.behind[~near] > max(FEW.beams)).all()
    ends = [target for _, target in values["runs"][-1]["path"]][-1]
    assert values["graph"]["states"][ends][3], "the path of a sentence ends in a final state"


def test_what_cannot_be_drawn_is_refused(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="needs a small grammar"):
        animate(Recipe(Bundle.find("en-us")), SOUND)
    monkeypatch.setattr("factored_asr.explain.animation.MAX_STATES", 20)
    with pytest.raises(OptionError, match="more than 20 states.*few sentences"):
        animate(recipe, SOUND)
    with pytest.raises(OptionError, match=r"11.0 s long.*10 s at most"):
        animate(recipe, np.zeros(11 * 16_000, np.float32), sample_rate=16_000)
    with pytest.raises(OptionError, match="beams must be numbers above 0"):
        AnimationOptions(beams=(0.0,))


def committed() -> Any:
    """What the page of the documentation was drawn from."""
    found = re.search(r'id="data">(.*?)</script>', PAGE.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


def test_the_page_of_the_documentation_is_up_to_date() -> None:
    pytest.importorskip("moonshine_voice")
    some = AnimationOptions(beams=(1, 16), lm_weights=(1, 4), acoustic_scales=(0.2, 0.8))
    recipe = Recipe(Bundle.find("en-us-network"), ROOT / "examples" / "tokens.yaml")
    now = animate(recipe, ROOT / "examples" / "audio" / "kitchen_light_on.wav", options=some)
    page, texts = committed(), []
    runs = iter(page["runs"])
    kept = {(beam, weight, scale): next(runs) for beam in page["beams"]
            for weight in page["lm_weights"] for scale in page["acoustic_scales"]}
    for run in now.runs:
        told = kept[run.beam, run.lm_weight, run.acoustic_scale]
        texts.append(page["texts"][told["text"]])
        assert texts[-1] == run.text
        assert told["cost"] == pytest.approx(run.cost, abs=0.1)
    assert len(set(texts)) >= 3


def test_the_command_writes_the_page(
    animation: Animation, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def animate(recipe: Recipe, source: str, *, sample_rate: int | None) -> Animation:
        asked.append((recipe.bundle.name, recipe.grammar, source, sample_rate))
        return animation

    monkeypatch.setattr("factored_asr.explain.animation.animate", animate)
    grammar, page = tmp_path / "g.yaml", tmp_path / "tokens.html"
    grammar.write_text(GRAMMAR)
    given = ["explain", "--model", "en-us", "--grammar", str(grammar), str(SOUND)]
    assert main([*given, "--animate", str(page)]) == 0
    assert asked == [("en-us", grammar, str(SOUND), None)]
    assert page.read_text(encoding="utf-8") == animation_page(animation, SOUND.name)
    assert f"written to {page}" in capsys.readouterr().err


@pytest.fixture(scope="module")
def page(audio_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    pytest.importorskip("websockets")
    if not PROGRAM:
        pytest.skip("there is no Chromium")
    folder = tmp_path_factory.mktemp("browser")
    with browser(folder / "profile", audio_dir / "silence.wav") as found:
        yield found


@pytest.mark.parametrize(("width", "dark"), [(1300, False), (390, True)])
def test_it_works_by_keyboard_in_a_browser(page: Page, width: int, dark: bool) -> None:
    page.size(width, 900, dark)
    page.open(PAGE.as_uri())
    page.wait("document.body.dataset.ready")
    assert page.run("document.documentElement.scrollWidth") <= width
    winner = "document.getElementById('winner').textContent"
    assert page.run(winner) == "turn on the kitchen light"
    page.run("document.getElementById('lm').focus()")
    page.press("ArrowRight", 39)
    page.press("ArrowRight", 39)
    page.run("document.getElementById('scale').focus()")
    page.press("ArrowLeft", 37)
    assert page.wait(f"{winner} !== 'turn on the kitchen light' && {winner}").startswith("turn off")
    before = page.run("document.getElementById('time').textContent")
    page.run("document.getElementById('on').focus()")
    page.press("Enter", 13, "\r")
    assert page.run("document.getElementById('time').textContent") != before
    lit = page.run("document.querySelectorAll('#graph .token.best').length")
    assert lit == 1 and not page.errors
    if AXE.is_file():
        assert page.violations() == []
