"""Detectors: one stream of frames for all, the same detections whatever the chunks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from naive_detectors import naive_align, naive_spot

from factored_asr import Recognizer, Transcript
from factored_asr.acoustic.network.encoder import Encoder
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.network.session import is_speech
from factored_asr.audio.reading import read_audio
from factored_asr.cli.app import main
from factored_asr.corpus.whisper import whispered
from factored_asr.detectors import (
    Classifier,
    Detection,
    DirectednessDetector,
    EventDetector,
    EventOptions,
    FrameBlock,
    FrameStream,
    KeywordDetector,
    KeywordOptions,
    Listener,
    SharedStream,
    VoicingDetector,
    detect,
    train_events,
)
from factored_asr.detectors._kernels import DEAD, align, spot
from factored_asr.detectors.background import (
    Background,
    random_rows,
    read_background,
    shipped,
    shipped_kinds,
    write_background,
)
from factored_asr.detectors.classifier import fit
from factored_asr.detectors.directed import FAMILIES
from factored_asr.detectors.frames import Recent, whole_frames
from factored_asr.detectors.keywords import pronunciations_of
from factored_asr.detectors.spotting import places
from factored_asr.detectors.stretches import Stretches
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe

AUDIO = Path(__file__).parent.parent / "examples" / "audio"
MUSIC = KeywordDetector({"music": ["M Y UW Z IH K"]})
RATE = 16_000


@pytest.fixture(scope="module")
def model() -> NetworkModel:
    made = Bundle.find("en-us-network").acoustic_model()
    assert isinstance(made, NetworkModel)
    return made


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return read_audio(AUDIO / "music_stop.wav", sample_rate=RATE)[0]


@pytest.fixture(scope="module")
def beeps(model: NetworkModel) -> Classifier:
    """Tells a high tone from a low one, and both from noise."""
    clips: dict[Path, np.ndarray] = {}
    classes = []
    for name, hertz in (("high", 2000.0), ("low", 300.0), ("other", 0.0)):
        files = [Path(f"{name}{number}") for number in range(4)]
        clips.update({file: _beep(hertz, number) for number, file in enumerate(files)})
        classes.append((name, files))
    return train_events(classes, lambda: FrameStream(model), clips.__getitem__)


def _beep(hertz: float, seed: int, seconds: float = 2.5) -> np.ndarray:
    rng, times = np.random.default_rng(seed), np.arange(int(RATE * seconds)) / RATE
    tone = 0.2 * np.sign(np.sin(2 * np.pi * hertz * (1 + 0.02 * seed) * times))
    return (tone + 0.02 * rng.normal(size=len(times))).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_spotting_finds_the_best_path_of_every_beginning(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_frames, n_pdfs, longest = 14, 4, int(rng.integers(3, 12))
    columns = rng.integers(1, n_pdfs, size=rng.integers(1, 5)).astype(np.int64)
    scores = -rng.exponential(size=(n_frames, n_pdfs)).astype(np.float32)
    repeats = np.array([False, *(columns[1:] == columns[:-1])])
    value, begin = np.full(2 * len(columns) - 1, DEAD), np.zeros(2 * len(columns) - 1, np.int64)
    found, started = np.empty(n_frames), np.empty(n_frames, np.int64)
    cut = int(rng.integers(0, n_frames))
    for piece in (slice(0, cut), slice(cut, n_frames)):
        spot(scores[piece], columns, repeats, 0, n_frames + 1, value, begin, piece.start,
             found[piece], started[piece])
    expected = naive_spot(scores, columns.tolist(), 0, n_frames + 1)
    reached = np.isfinite(expected)
    assert np.allclose(found[reached], np.array(expected)[reached], atol=1e-4)
    assert (found[~reached] < 0.5 * DEAD).all()
    # A path never lasts longer than it may.
    value[:], begin[:] = DEAD, 0
    spot(scores, columns, repeats, 0, longest, value, begin, 0, found, started)
    alive = found > 0.5 * DEAD
    assert (np.arange(n_frames)[alive] - started[alive] < longest).all()


@pytest.mark.parametrize("seed", range(8))
def test_alignment_is_the_best_path_through_all_frames(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.integers(1, 4, size=rng.integers(1, 5)).astype(np.int64)
    scores = -rng.exponential(size=(12, 4)).astype(np.float32)
    repeats = np.array([False, *(columns[1:] == columns[:-1])])
    states = np.empty(12, np.int64)
    align(scores, columns, repeats, 0, states)
    assert states[0] == 0 and states[-1] == 2 * len(columns) - 2
    assert set(np.diff(states)) <= {0, 1, 2}
    pdfs = [columns[state // 2] if state % 2 == 0 else 0 for state in states]
    found = sum(scores[t, pdf] for t, pdf in enumerate(pdfs))
    assert found == pytest.approx(naive_align(scores, columns.tolist(), 0), abs=1e-4)


def test_a_keyword_is_found_where_it_is_said(model: NetworkModel, sound: np.ndarray) -> None:
    (found,) = detect(model, [MUSIC], sound, sample_rate=RATE)
    assert (found.kind, found.name) == ("wake", "music")
    assert 0.8 < found.start < found.end < 1.5
    assert found.score > 0.5
    twice = np.concatenate([sound, np.zeros(RATE, np.float32), sound])
    assert len(list(detect(model, [MUSIC], twice, sample_rate=RATE))) == 2


def test_recordings_teach_a_keyword(
    model: NetworkModel, sound: np.ndarray, tmp_path: Path
) -> None:
    """Recordings: "music" louder, quieter, slower and faster."""
    whole, few = shipped(), 12_000
    background = Background(whole.phones, whole.log_probs[:few], whole.parts[:few], whole.mean,
                            whole.directions)
    word = sound[int(0.85 * RATE) : int(1.45 * RATE)]
    at = np.arange(len(word) * 9 // 10)
    recordings = [word, 0.3 * word, np.interp(at / 0.9, np.arange(len(word)), word)]
    recordings.append(np.interp(0.9 * at, np.arange(len(word)), word))
    plain = KeywordDetector({"music": ["M Y UW Z IH K"]}, background=background)
    detector = plain.enrol("music", recordings, model)
    (found,) = detect(model, [detector], sound, sample_rate=RATE)
    assert found.name == "music" and 0.2 < found.score <= 1
    assert not list(detect(model, [detector], AUDIO / "kitchen_light_on.wav"))
    assert not plain.verifiers
    listener = Listener(model, [detector])
    pieces = [each for piece in np.array_split(sound, 37) for each in listener.accept(piece)]
    assert pieces == [found] and pieces[0].score == pytest.approx(found.score, abs=1e-4)
    path = tmp_path / "music.npz"
    detector.write(path)
    read = KeywordDetector.read(path, background=background)
    assert list(detect(model, [read], sound, sample_rate=RATE)) == [found]
    other = Background(whole.phones, whole.log_probs[:few], whole.parts[:few], whole.mean + 1,
                       whole.directions)
    with pytest.raises(OptionError, match=r"music\.npz: .* another background"):
        KeywordDetector.read(path, background=other)
    with np.load(path) as values:
        kept = dict(values)
    for wrong, law in (({"scale_0": 0 * kept["scale_0"]}, "not finite"),
                       ({"mean_0": kept["mean_0"][1:]}, "not of 6 phones"),
                       ({"version": 9}, "version 9, must be 1")):
        np.savez(path, **{**kept, **wrong})
        with pytest.raises(FormatError, match=rf"music\.npz.*{law}"):
            KeywordDetector.read(path, background=background)
    with pytest.raises(OptionError, match="2 recordings of a keyword, must be 3"):
        plain.enrol("music", recordings[:2], model)
    with pytest.raises(OptionError, match="recording 3 of a keyword is silent"):
        plain.enrol("music", [word, word, np.zeros(800, np.float32)], model)
    with pytest.raises(OptionError, match="'lamp' is no keyword"):
        plain.enrol("lamp", recordings, model)


def test_a_background_belongs_to_the_phones_of_its_model(
    model: NetworkModel, tmp_path: Path
) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "background.npz"
    log_probs = np.log(rng.dirichlet(np.ones(4), 60)).astype(np.float32)
    write_background(path, ["A", "B", "C"], log_probs, rng.normal(size=(60, 576)))
    read = read_background(path)
    assert np.abs(read.log_probs - np.maximum(log_probs, -12)).max() <= 0.126
    assert read.parts.shape == (60, 16) and 0.3 < read.parts.std() < 1.5
    with pytest.raises(OptionError, match=r"of 3 phones, not of the 39 .* give KeywordDetector"):
        Listener(model, [KeywordDetector({"music": ["M Y UW Z IH K"]}, background=read)])
    with np.load(path) as values:
        kept = dict(values)
    np.savez(path, **{**kept, "phones": np.array(["A"])})
    with pytest.raises(FormatError, match="do not fit each other"):
        read_background(path)
    np.savez(path, steps=kept["steps"])
    with pytest.raises(FormatError, match="do not make a background"):
        read_background(path)
    np.savez(path, **{**kept, "ends": np.array([30, 59])})
    with pytest.raises(FormatError, match=r"ends \(30, 59\) must ascend to 60"):
        read_background(path)
    np.savez(path, **{**kept, "ends": np.array([10, 60])})
    assert read_background(path).kinds(np.array([0, 9, 10, 59])).tolist() == [0, 0, 1, 1]
    assert read.kinds(np.array([0, 19, 20, 59])).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("hiss", [0.0, 3e-4])
def test_speech_with_pauses_is_no_event(model: NetworkModel, hiss: float) -> None:
    """Clips of short events end in silence, which a classifier may learn in place of the event."""
    said = [read_audio(AUDIO / f"{name}.wav", sample_rate=RATE)[0]
            for name in ("music_stop", "weather", "blinds_open")]
    sound = np.concatenate([np.pad(each, (RATE // 2, 2 * RATE)) for each in said])
    sound = sound + hiss * np.random.default_rng(0).normal(size=len(sound))
    assert not list(detect(model, [EventDetector()], sound.astype(np.float32), sample_rate=RATE))


def test_random_rows_follow_the_phones_of_speech() -> None:
    log_probs = np.full((400, 4), -9.0, np.float32)
    log_probs[np.arange(400), np.tile([1, 0, 2, 0], 100)] = 0.0
    rows = random_rows(log_probs, 5, 20)
    assert rows.shape == (20, 5) and set(rows.ravel()) == {1, 2}
    assert (rows[:, 1:] != rows[:, :-1]).all()


@pytest.mark.parametrize("n_phones", [6, 10])
def test_a_keyword_of_any_length_has_the_false_alarms_asked_for(
    model: NetworkModel, n_phones: int
) -> None:
    """The threshold of two kinds of speakers, tried on the third."""
    whole, asked = shipped_kinds(), 2.0
    kinds = whole.kinds(np.arange(len(whole.log_probs)))
    rows = random_rows(whole.log_probs, n_phones, 24, seed=3)
    alarms = hours = 0.0
    for kind in np.unique(kinds):
        here = whole.log_probs[kinds == kind]
        others = replace(whole, log_probs=whole.log_probs[kinds != kind])
        hours += len(rows) * len(here) * model.frame_seconds / 3600
        for row in rows:
            name = " ".join(model.phones[i - 1] for i in row)
            detector = KeywordDetector({name: [name]}, background=others)
            limit = detector.tail(name, model).threshold(asked)
            alarms += len(places(detector.pronunciations(name, model)[0], here, 42, limit))
    assert 0.6 < alarms / (asked * hours) < 1.6


@pytest.mark.parametrize("name", ["silence.wav", "kitchen_light_on.wav", "weather.wav"])
def test_a_keyword_that_is_not_said_is_not_found(model: NetworkModel, name: str) -> None:
    assert not list(detect(model, [MUSIC], AUDIO / name))


def test_chunks_of_any_size_give_the_same_detections(
    model: NetworkModel, sound: np.ndarray, beeps: Classifier
) -> None:
    detectors = [MUSIC, VoicingDetector(), EventDetector(beeps)]
    mixed = np.concatenate([sound, _beep(2000, 9), np.zeros(RATE, np.float32), sound])
    whole = list(detect(model, detectors, mixed, sample_rate=RATE))
    assert {each.kind for each in whole} == {"wake", "speech", "event"}
    for sizes in ([160], [999, 1, 7000]):
        listener, at, found, turn = Listener(model, detectors), 0, [], 0
        while at < len(mixed):
            size = sizes[turn % len(sizes)]
            found += listener.accept(mixed[at : at + size])
            at, turn = at + size, turn + 1
        found += listener.finish()
        assert [str(each) for each in found] == [str(each) for each in whole]
        scores = ([each.score for each in listed] for listed in (found, whole))
        assert np.allclose(*scores, atol=1e-4)


def test_frames_are_computed_once_for_all_detectors(
    model: NetworkModel, sound: np.ndarray, beeps: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyword that may have been said has its frames computed once more, if that is not off."""
    calls = []
    computed = Encoder.__call__
    monkeypatch.setattr(Encoder, "__call__",
                        lambda *given: calls.append(len(given[1])) or computed(*given))
    other = [VoicingDetector(), EventDetector(beeps)]
    once = KeywordDetector({"music": ["M Y UW Z IH K"]}, KeywordOptions(recompute=False))
    counts, found = [], []
    for detectors in ([], [once, *other], [MUSIC, *other]):
        calls.clear()
        found.append([each for each in detect(model, detectors, sound, sample_rate=RATE)
                      if each.kind == "wake"])
        counts.append(list(calls))
    assert counts[0] == counts[1] and counts[0]
    assert 1 <= len(counts[2]) - len(counts[0]) <= 2
    assert found[1][0].name == found[2][0].name == "music"
    assert abs(found[1][0].end - found[2][0].end) < 0.1


