"""Pronunciations of other spellings and forms of known words."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.derived import derive
from factored_asr.models.bundle import Bundle

KNOWN = """\
busy B IH Z IY
cat K AE T
coat K OW T
color K AH L ER
confuse K AH N F Y UW Z
dog D AO G
fall F AO L
fight F AY T
hope HH OW P
hop HH AA P
horse HH AO R S
organize AO R G AH N AY Z
panel P AE N AH L
pass P AE S
passe P AA S EY
pity P IH T IY
read R IY D
read(2) R EH D
"""


@pytest.fixture
def known(tmp_path: Path) -> Lexicon:
    (tmp_path / "known.dict").write_text(KNOWN)
    return Lexicon.read(tmp_path / "known.dict")


@pytest.mark.parametrize(("word", "phones"), [
    ("cats", "K AE T S"), ("dog's", "D AO G Z"), ("horses", "HH AO R S IH Z"),
    ("horse's", "HH AO R S IH Z"), ("cats'", "K AE T S"), ("coated", "K OW T IH D"),
    ("hoped", "HH OW P T"), ("hopped", "HH AA P T"), ("hoping", "HH OW P IH NG"),
    ("hopping", "HH AA P IH NG"), ("passing", "P AE S IH NG"), ("pities", "P IH T IY Z"),
    ("busily", "B IH Z AH L IY"), ("colour", "K AH L ER"), ("colours", "K AH L ER Z"),
    ("discolour", ""), ("organised", "AO R G AH N AY Z D"), ("panelled", "P AE N AH L D"),
    ("panelling", "P AE N AH L IH NG"), ("fightin'", "F AY T IH N"), ("falleth", "F AO L IH TH"),
    ("confusedly", "K AH N F Y UW Z IH D L IY"), ("unread", "AH N R IY D"), ("coatless",
     "K OW T L AH S"), ("as", ""), ("zebra", ""), ("", ""), ("'s", ""),
])
def test_forms_of_words(known: Lexicon, word: str, phones: str) -> None:
    found = derive(word, known)
    assert " ".join(found[0] if found else ()) == phones


def test_every_pronunciation_of_the_known_word_gives_one(known: Lexicon) -> None:
    assert derive("reads", known) == (("R", "IY", "D", "Z"), ("R", "EH", "D", "Z"))


def test_one_rule_or_two(known: Lexicon) -> None:
    assert derive("colours", known, depth=1) == ()
    assert derive("cats", known, depth=0) == ()


def test_most_forms_sound_as_the_dictionary_says() -> None:
    """Every word of a sample that a rule derives from others; all variants of its own count."""
    lexicon = Lexicon.read(Bundle.find("en-us").lexicon)
    sample = [word for word in lexicon if zlib.crc32(word.encode()) % 40 == 0]
    derived = {word: derive(word, lexicon) for word in sample}
    found = [word for word, phones in derived.items() if phones]
    right = [word for word in found
             if {each.phones for each in lexicon.find(word)} & set(derived[word])]
    assert len(found) > len(sample) / 4
    assert len(right) > 0.88 * len(found)
