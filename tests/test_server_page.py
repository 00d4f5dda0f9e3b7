"""The web page in a real browser, with a microphone that plays our examples."""

from __future__ import annotations

import json
import os
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from support.browser import AXE, PROGRAM, Page, browser
from support.server import Server, get, running

pytestmark = pytest.mark.skipif(not PROGRAM, reason="there is no Chromium")
PICTURES = os.environ.get("FACTORED_ASR_PICTURES", "")
"""A folder for screenshots, to be looked at."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def page(server: Server, audio_dir: Path, tmp_path_factory: pytest.TempPathFactory
         ) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("browser")
    sound = folder / "microphone.wav"
    with wave.open(str(sound), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        for name in ("kitchen_light_on", "weather"):
            with wave.open(str(audio_dir / f"{name}.wav")) as given:
                out.writeframes(given.readframes(given.getnframes()) + bytes(2 * 16000))
    with browser(folder / "profile", sound) as found:
        yield found


def look(page: Page, name: str) -> None:
    if PICTURES:
        page.picture(Path(PICTURES) / f"{name}.png")


def test_a_microphone_gives_words_intents_and_reasons(server: Server, page: Page) -> None:
    page.size(1000, 900)
    page.open(server.url)
    page.wait("document.querySelectorAll('#model option').length === 2")
    page.run("document.getElementById('listen').focus()")
    page.press("Enter", 13, "\r")  # by keyboard
    page.wait("document.getElementById('listen').getAttribute('aria-pressed') === 'true'")
    page.wait("document.getElementById('partial').textContent.includes('light')")
    text = page.wait("document.querySelector('#results .words')?.textContent")
    words = page.run("[...document.querySelectorAll('#results li:last-child .word')]"
                     ".map((word) => word.firstChild.data).join(' ')")
    assert words == "turn on the kitchen light", text
    assert page.run("document.querySelector('#results li:last-child dl').textContent"
                    ).startswith("intentTurnOn")
    assert "confidence" in page.run("document.querySelector('#results .word').title")
    page.run("document.getElementById('listen').click()")
    page.wait("document.getElementById('listen').textContent === 'Start listening'")
    look(page, "light")
    assert page.errors == []


def test_a_file_is_transcribed_with_subtitles_and_reasons(server: Server, page: Page,
                                                          audio_dir: Path) -> None:
    page.open(server.url)
    page.wait("document.querySelectorAll('#model option').length === 2")
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(audio_dir / "music_stop.wav")])
    page.wait("document.querySelectorAll('#results .word').length === 3")
    buttons = page.run("[...document.querySelectorAll('#results button')]"
                       ".map((each) => each.textContent)")
    assert buttons == ["Why?", "Subtitles (srt)", "Subtitles (vtt)"]
    srt = page.run("subtitles([{start: 0.5, end: 61.25, text: 'stop the music'}], ',')")
    assert srt == "1\n00:00:00,500 --> 00:01:01,250\nstop the music\n"
    page.run("document.getElementById('why').target = '_self'")
    page.run("document.querySelector('#results button').click()")
    page.wait("document.title.startsWith('Why your recording')")
    assert page.wait("document.querySelectorAll('[data-start]').length > 3")
    look(page, "why")
    assert page.errors == []


def test_words_to_expect_are_sent(server: Server, page: Page) -> None:
    page.open(server.url)
    page.wait("document.querySelectorAll('#model option').length === 2")
    page.run("page.expected.value = 'Anna Miller\\nzigbee = z ih g b iy\\nhall'")
    asked = json.loads(page.run("JSON.stringify(config(16000).config)"))
    assert asked["prompt"] == "Anna Miller, hall" and asked["hotwords"] == ["zigbee"]
    assert asked["add_words"] == {"zigbee": "Z IH G B IY"}
    page.run("page.listen.click()")  # a grammar has only its own words
    page.wait("page.status.textContent.includes('a grammar has only its own words')")
    page.run("page.expected.value = 'kitchen'; page.listen.click()")
    page.wait("!!document.querySelector('#results .words')")
    page.run("page.listen.click()")


def test_own_phrases_are_all_there_is(server: Server, page: Page) -> None:
    page.open(server.url)
    page.wait("document.querySelectorAll('#model option').length === 2")
    page.run("page.model.value = OWN; page.model.dispatchEvent(new Event('change'));"
             "page.phrases.value = 'turn on\\nthe kitchen\\nthe garden\\nlight';"
             "page.listen.click()")
    page.wait("[...document.querySelectorAll('#results .words')].some((line) =>"
              "[...line.querySelectorAll('.word')].map((w) => w.firstChild.data).join(' ') ==="
              "'turn on the kitchen light')", 60)
    page.run("page.listen.click()")
    page.run("page.phrases.value = 'qqxzv'; page.listen.click()")
    page.wait("page.status.textContent.includes('qqxzv')", 60)
    assert page.run("page.status.classList.contains('error')")


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1000, True)])
def test_it_fits_small_screens(server: Server, page: Page, audio_dir: Path, width: int,
                               dark: bool) -> None:
    page.size(width, 740, dark)
    page.open(server.url)
    page.wait("document.querySelectorAll('#model option').length === 2")
    page.run("""add({words: [{word: 'extraordinarily', start: 1, end: 2, conf: 0.95},
        {word: 'light', start: 2, end: 3, conf: 0.5}, {word: 'on', start: 3, end: 4, conf: 0.2},
        {word: 'now', start: 4, end: 5, conf: 0.8}], meaning: {intent: 'TurnOn',
        slots: {room: 'kitchen'}}}, new File([], 'a'), 'smart_home')""")
    page.run("""add({words: [], reason: 'no sentence of the grammar fits'}, null, 'smart_home')""")
    assert page.run("document.documentElement.scrollWidth") <= width
    small = page.run("""[...document.querySelectorAll('button, select, input')].filter((e) =>
        e.offsetParent && e.getBoundingClientRect().height < 40).map((e) => e.id)""")
    assert small == []
    look(page, f"{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("dark", [False, True])
def test_it_is_accessible(server: Server, page: Page, dark: bool) -> None:
    if not AXE.is_file():
        pytest.skip("needs axe-core-python")
    page.size(800, 800, dark)
    page.open(server.url)
    page.run("""add({words: ['a', 'b', 'c', 'd'].map((word, i) => ({word, start: i, end: i + 1,
        conf: [0.2, 0.5, 0.8, 0.95][i]})), reason: '', meaning: {intent: 'On', slots: {a: 1}},
        segments: []}, new File([], 'a'), 'x');
        document.getElementById('own').hidden = false; page.login.hidden = false""")
    assert page.violations() == []


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    for name in ("", "page/page.js", "page/style.css", "page/microphone.js"):
        status, text = get(f"{server.url}/{name}")
        assert status == 200
        assert not [line for line in text.splitlines() if "//" in line and "://" in line
                    and "location.host" not in line and "www.w3.org" not in line]
    assert get(f"{server.url}/page/../index.html")[0] == 404
    assert get(f"{server.url}/page/%2e%2e%2fapp.py")[0] == 404


def test_a_browser_logs_in(page: Page, tmp_path: Path) -> None:
    with running("--token", "open sesame") as server:
        page.open(server.url)
        page.wait("!page.login.hidden")
        page.run("page.token.value = 'wrong'; page.login.requestSubmit()")
        page.wait("page.status.textContent === 'This is not the token.'")
        page.run("page.token.value = 'open sesame'; page.login.requestSubmit()")
        page.wait("page.login.hidden && page.model.options.length === 2")
        page.run("page.listen.click()")
        page.wait("!!document.querySelector('#results .words')")
        page.run("page.listen.click()")
