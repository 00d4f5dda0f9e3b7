"""Sentences drawn from a grammar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from factored_asr.errors import OptionError
from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.sampling import random_sentences
from factored_asr.understanding import Understander

HOME = Path(__file__).resolve().parents[1] / "lm" / "smart_home.yaml"


def jsgf(rule: str) -> Grammar:
    return Grammar.from_text(f"#JSGF V1.0; grammar g; public <s> = {rule};")


def test_every_sentence_means_something() -> None:
    grammar = Grammar.read(HOME)
    understander = Understander(grammar)
    drawn = random_sentences(grammar, 100)
    assert all(understander.parse(words) is not None for words in drawn)
    assert len(set(drawn)) > 60


def test_the_seed_decides() -> None:
    grammar = Grammar.read(HOME)
    assert random_sentences(grammar, 10, 3) == random_sentences(grammar, 10, 3)
    assert random_sentences(grammar, 10, 3) != random_sentences(grammar, 10, 4)


def test_weights_are_frequencies() -> None:
    drawn = Counter(random_sentences(jsgf("/3/ often | /1/ rarely"), 2000))
    assert 0.70 < drawn["often",] / 2000 < 0.80


def test_repetitions_come_to_an_end() -> None:
    lengths = [len(words) for words in random_sentences(jsgf("very+ good"), 500)]
    assert min(lengths) == 2 and 4 < max(lengths) < 40


def test_fewer_than_none_are_refused() -> None:
    assert random_sentences(jsgf("one"), 0) == ()
    with pytest.raises(OptionError, match="-1 sentences"):
        random_sentences(jsgf("one"), -1)
