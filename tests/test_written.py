"""The normaliser: text as people write it, and the words that are said."""

from __future__ import annotations

import random
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factored_asr.errors import OptionError
from factored_asr.language.grammar.normalisation import Token, normalise_text, tokens
from factored_asr.language.numerals import number_forms, ordinal_forms, spell_number, year_forms
from factored_asr.language.written import (
    AS_IS,
    GRAMMAR_RULES,
    TextRules,
    read_written,
    skipped_text,
    spoken_words,
    tidy,
)

DOCS = Path(__file__).parents[1] / "docs"


def said(text: str, rules: str = "all") -> str:
    return " ".join(spoken_words(text, TextRules.named(rules)))


def skipped(text: str) -> tuple[str, ...]:
    return skipped_text(read_written(text))


@pytest.mark.parametrize(("text", "words"), [
    ("Don’t", "don't"),
    ("don`t donʼt don‛t", "don't don't don't"),
    ("„Quoted“ «text»", "quoted text"),
    ("wait… what", "wait what"), ("a—b – c ‐ d−e", "a b c d e"), ("living‑room", "living room"),
    ("co\u00adop\u200berate", "cooperate"),
    ("cafe\u0301 CAFÉ", "café café"),
    ("ﬁne ｆｕｌｌ", "fine full"),
    ("no\u00a0break\u2009blank", "no break blank"), ("one/two and_three", "one two and three"),
    ("rock'n'roll 'em ’cause goin' dogs'", "rock'n'roll 'em 'cause goin dogs"),
    ("\ufeffHello", "hello"), ("日本 हिन्दी naïve", "日本 हिन्दी naïve"), ("-- * · ! ?", ""),
])  # fmt: skip
def test_typography(text: str, words: str) -> None:
    assert said(text) == words


@pytest.mark.parametrize(("text", "words"), [
    ("3,5", "three point five"), ("0,25 km", "zero point two five kilometers"),
    ("€2,50", "two euros fifty"), ("-1,5 °C", "minus one point five degrees celsius"),
    ("1,2,3", "one two three"), ("10,20,30", "ten twenty thirty"), ("1,000", "one thousand"),
    ("3, 5", "three five"), ("1,234,567.5", "one million two hundred thirty four thousand five "
     "hundred sixty seven point five"), ("1,000,5", "one thousand five"),
    ("21", "twenty one"), ("3.5", "three point five"), ("0.05", "zero point zero five"),
    (".5", "point five"), ("1,000", "one thousand"), ("1\u202f000\u202f000", "one million"),
    ("-5 −5", "minus five minus five"),
    ("007", "zero zero seven"),
    ("1999", "nineteen ninety nine"),
    ("1905", "nineteen oh five"), ("1900", "nineteen hundred"), ("2000", "two thousand"),
    ("2005", "two thousand five"),
    ("2024", "twenty twenty four"),
    ("2,024", "two thousand twenty four"),
    ("1990s 80s ’90s", "nineteen nineties eighties nineties"), ("2000s", "two thousands"),
    ("£5", "five pounds"), ("£1", "one pound"), ("$3.50", "three dollars fifty"),
    ("$0.99", "ninety nine cents"),
    ("€2 million", "two million euros"),
    ("$5bn", "five billion dollars"),
    ("£5.5m", "five point five million pounds"),
    ("5 €", "five euros"),
    ("50p 50¢", "fifty pence fifty cents"),
    ("$1,234.56", "one thousand two hundred thirty four dollars fifty six"),
    ("1st 2nd 3rd 4th", "first second third fourth"), ("21ST 100th", "twenty first one hundredth"),
    ("12th 40th", "twelfth fortieth"), ("10:30", "ten thirty"), ("10:05", "ten oh five"),
    ("9:00", "nine o'clock"), ("5pm 5 p.m. 10.30pm", "five p m five p m ten thirty p m"),
    ("22:15 0:30", "twenty two fifteen zero thirty"),
    ("50%", "fifty percent"),
    ("3.5 %", "three point five percent"),
    ("20°C 90°", "twenty degrees celsius ninety degrees"),
    ("5km 10 kg 1 km", "five kilometers ten kilograms one kilometer"),
    ("1/2 ½ 3/4 2½", "half half three quarters two and a half"),
    ("24/7 9/11", "twenty four seven nine eleven"),
    ("10-20", "ten to twenty"), ("1999–2004", "nineteen ninety nine to two thousand four"),
    ("555-1234", "five five five one two three four"),
    ("2024-03-01", "march first twenty twenty four"),
    ("12345678901234", "one two three four five six seven eight nine zero one two three four"),
    ("١٢ ２１", "twelve twenty one"), ("3:2 1.2.3", "three two one point two three"),
])  # fmt: skip
def test_numerals(text: str, words: str) -> None:
    assert said(text) == words


