"""Language models: back-off arithmetic, ARPA and Sphinx files, the acceptor, KenLM."""

from __future__ import annotations

import gzip
import importlib.util
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import naive_language as naive
import numpy as np
import pytest
from support.files import ARPA

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language import (
    KenLMScorer,
    NGramModel,
    read_arpa,
    read_lm,
    read_sphinx_lm,
    write_arpa,
)
from factored_asr.language.read import KENLM_MAGIC


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture(scope="module")
def en_us_folder() -> Path:
    """The model files in pocketsphinx's wheel, found without importing it."""
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        pytest.skip("pocketsphinx, which carries the en-us model, is not installed")
    return Path(spec.origin).parent / "model" / "en-us"


@pytest.fixture(scope="module")
def en_us(en_us_folder: Path) -> NGramModel:
    return read_lm(en_us_folder / "en-us.lm.bin")


def random_file(tmp_path: Path, seed: int, order: int, n_words: int = 7) -> tuple[dict, Path]:
    ngrams = naive.random_ngrams(seed, n_words, order)
    naive.write_arpa(ngrams, tmp_path / "random.arpa")
    return ngrams, tmp_path / "random.arpa"


def sentences(seed: int, n_words: int, n: int = 50) -> list[list[str]]:
    rng = random.Random(seed)
    return [[f"w{rng.randrange(n_words)}" for _ in range(rng.randrange(8))] for _ in range(n)]


# What a model says


def test_words_keep_the_order_of_the_file(tiny: Path) -> None:
    model = read_lm(tiny)
    assert model.words == ("<eps>", "<s>", "</s>", "yes", "no", "maybe")
    assert model.counts == (5, 4, 1)
    assert model.order == 3


def test_a_trigram_that_is_listed_is_used_as_it_is(tiny: Path) -> None:
    assert read_lm(tiny).log_prob("</s>", ["<s>", "yes"]) == pytest.approx(math.log(0.8), abs=1e-4)


def test_backing_off_twice_pays_two_weights(tiny: Path) -> None:
    log10 = -0.4 + -0.2 + -0.5229  # (<s> yes), then (yes), then no by itself
    got = read_lm(tiny).log_prob("no", ["<s>", "yes"])
    assert got == pytest.approx(log10 * math.log(10), abs=1e-5)


def test_an_unseen_history_costs_nothing_to_back_off_from(tiny: Path) -> None:
    model = read_lm(tiny)
    assert model.log_prob("yes", ["no", "no"]) == model.log_prob("yes", ["no"])
    assert model.log_prob("yes", ["maybe"]) == model.log_prob("yes")


def test_a_sentence_ends(tiny: Path) -> None:
    assert read_lm(tiny).score_sentence(["yes"]) == pytest.approx(
        (-0.1549 - 0.0969) * math.log(10), abs=1e-5
    )


def test_a_piece_of_text_has_neither_beginning_nor_end(tiny: Path) -> None:
    model = read_lm(tiny)
    expected = model.log_prob("no") + model.log_prob("maybe", ["no"])
    assert model.score_sentence(["no", "maybe"], marks=False) == pytest.approx(expected)
    assert model.score_sentence([], marks=False) == 0


def test_perplexity_of_equally_likely_words_is_their_number() -> None:
    ids, zeros = np.arange(1, 9).reshape(-1, 1), np.zeros(8)
    words = ("<eps>", *"abcdefgh")
    model = NGramModel.from_ngrams(words, [(ids, np.full(8, -math.log(8)), zeros)])
    assert model.perplexity(["abba", "hag"]) == pytest.approx(8)
    with pytest.raises(OptionError, match="at least one word"):
        model.perplexity([[]])


def test_an_unknown_word_is_named_unless_there_is_unk(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="'perhaps' is not in the language model"):
        read_lm(tiny).score_sentence(["perhaps"])
    (tmp_path / "unk.arpa").write_text(ARPA.replace("maybe", "<UNK>"))
    model = read_lm(tmp_path / "unk.arpa")
    assert model.log_prob("perhaps") == model.log_prob("<UNK>") == pytest.approx(-math.log(10))


