"""Language models from text: what Kneser–Ney smoothing gives out, and how models are mixed."""

from __future__ import annotations

import gzip
import importlib.util
import io
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import naive_language as naive
import numpy as np
import pytest

from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language import (
    EstimateOptions,
    NGramModel,
    estimate,
    interpolate,
    mixture_weights,
    read_arpa,
    read_sentences,
    read_vocabulary,
    score_text,
    score_words,
    write_arpa,
)
from factored_asr.language.estimate import discounts_of
from factored_asr.language.text import spoken_sentences

TEXT = naive.random_text(1, 100, 40)
LARGER = naive.random_text(2, 3000, 2000)


def total(model: NGramModel, history: tuple[str, ...]) -> float:
    """The sum of all words' probabilities after a history."""
    ids = [model.ids[w] for w in history]
    after = np.array([[*ids, w] for w in range(1, len(model.words))])
    return float(np.exp(model.log_probs(after)).sum())


def random_histories(model: NGramModel, length: int, n: int) -> list[tuple[str, ...]]:
    """Half of them n-grams of the model, half words thrown together."""
    rng = np.random.default_rng(0)
    known = model.ngrams(length)[rng.integers(0, len(model.orders[length - 1]), n)]
    thrown = rng.integers(1, len(model.words), (n, length))
    return [tuple(model.words[i] for i in row) for row in (*known, *thrown)]


# ------------------------------------------------------------------------------------- estimation


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_estimate_is_that_of_the_definition(order: int) -> None:
    expected = naive.kneser_ney(TEXT, order)
    found = naive.ngrams_of(estimate(TEXT, EstimateOptions(order)))
    assert found.keys() == expected.keys()
    for ngram, values in expected.items():
        assert found[ngram] == pytest.approx(values, abs=1e-5), ngram


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("unknown", [True, False])
def test_probabilities_sum_to_one_after_any_history(order: int, unknown: bool) -> None:
    model = estimate(LARGER, EstimateOptions(order, unknown=unknown))
    assert model.order == order
    for length in range(1, order + 1):
        for history in random_histories(model, length, 10):
            assert total(model, history) == pytest.approx(1, abs=1e-5), history
    assert total(model, ()) == pytest.approx(1, abs=1e-6)


def test_perplexity_is_that_of_kenlm_reading_the_same_file(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    write_arpa(estimate(LARGER[:2000], EstimateOptions(4)), tmp_path / "lm.arpa")
    model, theirs = read_arpa(tmp_path / "lm.arpa"), kenlm.Model(str(tmp_path / "lm.arpa"))
    held_out = [*LARGER[2000:], ["w1", "never", "w2"]]
    n = sum(len(sentence) + 1 for sentence in held_out)
    log10 = sum(theirs.score(" ".join(sentence)) for sentence in held_out)
    score = score_text(model, held_out)
    assert score.n_unknown >= 1
    assert score.perplexity_with_unknown == pytest.approx(10 ** (-log10 / n), rel=1e-5)


def test_the_estimate_agrees_with_mitlm(tmp_path: Path) -> None:
    """estimate-ngram of the MIT language modeling toolkit (Hsu and Glass, 2008)."""
    spec = importlib.util.find_spec("phonetisaurus")
    if spec is None or spec.origin is None:
        pytest.skip("phonetisaurus, which brings estimate-ngram, is not installed")
    home = Path(spec.origin).parent
    (tmp_path / "text").write_text("".join(" ".join(s) + "\n" for s in LARGER))
    subprocess.run(
        [home / "bin" / "x86_64" / "estimate-ngram", "-text", "text", "-order", "4",
         "-smoothing", "ModKN", "-write-lm", "theirs.arpa"],
        cwd=tmp_path, check=True, capture_output=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(home / "lib" / "x86_64")},
    )
    theirs = naive.ngrams_of(read_arpa(tmp_path / "theirs.arpa"))
    ours = naive.ngrams_of(estimate(LARGER, EstimateOptions(4, unknown=False)))
    assert len(theirs) > 10_000 and ours.keys() == theirs.keys()
    for ngram, (log_prob, backoff) in theirs.items():
        assert ours[ngram][0] == pytest.approx(log_prob, abs=1e-5), ngram
        followed = ngram[-1] != "</s>" and len(ngram) < 4
        assert not followed or ours[ngram][1] == pytest.approx(backoff, abs=1e-5), ngram


def test_a_word_of_many_contexts_is_more_likely_by_itself_than_one_of_few() -> None:
    """Francisco is common, but only after San: the reason for continuation counts."""
    text = [["san", "francisco"]] * 6 + [[w, "house"] for w in "abcdef"]
    model = estimate(text, EstimateOptions(2))
    assert Counter(w for s in text for w in s)["francisco"] == 6
    assert model.log_prob("house") > model.log_prob("francisco") + 1
    assert model.log_prob("francisco", ["san"]) > math.log(0.7)