def test_recent_frames_are_computed_with_the_sound_after_them(
    model: NetworkModel, sound: np.ndarray
) -> None:
    stream, kept, again = FrameStream(model), *(Recent(model, 30, on) for on in (False, True))
    blocks = stream.accept(sound)[:12]
    for block in blocks:
        kept.accept(block)
        again.accept(block)
    first, end = kept.frames().first, blocks[-1].first + len(blocks[-1].log_probs)
    assert end - 30 - len(blocks[0].log_probs) < first <= end - 30
    assert np.array_equal(kept.frames().log_probs,
                          np.concatenate([block.log_probs for block in blocks])[first:])
    wanted = whole_frames(model, sound[first * 384 : end * 384 + len(blocks[-1].ahead)], first)
    assert np.array_equal(again.frames().log_probs, wanted.log_probs)
    assert len(wanted.log_probs) > end - first
    assert np.array_equal(blocks[-1].ahead, sound[end * 384 :][: len(blocks[-1].ahead)])


def test_a_detection_comes_soon_after_the_keyword(model: NetworkModel, sound: np.ndarray) -> None:
    listener, step = Listener(model, [MUSIC]), RATE // 100
    for at in range(0, len(sound), step):
        if found := listener.accept(sound[at : at + step]):
            assert (at + step) / RATE - found[0].end <= 0.3 + 0.01
            return
    raise AssertionError("the keyword is not found")


