"""From letters to phones: how phones are shared out among letters, and what a new word gets."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import naive_lexicon as naive
import numpy as np
import pytest
from support.spelling import LEXICON, WORDS, lexicon_of

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language import EstimateOptions, estimate
from factored_asr.lexicon import Lexicon
from factored_asr.lexicon.g2p import G2P, GuessWarning
from factored_asr.lexicon.g2p_training import (
    G2POptions,
    NumberedWords,
    aligned_pairs,
    numbered_words,
    packed,
    train_g2p,
)
from factored_asr.models.bundle import Bundle
from factored_asr.models.en_us import pocketsphinx_model_path
from factored_asr.models.recipe import Recipe, cached_g2p
from factored_asr.models.settings import COMMANDS
from factored_asr.storage.cache import clear

SMALL = G2POptions(order=3)


@pytest.fixture(scope="module")
def model() -> G2P:
    return train_g2p(LEXICON, SMALL)


@pytest.fixture(scope="module")
def english() -> G2P:
    """What a tenth of the English dictionary teaches."""
    lexicon = Lexicon.read(pocketsphinx_model_path() / "cmudict-en-us.dict")
    return train_g2p(lexicon.restrict(sorted(lexicon)[::10]), G2POptions(order=5))


def pair_of(code: int, numbered: NumberedWords, width: int) -> naive.Pair:
    base = 1 + len(numbered.phones)
    digits = [code // base**k % base for k in range(width - 1, -1, -1)]
    phones = tuple(numbered.phones[d - 1] for d in digits if d)
    return numbered.letters[code // base**width], phones


# ------------------------------------------------------------------------------- shares of letters


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_pass_of_em_counts_what_all_segmentations_do(width: int) -> None:
    from factored_asr.lexicon._kernels import expected_pairs

    numbered = numbered_words(LEXICON, 1)
    base = 1 + len(numbered.phones)
    probs = np.random.default_rng(0).random(len(numbered.letters) * base**width)
    text = (numbered.letter_ids, numbered.letter_first, numbered.phone_ids, numbered.phone_first)
    counts, log_likelihood, n_covered = expected_pairs(*text, probs, base, width)
    by_pair = {pair_of(code, numbered, width): p for code, p in enumerate(probs.tolist())}
    entries = [(word, p[0].phones) for word, p in LEXICON.items()]
    expected, expected_log = naive.expected_pairs(entries, by_pair, width)
    found = {pair_of(c, numbered, width): counts[c] for c in np.flatnonzero(counts).tolist()}
    assert found == pytest.approx(expected) and log_likelihood == pytest.approx(expected_log)
    assert n_covered == sum(len(phones) <= width * len(word) for word, phones in entries)


@pytest.mark.parametrize("width", [1, 2])
def test_the_likelihood_never_falls(width: int) -> None:
    messages: list[str] = []
    aligned_pairs(numbered_words(LEXICON, 1), width, 12, messages.append)
    likelihood = [float(line.split()[-1]) for line in messages]
    assert len(likelihood) == 12 and all(np.diff(likelihood) >= 0)
    assert likelihood[-1] > likelihood[0] + 5


def test_the_best_shares_are_those_of_the_most_probable_segmentation() -> None:
    from factored_asr.lexicon._kernels import best_pairs

    numbered = numbered_words(LEXICON, 1)
    base = 1 + len(numbered.phones)
    probs = np.random.default_rng(1).random(len(numbered.letters) * base**2)
    text = (numbered.letter_ids, numbered.letter_first, numbered.phone_ids, numbered.phone_first)
    codes = best_pairs(*text, np.log(probs), base, 2).tolist()
    by_pair = {pair_of(code, numbered, 2): p for code, p in enumerate(probs.tolist())}
    for n, (word, (spoken, *_)) in enumerate(LEXICON.items()):
        first, end = numbered.letter_first[n : n + 2]
        found = tuple(pair_of(code, numbered, 2) for code in codes[first:end])
        ways = naive.segmentations(word, spoken.phones, 2)
        assert found == max(ways, key=lambda way: naive.probability(way, by_pair))


def test_letters_get_the_phones_one_would_give_them() -> None:
    words = lexicon_of({**WORDS, "taxi": "T AE K S IY"})
    numbered = numbered_words(words, 1)
    codes = aligned_pairs(numbered, 2, 15, lambda stage: None)
    found = [pair_of(code, numbered, 2) for code in codes[-4:].tolist()]
    assert found == [("t", ("T",)), ("a", ("AE",)), ("x", ("K", "S")), ("i", ("IY",))]


def test_a_word_with_more_phones_than_its_letters_can_hold_is_left_out() -> None:
    words = lexicon_of({**WORDS, "ss": "EH S EH S EH S"})
    messages: list[str] = []
    numbered = numbered_words(words, 1)
    codes = aligned_pairs(numbered, 2, 2, messages.append)
    assert (codes[-2:] == -1).all() and (codes[:-2] >= 0).all()
    assert messages[0].startswith(f"pass 1: {len(WORDS)} pronunciations")
    assert train_g2p(words, SMALL).guess("set")[0].phones == ("S", "EH", "T")


# ----------------------------------------------------------------------------------------- guesses


@pytest.mark.parametrize("order", [1, 2, 4])
def test_guesses_are_the_sums_over_all_sequences_of_pairs(order: int) -> None:
    numbered = numbered_words(LEXICON, 1)
    codes = aligned_pairs(numbered, 2, 5, lambda stage: None)
    texts = [
        [str(c) for c in codes[a:b].tolist()]
        for a, b in zip(numbered.letter_first[:-1], numbered.letter_first[1:], strict=True)
    ]
    ngrams = estimate(texts, EstimateOptions(order, unknown=False))
    model = packed(ngrams, numbered, 2)
    names = {pair_of(int(w), numbered, 2): w for w in ngrams.words if w[0] != "<"}
    for word in ("tax", "east", "sets"):
        total: dict[tuple[str, ...], float] = defaultdict(float)
        for way in naive.spellings(word, list(names)):
            phones = tuple(p for _, spoken in way for p in spoken)
            total[phones] += math.exp(ngrams.score_sentence([names[pair] for pair in way]))
        total.pop((), None)  # a pronunciation has phones
        expected = {phones: p / sum(total.values()) for phones, p in total.items()}
        found = model.guess(word, len(expected), beam=1e3, max_tokens=10**6)
        assert {g.phones: g.probability for g in found} == pytest.approx(expected, abs=1e-5)
        assert [g.probability for g in found] == sorted(
            (g.probability for g in found), reverse=True
        )


def test_new_words_are_said_by_the_rules_of_the_old(model: G2P) -> None:
    assert model.guess("sax")[0].phones == ("S", "AE", "K", "S")
    assert model.guess("Seats")[0].phones == ("S", "IY", "T", "S")


def test_probabilities_belong_to_all_pronunciations_found(model: G2P) -> None:
    everything = model.guess("taxes", 10_000)
    assert sum(each.probability for each in everything) == pytest.approx(1)
    assert model.guess("taxes", 2) == everything[:2]
    assert len({each.phones for each in everything}) == len(everything)


def test_a_narrow_search_finds_the_best_of_fewer(model: G2P) -> None:
    wide, narrow = model.guess("taste", 100), model.guess("taste", 100, max_tokens=3)
    assert len(narrow) < len(wide) and narrow[0].phones == wide[0].phones


def test_words_that_cannot_be_spelt_say_which_signs(model: G2P) -> None:
    with pytest.raises(MissingError, match=r"'tea4\$' cannot be pronounced: '4' '\$' is no letter"):
        model.guess("tea4$")
    with pytest.raises(MissingError, match="cannot be pronounced"):
        model.guess("")
    with pytest.raises(OptionError, match="n must be 1 or more, got 0"):
        model.guess("tea", 0)
    with pytest.raises(OptionError, match="beam must be above 0"):
        model.guess("tea", beam=-1)


def test_rare_signs_are_not_learnt_but_rare_letters_are() -> None:
    words = lexicon_of({**WORDS, "t2": "T EH T", "ta't": "T AE T", "té": "T EY"})
    assert train_g2p(words, SMALL).unknown_letters("té2'q") == ("2", "'", "q")
    assert train_g2p(words, replace(SMALL, min_sign_count=1)).unknown_letters("té2'q") == ("q",)
    with pytest.raises(FormatError, match="each has a sign that fewer than 10 words have"):
        train_g2p(lexicon_of({"2": "T UW"}), SMALL)
    with pytest.raises(OptionError, match="width must be 1 to 3, got 4"):
        G2POptions(width=4)


def test_a_tenth_of_the_dictionary_is_enough_for_half_of_the_rest(english: G2P) -> None:
    lexicon = Lexicon.read(pocketsphinx_model_path() / "cmudict-en-us.dict")
    right = [
        english.guess(word)[0].phones in [p.phones for p in lexicon[word]]
        for word in sorted(lexicon)[5::800] if not english.unknown_letters(word)
    ]
    assert len(right) > 150 and np.mean(right) > 0.5


# --------------------------------------------------------------------------------- files, commands


def test_a_model_reads_as_it_was_written(model: G2P, tmp_path: Path) -> None:
    model.write(tmp_path / "my.g2p")
    again = G2P.read(tmp_path / "my.g2p")
    assert again.guess("states", 5) == model.guess("states", 5)
    assert again.letters == model.letters and again.phones == model.phones


def test_a_broken_model_is_refused(model: G2P, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="none: there is no such file"):
        G2P.read(tmp_path / "none")
    path = tmp_path / "my.g2p"
    path.write_text("tea T IY\n")
    with pytest.raises(FormatError, match="not a G2P model"):
        G2P.read(path)
    model.write(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FormatError, match="not a G2P model"):
        G2P.read(path)
    at = model.network
    loop = np.arange(len(at.backoff_state), dtype=np.int32)
    for wrong in (
        replace(model, start=10**6),
        replace(model, pair_letter=model.pair_letter[::-1]),
        replace(model, network=at._replace(arc_target=at.arc_target + 10**6)),
        replace(model, network=at._replace(arc_pair=at.arc_pair[:-1])),
        replace(model, network=at._replace(backoff_state=loop)),
    ):
        wrong.write(path)
        with pytest.raises(FormatError, match="a G2P model whose arrays are inconsistent"):
            G2P.read(path)


def test_the_model_of_a_dictionary_is_learnt_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    words = {w * n: " ".join([p] * n) for w, p in WORDS.items() for n in (1, 2, 3)}
    lexicon_of(words).write(tmp_path / "my.dict")
    messages: list[str] = []
    first = cached_g2p(tmp_path / "my.dict", messages.append)
    assert messages
    messages.clear()
    assert cached_g2p(tmp_path / "my.dict", messages.append).guess("set") == first.guess("set")
    assert not messages
    (kept,) = (tmp_path / "cache").glob("*.g2p")
    kept.write_bytes(b"broken")
    cached_g2p(tmp_path / "my.dict", messages.append)
    assert messages and clear() > 1000 and not kept.exists()


def test_words_that_the_dictionary_lacks_are_guessed_and_told(model: G2P, tmp_path: Path) -> None:
    model.write(tmp_path / "my.g2p")
    recipe = Recipe(Bundle.find("en-us"), guess=tmp_path / "my.g2p")
    with pytest.warns(GuessWarning, match=r"of 'taseats' is guessed: T .* S \(prob"):
        lexicon = recipe.with_guesses(LEXICON, ["tea", "taseats", "Seat"])
    assert lexicon.missing(["taseats"]) == () and len(lexicon) == len(WORDS) + 1
    with pytest.raises(MissingError, match="'a1' cannot be pronounced"):
        recipe.with_guesses(LEXICON, ["a1"])
    assert recipe.key() != replace(recipe, guess=False).key()


def test_a_grammar_may_hold_words_that_no_dictionary_has(
    english: G2P, audio_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    # A guess is rough: without a background it is still the nearest sentence there is.
    alone = replace(COMMANDS, background=None)
    english.write(tmp_path / "my.g2p")
    (tmp_path / "my.gram").write_text(
        "#JSGF V1.0;\ngrammar my;\npublic <do> = stop the muzick;\n"
    )
    with pytest.raises(MissingError, match="muzick"):
        Recognizer.load("en-us", grammar=tmp_path / "my.gram")
    with pytest.warns(GuessWarning, match="muzick"):
        able = Recognizer.load(
            "en-us", grammar=tmp_path / "my.gram", guess=tmp_path / "my.g2p", options=alone
        )
    assert able.transcribe(audio_dir / "music_stop.wav").text == "stop the muzick"


@pytest.mark.filterwarnings("always")
def test_a_text_with_a_new_word_is_aligned(
    english: G2P, audio_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    english.write(tmp_path / "g")
    command = ["align", str(audio_dir / "music_stop.wav"), "stop the muzick"]
    assert main(command) == 1
    assert "muzick" in capsys.readouterr().err
    assert main([*command, "--g2p", str(tmp_path / "g")]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split()[-1] == "muzick"
    assert "the pronunciation of 'muzick' is guessed: " in output.err


def test_g2p_commands_learn_and_guess(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {w * n: " ".join([p] * n) for w, p in WORDS.items() for n in (1, 2, 3)}
    lexicon_of(words).write(tmp_path / "my.dict")
    g2p = ["lexicon", "g2p"]
    made = str(tmp_path / "my.g2p")
    assert main([*g2p, "train", str(tmp_path / "my.dict"), "-o", made, "--order", "4"]) == 0
    assert "learning: pass 1" in capsys.readouterr().err
    assert main([*g2p, "apply", "--g2p", made, "set", "x1", "tat", "--n", "2"]) == 1
    output = capsys.readouterr()
    words = [line.split()[0] for line in output.out.splitlines()]
    assert words == ["set", "set(2)", "tat", "tat(2)"]
    assert "'x1' cannot be pronounced: '1'" in output.err
    assert main([*g2p, "apply", "--g2p", made, "--probabilities", "set"]) == 0
    (tmp_path / "new.dict").write_text(capsys.readouterr().out)
    assert Lexicon.read(tmp_path / "new.dict")["set"][0].phones == ("S", "EH", "T")
