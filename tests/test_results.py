"""Transcripts: what they say, and that their JSON says the same."""

from __future__ import annotations

import json

import pytest

from factored_asr import Interpretation, Transcript, Word
from factored_asr.errors import FormatError, OptionError
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
