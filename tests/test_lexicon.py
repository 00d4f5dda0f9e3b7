"""Lexicons: dictionaries as they are found, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from factored_asr.errors import FormatError, MissingError
from factored_asr.lexicon import Lexicon, LexiconWarning, Pronunciation, strip_stress
from factored_asr.lexicon.lexicon import read_once

ROOT = Path(__file__).parent.parent
EN_US_PHONES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
    "V W Y Z ZH"
).split()


@pytest.fixture(scope="module")
def en_us_folder() -> Path:
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        pytest.skip("pocketsphinx, which carries the en-us dictionary, is not installed")
    return Path(spec.origin).parent / "model" / "en-us"


def lexicon_of(folder: Path, text: str, name: str = "my.dict") -> Lexicon:
    (folder / name).write_text(text, encoding="utf-8")
    return Lexicon.read(folder / name)


def phones_of(lexicon: Lexicon, word: str) -> list[str]:
    return [" ".join(p.phones) for p in lexicon.find(word)]


def test_variants_belong_to_their_word(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "the DH AH\nthe(2) DH IY\ntea T IY\n")
    assert list(lexicon) == ["the", "tea"]
    assert phones_of(lexicon, "the") == ["DH AH", "DH IY"]
    assert {p.probability for p in lexicon["the"]} == {1.0}
    assert lexicon.phones == ("AH", "DH", "IY", "T")


def test_comments_of_all_generations_of_cmudict(tmp_path: Path) -> None:
    text = (
        ";;; # CMUdict  --  Major Version: 0.07\n## older\n# newest\n\n"
        "#SHARP-SIGN SH AA R P # a word, for all its look\n"
        "aalborg AO L B AO R G # place, danish\r\nTEA\t T  IY \n"
    )
    lexicon = lexicon_of(tmp_path, text)
    assert list(lexicon) == ["#SHARP-SIGN", "aalborg", "TEA"]
    assert phones_of(lexicon, "aalborg") == ["AO L B AO R G"]
    assert phones_of(lexicon, "TEA") == ["T IY"]


def test_punctuation_with_brackets_is_a_word(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "(PAREN P ER EH N\n)CLOSE K L OW Z\n() N IH L\n:) S M AY L\n")
    assert list(lexicon) == ["(PAREN", ")CLOSE", "()", ":)"]


def test_kaldi_repeats_the_word_instead(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "the DH AH\ntea T IY\nthe DH IY\nthe DH AH\n", "lexicon.txt")
    assert phones_of(lexicon, "the") == ["DH AH", "DH IY"]  # the twin counts once


def test_kaldi_weighs_pronunciations(tmp_path: Path) -> None:
    text = "the 1.0 DH AH\nthe 0.25 DH IY\nthe 0.5 DH IY\ntea 1 T IY\n"
    lexicon = lexicon_of(tmp_path, text, "lexiconp.txt")
    assert lexicon["the"] == (
        Pronunciation(("DH", "AH"), 1.0),
        Pronunciation(("DH", "IY"), 0.5),
    )


def test_dictionaries_of_the_montreal_forced_aligner(tmp_path: Path) -> None:
    """A probability, then three numbers about silence; lines may have fewer."""
    text = "the\t0.99\t0.14\t1.2\t0.93\tDH AH\nthe\t0.5\t0.1\t2.0\t0.8\tDH IY\ntea\t1\tT IY\n"
    lexicon = lexicon_of(tmp_path, text)
    assert lexicon["the"] == (Pronunciation(("DH", "AH"), 0.99), Pronunciation(("DH", "IY"), 0.5))
    assert lexicon["tea"] == (Pronunciation(("T", "IY"), 1.0),)
    numbers = lexicon_of(tmp_path, "ma 1.0 1 2\n", "tones.dict")
    assert phones_of(numbers, "ma") == ["1 2"]


@pytest.mark.parametrize(("written", "word"), [
    ("don’t D OW N T", "don't"), ("wi‑fi W AY F AY", "wi-fi"), ("cafe\u0301 K AE F", "café"),
    ("\ufefftea T IY", "tea"),
])  # fmt: skip
def test_words_are_spelled_plainly(tmp_path: Path, written: str, word: str) -> None:
    assert lexicon_of(tmp_path, written + "\n").knows(word)


def test_capitals_match_words_in_lower_case(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "TEA T IY\nPolish P OW\nthe DH AH\n")
    assert phones_of(lexicon, "tea") == phones_of(lexicon, "Tea") == ["T IY"]
    assert phones_of(lexicon, "polish") == ["P OW"] and lexicon.missing(["THE", "tea"]) == ()
    assert dict(lexicon.restrict(["tea"])) == {"tea": (Pronunciation(("T", "IY")),)}
    small = lexicon_of(tmp_path, "POLISH A\npolish B\n", "two.dict")
    assert phones_of(small, "Polish") == ["B"] and phones_of(small, "POLISH") == ["A"]


def test_stress_is_ignored_where_the_model_has_none(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "tea T IY1\nmilk M IH L K\n")
    with pytest.warns(LexiconWarning, match="my.dict:1: .* no stress: the digits of IY1 are"):
        fitted = lexicon.fitted(["T", "IY", "M", "IH", "L", "K"])
    assert phones_of(fitted, "tea") == ["T IY"]
    assert lexicon.fitted(["T", "IY1", "M", "IH", "L", "K"]) is lexicon
    assert phones_of(lexicon.fitted(["T"]), "tea") == ["T IY1"]  # another phone, not stress


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tea T IY\nmilk\n", "my.dict:2: word 'milk' needs at least one phone"),
        ("milk # M IH L K\n", "my.dict:1: word 'milk' needs at least one phone"),
        ("tea T IY\n\ntea(two) T EY\n", r"my.dict:3: .* number from 1, not 'tea\(two\)'"),
        ("tea(0) T IY\n", r"my.dict:1: a variant is written WORD\(2\)"),
        ("tea() T IY\n", r"my.dict:1: a variant is written WORD\(2\)"),
        ("tea 1.0 T IY\nmilk M IH L K\n", r"my.dict:2: word 'milk' .* \(0, 1\] .* got 'M'"),
        ("tea 1.5 T IY\n", r"my.dict:1: word 'tea' needs a probability in \(0, 1\].* got '1.5'"),
        ("tea 0 T IY\n", r"my.dict:1: .* got '0'"),
        ("tea nan T IY\n", r"my.dict:1: .* got 'nan'"),
        ("tea 0.5\n", "my.dict:1: word 'tea' needs at least one phone"),
        ("tea 0.5 T\nmilk\n", r"my.dict:2: word 'milk' needs a probability .* got ''"),
        (";;; nothing\n", "my.dict: a dictionary without a single entry"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        lexicon_of(tmp_path, text)


def test_files_that_are_no_dictionary_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere.dict"):
        Lexicon.read(tmp_path / "nowhere.dict")
    (tmp_path / "latin.dict").write_bytes("tea T IY\ndéjà D EY ZH AA\n".encode("latin-1"))
    with pytest.raises(FormatError, match="latin.dict:2: not UTF-8: byte 0xe9"):
        Lexicon.read(tmp_path / "latin.dict")


def test_a_dictionary_may_be_told_to_have_no_probabilities(tmp_path: Path) -> None:
    (tmp_path / "tones.txt").write_text("ma 1 2\n")
    lexicon = Lexicon.read(tmp_path / "tones.txt", probabilities=False)
    assert phones_of(lexicon, "ma") == ["1 2"]


def test_a_word_is_found_as_written_then_in_lower_case(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "polish P AA L IH SH\nPolish P OW L IH SH\ntea T IY\n")
    assert phones_of(lexicon, "Polish") == ["P OW L IH SH"]
    assert phones_of(lexicon, "POLISH") == ["P AA L IH SH"]
    assert "Tea" not in lexicon and lexicon.missing(["Tea", "milk", "tea", "milk"]) == ("milk",)
    with pytest.raises(MissingError, match="word 'milk' has no pronunciation in .*my.dict"):
        lexicon.find("milk")


def test_extending_adds_pronunciations_and_replacing_takes_them_over(tmp_path: Path) -> None:
    ours = lexicon_of(tmp_path, "tea T IY\nthe DH AH\n")
    theirs = lexicon_of(tmp_path, "the DH IY\nmilk M IH L K\nthe DH AH\n", "more.dict")
    both, new = ours.extend(theirs), ours.replace(theirs)
    assert list(both) == list(new) == ["tea", "the", "milk"]
    assert phones_of(both, "the") == ["DH AH", "DH IY"]
    assert phones_of(new, "the") == ["DH IY", "DH AH"]
    assert both.sources == (*ours.sources, *theirs.sources)
    assert phones_of(ours, "the") == ["DH AH"] and "milk" not in ours


def test_restricting_keeps_the_spelling_asked_for(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, "tea T IY\nmilk M IH L K\n").restrict(["Tea", "juice"])
    assert dict(lexicon) == {"Tea": (Pronunciation(("T", "IY")),)}


def test_stress_digits_come_off(tmp_path: Path) -> None:
    assert [strip_stress(p) for p in ("AH0", "EY1", "OW2", "T", "0")] == [
        "AH",
        "EY",
        "OW",
        "T",
        "0",
    ]
    lexicon = lexicon_of(tmp_path, "record R EH1 K ER0 D\nthe DH AH0\nthe(2) DH AH1\n")
    assert lexicon.strip_stress().phones == ("AH", "D", "DH", "EH", "ER", "K", "R")
    assert phones_of(lexicon.strip_stress(), "the") == ["DH AH"]


def test_a_phone_that_the_model_lacks_is_named_with_its_line(tmp_path: Path) -> None:
    lexicon = lexicon_of(tmp_path, ";;; tea\ntea T IY1\nloch L AA1 X\nloch(2) L AA1 K\n")
    lexicon.check_phones(lexicon.phones)
    with pytest.raises(MissingError, match=r"my.dict:3: phone 'X' of word 'loch' \(L AA1 X\)"):
        lexicon.check_phones({"T", "IY1", "L", "AA1", "K"})
    with pytest.raises(MissingError, match=r"my.dict:3: phone 'X' of word 'Loch' \(L AA X\)"):
        lexicon.strip_stress().restrict(["Loch"]).check_phones(EN_US_PHONES)
    with pytest.raises(MissingError, match="^phone 'X' of word 'x'"):
        Lexicon({"x": (Pronunciation(("X",)),)}).check_phones(EN_US_PHONES)


@pytest.mark.parametrize(
    "text",
    ["the DH AH\nthe(2) DH IY\ntea T IY\n", "the 1 DH AH\nthe 0.5 DH IY\ntea 0.125 T IY\n"],
)
def test_a_lexicon_written_and_read_again_is_the_same(tmp_path: Path, text: str) -> None:
    lexicon = lexicon_of(tmp_path, text)
    lexicon.write(tmp_path / "again.dict")
    assert (tmp_path / "again.dict").read_text() == text
    assert Lexicon.read(tmp_path / "again.dict") == lexicon


def test_fillers_stand_apart_from_words(tmp_path: Path) -> None:
    (tmp_path / "noisedict").write_text("<s> SIL\n</s> SIL\n[NOISE] +NSN+\n")
    (tmp_path / "my.dict").write_text("tea T IY\n")
    lexicon = Lexicon.read(tmp_path / "my.dict", fillers=tmp_path / "noisedict")
    assert list(lexicon) == ["tea"] and list(lexicon.fillers) == ["<s>", "</s>", "[NOISE]"]
    assert lexicon.fillers["[NOISE]"] == (Pronunciation(("+NSN+",)),)
    assert lexicon.phones == ("+NSN+", "IY", "SIL", "T")
    with pytest.raises(MissingError, match=r"noisedict:3: phone '\+NSN\+' of word '\[NOISE\]'"):
        lexicon.check_phones({"SIL", "IY", "T"})


def test_the_dictionary_of_the_en_us_model(en_us_folder: Path) -> None:
    lexicon = Lexicon.read(
        en_us_folder / "cmudict-en-us.dict", fillers=en_us_folder / "en-us" / "noisedict"
    )
    assert len(lexicon) == 125995
    assert sum(len(prons) for prons in lexicon.values()) == 134782  # all of the file's lines
    assert phones_of(lexicon, "The") == ["DH AH", "DH IY"]
    assert list(lexicon.fillers) == ["<s>", "</s>", "<sil>", "[NOISE]", "[SPEECH]"]
    lexicon.check_phones([*EN_US_PHONES, "SIL", "+NSN+", "+SPN+"])


def test_our_own_words_fit_the_model_and_are_new(en_us_folder: Path) -> None:
    ours = Lexicon.read(ROOT / "lexicons" / "smart_home.dict")
    ours.check_phones(EN_US_PHONES)
    theirs = Lexicon.read(en_us_folder / "cmudict-en-us.dict")
    assert theirs.missing(ours) == tuple(ours)
    assert [word for word in ours if word != word.lower()] == []


def test_dictionaries_of_real_corpora(data_dir: Path) -> None:
    accented = Lexicon.read(data_dir / "accented_english" / "lexicon.txt")
    assert len(accented) == 2604 and len(accented.phones) == 67
    accented.strip_stress().check_phones(EN_US_PHONES)
    assert len(Lexicon.read(data_dir / "an4" / "etc" / "an4.dic").phones) == 33


def test_a_dictionary_is_read_once_until_its_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.dict"
    file.write_text("tea T IY\n")
    first = read_once(file)
    assert read_once(file) is first and first.extend(Lexicon({})) is first
    file.write_text("tea T IY\ncoffee K AO F IY\n")
    assert "coffee" in read_once(file)
    with pytest.raises(MissingError):
        read_once(tmp_path / "none.dict")
