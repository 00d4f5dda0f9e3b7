"""Packed language models: what rounding changes, and what a broken file says."""

from __future__ import annotations

import zipfile
from pathlib import Path

import naive_language as naive
import numpy as np
import pytest
from support.files import ARPA

from factored_asr.cli import main
from factored_asr.errors import FormatError, OptionError
from factored_asr.language import (
    EstimateOptions,
    NGramModel,
    estimate,
    prune_to,
    read_arpa,
    read_lm,
    read_packed,
    score_text,
    truncate,
    write_packed,
)
from factored_asr.language.packed import STEPS
from factored_asr.storage.reading import read_arrays

TEXT = [line.split() for line in (
    "turn the light on", "turn the light off", "turn the heating off", "is the light on",
    "and is it off", "turn it on", "the heating is on and the light is off",
)]


@pytest.fixture
def model() -> NGramModel:
    return estimate(TEXT, EstimateOptions(order=3))


def test_it_is_read_as_the_same_ngrams_with_rounded_probabilities(
    model: NGramModel, tmp_path: Path
) -> None:
    write_packed(model, tmp_path / "a.lm.zip")
    found = read_lm(tmp_path / "a.lm.zip")
    assert (found.words, found.counts) == (model.words, model.counts)
    assert (found.orders[0].log_prob == model.orders[0].log_prob).all()
    for ours, theirs in zip(found.orders[1:], model.orders[1:], strict=True):
        assert (ours.parent == theirs.parent).all() and (ours.word == theirs.word).all()
        steps = STEPS * (np.sqrt(-ours.log_prob) - np.sqrt(np.maximum(-theirs.log_prob, 0)))
        assert np.abs(steps).max() <= 0.5 + 1e-3
    before, after = (score_text(each, TEXT).perplexity for each in (model, found))
    assert after == pytest.approx(before, rel=0.01)


def test_after_every_history_the_probabilities_sum_to_one(
    model: NGramModel, tmp_path: Path
) -> None:
    write_packed(model, tmp_path / "a.lm.zip")
    found = read_packed(tmp_path / "a.lm.zip")
    for history in ([], ["the"], ["turn", "the"], ["light", "is"], ["on", "turn"]):
        total = sum(np.exp(found.log_prob(word, history)) for word in found.vocabulary)
        assert total == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_histories_without_followers_anywhere(seed: int, tmp_path: Path) -> None:
    naive.write_arpa(naive.random_ngrams(seed, 9, 4), tmp_path / "a.arpa")
    model = read_arpa(tmp_path / "a.arpa")
    write_packed(model, tmp_path / "a.lm.zip")
    found = read_packed(tmp_path / "a.lm.zip")
    for n in range(1, model.order + 1):
        assert (found.ngrams(n) == model.ngrams(n)).all()


def test_the_most_useful_ngrams_alone(model: NGramModel, tmp_path: Path) -> None:
    """With marks, and without, where pruning sees rounded probabilities."""
    n = sum(model.counts) - 12
    write_packed(model, tmp_path / "a.lm.zip", first=n)
    whole, few = (read_lm(tmp_path / "a.lm.zip", limit) for limit in (0, n))
    assert whole.counts == model.counts
    pruned = prune_to(model, n)
    assert few.counts == pruned.counts != model.counts
    for k in range(1, pruned.order + 1):
        assert (few.ngrams(k) == pruned.ngrams(k)).all()
    text = [score_text(each, TEXT).perplexity for each in (few, pruned)]
    assert text[0] == pytest.approx(text[1], rel=0.02)
    for history in ([], ["the"], ["turn", "the"]):
        total = sum(np.exp(few.log_prob(word, history)) for word in few.vocabulary)
        assert total == pytest.approx(1.0, abs=1e-4)
    assert sum(read_lm(tmp_path / "a.lm.zip", n - 5).counts) <= n - 5


def test_marks_that_leave_out_a_history(model: NGramModel, tmp_path: Path) -> None:
    n = sum(model.counts) - 12
    write_packed(model, tmp_path / "a.lm.zip", first=n)
    arrays = read_arrays(tmp_path / "a.lm.zip")
    arrays["2.first"] = arrays["2.first"] * 0
    arrays["3.first"] = arrays["3.first"] | 255
    with open(tmp_path / "a.lm.zip", "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(FormatError, match="histories of n-grams kept, must be kept"):
        read_lm(tmp_path / "a.lm.zip", n)


def test_words_beyond_two_bytes(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(70_000)]
    model = estimate([words[:1], words[-1:], [words[69_000], words[3], words[68_999]]],
                     EstimateOptions(order=2, vocabulary=words))
    write_packed(model, tmp_path / "a.lm.zip")
    assert (read_packed(tmp_path / "a.lm.zip").ngrams(2) == model.ngrams(2)).all()


def test_the_same_model_gives_the_same_bytes(model: NGramModel, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_packed(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_unigrams_alone_are_not_packed(model: NGramModel, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="n-grams of two words or more"):
        write_packed(truncate(model, 1), tmp_path / "a.lm.zip")


def test_a_packed_file_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text(ARPA)
    packed = str(tmp_path / "a.lm.zip")
    assert main(["lm", "prune", str(tmp_path / "a.arpa"), "--threshold", "0", "-o", packed]) == 0
    assert read_lm(packed).vocabulary == read_arpa(tmp_path / "a.arpa").vocabulary


@pytest.mark.parametrize(("name", "change", "law"), [
    ("format", lambda x: x[1:], "expected factored_asr packed n-grams 1"),
    ("words", lambda x: x[:-3], "but unigrams"),
    ("unigrams", lambda x: x + 9, "above 0"),
    ("2.followers", lambda x: x[:, 1:], "the counts of order 2 contradict each other"),
    ("2.followers", lambda x: x[0], r"planes of bytes must be \(1 to 4, n\)"),
    ("3.word", lambda x: x * 0, "a word of order 3 is none of"),
    ("3.prob", lambda x: x.astype(np.int32), "must be bytes"),
    ("2.prob", None, "2.prob"),
])
def test_what_is_wrong_with_a_file(
    model: NGramModel, tmp_path: Path, name: str, change: object, law: str
) -> None:
    write_packed(model, tmp_path / "a.lm.zip")
    arrays = read_arrays(tmp_path / "a.lm.zip")
    if callable(change):
        arrays[name] = change(arrays[name])
    else:
        del arrays[name]
    with open(tmp_path / "a.lm.zip", "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(FormatError, match=law) as caught:
        read_packed(tmp_path / "a.lm.zip")
    assert "a.lm.zip" in str(caught.value)


def test_a_broken_file_is_named(model: NGramModel, tmp_path: Path) -> None:
    file = tmp_path / "a.lm.zip"
    write_packed(model, file)
    with zipfile.ZipFile(file) as packed:
        offset = packed.getinfo("2.word.npy").header_offset
    data = bytearray(file.read_bytes())
    data[offset + 45 : offset + 70] = b"\xff" * 25
    file.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.lm\.zip"):
        read_packed(file)
    file.write_bytes(data[:-40])
    with pytest.raises(FormatError, match="no whole zip"):
        read_packed(file)