def test_commonest_words_are_words_not_marks(tiny: Path) -> None:
    assert read_lm(tiny).commonest(2) == ("yes", "no")
    assert read_lm(tiny).commonest(99) == ("yes", "no", "maybe")


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_scores_equal_the_naive_definition(tmp_path: Path, order: int) -> None:
    ngrams, path = random_file(tmp_path, order, order, n_words=4 if order > 3 else 7)
    model = read_arpa(path)
    rng = random.Random(order)
    words = [g[0] for g in ngrams if len(g) == 1]
    for _ in range(200):
        history = [rng.choice(words) for _ in range(rng.randrange(order + 2))]
        word = rng.choice(words)
        expected = naive.log_prob(ngrams, word, history[max(0, len(history) - order + 1) :])
        assert model.log_prob(word, history) == pytest.approx(expected, abs=2e-6)


def test_find_agrees_with_the_words(tmp_path: Path) -> None:
    ngrams, path = random_file(tmp_path, 5, 4, n_words=4)
    model = read_arpa(path)
    rows = list(naive.ngrams_of(model))
    for n in (2, 3, 4):
        mine = [g for g in rows if len(g) == n]
        below = [g for g in rows if len(g) == n - 1]
        ids = np.array([[model.ids[w] for w in g] for g in mine])
        assert model.find(ids).tolist() == list(range(len(mine)))
        expected = [below.index(g[1:]) if g[1:] in ngrams else -1 for g in mine]
        assert model.find(ids[:, 1:]).tolist() == expected
        assert -1 in expected or n == 2
    assert model.find(np.array([[0, 1], [1, 0]])).tolist() == [-1, -1]


def test_arguments_are_checked(tiny: Path) -> None:
    model = read_lm(tiny)
    with pytest.raises(OptionError, match="1 to 3"):
        model.find(np.ones((2, 4), int))
    with pytest.raises(OptionError, match="word ids must be 1 to 5"):
        model.log_probs(np.array([[6]]))
    with pytest.raises(OptionError, match="comes twice"):
        NGramModel.from_ngrams(("<eps>", "a"), [([[1], [1]], [-1, -1], [0, 0])])
    with pytest.raises(OptionError, match="one unigram"):
        NGramModel.from_ngrams(("<eps>", "a"), [(np.zeros((0, 1)), [], [])])


# The acceptor


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_walking_the_arcs_scores_every_sentence_exactly(tmp_path: Path, order: int) -> None:
    n_words = 4 if order > 3 else 7
    ngrams, path = random_file(tmp_path, 10 + order, order, n_words)
    model = read_arpa(path)
    arcs = model.arcs()
    for words in sentences(order, n_words):
        expected = naive.score_sentence(ngrams, words, order)
        assert model.score_sentence(words) == pytest.approx(expected, abs=1e-5)
        assert naive.walk(arcs, [model.ids[w] for w in words]) == pytest.approx(expected, abs=1e-5)


def test_a_weight_of_a_history_that_nothing_follows_is_paid_on_the_arc(tmp_path: Path) -> None:
    # "yes yes" has a back-off weight, but no trigram begins with it.
    (tmp_path / "a.arpa").write_text(ARPA)
    model = read_lm(tmp_path / "a.arpa")
    arcs = model.arcs()
    words = ["yes", "yes", "no", "maybe", "yes"]
    found = naive.walk(arcs, [model.ids[w] for w in words])
    assert found == pytest.approx(model.score_sentence(words), abs=1e-5)
    assert arcs.n_states == 4  # empty, <s>, yes, <s> yes


def test_arcs_are_in_order_and_carry_no_marks(tmp_path: Path) -> None:
    _, path = random_file(tmp_path, 3, 3)
    model = read_arpa(path)
    arcs = model.arcs()
    key = arcs.source.astype(int) * len(model.words) + arcs.word
    assert (np.diff(key) > 0).all()
    assert not np.isin(arcs.word, [0, model.ids["<s>"], model.ids["</s>"]]).any()
    assert arcs.backoff_source.tolist() == list(range(1, arcs.n_states))
    assert arcs.target.max() < arcs.n_states and arcs.target.min() >= 0
    assert arcs.final[0] == pytest.approx(model.log_prob("</s>"))


