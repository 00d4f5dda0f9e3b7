"""`explain --expected`: the expected words next to the result, and the factor that lost them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.explain import ExplainOptions, Explanation
from factored_asr.explain.expected import Expected
from factored_asr.explain.factors import FACTORS

ROOT = Path(__file__).parent.parent
STOP = ROOT / "examples" / "audio" / "music_stop.wav"
GRAMMAR = ROOT / "lm" / "smart_home.yaml"


@cache
def recognizer() -> Recognizer:
    return Recognizer.load("en-us", grammar=GRAMMAR)


@cache
def explained(text: str) -> tuple[Explanation, Expected]:
    found = recognizer().explain(STOP, options=ExplainOptions(without=(), expected=text))
    assert found.expected is not None
    return found, found.expected


def test_the_result_itself_is_the_same() -> None:
    found, expected = explained("Stop the music!")
    assert found.text == "stop the music" and expected.lost_by == "same"
    assert expected.costs == found.costs and expected.difference.total == 0  # type: ignore[union-attr]


def test_words_of_the_grammar_lose_by_the_factor_that_costs_most() -> None:
    found, expected = explained("pause the music")
    assert expected.lost_by == "acoustic" and expected.difference and expected.costs
    assert expected.difference.acoustic == max(
        getattr(expected.difference, name) for name in FACTORS
    )
    assert expected.difference.total > 5
    assert expected.costs.total == pytest.approx(found.costs.total + expected.difference.total)
    assert "acoustic +" in expected.reason
    assert [(row.expected, row.recognised) for row in expected.rows] == [
        ("pause", "stop"), ("the", "the"), ("music", "music")
    ]
    assert 0.2 < (expected.rows[0].start or 0) < (expected.rows[1].start or 0) < 1.0


def test_what_the_grammar_lacks_is_lost_by_language() -> None:
    _, expected = explained("stop the muse")
    assert expected.lost_by == "language"
    assert "'muse' cannot follow 'stop the'" in expected.reason
    assert expected.to_dict()["difference"]["language"] is None
    assert explained("stop the")[1].lost_by == "language"


def test_a_word_without_a_pronunciation_is_named() -> None:
    _, expected = explained("stop the xyzzq")
    assert expected.lost_by == "vocabulary" and "xyzzq" in expected.reason
    assert expected.costs is None and expected.rows[-1].expected == "xyzzq"


def test_a_search_that_is_too_narrow_is_named() -> None:
    """With one token a frame the search loses what costs less."""
    from dataclasses import replace

    narrow = replace(recognizer().options.beam, beam=0.5, max_active=3, min_active=0)
    options = replace(recognizer().options, beam=narrow)
    found = Recognizer.load("en-us", grammar=GRAMMAR, options=options).explain(
        STOP, options=ExplainOptions(without=(), expected="stop the music"))
    assert found.expected is not None and found.expected.lost_by in ("beam", "same", "rejection")
    if found.nearest != "stop the music":
        assert found.expected.lost_by == "beam" and "less than the result" in found.expected.reason


def test_it_is_shown_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["explain", "--model", "en-us", "--grammar", str(GRAMMAR), str(STOP),
                 "--without", "none"]
    assert main([*arguments, "--expected", "pause the music"]) == 0
    assert 'Expected: "pause the music". Lost by acoustic' in capsys.readouterr().out
    assert main([*arguments, "--expected", "pause the music", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["expected"]
    assert told["lost_by"] == "acoustic" and told["words"][0]["recognised"] == "stop"