def test_whispered_and_voiced_speech_are_told_apart(model: NetworkModel) -> None:
    for name in ("music_stop.wav", "kitchen_light_on.wav", "bedroom_light_off.wav"):
        voiced = read_audio(AUDIO / name, sample_rate=RATE)[0]
        for sound, expected in ((voiced, "voiced"), (whispered(voiced), "whispered")):
            found = list(detect(model, [VoicingDetector()], sound, sample_rate=RATE))
            assert found and {each.name for each in found} == {expected}, (name, found)


def test_events_are_found_where_they_sound(model: NetworkModel, beeps: Classifier) -> None:
    quiet = np.zeros(3 * RATE, np.float32)
    mixed = np.concatenate([quiet, _beep(2000, 7, 4.0), quiet, _beep(300, 8, 4.0)])
    high, low = detect(model, [EventDetector(beeps)], mixed, sample_rate=RATE)
    assert (high.name, low.name) == ("high", "low")
    assert abs(high.start - 3) < 1.6 and abs(low.start - 10) < 1.6
    likeliest = next(iter(EventDetector(beeps).classify(FrameStream(model), _beep(300, 6))))
    assert likeliest == "low"


def test_a_classifier_is_read_as_it_was_written(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 4)) + np.repeat([[0.0], [3.0]], 15, axis=0)
    made = fit(x, np.repeat([0, 1], 15), ["a", "b"], description="normal numbers")
    made.write(tmp_path / "made.npz")
    read = Classifier.read(tmp_path / "made.npz")
    assert read.names == ("a", "b") and read.description == "normal numbers"
    assert np.allclose(read.probabilities(x), made.probabilities(x), atol=5e-3)
    with pytest.raises(OptionError, match="'b' has no example"):
        fit(x, np.zeros(30, int), ["a", "b"])


