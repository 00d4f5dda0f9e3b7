"""Recognisers side by side: what they hear, what is kept, what is shown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile

from factored_asr.audio.mixing import BLOCK, mix
from factored_asr.cli import main
from factored_asr.compare.adapters import Result, open_system
from factored_asr.compare.jsgf import as_jsgf
from factored_asr.compare.material import conditions, read_labelled, read_spoken
from factored_asr.compare.page import as_html
from factored_asr.compare.result import Answer, SystemFacts
from factored_asr.compare.run import CompareOptions, Runner, compare
from factored_asr.compare.systems import SystemSpec
from factored_asr.compare.worker import latency, size_of
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.grammar import Grammar
from factored_asr.understanding import Understander

GRAMMAR = """
language: en
intents:
  Light: {data: [{sentences: ["turn (on|off) [all] the [<place>] {thing}"]}]}
expansion_rules: {place: "{room}"}
lists:
  room: {values: [kitchen, bedroom]}
  thing: {values: [light, {in: lights, out: light}]}
"""
TEXTS = {
    "kitchen_light_on": "turn on the kitchen light",
    "bedroom_light_off": "turn off the bedroom light",
    "all_lights_off": "turn off all the lights",
}

# --- noise ------------------------------------------------------------------


def loudest(samples: np.ndarray) -> float:
    blocks = [samples[i : i + BLOCK] for i in range(0, len(samples) - BLOCK + 1, BLOCK)]
    return max(float(np.sum(block.astype(float) ** 2)) for block in blocks)


def test_speech_is_mixed_by_the_benchmarks_rule() -> None:
    rng = np.random.default_rng(0)
    speech = (0.3 * np.sin(np.arange(10_000) / 9)).astype(np.float32)
    noise = rng.normal(0, 0.01, 50_000).astype(np.float32)
    mixed = mix(speech, noise, 6.0, "a.wav")
    assert np.abs(mixed).max() == pytest.approx(0.5)
    # What was added, found again by taking the speech off at the scale that leaves least.
    scale = float(mixed @ speech / (speech @ speech))
    added = mixed - scale * speech
    ratio = 10 * np.log10(loudest(scale * speech) / loudest(added))
    assert ratio == pytest.approx(6.0, abs=0.2)
    assert np.array_equal(mixed, mix(speech, noise, 6.0, "a.wav"))
    assert not np.array_equal(mixed, mix(speech, noise, 6.0, "b.wav"))


def test_what_cannot_be_mixed() -> None:
    ones, zeros = np.ones(4096), np.zeros(4096)
    with pytest.raises(OptionError, match="the noise has 10 samples, fewer than the speech's 4096"):
        mix(ones, np.ones(10), 6, "a")
    with pytest.raises(OptionError, match="a: speech is silent"):
        mix(zeros, ones, 6, "a")
    with pytest.raises(OptionError, match="a: noise is silent"):
        mix(ones, zeros, 6, "a")
    for bad in ("6,6", "loud", "nan", "inf"):
        with pytest.raises(OptionError, match="clean or decibels"):
            conditions(bad, with_noise=True)
    with pytest.raises(OptionError, match="a file of noise"):
        conditions("clean,6", with_noise=False)


# --- grammars and systems ---------------------------------------------------


def test_a_grammar_in_jsgf_has_the_same_sentences(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRAMMAR)
    (tmp_path / "g.jsgf").write_text(as_jsgf(tmp_path / "g.yaml"))
    ours, theirs = (
        Understander(Grammar.read(tmp_path / name)) for name in ("g.yaml", "g.jsgf")
    )
    for text in [*TEXTS.values(), "turn on the lights", "turn the light", "turn on kitchen light"]:
        assert (ours.parse(text) is None) == (theirs.parse(text) is None)
    assert ours.parse("turn off all the kitchen lights") is not None
    assert as_jsgf(tmp_path / "g.jsgf") == (tmp_path / "g.jsgf").read_text()
    (tmp_path / "g.yaml").write_text(GRAMMAR + "  degrees: {range: {from: 5, to: 30}}\n")
    with pytest.raises(FormatError, match="list 'degrees' has no values that JSGF can express"):
        as_jsgf(tmp_path / "g.yaml")
    (tmp_path / "g.yaml").write_text(GRAMMAR.replace("turn (on|off)", "(turn;on)"))
    with pytest.raises(FormatError, match="rule 'sentence' has something that JSGF lacks"):
        as_jsgf(tmp_path / "g.yaml")


@pytest.mark.parametrize(("text", "message"), [
    ("kaldi", "known are ours, pocketsphinx"),
    ("ours:beam", "options are name=value"),
    ("ours:bean=5", "no option 'bean', known are beam, guess, lexicon, lm, max_active"),
    ("command:cat", "a command must hold {file}"),
])
def test_systems_are_named_with_their_options(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SystemSpec.parse(text)


def test_options_of_systems() -> None:
    assert SystemSpec.parse("ours") == SystemSpec("ours", "ours")
    small = SystemSpec.parse("ours:lm=a.arpa, beam=9,name=small")
    assert (small.name, small.options) == ("small", {"lm": "a.arpa", "beam": "9"})
    assert SystemSpec.parse("pocketsphinx:lw=8").name == "pocketsphinx:lw=8"


SAMPLES = np.zeros(16_000, np.float32)


def test_whisper_is_asked_as_its_makers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def transcribe(samples: np.ndarray, **options: object) -> dict[str, str]:
        asked.update(options)
        return {"text": " Turn it on. "}

    fake = ModuleType("whisper")
    fake.load_model = lambda name, device: SimpleNamespace(transcribe=transcribe)  # type: ignore[attr-defined]
    torch = ModuleType("torch")
    torch.set_num_threads = lambda n: asked.update(threads=n)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "whisper", fake)
    monkeypatch.setitem(sys.modules, "torch", torch)
    voice = open_system(SystemSpec.parse("whisper"), None)
    assert voice.transcribe(SAMPLES).text == "Turn it on."
    assert voice.stream([SAMPLES]) is None
    assert asked == {"threads": 1, "language": "en", "fp16": False}


def test_vosk_is_asked_as_its_makers_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Recognizer:
        def __init__(self, model: str, rate: int) -> None:
            assert rate == 16_000
            self.n = 0

        def AcceptWaveform(self, pcm: bytes) -> bool:  # noqa: N802
            self.n += len(pcm) // 2
            return self.n == 8000

        def Result(self) -> str:  # noqa: N802
            return '{"text": "turn"}'

        def PartialResult(self) -> str:  # noqa: N802
            return '{"partial": "it"}'

        def FinalResult(self) -> str:  # noqa: N802
            return '{"text": "it on"}'

    fake = ModuleType("vosk")
    fake.Model, fake.KaldiRecognizer = str, Recognizer  # type: ignore[attr-defined]
    fake.SetLogLevel = lambda level: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vosk", fake)
    voice = open_system(SystemSpec.parse(f"vosk:model={tmp_path}"), None)
    assert voice.transcribe(SAMPLES).text == "it on"
    shown = list(voice.stream(np.split(SAMPLES, 4)) or ())
    assert shown == ["it", "turn", "turn it", "turn it", "turn it on"]
    with pytest.raises(MissingError, match="name a folder: vosk:model=DIR"):
        open_system(SystemSpec.parse("vosk"), None)


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, module in (("moonshine", "moonshine_voice"), ("pocketsphinx", "pocketsphinx")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingError, match=f"^{kind}: .*; pip install"):
            open_system(SystemSpec.parse(kind), None)
    with pytest.raises(MissingError, match="there is no such program"):
        open_system(SystemSpec.parse("command:no-such-program {file}"), None)


# --- one process ------------------------------------------------------------


class Slow:
    """Shows a word after the third block, and takes a moment for each."""

    files = ()

    def transcribe(self, samples: np.ndarray) -> Result:
        return Result("word")

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[str]:
        for n, _ in enumerate(blocks):
            yield "word" if n >= 2 else ""
        yield "words"


class Deaf(Slow):
    def stream(self, blocks: Iterable[np.ndarray]) -> None:  # type: ignore[override]
        return None


def test_latency_counts_as_from_a_microphone() -> None:
    found = latency(Slow(), SAMPLES)
    assert found["first"] == pytest.approx(0.3, abs=0.05)
    assert found["answer"] == pytest.approx(0.0, abs=0.05)
    found = latency(Deaf(), SAMPLES)  # which must have all of it first
    assert found["first"] == pytest.approx(1.0, abs=0.05)


def test_the_size_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_bytes(b"12345")
    (tmp_path / "lm").write_bytes(b"123")
    assert size_of((tmp_path / "model", tmp_path / "lm")) == 8
    assert size_of(()) is None


def speaker(folder: Path, texts: dict[int, str], failing: str = "-") -> str:
    """A program that knows sounds by their lengths, as a system of kind ``command``."""
    file = folder / f"speaker_{len(failing)}.py"
    file.write_text(
        "import sys, wave\n"
        f"text = {texts!r}.get(wave.open(sys.argv[1]).getnframes(), '')\n"
        f"print(text) if text != {failing!r} else sys.exit('cannot hear this')\n"
    )
    return f"command:{sys.executable} {file} {{file}}"


@pytest.fixture
def corpus(tmp_path: Path, audio_dir: Path) -> Path:
    rows = [f"{name}\t{audio_dir / name}.wav\t{text}" for name, text in TEXTS.items()]
    (tmp_path / "corpus.tsv").write_text("\n".join(["id\tpath\ttext", *rows]) + "\n")
    return tmp_path / "corpus.tsv"


@pytest.fixture
def by_length(corpus: Path) -> dict[int, str]:
    return {len(item.samples()): item.text for item in read_spoken(corpus)}


def test_a_system_that_dies_is_started_again(tmp_path: Path, by_length: dict[int, str]) -> None:
    length, text = next(iter(by_length.items()))
    with closing(Runner(SystemSpec.parse(speaker(tmp_path, by_length)), None)) as runner:
        sound = np.zeros(length, np.float32)
        assert runner.transcribe("a", 6.0, sound).text == text
        runner._process.kill()
        assert runner.ask("transcribe", sound) == {"error": "the process ended with -9"}
        answer = runner.transcribe("a", 6.0, sound)
        assert (answer.text, answer.error, answer.cpu > 0) == (text, "", True)


# --- whole comparisons ------------------------------------------------------


def test_errors_failures_and_a_journal_that_goes_on(
    corpus: Path, tmp_path: Path, by_length: dict[int, str]
) -> None:
    items = read_spoken(corpus)
    wrong = {n: text.replace("turn", "churn") for n, text in by_length.items()}
    systems = [
        SystemSpec("good", "command", command=speaker(tmp_path, by_length)[8:]),
        SystemSpec("bad", "command",
                   command=speaker(tmp_path, wrong, "churn off all the lights")[8:]),
    ]
    options = CompareOptions(latency_files=1, journal=tmp_path / "a.jsonl")
    ticks = []
    result = compare(items, systems, options, lambda done, of: ticks.append((done, of)))
    good, bad = result.rows
    assert ticks[-1] == (6, 6)
    assert (good.value, good.failed, good.p) == (0.0, 0, None)
    assert (bad.errors.total, bad.errors.n_words, bad.failed) == (2 + 5, 15, 1)
    assert bad.answers[2].error == f"OptionError: {sys.executable} ended with 1: cannot hear this"
    assert "bad" in result.describe() and "7/15 = 46.7 %" in result.describe()
    found = json.loads(result.to_json())
    assert found["systems"][0]["answer"] > 0 and found["systems"][0]["peak_bytes"] > 1e6
    assert found["utterances"][0]["heard"][1]["pairs"][0] == ["turn", "churn"]

    # Broken off in the middle of a line: what is whole is not asked again.
    content = options.journal.read_text()  # type: ignore[union-attr]
    options.journal.write_text(content[: content.rfind('"item": "all_lights_off"')])  # type: ignore[union-attr]
    (tmp_path / "speaker_1.py").write_text("print('changed')")
    again = compare(items, systems, options)
    assert [h.text for h in again.rows[0].answers][:2] == [h.text for h in good.answers][:2]
    assert len(options.journal.read_text().splitlines()) >= 1 + 6 + 2  # type: ignore[union-attr]
    (tmp_path / "g.yaml").write_text(GRAMMAR)
    with pytest.raises(OptionError, match="the journal of another comparison"):
        compare(items, systems, CompareOptions(tmp_path / "g.yaml", journal=options.journal))
    (tmp_path / "a.jsonl").write_text("[]\n{}\n")
    with pytest.raises((OptionError, FormatError), match="a.jsonl"):
        compare(items, systems, options)
    with pytest.raises(OptionError, match="systems of different names"):
        compare(items, [systems[0]] * 2)


def test_journals_read_what_they_write() -> None:
    answer = Answer("s", "i", float("inf"), "text", True, "on", {"a": "b"}, 0.1, 0.2, 3.0)
    assert Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
    facts = SystemFacts("s", 0.5, None, 7, (float("nan"), 0.5), (0.1, 0.2))
    again = SystemFacts.from_dict(json.loads(json.dumps(facts.to_dict())))
    assert repr(again) == repr(facts)
    assert facts.summary()["first_word"] == 0.5


def labelled(folder: Path, audio_dir: Path) -> tuple[Path, Path]:
    (folder / "g.yaml").write_text(GRAMMAR)
    slots = {"kitchen_light_on.wav": {"room": "kitchen", "thing": "light"},
             "bedroom_light_off.wav": {"room": "bedroom"}, "all_lights_off.wav": {}}
    labels = {name: {"intent": "Light", "slots": found} for name, found in slots.items()}
    labels["timer_ten_minutes.wav"] = {"intent": None}
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder / "labels.json", folder / "g.yaml"


def test_commands_by_ours_pocketsphinx_and_rules(
    tmp_path: Path, audio_dir: Path, by_length: dict[int, str], graph_cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two take the grammar, the text of the third is read by it; noise is put in."""
    pytest.importorskip("pocketsphinx")
    labels, grammar = labelled(tmp_path, audio_dir)
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise.wav", rng.normal(0, 0.05, 160_000), 16_000)
    assert main([
        "compare", str(audio_dir), "ours:model=en-us", "pocketsphinx",
        speaker(tmp_path, {n: f"Uh, {t.capitalize()}, please!" for n, t in by_length.items()}),
        "--labels", str(labels), "--grammar", str(grammar), "--noise", str(tmp_path / "noise.wav"),
        "--snr", "clean,40", "--latency-files", "1", "--quiet",
        "--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html"),
    ]) == 0
    out = capsys.readouterr().out
    assert "3/3 = 100.0 %" in out and "false actions" in out and "0/1" in out
    found = json.loads((tmp_path / "r.json").read_text())
    assert (found["measure"], found["grammar"]) == ("accepted", "g.yaml")
    assert [row["condition"] for row in found["rows"]] == ["clean"] * 3 + ["40 dB"] * 3
    for row in found["rows"]:
        assert (row["files"], row["failed"], row["understood"]["commands"]) == (4, 0, 3)
        assert row["value"] == 1.0 or row["system"] == "pocketsphinx"
    ours, theirs = found["systems"][:2]
    assert ours["model_bytes"] == theirs["model_bytes"]  # of the same files
    assert 0 < ours["answer"] < 5 and 0 < ours["first_word"] < 10


