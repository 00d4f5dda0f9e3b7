"""Words of a grammar that sound alike and decide about the intent."""

from __future__ import annotations

import pytest

from factored_asr.cli import main
from factored_asr.language import Grammar
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.understanding import Understander
from factored_asr.understanding.confusable import confusable

PHONES = {
    "can": "K AE N", "can't": "K AE N T", "you": "Y UW", "start": "S T AA R T",
    "unlock": "AH N L AA K", "lock": "L AA K", "the": "DH AH", "door": "D AO R",
    "thirty": "TH ER T IY", "thirteen": "TH ER T IY N", "set": "S EH T", "to": "T UW", "a": "AH",
}  # fmt: skip
LEXICON = Lexicon({word: (Pronunciation(tuple(p.split())),) for word, p in PHONES.items()})


def pairs(rules: str) -> set[frozenset[str]]:
    """The pairs of words that are reported."""
    found = confusable(Grammar.from_text(f"#JSGF V1.0; grammar g; {rules}"), LEXICON)
    return {frozenset((each.word, each.other)) for each in found}


@pytest.mark.parametrize(("rules", "expected"), [
    ("public <yes> = can you start; public <no> = can't you start;", {frozenset(("can", "can't"))}),
    ("public <yes> = lock the door; public <no> = unlock the door;", set()),
    ("public <yes> = start; public <no> = a start;", {frozenset(("a", ""))}),
    ("public <heat> = set (thirty | thirteen);", set()),  # one intent
])  # fmt: skip
def test_words_one_phone_apart_that_change_the_intent_are_named(
    rules: str, expected: set[frozenset[str]]
) -> None:
    assert pairs(rules) == expected


def test_words_without_a_pronunciation_are_left_out() -> None:
    assert pairs("public <yes> = can you begin; public <no> = can't you begin;") == {
        frozenset(("can", "can't"))
    }


def test_the_command_shows_what_a_grammar_allows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["understand", "--grammar", "lm/house.yaml", "--sample", "50"]) == 0
    said, told = capsys.readouterr()
    understander = Understander(Grammar.read("lm/house.yaml"))
    lines = said.splitlines()
    assert len(lines) == 50
    assert all(understander.parse(line) for line in lines)
    assert told.count("\n") == 1
    assert "'on'" in told and "'off'" in told and "differ in one phone" in told
    assert main(["understand", "--grammar", "lm/house.yaml", "--sample", "0"]) == 2


def test_compiling_warns_of_them() -> None:
    grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <a> = lights on; "
                                "public <b> = lights off;")
    bundle, told = Bundle.find("en-us"), list[str]()
    Recipe(bundle, grammar).compile(bundle.acoustic_model(), told.append)
    (warning,) = (each for each in told if each.startswith("warning"))
    assert "'on' and 'off' differ in one phone or less" in warning