def test_discounts_of_a_small_text_fall_back_in_two_steps() -> None:
    y = 100 / (100 + 2 * 40)
    expected = (1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 12 / 20)
    assert discounts_of(np.repeat([1, 2, 3, 4], [100, 40, 20, 12])) == pytest.approx(expected)
    assert discounts_of(np.repeat([1, 2, 3, 4], [10, 10, 90, 1])) == pytest.approx((1 / 3,) * 3)
    assert discounts_of(np.array([5, 6, 7])) == (0.5, 1.0, 1.5)


@pytest.mark.parametrize("text", [[["a"]], [["a"]] * 3, [["a", "b"]] * 2, [["a"] * 9]])
def test_the_smallest_texts_make_proper_models(text: list[list[str]]) -> None:
    model = estimate(text, EstimateOptions(3))
    for history in ((), ("<s>",), ("a",), ("<s>", "a"), ("<unk>",)):
        assert total(model, history) == pytest.approx(1, abs=1e-6)
    assert all(np.isfinite(at.backoff).all() for at in model.orders)


def test_an_order_longer_than_any_sentence_is_not_reached() -> None:
    assert estimate([["a", "b"]], EstimateOptions(9)).order == 4  # <s> a b </s>


# ------------------------------------------------------------------------------------- vocabulary


def test_words_outside_the_vocabulary_are_counted_as_unknown() -> None:
    text = [["the", "cat"], ["the", "dog"], ["the", "emu"], ["the", "cat"]]
    model = estimate(text, EstimateOptions(2, vocabulary=["the", "cat", "cow"]))
    assert set(model.vocabulary) == {"<s>", "</s>", "<unk>", "the", "cat", "cow"}
    assert model.log_prob("emu", ["the"]) == model.log_prob("<unk>", ["the"])
    assert model.log_prob("<unk>", ["the"]) > math.log(0.2)  # two of four
    assert model.log_prob("cow") < model.log_prob("cat")  # there, though never seen


def test_a_closed_vocabulary_passes_over_ngrams_with_other_words() -> None:
    text = [["a", "x", "b"], ["a", "b"]]
    model = estimate(text, EstimateOptions(2, vocabulary=["a", "b"], unknown=False))
    found = set(naive.ngrams_of(model))
    assert ("a", "b") in found and ("<s>", "a") in found
    assert not any("x" in g or "<unk>" in g for g in found)
    for history in ((), ("a",), ("b",)):
        assert total(model, history) == pytest.approx(1, abs=1e-6)


def test_limits_keep_the_commonest_words() -> None:
    text = [["a", "a", "a", "b", "b", "c"]]
    assert estimate(text, EstimateOptions(1, max_words=2)).commonest(9) == ("a", "b")
    assert estimate(text, EstimateOptions(1, min_count=3)).commonest(9) == ("a",)
    wide = estimate(text, EstimateOptions(1, vocabulary=["b", "c", "d"], max_words=2))
    assert set(wide.commonest(9)) == {"b", "c"}
    with pytest.raises(OptionError, match="no word of the text is within the limits"):
        estimate(text, EstimateOptions(1, min_count=9))


def test_wrong_options_and_texts_are_named() -> None:
    with pytest.raises(OptionError, match="order must be 1 or more, got 0"):
        EstimateOptions(0)
    with pytest.raises(FormatError, match="the text has no words"):
        estimate([[], []])
    with pytest.raises(FormatError, match="one of the marks"):
        estimate([["a", "<s>", "b"]])


