"""From sound to words and meaning, on the sounds synthesised for the project."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from factored_asr import Recognizer, Transcript
from factored_asr.audio.reading import read_audio
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.evaluation.scoring import score, total
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.session import Session

COMMANDS = [
    "kitchen_light_on.wav", "bedroom_light_off.wav", "heating_twenty_one.wav", "blinds_open.wav",
    "timer_ten_minutes.wav", "music_bathroom.wav",
]
RATE = 16000


@pytest.fixture(scope="session")
def grammar_path() -> Path:
    return Path(__file__).parent.parent / "lm" / "smart_home.yaml"


@pytest.fixture(scope="session")
def commands(grammar_path: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load("en-us", grammar=grammar_path)


@pytest.fixture(scope="session")
def dictation(graph_cache: Path) -> Recognizer:
    return Recognizer.load("en-us")


# --- commands ---------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_heard_word_for_word(
    commands: Recognizer, audio_dir: Path, spoken: Mapping[str, str], name: str
) -> None:
    assert commands.transcribe(audio_dir / name).text == spoken[name]


def test_a_command_is_understood(commands: Recognizer, audio_dir: Path) -> None:
    meaning = commands.transcribe(audio_dir / "kitchen_light_on.wav").interpretation
    assert meaning is not None
    assert "kitchen" in meaning.slots.values()


def test_words_have_their_times_and_pronunciations(commands: Recognizer, audio_dir: Path) -> None:
    said = commands.transcribe(audio_dir / "kitchen_light_on.wav")
    samples, _ = read_audio(audio_dir / "kitchen_light_on.wav")
    assert said.duration == pytest.approx(len(samples) / RATE, abs=0.03)
    assert said.words[0].start > 0.2  # the file begins with 0.3 s of silence
    assert said.words[-1].end < said.duration - 0.15
    for word, following in zip(said.words, said.words[1:], strict=False):
        assert word.start < word.end <= following.start
    assert said.words[0].phones == ("T", "ER", "N")


def test_the_same_sound_by_any_way_gives_the_same_transcript(
    commands: Recognizer, audio_dir: Path
) -> None:
    path = audio_dir / "timer_ten_minutes.wav"
    samples, rate = read_audio(path)
    expected = commands.transcribe(path)
    assert commands.transcribe(str(path)) == expected
    assert commands.transcribe(io.BytesIO(path.read_bytes())) == expected
    assert commands.transcribe(samples, sample_rate=rate) == expected


def test_other_rates_and_channels_are_heard_alike(
    commands: Recognizer, audio_dir: Path, tmp_path: Path
) -> None:
    samples, _ = read_audio(audio_dir / "blinds_open.wav", sample_rate=44100)
    soundfile.write(tmp_path / "cd.flac", np.stack([samples, samples], axis=1), 44100)
    expected = commands.transcribe(audio_dir / "blinds_open.wav").text
    assert commands.transcribe(tmp_path / "cd.flac").text == expected


@pytest.mark.parametrize("kind", ["silence", "noise", "hum", "click"])
def test_nothing_said_gives_no_text_and_says_why(commands: Recognizer, kind: str) -> None:
    time = np.arange(3 * RATE) / RATE
    sounds = {
        "silence": np.zeros(3 * RATE),
        "noise": np.random.default_rng(0).normal(0, 0.003, 3 * RATE),
        "hum": 0.05 * np.sin(2 * np.pi * 50 * time),
        "click": np.where(np.arange(3 * RATE) == RATE, 0.5, 0.0),
    }
    said = commands.transcribe(sounds[kind].astype(np.float32), sample_rate=RATE)
    assert said.text == "" and said.reason == "no speech"
    assert said.interpretation is None


def test_a_sound_shorter_than_a_word_gives_no_text(commands: Recognizer) -> None:
    said = commands.transcribe(np.zeros(100, np.float32), sample_rate=RATE)
    assert said.text == "" and said.reason


# --- streams ----------------------------------------------------------------


def feed(recognizer: Recognizer, samples: np.ndarray, size: int) -> Transcript:
    stream = recognizer.stream()
    for first in range(0, len(samples), size):
        stream.accept(samples[first : first + size])
    return stream.finish()


def test_a_stream_hears_the_same_in_any_chunks(commands: Recognizer, audio_dir: Path) -> None:
    samples, _ = read_audio(audio_dir / "heating_twenty_one.wav")
    whole = feed(commands, samples, len(samples))
    assert whole.text == "set the heating to twenty one degrees"
    for size in (160, 1601, 7777):
        assert feed(commands, samples, size).text == whole.text


def test_a_stream_tells_what_it_has_heard_so_far(commands: Recognizer, audio_dir: Path) -> None:
    samples, _ = read_audio(audio_dir / "kitchen_light_on.wav")
    stream, heard = commands.stream(), []
    for first in range(0, len(samples), 1600):
        stream.accept(samples[first : first + 1600])
        heard.append(stream.partial())
    assert heard[0] == ""
    assert any(0 < len(text) < len(stream.partial()) for text in heard)
    assert stream.finish().text == "turn on the kitchen light"


def test_a_stream_notices_the_end_and_goes_on_with_the_next_utterance(
    commands: Recognizer, audio_dir: Path, spoken: Mapping[str, str]
) -> None:
    pause = np.zeros(3 * RATE, np.float32)
    names = COMMANDS[:3]
    sound = [part for n in names for part in (read_audio(audio_dir / n)[0], pause)]
    stream, heard = commands.stream(), []
    samples = np.concatenate(sound)
    for first in range(0, len(samples), 1600):
        if stream.accept(samples[first : first + 1600]) and (said := stream.finish()):
            heard.append(said.text)
    assert heard == [spoken[name] for name in names]


def test_a_redecoded_stream_gives_the_transcript_of_the_whole(
    commands: Recognizer, audio_dir: Path
) -> None:
    samples, _ = read_audio(audio_dir / "music_bathroom.wav")
    stream = commands.stream(redecode=True)
    stream.accept(samples[:9000])
    stream.accept(samples[9000:])
    assert stream.finish() == commands.transcribe(samples, sample_rate=RATE)


def test_a_stream_refuses_what_is_no_sound(commands: Recognizer) -> None:
    with pytest.raises(FormatError, match="finite"):
        commands.stream().accept(np.array([0.0, np.nan], np.float32))
    with pytest.raises(OptionError, match=r"float in \[-1, 1\] or int16"):
        commands.stream().accept(np.array(["a"]))
    assert commands.stream().finish().text == ""


def test_many_threads_share_one_recognizer(
    commands: Recognizer, audio_dir: Path, spoken: Mapping[str, str]
) -> None:
    jobs = COMMANDS * 3

    def streamed(name: str) -> str:
        stream = commands.stream(redecode=True)
        stream.accept(read_audio(audio_dir / name)[0])
        return stream.finish().text

    with ThreadPoolExecutor(4) as pool:
        whole = list(pool.map(lambda name: commands.transcribe(audio_dir / name).text, jobs))
        parts = list(pool.map(streamed, jobs))
    assert whole == parts == [spoken[name] for name in jobs]


# --- words and their absence ------------------------------------------------

GRAMMAR = """\
language: en
intents:
  Start:
    data:
      - sentences: ["start the {device}"]
