"""Words of grammars and language models meet those of dictionaries, however both are written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.models import small_model

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.errors import MissingError
from factored_asr.graph import Graph, GraphOptions, build_graph
from factored_asr.graph.graph import ARC
from factored_asr.language import Grammar, estimate, write_arpa
from factored_asr.lexicon import Lexicon, LexiconWarning, Pronunciation
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe

TEXT = ["stop the music please", "turn on the kitchen light", "glorf the zibbity"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    yield


def write_lm(file: Path, text: list[str]) -> Path:
    write_arpa(estimate(line.split() for line in text), file)
    return file


def test_words_without_pronunciation_are_listed_whenever_the_model_is_used(
    tmp_path: Path, audio_dir: Path
) -> None:
    lm = write_lm(tmp_path / "a.arpa", TEXT)
    for _ in range(2):  # compiled, then from the cache
        with pytest.warns(LexiconWarning, match=r"a.arpa: 2 words have no pronunciation .* glorf, "
                                                "zibbity; add them"):
            recognizer = Recognizer.load("en-us", lm=lm)
    assert recognizer.graph.omitted == ("glorf", "zibbity")
    assert recognizer.transcribe(audio_dir / "music_stop.wav").text == "stop the music"
    with warnings.catch_warnings():  # all have one: nothing is told
        Recognizer.load("en-us", lm=lm, words={"Glorf": "G L AO R F", "ZIBBITY": "Z IH B"})


def test_a_language_model_in_capitals(tmp_path: Path, audio_dir: Path) -> None:
    lm = write_lm(tmp_path / "a.arpa", [line.upper() for line in TEXT[:2]])
    with pytest.warns(LexiconWarning, match="its words are in capitals; they are read in lower"):
        recognizer = Recognizer.load("en-us", lm=lm, rescore_lms=[lm])
    assert recognizer.transcribe(audio_dir / "music_stop.wav").text == "stop the music"


def test_a_dictionary_in_capitals_with_stress(tmp_path: Path, audio_dir: Path) -> None:
    (tmp_path / "my.dict").write_text("STOP S T AA1 P\nTHE DH AH0\nMUSIC M Y UW1 Z IH0 K\n")
    lm = write_lm(tmp_path / "a.arpa", TEXT[:1])
    with pytest.warns(LexiconWarning) as told:
        recognizer = Recognizer.load("en-us", lm=lm, lexicon=tmp_path / "my.dict")
    assert "my.dict:1: the phones of the model have no stress" in str(told[0].message)
    assert "1 word has no pronunciation and cannot be recognised: please;" in str(told[1].message)
    assert recognizer.transcribe(audio_dir / "music_stop.wav").text == "stop the music"
    with pytest.warns(LexiconWarning, match="no stress"):
        said = recognizer.align(audio_dir / "music_stop.wav", "Stop the music!")
    assert [each.word.text for each in said.words] == ["Stop", "the", "music"]


def test_words_of_a_users_dictionary_are_not_split(tmp_path: Path, audio_dir: Path) -> None:
    (tmp_path / "g.yaml").write_text(
        "intents: {A: {data: [{sentences: ['turn 2nd the {x}', \"rock'n'roll on the mp3\"]}]}}\n"
        "lists: {x: {values: ['kitchen‑light', mp3 player]}}\n", encoding="utf-8")
    (tmp_path / "my.dict").write_text(
        "Kitchen-Light K IH CH AH N L AY T\nMP3 EH M\n2nd AA N\nrock'n'roll R AA K\n")
    grammar = tmp_path / "g.yaml"
    with pytest.raises(MissingError, match="no pronunciation for"):
        Recognizer.load("en-us", grammar=grammar)
    recognizer = Recognizer.load("en-us", grammar=grammar, words=tmp_path / "my.dict")
    assert {"2nd", "kitchen-light", "mp3", "rock'n'roll"} < set(recognizer.graph.words)
    said = recognizer.transcribe(audio_dir / "kitchen_light_on.wav")
    assert said.text == "turn 2nd the kitchen-light"
    assert said.interpretation and said.interpretation.slots == {"x": "kitchen‑light"}


def test_the_background_knows_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "g.jsgf").write_text("#JSGF V1.0;\ngrammar g;\npublic <g> = play the mp3;\n")
    recipe = Recipe(Bundle.find("en-us"), grammar=tmp_path / "g.jsgf", words={"mp3": "EH M"})
    background = recipe.background()
    assert background is not None and {"play", "the", "mp3"} < set(background.words)


def test_prefixes_are_read_as_people_write_them() -> None:
    model = small_model()
    phones = [phone for phone in model.phones if phone not in ("SIL", "+N+")]
    lexicon = Lexicon({word: (Pronunciation(tuple(phones[:2])),) for word in ("OK", "house", "go")})
    grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <g> = go;")
    graph = build_graph(model, lexicon, grammar, GraphOptions(prefixes=("Ok, House!", "…")))
    assert set(graph.words) == {"<eps>", "ok", "house", "go"}


def test_omitted_words_stay_with_the_graph(tmp_path: Path) -> None:
    arcs = Graph.read(_written(tmp_path / "plain", ()))
    assert arcs.omitted == ()
    assert Graph.read(_written(tmp_path / "more", ("é", "21"))).omitted == ("é", "21")


def _written(folder: Path, omitted: tuple[str, ...]) -> Path:
    Graph(0, np.array([0, 0]), np.zeros(0, ARC), np.zeros(1, np.float32),
          omitted=omitted).write(folder)
    return folder


@pytest.mark.filterwarnings("default::factored_asr.lexicon.LexiconWarning")
def test_the_command_line_tells_it(
    tmp_path: Path, audio_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = write_lm(tmp_path / "a.arpa", ["stop the music 21"])
    sound = str(audio_dir / "music_stop.wav")
    assert main(["transcribe", "--quiet", "--lm", str(lm), sound]) == 0
    told = capsys.readouterr()
    assert told.out == "stop the music\n"
    assert "1 word has no pronunciation and cannot be recognised: 21;" in told.err
    assert "`lm estimate` spells out numbers" in told.err


def test_a_grammar_of_wildcards_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("intents: {I: {data: [{sentences: ['{x}']}]}}\n"
                                     "lists: {x: {wildcard: true}}\n")
    with pytest.raises(MissingError, match="no word of its own, wildcards alone"):
        Recognizer.load("en-us", grammar=tmp_path / "g.yaml")