def test_a_damaged_classifier_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.npz"
    fit(np.arange(4.0)[:, None], [0, 0, 1, 1], ["a", "b"]).write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match=r"made\.npz"):
        Classifier.read(path)
    with np.load(_written(path, whole)) as values:
        wrong = {**values, "bias": np.zeros(3, np.float32)}
    np.savez(path, **wrong)
    with pytest.raises(FormatError, match="do not fit each other"):
        Classifier.read(path)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_bad_input_is_named(model: NetworkModel) -> None:
    with pytest.raises(OptionError, match="keyword 'x' has the phone QQ"):
        Listener(model, [KeywordDetector({"x": ["QQ"]})])
    with pytest.raises(OptionError, match="'x' has no pronunciation"):
        KeywordDetector({"x": []})
    with pytest.raises(OptionError, match="no keyword"):
        KeywordDetector({})
    with pytest.raises(OptionError, match="threshold must be finite"):
        KeywordOptions(threshold=float("nan"))
    with pytest.raises(OptionError, match="threshold must lie between"):
        EventOptions(threshold=2.0)
    with pytest.raises(OptionError, match="not of a GMM"):
        FrameStream(Bundle.find("en-us").acoustic_model())  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="not finite"):
        Listener(model, [MUSIC]).accept(np.full(100, np.nan, np.float32))
    with pytest.raises(OptionError, match="silent"):
        EventDetector().classify(FrameStream(model), np.zeros(RATE, np.float32))