@pytest.mark.parametrize(("text", "words"), [
    ("R&B AT&T", "r and b at and t"),
    ("2+2=4", "two plus two equals four"),
    ("#1 C#", "number one c"),
    ("bob@example.com", "bob at example dot com"),
    ("www.foo.org/bar", "www dot foo dot org slash bar"),
    ("the end.Then", "the end then"),
    ("Mr. Smith vs. Dr Jones", "mister smith versus doctor jones"),
    ("Rev. Lee will rev it", "reverend lee will rev it"), ("No. 5, no.", "number five no"),
    ("e.g. etc.", "for example et cetera"), ("U.S. a.m. J.K.", "u s a m j k"),
    ("mp3 B12 covid19 4k", "m p three b twelve covid nineteen four k"),
    ("x² 5 m² H₂O", "x squared five square meters h two o"),
    ("don&#39;t &amp; &quot;so&quot;", "don't and so"),
    ("May 5, 2 June, May 32", "may fifth second june may thirty two"),
])  # fmt: skip
def test_symbols_and_abbreviations(text: str, words: str) -> None:
    assert said(text) == words


@pytest.mark.parametrize(("text", "words", "left_out"), [
    ("[noise] turn (laughs) on", "turn on", ("[noise]", "(laughs)")),
    ("<unk> go </s> {cough} ++um++ *sighs*", "go",
     ("<unk>", "</s>", "{cough}", "++um++", "*sighs*")),
    ("((unclear)) (background noise) ♪ la la ♪", "",
     ("((unclear))", "(background noise)", "♪ la la ♪")),
    ("(built in 1900) *really*", "built in nineteen hundred really", ()),
    ("a < b and c > d <3 [", "a b and c d three", ()),
    ("SPEAKER_01: hi", "hi", ("SPEAKER_01:",)), ("Speaker 2: hi", "hi", ("Speaker 2:",)),
    ("Anna: hi\nDr. Bell: you\n>> ok\n>>> JO: yes", "hi you ok yes",
     ("Anna:", "Dr. Bell:", ">>", "JO:")),
    ("Note: this. He said: go. At 10:30 it: is", "note this he said go at ten thirty it is", ()),
    ("A: one\nB: two", "one two", ("A:", "B:")),
    ("Chapter 1: it. Dear Sir: so", "chapter one it dear sir so", ()),
    ("1\n00:00:01,000 --> 00:00:02,500\nHi\n\n2\n00:03.000 --> 00:04.000\nyou", "hi you",
     ("1\n00:00:01,000 --> 00:00:02,500", "2\n00:03.000 --> 00:04.000")),
])  # fmt: skip
def test_annotations_and_speakers_are_skipped_and_listed(
    text: str, words: str, left_out: tuple[str, ...]
) -> None:
    assert said(text) == words and skipped(text) == left_out


@pytest.mark.parametrize(("rules", "words"), [
    ("none", "Anna: Don’t—pay [uh] £5 in 1999, Mr. B12"),
    ("-speakers", "anna don't pay five pounds in nineteen ninety nine mister b twelve"),
    ("-case", "Don't pay five pounds in nineteen ninety nine mister B twelve"),
    ("-years", "don't pay five pounds in one thousand nine hundred ninety nine mister b twelve"),
    ("-money", "don't pay five in nineteen ninety nine mister b twelve"),
    ("-numbers", "don't pay £5 in 1999 mister b12"),
    ("-annotations", "don't pay uh five pounds in nineteen ninety nine mister b twelve"),
    ("-abbreviations,-letters", "don't pay five pounds in nineteen ninety nine mr b twelve"),
    ("case,punctuation,typography", "anna don't-pay uh £5 in 1999 mr b12"),
    ("case", "anna: don’t—pay [uh] £5 in 1999, mr. b12"),
])  # fmt: skip
def test_each_rule_can_be_switched_off(rules: str, words: str) -> None:
    assert said("Anna: Don’t—pay [uh] £5 in 1999, Mr. B12", rules) == words


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(OptionError, match="'spelling' is no rule of texts; there are all, none"):
        TextRules.named("spelling")


@pytest.mark.parametrize(("text", "words"), [
    ("MP3, (wi-fi) “2nd” rock'n'roll!", ["mp3", "wi-fi", "2nd", "rock'n'roll"]),
    ("Wi‑Fi/mp3—2nd", ["wi-fi", "mp3", "2nd"]),
    ("mp3s wi-fi's 22nd", None),
    ("C++ .net", ["c++", ".net"]),
    ("21 [noise]", ["21", "[noise]"]), ("Rock’n’Roll-mp3", ["rock'n'roll", "mp3"]),
])  # fmt: skip
def test_words_that_are_known_are_kept(text: str, words: list[str] | None) -> None:
    known = {"mp3", "wi-fi", "2nd", "rock'n'roll", "c++", ".net", "21", "[noise]"}.__contains__
    got = list(spoken_words(text, None, known))
    assert got == (words or got) and (words or not {"mp3", "wi-fi", "2nd"} & set(got))