def test_texts_are_read_plain_or_gzip_with_or_without_marks(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("<s> a b </s>\n\n  c  \n")
    (tmp_path / "packed").write_bytes(gzip.compress("ä b\n".encode()))
    found = list(read_sentences(tmp_path / "plain", tmp_path / "packed"))
    assert found == [["a", "b"], ["c"], ["ä", "b"]]
    (tmp_path / "bad").write_text("a\nb </s> c\n")
    with pytest.raises(FormatError, match=r"bad:2: </s> is no word"):
        list(read_sentences(tmp_path / "bad"))
    (tmp_path / "latin").write_bytes(b"a\n\xe4\n")
    with pytest.raises(FormatError, match=r"latin:.*not UTF-8"):
        list(read_sentences(tmp_path / "latin"))
    with pytest.raises(MissingError, match="No such file"):
        list(read_sentences(tmp_path / "none"))
    (tmp_path / "words").write_text(";; a comment\ntea T IY\n<s> SIL\ntea(2)\n")
    assert read_vocabulary(tmp_path / "words") == ("tea", "tea(2)")


# --------------------------------------------------------------------------- mixtures, perplexity


@pytest.fixture(scope="module")
def pair() -> tuple[NGramModel, NGramModel]:
    """Models of different words, order and openness."""
    other = [[w.replace("w1", "v1") for w in s] for s in naive.random_text(3, 400, 30)]
    return (
        estimate(naive.random_text(4, 400, 30), EstimateOptions(3)),
        estimate(other, EstimateOptions(2, unknown=False)),
    )


def test_a_mixture_is_exact_on_every_ngram_of_either_model(
    pair: tuple[NGramModel, NGramModel]
) -> None:
    mixed = interpolate(pair, [3, 1])
    found = naive.ngrams_of(mixed)
    sides = [naive.ngrams_of(model) for model in pair]
    assert found.keys() >= sides[0].keys() | sides[1].keys()
    for ngram in list(found)[::7]:
        *history, word = ngram
        expected = 0.0
        for share, side, model in zip((0.75, 0.25), sides, pair, strict=True):
            if (word,) in side:
                outside = "<unk>" if model.unknown_id else "?"
                theirs = [h if (h,) in side else outside for h in history]
                expected += share * math.exp(naive.log_prob(side, word, theirs))
        assert found[ngram][0] == pytest.approx(math.log(max(expected, 1e-99)), abs=1e-4), ngram


def test_a_mixture_sums_to_one(pair: tuple[NGramModel, NGramModel]) -> None:
    mixed = interpolate(pair, [0.5, 0.5])
    for length in (1, 2):
        for history in random_histories(mixed, length, 30):
            assert total(mixed, history) == pytest.approx(1, abs=1e-4), history


def test_all_weight_on_one_model_gives_that_model(pair: tuple[NGramModel, NGramModel]) -> None:
    mixed = interpolate(pair, [1, 0])
    text = naive.random_text(5, 50, 30)
    assert score_text(mixed, text).perplexity == pytest.approx(
        score_text(pair[0], text).perplexity, rel=1e-3
    )


def test_em_finds_the_weight_of_least_perplexity() -> None:
    text = naive.random_text(4, 400, 30)
    other = naive.random_text(3, 400, 30)
    models = [estimate(each, EstimateOptions(2)) for each in (text, other)]
    held_out = naive.random_text(4, 500, 30)[400:] + naive.random_text(3, 430, 30)[400:]
    weights = mixture_weights(models, held_out)
    assert sum(weights) == pytest.approx(1) and weights[0] > 0.6
    best = score_text(interpolate(models, weights), held_out).perplexity
    for shift in (-0.15, 0.15):
        moved = (weights[0] + shift, weights[1] - shift)
        assert score_text(interpolate(models, moved), held_out).perplexity > best


def test_weights_that_make_no_mixture_are_refused(pair: tuple[NGramModel, NGramModel]) -> None:
    for weights in ([1.0], [-1, 2], [0, 0], [math.nan, 1]):
        with pytest.raises(OptionError, match="weights"):
            interpolate(pair, weights)
    with pytest.raises(OptionError, match="no model knows any word"):
        mixture_weights([estimate([["a"]], EstimateOptions(1))], [])


def test_the_score_of_a_text_counts_words_ends_and_unknown_words() -> None:
    model = estimate([["a", "b"], ["a", "c"]], EstimateOptions(2))
    score = score_text(model, [["a", "b"], ["z", "c"]])
    assert (score.n_sentences, score.n_words, score.n_unknown, score.n_ends) == (2, 4, 1, 2)
    each = [score_words(model, s) for s in (["a", "b"], ["z", "c"])]
    known = [w.log_prob for s in each for w in s if w.word != "z"]
    assert score.log_prob == pytest.approx(sum(known))
    assert score.perplexity == pytest.approx(math.exp(-sum(known) / 5))
    assert each[1][0].n_matched == 0 and each[0][1].n_matched == 2
    closed = estimate([["a", "b"]], EstimateOptions(2, unknown=False))
    assert score_text(closed, [["z"]]).perplexity_with_unknown == math.inf
    with pytest.raises(FormatError, match="no words"):
        score_text(model, [])


# ----------------------------------------------------------------------------------- command line


def test_lm_commands_make_mix_prune_and_test_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed in (("a", 1), ("b", 2), ("held", 3)):
        text = naive.random_text(seed, 300, 40)
        (tmp_path / name).write_text("".join(" ".join(s) + "\n" for s in text))
    a, b, mixed, small = (str(tmp_path / f"{n}.arpa.gz") for n in ("a", "b", "mixed", "small"))
    tokenised = ["lm", "estimate", "--as-is"]
    assert main([*tokenised, "--order", "2", str(tmp_path / "a"), "-o", a]) == 0
    assert main([*tokenised, "--max-words", "20", str(tmp_path / "b"), "-o", b]) == 0
    held = str(tmp_path / "held")
    assert main(["lm", "interpolate", a, b, "--tune", held, "-o", mixed]) == 0
    assert main(["lm", "prune", mixed, "--ngrams", "200", "-o", small]) == 0
    assert sum(read_arpa(small).counts) <= 200 < sum(read_arpa(mixed).counts)
    capsys.readouterr()
    assert main(["lm", "perplexity", "--as-is", mixed, held]) == 0
    out = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert out["sentences"] == "300"
    expected = score_text(read_arpa(mixed), read_sentences(held)).perplexity
    assert float(out["perplexity"]) == pytest.approx(expected, abs=1e-3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"W1, w2!\n")))
    assert main(["lm", "perplexity", "--words", mixed]) == 0  # words of the model are not split
    assert [line.split("\t")[2] for line in capsys.readouterr().out.split("\n")[:3]] == [
        "w1", "w2", "</s>"
    ]
    assert main(["lm", "prune", mixed]) == 2
    assert main(["lm", "estimate", str(tmp_path / "none")]) == 1
    assert main(["lm", "estimate", held, "-o", str(tmp_path / "no" / "lm")]) == 2


