"""The model en-us-network through the recogniser: commands, times, streams, tools, commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.network import encoder, random_network

from factored_asr import Recognizer
from factored_asr.acoustic.network import NetworkModel, moonshine
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, ModelWarning, OptionError
from factored_asr.explain import ExplainOptions
from factored_asr.explain.text import as_text
from factored_asr.models import bundle as bundles
from factored_asr.models.bundle import Bundle, default_model
from factored_asr.models.folder import write_model
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.times import word_timer

ROOT = Path(__file__).parent.parent
AUDIO, GRAMMAR = ROOT / "examples" / "audio", ROOT / "lm" / "smart_home.yaml"
COMMANDS = {"kitchen_light_on": "turn on the kitchen light", "music_stop": "stop the music",
            "timer_ten_minutes": "set a timer for ten minutes"}  # fmt: skip


@pytest.fixture(scope="module")
def recognizer(graph_cache: Path) -> Recognizer:
    encoder()
    return Recognizer.load("en-us-network", grammar=GRAMMAR)


@pytest.mark.parametrize(("name", "text"), COMMANDS.items())
def test_commands_are_understood_with_times_of_the_other_model(recognizer, name, text):
    said = recognizer.transcribe(AUDIO / f"{name}.wav")
    assert said.text == text and said.interpretation is not None and said.timed_by == "en-us"
    aligned = recognizer.align(AUDIO / f"{name}.wav", text)
    assert aligned.timed_by == aligned.transcript.timed_by == aligned.to_dict()["timed_by"]
    assert aligned.timed_by == "en-us"
    for word, other in zip(said.words, aligned.words, strict=True):
        assert word.start == pytest.approx(other.word.start, abs=0.06)
        assert word.end == pytest.approx(other.word.end, abs=0.06)
        assert word.phone_ends[-1] == word.end
    assert json.loads(said.to_json())["timed_by"] == "en-us"


def test_silence_and_other_speech_are_no_commands(recognizer):
    assert recognizer.transcribe(AUDIO / "silence.wav").reason == "no speech"
    other = recognizer.transcribe(AUDIO / "weather.wav")
    assert not other.text and other.reason and other.timed_by == ""


@pytest.mark.parametrize("chunk", [1600, 7777])
def test_streams(recognizer, chunk):
    samples, rate = soundfile.read(AUDIO / "music_stop.wav", dtype="float32")
    whole = recognizer.transcribe(samples, sample_rate=rate)
    model = replace(recognizer.model, whole=recognizer.model.window)
    equal = recognizer.with_model(model).transcribe(samples, sample_rate=rate)
    for redecode, result in ((True, whole), (False, equal)):
        stream = recognizer.stream(redecode=redecode)
        for first in range(0, len(samples), chunk):
            stream.accept(samples[first : first + chunk])
        assert stream.partial() == "stop the music"
        assert replace(stream.finish(), lattice=None) == replace(result, lattice=None)


def test_first_words_come_early_where_they_are_asked_for(recognizer):
    samples, _ = soundfile.read(AUDIO / "music_stop.wav", dtype="float32")

    def first_word(early: bool) -> int:
        stream = recognizer.stream()
        for block in range(0, len(samples), 1600):
            stream.accept(samples[block : block + 1600])
            if text := stream.partial(early=early):
                assert text.split()[0] == "stop"
                assert stream.partial(early=early) == text  # stays until more is known
                rest = samples[block + 1600 :]
                break
        stream.accept(rest)
        assert stream.finish().text == "stop the music"
        return block

    word = recognizer.transcribe(AUDIO / "music_stop.wav").words[0]
    assert first_word(True) < first_word(False)
    assert first_word(True) / 16000 < word.end + 0.3


def test_later_words_come_early_too(recognizer):
    samples, _ = soundfile.read(AUDIO / "kitchen_light_on.wav", dtype="float32")
    stream, n_ahead = recognizer.stream(), 0
    for block in range(0, len(samples), 1600):
        stream.accept(samples[block : block + 1600])
        plain, early = (stream.partial(early=each).split() for each in (False, True))
        n_ahead += 0 < len(plain) < len(early)
        assert len(plain) <= len(early)  # what was found early stays
    assert n_ahead > 1
    assert stream.finish().text == "turn on the kitchen light"


def test_early_words_need_speech(recognizer):
    stream = recognizer.stream()
    for seed in range(5):
        stream.accept(np.random.default_rng(seed).normal(0, 0.003, 3200).astype(np.float32))
        assert stream.partial(early=True) == ""


def test_times_stay_the_models_own_where_they_are_asked_for(recognizer):
    plain = Recognizer(recognizer.model, recognizer.graph,
                       replace(recognizer.options, align_words=False), recipe=recognizer.recipe)
    said = plain.transcribe(AUDIO / "music_stop.wav")
    assert said.text == "stop the music" and said.timed_by == ""
    frames = [word.start / recognizer.model.frame_seconds for word in said.words]
    assert frames == pytest.approx(np.round(frames))


def test_words_that_do_not_fit_keep_their_times():
    said = word_timer().listen()
    said.accept(np.zeros(1600, np.float32))
    said.finish()
    from factored_asr.results.transcript import Word

    long = Word("supercalifragilistic", 0.0, 0.1, phones=("S",) * 40)
    assert word_timer().retimed([long], said) is None
    assert word_timer().retimed([Word("x", 0.0, 0.1, phones=("QQ",))], said) is None


def test_explanations_add_up(recognizer):
    found = recognizer.explain(AUDIO / "music_stop.wav", options=ExplainOptions(without=()))
    assert found.text == "stop the music"
    assert found.costs.total == pytest.approx(found.cost, abs=1e-3)
    assert found.costs.remainder == pytest.approx(0.0, abs=1e-3)
    assert found.models == {"acoustic": "en-us-network", "pronunciation": "cmudict-en-us.dict",
                            "language": "smart_home.yaml", "times": "en-us"}
    assert "Acoustics by en-us-network" in as_text(found) and "words by en-us." in as_text(found)
    assert found.to_dict()["models"] == found.models and not found.second_pass


def test_a_network_on_disk(tmp_path):
    model = replace(random_network(), prior_weight=0.4)
    folder = write_model(tmp_path / "m", model)
    read = Bundle.find(folder).acoustic_model()
    assert isinstance(read, NetworkModel) and read.prior_weight == 0.4
    assert read.phones == model.phones
    bundle = replace(Bundle.find("en-us-network"), folder=Bundle.find(folder).folder)
    # Graphs depend on the phones alone: another head needs no other graph.
    assert Recipe(bundle, GRAMMAR).key() == Recipe(Bundle.find("en-us-network"), GRAMMAR).key()
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, value, message in (
        ("encoder", "another", "an encoder 'another'"), ("prior_weight", -1, "at least 0"),
        ("phones", ["A"], "phones that are not"),
    ):  # fmt: skip
        acoustic = {**manifest["acoustic"], name: value}
        (folder / "manifest.json").write_text(json.dumps({**manifest, "acoustic": acoustic}))
        with pytest.raises(FormatError, match=message):
            Bundle.find(folder).acoustic_model()


def test_without_its_package_en_us_takes_its_place(monkeypatch):
    monkeypatch.setattr(moonshine, "PACKAGE", "moonshine-voice-that-nobody-has")
    with pytest.raises(MissingError, match="pip install"):
        Bundle.find("en-us-network")
    monkeypatch.setattr(bundles, "DEFAULT_MODEL", "en-us-network")
    with pytest.warns(ModelWarning, match="pip install.*en-us is used now"):
        assert default_model() == "en-us"
    with pytest.warns(ModelWarning):
        assert Bundle.find().name == "en-us"


def test_the_network_is_the_default_where_it_is_installed(monkeypatch):
    encoder()
    monkeypatch.setattr(bundles, "DEFAULT_MODEL", "en-us-network")
    assert Bundle.find().name == "en-us-network" and Bundle.find("en-us").name == "en-us"


def test_tools_for_mixtures_are_refused(recognizer, capsys):
    with pytest.raises(OptionError, match="fMLLR.*use --model en-us"):
        recognizer.adapted([AUDIO / "music_stop.wav"])
    arguments = ["--model", "en-us-network", "--grammar", str(GRAMMAR)]
    sound = str(AUDIO / "music_stop.wav")
    assert main(["transcribe", sound, *arguments, "--noise", "vts"]) == 2
    assert "vts is for Gaussian mixtures" in capsys.readouterr().err
    assert main(["transcribe", sound, *arguments, "--quiet"]) == 0
    assert capsys.readouterr().out == "stop the music\n"