def test_every_word_has_its_place_in_the_text() -> None:
    text = "“Don’t” pay £5 million—[uh]… at 10:30 am, Wi‑Fi"
    for piece in read_written(text):
        assert text[piece.start : piece.end] == piece.text
    assert [p.text for p in read_written(text)] == [
        "Don’t", "pay", "£5 million", "[uh]", "at", "10:30 am", "Wi", "Fi",
    ]  # fmt: skip


def test_there_are_other_ways_to_say_a_number() -> None:
    def ways(text: str) -> list[str]:
        (piece,) = read_written(text)
        return [" ".join(way) for way in piece.ways]

    assert ways("105")[:2] == ["one hundred five", "one hundred and five"]
    assert {"nineteen ninety nine", "one thousand nine hundred and ninety nine"} <= {*ways("1999")}
    assert {"ten thirty", "half past ten"} <= {*ways("10:30")}
    assert {"three dollars fifty", "three dollars and fifty cents"} <= {*ways("$3.50")}
    assert "oh oh seven" in ways("007") and "two and a half" in ways("2.5")
    assert len(ways("1,234,567.25%")) <= 48


def test_number_words_are_those_of_grammars() -> None:
    for number in (0, 21, 105, 1999, 10**9):
        assert spoken_words(str(number), TextRules(years=False))[:20] == tuple(
            spell_number(number).split())
    assert ordinal_forms(21)[0] == "twenty first" and number_forms(21)[0] == "twenty one"
    assert year_forms(1999)[-1] == "nineteen hundred and ninety nine"


PIECES = """a Don't 5 50% 007 end. x 1 'em 2nd £5 21.5 mp3 no wi-fi U.S. 5:30 (x) "hi" 10 1,000 a.b
: -5 5-6 1/2 ½ it's A: [b]""".split()


def test_the_quick_way_for_plain_sentences_gives_the_same() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        text = " ".join(rng.choice(PIECES) for _ in range(rng.randint(0, 5)))
        expected = [Token(word, piece.start, piece.end)
                    for piece in read_written(text, GRAMMAR_RULES) for word in piece.words]
        assert tokens(text) == expected, text


def test_grammars_keep_known_words_and_know_no_years() -> None:
    assert normalise_text("the 2nd mp3 in 1999 at £5") == tuple(
        "the second mp three in one thousand nine hundred ninety nine at five pounds".split())
    assert normalise_text("the 2nd mp3", {"mp3"}.__contains__) == ("the", "second", "mp3")


def test_the_page_of_rules_says_what_is_done() -> None:
    """Each row of the table in docs: what is written, and what is read of it."""
    page = (DOCS / "how-to" / "texts.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in page.split("\n")
            if line.startswith("| `")]
    assert {row[0].strip("`") for row in rows} == {each.name for each in fields(TextRules)}
    for name, written, read in rows:
        if "skipped" in read or name in ("`typography`", "`case`", "`punctuation`"):
            continue
        between = "; " if ";" in written else ", "
        pairs = zip(written.split(between), read.split(between), strict=True)
        for text, words in pairs:
            assert said(text) == words, name


def test_tidy_spells_plainly() -> None:
    assert tidy("don’t") == "don't" and tidy("wi‑fi") == "wi-fi" and tidy("co\u00adop") == "coop"


SIGNS = " .,:'’-—()[]<>{}*£$€%0123456789/@+=#ampMst½"
ANY = st.text(st.one_of(st.characters(), st.sampled_from(SIGNS)), max_size=60)


@settings(max_examples=300, deadline=2000)
@given(ANY)
def test_any_text_is_read(text: str) -> None:
    for rules in (TextRules(), GRAMMAR_RULES, AS_IS, TextRules(punctuation=False),
                  TextRules(numbers=False, hyphens=False)):
        pieces = read_written(text, rules, {"wi-fi", "2nd"}.__contains__)
        assert all(text[each.start : each.end] == each.text for each in pieces)
        assert [p.start for p in pieces] == sorted(p.start for p in pieces)
        for piece in pieces:
            assert all(word and word == "".join(word.split()) for way in piece.ways for word in way)


def test_a_long_text_is_read_at_once() -> None:
    for part in ("(", "[", "<a ", "*x", "1,1", "a.", "Ab: ", ">> ", "5 k", "'", "a-", "+1 "):
        assert read_written(part * 20_000) is not None