# ------------------------------------------------------------------------ text as people write it


def test_a_model_of_ordinary_text_has_words_that_can_be_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\ufeffStop the music, please! It’s 21°.\n"
    text += "[noise] Anna: “Play” the mp3 — <unk> (laughs)\n"
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    (tmp_path / "my.dict").write_text("MP3 EH M P IY TH R IY\n")
    lm = str(tmp_path / "t.arpa")
    assert main(["lm", "estimate", str(tmp_path / "t.txt"), "-o", lm,
                 "--words", str(tmp_path / "my.dict")]) == 0
    told = capsys.readouterr().err
    assert "skipped 3 annotations and labels of speakers: [noise] (1), Anna: (1), (laughs)" in told
    assert set(read_arpa(lm).vocabulary) == {
        "<s>", "</s>", "<unk>", *"stop the music please it's twenty one degrees play mp3".split()}
    assert main(["lm", "estimate", "--as-is", "--quiet", str(tmp_path / "t.txt"), "-o", lm]) == 0
    assert {"music,", "Anna:", "21°."} <= set(read_arpa(lm).vocabulary)


def test_a_line_may_hold_several_sentences(tmp_path: Path) -> None:
    text = "Stop! Go on... “No.” Mr. Bell, at 5 p.m. exactly, said: yes. then no"
    assert [" ".join(words) for words in spoken_sentences(text)] == [
        "stop", "go on", "no", "mister bell at five p m exactly said yes then no"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_is_no_word(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    (tmp_path / "a").write_bytes((mark + "tea é\r\nmilk\r\n").encode(encoding))
    assert list(read_sentences(tmp_path / "a")) == [["tea", "é"], ["milk"]]
    assert read_vocabulary(tmp_path / "a") == ("tea", "milk")


def test_texts_in_another_case_than_the_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("turn it on\n")
    (tmp_path / "my.dict").write_text("TURN T\nIT IH T\nON AA N\n")
    lm = str(tmp_path / "t.arpa")
    files = ["--vocabulary", str(tmp_path / "my.dict"), str(tmp_path / "t.txt"), "-o", lm]
    assert main(["lm", "estimate", "--quiet", *files]) == 0
    assert read_arpa(lm).log_prob("IT", ["TURN"]) > read_arpa(lm).log_prob("TURN", ["TURN"])
    (tmp_path / "few").write_text("turn\non\n")
    few = ["--vocabulary", str(tmp_path / "few"), "-o", lm]
    assert main(["lm", "prune", "--quiet", lm, *few]) == 0
    assert set(read_arpa(lm).vocabulary) == {"<s>", "</s>", "TURN", "ON"}


def test_words_of_a_model_that_no_dictionary_has_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.txt").write_text("Turn on the glorf, 21\n")
    (tmp_path / "my.dict").write_text("turn T\non AA N\nTHE DH AH\n")
    lm = str(tmp_path / "t.arpa")
    assert main(["lm", "estimate", "--as-is", "--quiet", str(tmp_path / "t.txt"), "-o", lm]) == 0
    assert main(["lm", "missing", lm, "--lexicon", str(tmp_path / "my.dict")]) == 1
    assert capsys.readouterr().out.split() == ["glorf,", "21"]
