"""Transcripts: what they say, and that their JSON says the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from factored_asr import Interpretation, Transcript, Word
from factored_asr.errors import FormatError, OptionError
from factored_asr.lattice.rejection import Rejection
from factored_asr.results.formats import FORMATS, write

SAID = Transcript(
    (Word("light", 0.31, 0.62, phones=("L", "AY", "T")), Word("on", 0.62, 0.8, 0.9)),
    duration=1.25, confidence=0.9,
    interpretation=Interpretation(
        intent="LightOn", slots={"room": "kitchen", "level": 3}, text="light on"
    ),
)


def test_the_text_is_the_words_with_blanks_between() -> None:
    assert SAID.text == "light on"
    assert Transcript(reason="no speech").text == ""


def test_nothing_said_counts_as_false_and_gives_its_reason() -> None:
    nothing = Transcript(duration=2.0, reason="no speech")
    assert not nothing
    assert json.loads(nothing.to_json()) == {
        "schema": 1, "text": "", "confidence": None, "duration": 2.0, "reason": "no speech",
        "words": [], "interpretation": None,
    }


def test_json_holds_times_in_seconds_phones_and_slots() -> None:
    content = json.loads(SAID.to_json())
    assert content["words"][0] == {
        "word": "light", "start": 0.31, "end": 0.62, "confidence": None,
        "phones": ["L", "AY", "T"], "phone_ends": [],
    }
    assert content["interpretation"]["slots"] == {"room": "kitchen", "level": 3}


def test_json_reads_back() -> None:
    again = Transcript.from_json(SAID.to_json())
    assert again == SAID


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("", "no JSON: Expecting value"),
        ("[]", "not the JSON of a transcript"),
        ('{"schema": 99}', "schema must be 1, got 99"),
        ('{"schema": 1, "words": [{}]}', "'word'"),
    ],
)
def test_other_json_is_refused(text: str, law: str) -> None:
    with pytest.raises(FormatError, match=law):
        Transcript.from_json(text)


def test_formats_end_without_a_line_end_and_their_names_are_checked() -> None:
    for name in FORMATS:
        assert not write(SAID, name, "kitchen.wav").endswith("\n")
    assert json.loads(write(SAID, "json", "kitchen.wav"))["file"] == "kitchen.wav"
    with pytest.raises(OptionError, match="format must be one of text, json, .*, got 'pdf'"):
        write(SAID, "pdf")


def test_a_transcript_prints_as_one_line() -> None:
    words = (Word("turn", 0.2, 0.4, 0.9), Word("it", 0.4, 0.5, 0.25), Word("off", 0.5, 0.9))
    assert str(Transcript(words)) == "turn it off"
    meaning = Interpretation("TurnOff", {"place": "hall"}, "turn it off", ask=True)
    said = Transcript(words, 1.2, 0.875, meaning)
    assert str(said) == "turn it off (88 %) → TurnOff(place=hall) ?"
    assert str(Transcript(reason="no speech")) == "(no speech)"
    assert str(Transcript()) == "(no words)"


def test_a_notebook_shows_player_words_and_why_there_are_none(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "a<b.wav"
    soundfile.write(path, np.zeros(160, np.float32), 16000)
    words = (Word("turn", 0.2, 0.4, 1.0), Word("<it>", 0.4, 0.5, 0.0))
    page = Transcript(words, source=str(path))._repr_html_()
    assert page.count("<audio") == 1 and "data:audio/wav;base64,UklGR" in page
    assert "&lt;it&gt;" in page and "opacity:0.40" in page and "0.20-0.50 s" in page
    assert "<audio" not in Transcript(words)._repr_html_()
    assert "<audio" not in Transcript(words, source=str(tmp_path / "none.wav"))._repr_html_()
    rejected = Rejection("denied", "it may be denied", "turn it off", -1.5, ((0.2, 0.4),))
    none = Transcript(reason=str(rejected), rejection=rejected)
    assert "it may be denied" in none._repr_html_() and "nearest: turn it off" in none._repr_html_()
    assert Transcript.from_json(none.to_json()) == none
