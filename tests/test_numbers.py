"""Numbers as digits, and the words around them left alone."""

from __future__ import annotations

import pytest

from factored_asr import Transcript, Word
from factored_asr.results.numbers import read_number, with_digits


def said(text: str) -> Transcript:
    words = tuple(Word(word, i, i + 1.0) for i, word in enumerate(text.split()))
    return Transcript(words, float(len(words)))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("twenty one", "21"),
        ("set the heating to twenty one degrees", "set the heating to 21 degrees"),
        ("one of two hundred and five men", "one of 205 men"),
        ("two hundred and more", "200 and more"),
        ("three million twelve thousand and six", "3012006"),
        ("one thousand two thousand", "1000 2000"),
        ("nineteen eighty four", "19 84"),
        ("ten twenty", "10 20"),
        ("one two three", "one two three"),
        ("zero", "zero"),
        ("twenty zero", "20 zero"),
        ("a hundred and one", "a hundred and one"),
        ("and thousand", "and thousand"),
        ("", ""),
    ],
)
def test_numbers_from_ten_on_become_digits(text: str, written: str) -> None:
    assert with_digits(said(text)).text == written


def test_every_number_up_to_a_hundred_thousand_is_read_back() -> None:
    from factored_asr.results.numbers import SMALL, TENS

    small = {value: word for word, value in {**SMALL, **TENS}.items()}

    def spell(value: int) -> str:
        if value >= 1000:
            rest = spell(value % 1000) if value % 1000 else ""
            return f"{spell(value // 1000)} thousand {rest}".strip()
        if value >= 100:
            rest = "and " + spell(value % 100) if value % 100 else ""
            return f"{small[value // 100]} hundred {rest}".strip()
        if value in small:
            return small[value]
        return f"{small[value // 10 * 10]} {small[value % 10]}"

    for value in (*range(1, 2500), *range(2500, 100_000, 37)):
        words = spell(value).split()
        assert read_number(words) == (value, len(words))


def test_a_number_spans_its_words_and_is_as_sure_as_the_least_sure() -> None:
    words = (
        Word("twenty", 0.0, 0.5, 0.9, ("T",), (0.5,)), Word("one", 0.5, 0.75, 0.6, ("W",), (0.75,))
    )  # fmt: skip
    [number] = with_digits(Transcript(words)).words
    assert number == Word("21", 0.0, 0.75, 0.6, ("T", "W"), (0.5, 0.75))
    apart = (words[0], Word("one", 0.6, 0.75, None, ("W",), (0.75,)))
    [number] = with_digits(Transcript(apart)).words
    assert number.confidence == 0.9 and number.phone_ends == ()