def test_sounds_that_fail_are_named_with_the_reason(
    tmp_path: Path, audio_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, grammar = labelled(tmp_path, audio_dir)
    soundfile.write(tmp_path / "short.wav", np.random.default_rng(0).normal(0, 0.1, 9000), 16_000)
    assert main([
        "compare", str(audio_dir), f"command:{sys.executable} -c exit(3) {{file}}", "--quiet",
        "--labels", str(labels), "--grammar", str(grammar), "--latency-files", "0", "--every", "4",
        "--noise", str(tmp_path / "short.wav"), "--snr", "clean,6",
    ]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "all_lights_off.wav: " in first and " ended with 3" in first
    assert "all_lights_off.wav: the noise has 9000 samples, fewer than the speech's" in second


def test_moonshine_hears_the_words(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("moonshine_voice")
    assert main([
        "compare", str(corpus), "moonshine", "--latency-files", "1", "--quiet",
        "--json", str(tmp_path / "r.json"),
    ]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["rows"][0]["value"] < 0.5  # these voices are synthesised
    assert found["systems"][0]["model_bytes"] > 2e7


def test_complaints_of_the_command(
    tmp_path: Path, audio_dir: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, grammar = labelled(tmp_path, audio_dir)
    commands = [str(audio_dir), "ours", "--labels"]
    for arguments, code, message in (
        ([*commands, str(labels)], 2, "--labels needs --grammar"),
        ([*commands, str(labels), "--grammar", "gone.yaml"], 1, "gone.yaml"),
        ([*commands, "gone.json", "--grammar", str(grammar)], 1, "gone.json: there is no such"),
        ([*commands, str(grammar), "--grammar", str(grammar)], 1, "no JSON"),
        ([str(tmp_path), *commands[1:], str(labels), "--grammar", str(grammar)], 1, "such sound"),
        ([str(corpus), "theirs"], 2, "system 'theirs': known are ours"),
        ([str(corpus), "command:gone {file}"], 1, "there is no such program"),
        ([str(corpus), "ours", "--snr", "6"], 2, "needs a file of noise"),
        ([str(corpus), "ours", "--every", "0"], 2, "--every must be at least 1"),
    ):
        assert main(["compare", *arguments, "--quiet"]) == code
        assert message in capsys.readouterr().err
    (tmp_path / "labels.json").write_text('{"kitchen_light_on.wav": {"slots": {}}}')
    with pytest.raises(FormatError, match="'kitchen_light_on.wav' must have an intent"):
        read_labelled(audio_dir, tmp_path / "labels.json")


# --- the page ---------------------------------------------------------------


@pytest.fixture
def page(corpus: Path, tmp_path: Path, by_length: dict[int, str]) -> Path:
    texts = {n: text.replace("light", "</script><b>late") for n, text in by_length.items()}
    systems = [SystemSpec("one", "command", command=speaker(tmp_path, texts)[8:])]
    result = compare(read_spoken(corpus), systems, CompareOptions(latency_files=0))
    (tmp_path / "page.html").write_text(as_html(result, "A <title>"), encoding="utf-8")
    return tmp_path / "page.html"


def test_the_page_needs_nothing_else(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", content)
    assert content.count("</script>") == 2 and "<title>A &lt;title></title>" in content
    assert "default-src 'none'" in content


def test_the_page_is_drawn_by_a_browser(page: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                   "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium to look at the page with")
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={page.parent / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )
    drawn = run.stdout
    assert "3 of 3" in drawn and "<button>light → late (2)" in drawn
    assert drawn.count("<article>") == 3 and "<circle" in drawn