def test_a_model_without_marks_starts_empty_and_may_end_anywhere(tmp_path: Path) -> None:
    head = "\\data\\\nngram 1=2\nngram 2=1\n"
    body = "\\1-grams:\n-.3 a -.1\n-.3 b\n\\2-grams:\n-.2 a b\n\\end\\\n"
    (tmp_path / "plain.arpa").write_text(head + body)
    model = read_lm(tmp_path / "plain.arpa")
    arcs = model.arcs()
    assert arcs.start == 0 and (arcs.final == 0).all()
    assert naive.walk(arcs, [1, 2]) == pytest.approx(model.score_sentence(["a", "b"]))


# ARPA files


@pytest.mark.parametrize("name", ["out.arpa", "out.arpa.gz"])
def test_a_model_written_and_read_again_is_the_same(tmp_path: Path, name: str) -> None:
    _, path = random_file(tmp_path, 2, 3)
    model = read_arpa(path)
    write_arpa(model, tmp_path / name)
    again = read_lm(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") == name.endswith("gz")
    assert again.words == model.words and again.counts == model.counts
    for ours, theirs in zip(model.orders, again.orders, strict=True):
        assert (ours.parent == theirs.parent).all() and (ours.word == theirs.word).all()
        np.testing.assert_allclose(ours.log_prob, theirs.log_prob, atol=3e-6)
        np.testing.assert_allclose(ours.backoff, theirs.backoff, atol=3e-6)


def test_windows_line_ends_and_blank_lines_do_not_matter(tiny: Path, tmp_path: Path) -> None:
    text = ARPA.replace("\n-0.2218", "\n\n  \n-0.2218").replace("\n", "\r\n")
    (tmp_path / "windows.arpa").write_bytes(text.encode())
    assert read_lm(tmp_path / "windows.arpa").counts == read_lm(tiny).counts


def test_log_of_zero_is_finite(tiny: Path) -> None:
    tiny.write_text(ARPA.replace("-99\t<s>\t-0.30103", "-inf\t<s>\t-Inf"))
    unigrams = read_lm(tiny).orders[0]
    assert unigrams.log_prob[0] == unigrams.backoff[0] == pytest.approx(-99 * math.log(10))


def test_a_history_that_is_not_listed_keeps_every_probability(tmp_path: Path) -> None:
    ngrams, path = random_file(tmp_path, 4, 4, n_words=4)
    gone = next(g[:-1] for g in ngrams if len(g) == 4)
    cut = {g: v for g, v in ngrams.items() if g not in (gone, gone[:-1])}
    naive.write_arpa(cut, path)
    model = read_arpa(path)
    row = naive.ngrams_of(model)
    assert row[gone][1] == row[gone[:-1]][1] == 0
    for words in sentences(4, 4):
        expected = naive.score_sentence(cut, words, 4)
        assert model.score_sentence(words) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "\\date\\", "arpa: not an ARPA file: it has no line"),
        ("\n\\end\\", "", r"arpa:23: ends without a line \\end\\"),
        ("ngram 2=4", "ngram 2=5", r"arpa:14: 4 n-grams of order 2, but \\data\\ says 5"),
        ("ngram 2=4", "ngram 4=4", "arpa:4: 'ngram 2=count' must come here, not 'ngram 4=4'"),
        ("ngram 1=5\nngram 2=4\nngram 3=1\n", "", r"arpa:2: \\data\\ counts no unigrams"),
        ("\\2-grams:", "\\bigrams:", r"arpa:14: section \\2-grams: must come here"),
        ("ngram 3=1\n", "", r"arpa:19: section \\end\\ must come here, not '\\\\3-grams:'"),
        ("-1.0 maybe", "0.1 maybe", "arpa:12: log probability 0.1 is above 0"),
        ("-1.0 maybe", "-l.0 maybe", "arpa:12: log probability '-l.0' is no number"),
        ("-1.0 maybe", "nan maybe", "arpa:12: log probability 'nan' is no number"),
        ("-1.0 maybe", "-1.0 yes", "arpa:12: word 'yes' comes twice"),
        ("-1.0 maybe", "-1.0 <eps>", "arpa:12: word '<eps>' comes twice, or is reserved"),
        ("-1.0 maybe", "-1.0", "arpa:12: an n-gram of order 1 takes .* not 1 fields"),
        ("yes\t-0.2", "yes\tlow", "arpa:10: back-off weight 'low' is no number"),
        ("yes\t-0.2", "yes\tinf", "arpa:10: an infinite back-off weight"),
        ("<s> no", "<s> nope", "arpa:16: word 'nope' is no unigram"),
        ("yes yes\t0.05", "yes yes 0.05 7", "arpa:18: an n-gram of order 2 .* not 5 fields"),
        ("yes yes\t0.05", "<s> no", "arpa:18: this n-gram stands in line 16 already"),
    ],
)
def test_a_broken_arpa_file_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in ARPA
    path = tmp_path / "broken.arpa"
    path.write_text(ARPA.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_lm(path)


def test_lines_are_counted_across_the_pieces_a_file_is_read_in(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("factored_asr.language.arpa.CHUNK", 8)
    assert read_lm(tiny).counts == (5, 4, 1)
    tiny.write_text(ARPA.replace("yes yes\t0.05", "yes yess"))
    with pytest.raises(FormatError, match="arpa:18: word 'yess' is no unigram"):
        read_lm(tiny)


def test_files_that_are_no_language_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere"):
        read_lm(tmp_path / "nowhere")
    path = tmp_path / "lm"
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="not an ARPA file"):
        read_lm(path)
    path.write_bytes(b"RIFF" + bytes(range(256)))
    with pytest.raises(FormatError, match="not an ARPA file"):
        read_lm(path)
    path.write_bytes(gzip.compress(ARPA.encode())[:-20])
    with pytest.raises(FormatError, match="gzip data that is broken"):
        read_lm(path)
    path.write_bytes(ARPA.replace("maybe", "vielleicht\u00e9").encode("latin-1"))
    with pytest.raises(FormatError, match="lm:12: .* is not UTF-8"):
        read_lm(path)


# Sphinx tries


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_trie_of_any_order_is_read(tmp_path: Path, order: int) -> None:
    ngrams = naive.closed_under_suffixes(naive.random_ngrams(order, 6, order, share=0.5))
    naive.write_sphinx_trie(ngrams, tmp_path / "lm.bin")
    found = naive.ngrams_of(read_lm(tmp_path / "lm.bin"))
    assert found.keys() == ngrams.keys()
    for g, (log_prob, backoff) in ngrams.items():
        assert found[g] == pytest.approx((log_prob, backoff if len(g) < order else 0), abs=1e-5)


def test_en_us_has_the_counts_it_is_known_for(en_us: NGramModel) -> None:
    # The header says 2,051,547 bigrams; the last pointer, that six of them were never written.
    assert en_us.counts == (72547, 2051541, 1669625)
    assert en_us.words[:3] == ("<eps>", "'bout", "'cause")
    total = np.exp(en_us.orders[0].log_prob.astype(float)).sum()
    assert total == pytest.approx(1, abs=1e-5)
    assert en_us.score_sentence("turn on the light".split()) > en_us.score_sentence(
        "turn honda light".split()
    )


def test_en_us_equals_pocketsphinx(en_us: NGramModel, en_us_folder: Path) -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    unit = math.log(1.0001)  # pocketsphinx answers in whole multiples of this
    oracle = pocketsphinx.NGramModel(
        pocketsphinx.Config(), pocketsphinx.LogMath(1.0001), str(en_us_folder / "en-us.lm.bin")
    )
    rng = np.random.default_rng(1)
    ngrams = rng.integers(1, len(en_us.words), (1000, 3))
    for k in range(700):  # most of them from the model, or random triples would all be unigrams
        n = 2 + k % 2
        at, row = en_us.orders[n - 1], int(rng.integers(en_us.counts[n - 1]))
        ngrams[k, 2], row = at.word[row], int(at.parent[row])
        if n == 3:
            at = en_us.orders[1]
            ngrams[k, 1], row = at.word[row], int(at.parent[row])
        ngrams[k, 3 - n] = row + 1
        if k % 5 == 0:
            ngrams[k, 2] = rng.integers(1, len(en_us.words))  # history known, word unseen after it
    expected = [oracle.prob([en_us.words[i] for i in row[::-1]]) * unit for row in ngrams]
    np.testing.assert_allclose(en_us.log_probs(ngrams), expected, atol=4 * unit)
    assert (np.abs(en_us.log_probs(ngrams) - en_us.log_probs(ngrams[:, 2:])) > 0.1).mean() > 0.6


def test_en_us_as_arcs_scores_sentences(en_us: NGramModel) -> None:
    arcs = en_us.arcs()
    for text in ("", "turn on the light", "the cat sat on the zucchini of new york", "zurich a a"):
        ids = [en_us.ids[w] for w in text.split()]
        assert naive_walk_large(arcs, ids) == pytest.approx(
            en_us.score_sentence(text.split()), abs=1e-4
        )


def naive_walk_large(arcs, ids: list[int]) -> float:
    """As naive.walk, for a model too large for dictionaries: arcs are sorted by source and word."""
    state, total = arcs.start, 0.0
    for word in ids:
        while True:
            low, high = np.searchsorted(arcs.source, [state, state + 1])
            at = low + np.searchsorted(arcs.word[low:high], word)
            if at < high and arcs.word[at] == word:
                break
            total, state = total + arcs.log_backoff[state - 1], arcs.backoff_target[state - 1]
        total, state = total + arcs.log_prob[at], arcs.target[at]
    while arcs.final[state] == -np.inf:
        total, state = total + arcs.log_backoff[state - 1], arcs.backoff_target[state - 1]
    return total + arcs.final[state]


def test_the_phone_trigram_of_the_same_wheel_is_read(en_us_folder: Path) -> None:
    model = read_sphinx_lm(en_us_folder / "en-us-phone.lm.bin")
    assert model.counts == (43, 1509, 21837)
    assert {"AA", "ZH", "SIL"} <= set(model.words)


def test_a_broken_trie_is_refused_before_it_is_looked_into(
    en_us_folder: Path, tmp_path: Path
) -> None:
    whole = (en_us_folder / "en-us-phone.lm.bin").read_bytes()
    path = tmp_path / "lm.bin"

    def refused(data: bytes, message: str) -> None:
        path.write_bytes(data)
        with pytest.raises(FormatError, match=message):
            read_sphinx_lm(path)

    refused(b"Trie Language", "not a Sphinx trie")
    refused(whole[:19], "order of 1 bytes cannot be in the 0 bytes left")
    refused(whole[:19] + b"\x63" + whole[20:], "order 99")
    refused(whole[:24], "counts of 12 bytes cannot be in the 4 bytes left")
    lies = whole[:20] + b"\xff\xff\xff\xff" + whole[24:]
    refused(lies, "tables of .4294967295, .* cannot be in")
    refused(whole[:-1], "words take 120 bytes, 119 are left")
    refused(whole + b"\0", "words take 120 bytes, 121 are left")
    refused(whole[:-1] + b"x", "ended by a zero byte")
    refused(whole[:-3] + b"AE\0", "empty or comes twice")
    pointer = 32 + 4 + 3 * 4 * 65536 + 12 * 10 + 8
    refused(whole[:pointer] + b"\xff\0\0\0" + whole[pointer + 4 :], "pointers into order 2")


# KenLM


@pytest.mark.parametrize("order", [2, 3, 4])
def test_kenlm_gives_the_same_scores(tmp_path: Path, order: int) -> None:
    pytest.importorskip("kenlm")
    # KenLM is stricter than our reader: about white space, and about missing suffixes.
    path = tmp_path / "closed.arpa"
    naive.write_arpa(naive.random_ngrams(order, 5, order, closed=True), path)
    model = read_arpa(path)
    write_arpa(model, path)
    scorer = KenLMScorer(path)
    assert scorer.order == order
    for words in sentences(order, 5):
        assert scorer.score_sentence(words) == pytest.approx(model.score_sentence(words), abs=1e-4)
        total, state = 0.0, scorer.start()
        for word in words:
            state, log_prob = scorer.score_word(state, word)
            total += log_prob
        assert total + scorer.finish(state) == pytest.approx(model.score_sentence(words), abs=1e-4)


def test_kenlm_states_are_values(tiny: Path) -> None:
    pytest.importorskip("kenlm")
    write_arpa(read_arpa(tiny), tiny)
    scorer = KenLMScorer(tiny)
    start = scorer.start()
    once, twice = scorer.score_word(start, "maybe")[0], scorer.score_word(start, "maybe")[0]
    assert once == twice and start == scorer.start() and once != start
    assert scorer.start(marks=False) != start
    assert "yes" in scorer and "perhaps" not in scorer


def test_kenlm_in_capitals_knows_words_in_lower_case(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    model = read_arpa(tiny)
    words = tuple(w if w.startswith("<") else w.upper() for w in model.words)
    write_arpa(replace(model, words=words), tmp_path / "capitals.arpa")
    write_arpa(model, tiny)
    small = KenLMScorer(tiny)
    scorer = KenLMScorer(tmp_path / "capitals.arpa")
    assert "yes" in scorer and "YES" in scorer and "perhaps" not in scorer
    for text in (["yes", "maybe"], ["perhaps", "yes"], []):
        assert scorer.score_sentence(text) == pytest.approx(small.score_sentence(text))
    assert "YES" in small and "Yes" in small  # whose words are in lower case
    named = tuple(w if w.startswith("<") else w.capitalize() for w in model.words)
    write_arpa(replace(model, words=named), tmp_path / "names.arpa")
    assert all(word in KenLMScorer(tmp_path / "names.arpa") for word in ("yes", "YES", "Yes"))
    for word in ("yes", "perhaps", "</s>"):
        after, log_prob = scorer.score_word(scorer.start(), word)
        assert log_prob == pytest.approx(small.score_word(small.start(), word)[1])


def test_kenlms_own_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.binary").write_bytes(KENLM_MAGIC + bytes(100))
    with pytest.raises(FormatError, match="a binary model of KenLM, .* give the ARPA file"):
        read_lm(tmp_path / "a.binary")


def test_a_word_too_many_in_the_highest_order(tiny: Path, tmp_path: Path) -> None:
    lines = tiny.read_text().split("\n")
    at = max(i for i, line in enumerate(lines) if line and line[0] in "-0123456789")
    fields = lines[at].split()
    for more, law in (("0.5", ""), ("word", r"back-off weight 'word' is no number")):
        text = "\n".join([*lines[:at], " ".join([*fields[: order_of(lines) + 1], more]),
                          *lines[at + 1 :]])
        (tmp_path / "a.arpa").write_text(text)
        if not law:
            assert read_arpa(tmp_path / "a.arpa")
            continue
        with pytest.raises(FormatError, match=rf"a\.arpa:{at + 1}: {law}"):
            read_arpa(tmp_path / "a.arpa")


def order_of(lines: list[str]) -> int:
    return sum(line.startswith("ngram ") for line in lines)


def test_kenlm_cannot_open_what_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("kenlm")
    with pytest.raises(MissingError, match="no such language model"):
        KenLMScorer(tmp_path / "nowhere.arpa")
    (tmp_path / "bad.arpa").write_text("hello")
    with pytest.raises(FormatError, match="KenLM cannot read this"):
        KenLMScorer(tmp_path / "bad.arpa")


@pytest.mark.parametrize("count", ["-7", "1e3", "99999999"])
@pytest.mark.parametrize("opened", [open, gzip.open], ids=["plain", "gzip"])
def test_counts_that_would_end_kenlm_are_refused(
    tmp_path: Path, count: str, opened: Callable[..., Any]
) -> None:
    pytest.importorskip("kenlm")
    with opened(tmp_path / "a.arpa", "wb") as file:
        file.write(f"\\data\\\nngram 1={count}\n\n\\1-grams:\n-1\t<s>\n\n\\end\\\n".encode())
    with pytest.raises(FormatError, match=f"'ngram 1={count}' is no count"):
        KenLMScorer(tmp_path / "a.arpa")