def test_phrases_get_all_pronunciations_of_their_words() -> None:
    recipe = Recipe(Bundle.find("en-us-network"))
    found = pronunciations_of(["the music"], recipe)["the music"]
    assert {"DH AH M Y UW Z IH K", "DH IY M Y UW Z IH K"} <= set(found)
    with pytest.raises(OptionError, match="no words"):
        pronunciations_of([" "], recipe)
    with pytest.raises(MissingError):
        pronunciations_of(["x1$"], recipe)


@pytest.fixture(scope="module")
def commands() -> Recognizer:
    grammar = Path(__file__).parent.parent / "lm" / "smart_home.yaml"
    return Recognizer.load("en-us-network", grammar=grammar)


def test_a_wake_word_opens_the_recogniser(commands: Recognizer, sound: np.ndarray) -> None:
    light, quiet = commands.read(AUDIO / "kitchen_light_on.wav"), np.zeros(RATE, np.float32)
    blocks = np.array_split(np.concatenate([light, quiet, sound, quiet, light]), 150)
    wake, said = commands.listen(blocks, detectors=[MUSIC])
    assert isinstance(wake, Detection) and isinstance(said, Transcript)
    assert (wake.name, said.text) == ("music", "turn on the kitchen light")
    every = [*commands.listen([sound, quiet, light], detectors=[VoicingDetector()])]
    assert [each.text for each in every if isinstance(each, Transcript)] == [
        "stop the music", "turn on the kitchen light"]
    assert len(every) == 4