lists:
  device:
    values: [zorblax, kettle]
"""


@pytest.fixture
def device_grammar(tmp_path: Path) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(GRAMMAR)
    return path


def test_a_word_without_pronunciation_is_named_with_its_file(device_grammar: Path) -> None:
    with pytest.raises(MissingError, match=r"devices\.yaml: .*'zorblax'"):
        Recognizer.load("en-us", grammar=device_grammar)


def test_extra_words_from_a_file_or_a_mapping_are_known(
    device_grammar: Path, tmp_path: Path
) -> None:
    extra = tmp_path / "extra.dict"
    extra.write_text("zorblax Z AO R B L AE K S\n")
    by_file = Recognizer.load("en-us", grammar=device_grammar, words=extra)
    by_mapping = Recognizer.load(
        "en-us", grammar=device_grammar, words={"zorblax": "Z AO R B L AE K S"}
    )
    assert "zorblax" in by_file.graph.words
    assert by_file.graph.n_arcs == by_mapping.graph.n_arcs


def test_a_phone_the_model_lacks_is_named(device_grammar: Path) -> None:
    with pytest.raises((MissingError, FormatError), match="QX"):
        Recognizer.load("en-us", grammar=device_grammar, words={"zorblax": "Z QX"})


def test_a_lexicon_replaces_the_models_own(device_grammar: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.dict"
    small.write_text("start S T AA R T\nthe DH AH\n")
    with pytest.raises(MissingError, match="'kettle'"):
        Recognizer.load("en-us", grammar=device_grammar, lexicon=small)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no model 'klingon': known are en-us and en-us-network"):
        Recognizer.load("klingon")
    with pytest.raises(MissingError, match="none.yaml: no such grammar"):
        Recognizer.load(grammar=tmp_path / "none.yaml")
    with pytest.raises(OptionError, match="a grammar or a language model, not both"):
        Recognizer.load(grammar="lm/smart_home.yaml", lm="b.arpa")


def test_a_small_arpa_file_is_a_language_model_too(tmp_path: Path, audio_dir: Path) -> None:
    words = ["turn", "on", "off", "the", "kitchen", "light", "music"]
    lines = ["\\data\\", f"ngram 1={len(words) + 2}", "", "\\1-grams:", "-99\t<s>", "-1.0\t</s>"]
    lines += [f"-1.0\t{word}" for word in words] + ["", "\\end\\", ""]
    lm = tmp_path / "words.arpa"
    lm.write_text("\n".join(lines))
    recognizer = Recognizer.load("en-us", lm=lm)
    assert recognizer.transcribe(audio_dir / "kitchen_light_on.wav").text == (
        "turn on the kitchen light"
    )


def test_extra_words_join_a_language_model_that_lacks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path))  # a cached graph tells nothing
    lm = tmp_path / "tiny.arpa"
    lm.write_text(
        "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-99 <s> -0.3\n-0.6 </s>\n"
        "-0.6 light\n-0.6 on\n\n\\2-grams:\n-0.2 <s> light\n\n\\end\\\n"
    )
    told: list[str] = []
    recognizer = Recognizer.load(
        "en-us", lm=lm, words={"zorblax": "Z AO R B L AE K S", "light": "L AY T"},
        progress=told.append,
    )
    assert set(recognizer.graph.words) == {"<eps>", "light", "on", "zorblax"}
    assert any("1 words are new to the language model" in stage for stage in told)


def test_a_grammar_of_the_package_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(Bundle.find("en-us"), Path("lm/smart_home.yaml"))
    assert recipe.language_path.is_file()


def test_the_key_of_a_graph_changes_with_every_source(
    grammar_path: Path, device_grammar: Path
) -> None:
    bundle = Bundle.find("en-us")
    recipes = [
        Recipe(bundle), Recipe(bundle, grammar_path), Recipe(bundle, device_grammar),
        Recipe(bundle, device_grammar, words={"zorblax": "Z AO"}),
        Recipe(bundle, device_grammar, words={"zorblax": "Z OW"}),
    ]
    assert len({recipe.key() for recipe in recipes}) == len(recipes)


# --- dictation --------------------------------------------------------------


@pytest.mark.slow
def test_dictation_writes_down_sentences(
    dictation: Recognizer, audio_dir: Path, spoken: Mapping[str, str]
) -> None:
    names = ["weather.wav", "train.wav", "good_morning.wav"]
    scored = [
        score(name, "", spoken[name].split(), dictation.transcribe(audio_dir / name).text.split())
        for name in names
    ]
    errors = total(scored)
    assert errors.n_words == 28 and errors.total <= 2, errors  # insertions count, too


@pytest.mark.slow
def test_dictation_of_silence_is_empty(dictation: Recognizer, audio_dir: Path) -> None:
    said = dictation.transcribe(audio_dir / "silence.wav")
    assert said.text == "" and said.reason == "no speech"
    assert dictation.transcribe(np.zeros(10 * RATE, np.float32), sample_rate=RATE).text == ""


def test_behind_a_speakers_map_the_model_is_not_moved(
    commands: Recognizer, audio_dir: Path
) -> None:
    moved = Recognizer(
        commands.model, commands.graph, commands.options.against_noise(["vts"])
    )
    sound = audio_dir / "kitchen_light_on.wav"
    hiss = np.random.default_rng(0).normal(0, 0.05, 3 * RATE).astype(np.float32)
    for each, expected in ((moved, True), (moved.adapted([sound]), False)):
        session = Session(each.pipeline, whole=True)
        session.feed(read_audio(sound)[0] + hiss[: len(read_audio(sound)[0])], RATE)
        assert session.search().in_noise == expected


def test_old_ways_of_recognising_still_work(commands: Recognizer, audio_dir: Path) -> None:
    sound = audio_dir / "music_stop.wav"
    wanted = commands.transcribe(sound)
    with pytest.warns(DeprecationWarning, match="0\\.3\\.0") as told:
        features = commands.features(sound)
        assert commands.transcribe_features(features).text == wanted.text
        assert commands.adapted([features]).transcribe(sound).text == wanted.text
        front_end = commands.model.front_end  # type: ignore[attr-defined]
        assert commands.transcribe_cepstra(
            front_end.cepstra(read_audio(sound)[0])
        ).words == wanted.words
    assert len(told) == 4
    with pytest.warns(DeprecationWarning, match="now called redecode"):
        commands.stream(second_look=True)  # old name