def test_the_recogniser_shares_the_frames_of_the_detectors(
    commands: Recognizer, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    computed = Encoder.__call__
    monkeypatch.setattr(Encoder, "__call__",
                        lambda *given: calls.append(len(given[1])) or computed(*given))
    Listener(commands.model, []).accept(sound)  # type: ignore[arg-type]
    alone = list(calls)
    calls.clear()
    untaught = Recognizer(commands.model, commands.graph, replace(commands.options, taught=False),
                          None, commands.recipe, commands.background)
    stream = SharedStream(untaught, [VoicingDetector()])
    stream.accept(sound[: 4 * RATE // 3])
    assert stream.partial() == "stop the music" and stream.open
    stream.accept(sound[4 * RATE // 3 :])
    assert calls == alone
    with pytest.raises(OptionError, match="not of a GMM"):
        SharedStream(Recognizer(Bundle.find("en-us").acoustic_model(), commands.graph), [])


def test_commands_are_told_from_other_speech(commands: Recognizer) -> None:
    detector = DirectednessDetector(commands)
    for name, expected in (("kitchen_light_on.wav", "directed"), ("weather.wav", "other")):
        (found, *_) = detect(commands.model, [detector], AUDIO / name)  # type: ignore[arg-type]
        assert (found.kind, found.name) == ("directed", expected)
        assert 0.5 < found.score <= 1
        shares = dict(found.details)
        assert list(shares) == list(FAMILIES)
        odds = np.log(found.score / (1 - found.score)) * (1 if expected == "directed" else -1)
        bias = detector.classifier.bias
        assert sum(shares.values()) + bias[1] - bias[0] == pytest.approx(odds, abs=1e-3)
    with pytest.raises(OptionError, match="with a grammar"):
        DirectednessDetector(Recognizer(commands.model, commands.graph))


def test_stretches_lie_between_pauses() -> None:
    speech = np.repeat([False, True, False, True, False, True], [40, 10, 5, 10, 30, 2])
    log_probs = np.where(speech[:, None], [[-5.0, -0.01]], [[-0.01, -5.0]]).astype(np.float32)
    samples = np.arange(len(speech), dtype=np.float32)[:, None] * np.ones(4, np.float32)
    for size in (1, 7, len(speech)):
        cut, found = Stretches(pause=20, shortest=3), []
        for at in range(0, len(speech), size):
            piece = slice(at, at + size)
            found += cut.accept(FrameBlock(at, log_probs[piece], log_probs[piece], samples[piece]))
        found += cut.finish()
        (only,) = found  # the last is too short
        assert (only.first, only.begin, only.end) == (28, 40, 65)
        assert is_speech(only.log_probs[only.spoken]).sum() == 20
        assert only.samples[0, 0] == 28 and only.sound_before[0] == 39


def test_processes_find_what_one_finds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = [str(AUDIO / "music_stop.wav"), str(tmp_path / "none.wav"),
             str(AUDIO / "kitchen_light_on.wav")]
    outputs = []
    for jobs in ("1", "2"):
        assert main(["detect", "--whisper", "--jobs", jobs, *files]) == 1
        captured = capsys.readouterr()
        assert "none.wav" in captured.err
        outputs.append(captured.out)
    assert outputs[0] == outputs[1] and outputs[0].count("voiced") == 2
    assert main(["detect", "--whisper", "--jobs", "0", *files]) == 2


def test_the_command_prints_what_the_library_finds(
    model: NetworkModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = AUDIO / "music_stop.wav"
    assert main(["detect", "--wake", "music", "--format", "json", str(path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    recipe = Recipe(Bundle.find("en-us-network"), guess=True)
    same = KeywordDetector(pronunciations_of(["music"], recipe))
    (found,) = detect(model, [same], path)
    assert json.loads(line) == found.to_dict()
    assert main(["detect", "--wake", "music", str(tmp_path / "none.wav"), str(path)]) == 1
    captured = capsys.readouterr()
    assert "none.wav" in captured.err and "music" in captured.out
    assert main(["detect", "--wake", "music", "--enrol", str(tmp_path), str(path)]) == 2
    assert "must hold recordings of 'music'" in capsys.readouterr().err
    same.write(tmp_path / "kept.npz")
    kept = str(tmp_path / "kept.npz")
    assert main(["detect", "--enrol", kept, "--format", "json", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [line]
    assert main(["detect", str(path)]) == 2
    assert "--wake" in capsys.readouterr().err
    assert main(["detect", "--events", str(tmp_path / "none.wav")]) == 1  # which is a sound
    assert "none.wav: there is no such file" in capsys.readouterr().err
