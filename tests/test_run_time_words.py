"""Words and hotwords of a recogniser that change at run time, on every route."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ctc_home import DOUBTFUL, written_home
from support.tones import RATE, say, speak

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.explain import ExplainOptions
from factored_asr.graph import Graph
from factored_asr.language import ExtendedScorer, HotwordScorer, NGramScorer, checked_hotwords
from factored_asr.lattice import HotwordPass, Lattice, best_path, nbest
from factored_asr.models.recipe import Recipe

NEW = speak(["", "C", "E", "D", "", "A", "C", ""])
"""A word that the model lacks, and "ace"."""
CED = {"ced": ["C E D"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with written_home(tmp_path_factory.mktemp("ctc")) as folder:
        yield folder


@pytest.fixture(scope="module")
def commands(home: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load(home / "model", grammar=home / "grammar.yaml")


@pytest.fixture(scope="module")
def dictation(home: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load(home / "model")


def text(recognizer: Recognizer, sound: np.ndarray = NEW, **more: object) -> str:
    return recognizer.transcribe(sound, sample_rate=RATE, **more).text


def test_a_word_is_recognised_on_every_route(dictation, home, tmp_path, capsys):
    assert "ced" not in text(dictation)
    taught = dictation.with_words(CED)
    whole = taught.transcribe(NEW, sample_rate=RATE)
    assert whole.text == "ced ace" and text(dictation, words=CED) == "ced ace"
    word = whole.words[0]
    assert word.phones == ("C", "E", "D") and word.confidence > 0.5
    assert word.start == pytest.approx(0.2, abs=0.05) and word.end == pytest.approx(0.8, abs=0.05)
    assert "ced ace" in [each.text for each in whole.nbest(5)]
    assert "ced" not in text(dictation) and "ced" not in dictation.graph.words  # as it was
    assert taught.model is dictation.model and taught.graph.base is dictation.graph
    for stream in (taught.stream(), dictation.stream(words=CED)):
        for piece in np.array_split(NEW, 7):
            stream.accept(piece)
        assert stream.finish().text == "ced ace"
    aligned = taught.align(NEW, "ced ace", sample_rate=RATE)
    assert aligned.words[0].word.start == pytest.approx(word.start, abs=0.05)
    soundfile.write(tmp_path / "new.wav", NEW, RATE)
    (tmp_path / "my.dict").write_text("ced C E D\n")
    arguments = ["--model", str(home / "model"), "--words", str(tmp_path / "my.dict"), "--quiet"]
    for more in ([], ["--live"]):
        assert main(["transcribe", *arguments, *more, str(tmp_path / "new.wav")]) == 0
        assert capsys.readouterr().out.split() == ["ced", "ace"]
    loaded = Recognizer.load(home / "model", words=CED)
    assert text(loaded) == text(pickle.loads(pickle.dumps(loaded))) == "ced ace"


def test_words_are_removed_as_easily(dictation):
    sound = say("bad ace", gap=0.06)
    taught = dictation.with_words(CED)
    assert text(taught.without_words("ced")) == text(dictation)
    assert text(dictation, sound) == "bad ace"
    without = taught.without_words("bad", "ced")
    assert "bad" not in text(without, sound) and text(dictation, sound) == "bad ace"
    assert text(without.with_words({"ced": "C E D"})) == "ced ace"
    assert text(without.with_words({"bad": "B A D"}), sound) == "bad ace"
    with pytest.raises(OptionError, match="'ced' is not among the words"):
        dictation.without_words("ced")


def test_a_word_takes_the_place_of_another_in_the_language_model(dictation):
    model = dictation.recipe.first_language()
    plain = NGramScorer(model)
    scorer = ExtendedScorer(plain, {"ced": ("bad", 0.0), "dec": (None, -3.0)})
    state = scorer.start()
    assert scorer.score_word(state, "ced") == plain.score_word(state, "bad")
    after, log_prob = scorer.score_word(state, "dec")
    assert after == () and log_prob == pytest.approx(plain.forget(state)[1] - 3.0)
    first = model.orders[0]
    row = int(np.flatnonzero(first.word == model.ids["bad"])[0])
    like = dictation.with_words(CED, like="bad")
    expected = pytest.approx(float(first.log_prob[row] + first.backoff[row]), abs=1e-5)
    assert like.with_added(plain).score_word((), "ced") == ((), expected)
    median = pytest.approx(float(np.median(first.log_prob)), abs=1e-5)
    assert dictation.with_words(CED).with_added(plain).score_word((), "ced") == ((), median)
    assert dictation.with_added(plain) is plain


def test_an_added_word_is_explained(dictation):
    taught = dictation.with_words(CED)
    explained = taught.explain(NEW, sample_rate=RATE, options=ExplainOptions(without=("language",)))
    assert [each.word for each in explained.words] == ["ced", "ace"]
    assert explained.costs.total == pytest.approx(explained.cost, abs=1e-3)
    language = explained.words[0].part.costs.language
    scorer = NGramScorer(taught.recipe.first_language())
    assert language == pytest.approx(
        -taught.with_added(scorer).score_word(scorer.start(), "ced")[1], abs=1e-3)
    assert abs(explained.words[0].part.costs.remainder) < 3.0
    assert explained.ablations[0].text


@pytest.mark.parametrize("wrong, error, says", [
    ({"ced": ["C X D"]}, MissingError, "phone 'X' of word 'ced'"),
    ({"ced": [""]}, FormatError, "word 'ced' has no phones"),
    ({"ced": []}, FormatError, "word 'ced' has no phones"),
    ({"two words": "A"}, OptionError, "must be one word, got 'two words'"),
    ({"": "A"}, OptionError, "must be one word, got ''"),
    ({f"w{i}": "A" for i in range(100_001)}, OptionError, "100,001 words: at most 100,000"),
])  # fmt: skip
def test_wrong_words_are_named(dictation, wrong, error, says):
    before = text(dictation)
    with pytest.raises(error, match=says):
        dictation.with_words(wrong)
    assert text(dictation) == before


def test_words_need_a_place(dictation, commands):
    with pytest.raises(MissingError, match="cannot be like 'nothing'"):
        dictation.with_words(CED, like="nothing")
    with pytest.raises(OptionError, match="like names 'bad', which is not among"):
        dictation.with_words(CED, like={"bad": "ace"})
    with pytest.raises(OptionError, match="a grammar has only its own words"):
        commands.with_words(CED)
    bare = Recognizer(dictation.model, dictation.graph)
    with pytest.raises(MissingError, match="it was made from a graph"):
        bare.with_words(CED)


# --- hotwords -----------------------------------------------------------------


def naive_bonus(phrases: dict[tuple[str, ...], float], words: tuple[str, ...]) -> float:
    """Look for each phrase at each place."""
    return sum(bonus for phrase, bonus in phrases.items() for at in range(len(words))
               if words[at : at + len(phrase)] == phrase)


WORDS = st.sampled_from("abc")
PHRASES = st.dictionaries(
    st.lists(WORDS, min_size=1, max_size=3).map(tuple), st.sampled_from([0.5, 1.0, 2.25, -1.0]),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PHRASES, st.lists(WORDS, max_size=8).map(tuple))
def test_the_automaton_finds_every_occurrence(phrases, words):
    assert sum(HotwordScorer(phrases).bonuses(words)) == pytest.approx(naive_bonus(phrases, words))


@settings(max_examples=60, deadline=None)
@given(PHRASES, st.integers(0, 10_000))
def test_lattices_are_exact(phrases, seed):
    """Every path costs its own cost less the bonuses of its words."""
    random = np.random.default_rng(seed)
    n = 4
    rows = [(i, j, w) for i in range(n) for j in range(i + 1, min(i + 3, n + 1)) for w in (1, 2, 3)]
    rows = [row for row in rows if random.random() < 0.8] + [(i, i + 1, 0) for i in range(n)]
    source, target, word = np.array(sorted(rows)).T
    table = ("<eps>", "a", "b", "c")
    graph, scorer = random.integers(0, 8, len(source)) / 4, HotwordScorer(phrases)
    shares = np.array([scorer.shares.get(name, 0.0) for name in table])
    final = np.where(np.arange(n + 1) == n, 0.0, np.inf)
    plain = Lattice(
        n, node_frame=np.arange(n + 1), final=final, arc_source=source, arc_target=target,
        arc_word=word, arc_pronunciation=np.zeros(len(source), int), words=table,
        arc_acoustic=np.zeros(len(source)), arc_graph=graph - shares[word],
        arc_lm=np.zeros(len(source)),
    )  # fmt: skip
    found = best_path(plain)
    searched = Lattice(**{**vars(plain), "path": _searched(found)})
    exact = HotwordPass(scorer)(searched)
    costs: dict[tuple[str, ...], float] = {}
    for path in _paths(source, target, n):
        words = tuple(table[word[a]] for a in path if word[a])
        cost = graph[list(path)].sum() - naive_bonus(phrases, words)
        costs[words] = min(costs.get(words, math.inf), cost)
    if found.words:
        assert best_path(exact).cost == pytest.approx(min(costs.values()))
        listed = {each.words: each.cost for each in nbest(exact, len(costs))}
        assert listed == pytest.approx(costs)
        assert exact.best().cost == pytest.approx(
            costs[exact.best().words] + naive_bonus(phrases, exact.best().words))


def _searched(found):
    from factored_asr.lattice.path import Path as SearchPath

    return SearchPath(found.cost, found.word_ids, found.words, np.zeros(4, np.int32),
                      np.zeros(1, np.int64), True)


def _paths(source, target, n):
    """All paths from node 0 to node n."""
    waiting = [((), 0)]
    while waiting:
        path, node = waiting.pop()
        if node == n:
            yield path
        waiting += [((*path, a), target[a]) for a in np.flatnonzero(source == node)]


def test_hotwords_on_every_route(commands, dictation, tmp_path, home, capsys):
    soundfile.write(tmp_path / "a.wav", DOUBTFUL, RATE)
    grammar = ["--grammar", str(home / "grammar.yaml")]
    for recognizer, more, was, wanted in ((commands, grammar, "dad", "bad"),
                                          (dictation, [], "bad", "dad")):
        assert text(recognizer, DOUBTFUL) == f"{was} ace"
        for hotwords in ({wanted: 8.0}, {f"{wanted} ace": 8.0}, {was: -8.0}):
            keen = recognizer.with_hotwords(hotwords)
            assert text(keen, DOUBTFUL) == f"{wanted} ace", hotwords
            assert text(recognizer, DOUBTFUL, hotwords=hotwords) == f"{wanted} ace"
            stream = recognizer.stream(hotwords=hotwords)
            for piece in np.array_split(DOUBTFUL, 5):
                stream.accept(piece)
            assert stream.finish().text == f"{wanted} ace"
        broken_off = {f"{wanted} bee": 8.0}
        assert text(recognizer, DOUBTFUL, hotwords=broken_off) == f"{was} ace"
        assert text(keen.with_hotwords({}), DOUBTFUL) == f"{was} ace"
        arguments = ["transcribe", "--model", str(home / "model"), *more, "--quiet"]
        assert main([*arguments, "--hotword", f"{wanted} ace=8", str(tmp_path / "a.wav")]) == 0
        assert capsys.readouterr().out.split() == [wanted, "ace"]
    said = commands.transcribe(DOUBTFUL, sample_rate=RATE, hotwords={"bad ace": 6.0})
    assert said.interpretation.text == "bad ace"


def test_a_bonus_does_not_accept_other_speech(commands):
    other = speak(["", *"ECBEACB", ""])
    for hotwords in ({"bee": 20.0}, {"bee bee": 20.0}, {"ace bad": 20.0}):
        assert text(commands, other, hotwords=hotwords) == ""


def test_hotwords_are_explained(commands, dictation):
    for recognizer in (commands, dictation):
        for hotwords, bonuses in (({"bad ace": 6.0}, [0.0, -6.0]), ({"bad": 6.0}, [-6.0, 0.0])):
            keen = recognizer.with_hotwords(hotwords)
            explained = keen.explain(
                DOUBTFUL, sample_rate=RATE, options=ExplainOptions(without=()))
            assert [each.word for each in explained.words] == ["bad", "ace"]
            assert [each.part.costs.hotword for each in explained.words] == bonuses
            assert explained.costs.total == pytest.approx(explained.cost, abs=1e-3)
            first = explained.words[0]
            assert first.competitor is None or first.competitor.difference.hotword == -6.0
            assert "hotword" in str(explained) and json.loads(explained.to_json())["factors"]


@pytest.mark.parametrize("wrong, says", [
    ({" ": 1.0}, "at least one word, got ' '"),
    ({"bad": math.nan}, "bonus of hotword 'bad' must be a number"),
    ({"bad": math.inf}, "got inf"), ({"bad": 1e6}, "from -100 to 100"), ({"bad": "x"}, "got 'x'"),
])  # fmt: skip
def test_wrong_hotwords_are_named(dictation, wrong, says):
    with pytest.raises(OptionError, match=says):
        dictation.with_hotwords(wrong)


def test_a_hotword_without_a_bonus_gets_one_by_its_probability(dictation, commands, home):
    first = dictation.recipe.first_language().orders[0]
    bad = float(first.log_prob[first.word == dictation.recipe.first_language().ids["bad"]][0])
    assert bad > -6.0  # of a small language model no word is rare
    likely = dictation.with_words(CED).with_hotwords({"bad": None, "ced bad": None})
    assert dict(likely.recipe.vocabulary.hotwords) == {
        ("bad",): 0.0, ("ced", "bad"): pytest.approx(-6.0 - math.log(2e-4))}
    loaded = Recognizer.load(home / "model", grammar=home / "grammar.yaml", hotwords={"bad": None})
    assert dict(loaded.recipe.vocabulary.hotwords) == {("bad",): 3.0}


def test_hotwords_must_be_known(dictation, home, tmp_path, capsys):
    with pytest.raises(MissingError, match="hotword 'ced' is not among the words"):
        dictation.with_hotwords({"bad ced": 1.0})
    both = text(dictation, words=CED, hotwords={"ced ace": 1.0})
    assert both == "ced ace"
    arguments = ["transcribe", "--model", str(home / "model"), str(tmp_path / "a.wav")]
    with pytest.raises(SystemExit):
        main([*arguments, "--hotword", "bad=x"])
    assert "must be a phrase, or a phrase and a number" in capsys.readouterr().err
    assert checked_hotwords({}) == ()


def test_phrases_of_all_words_share_their_bonus():
    shares = HotwordScorer({("a", "b"): 3.0, ("a",): 1.0, ("b", "c", "a"): 6.0}).shares
    assert shares == {"a": 3.0, "b": 2.0, "c": 2.0}
    assert not HotwordScorer({("a",): 1.0}).has_phrases
    assert list(itertools.chain(HotwordScorer({("a", "b"): -3.0}).shares.values())) == [0.0, 0.0]


def test_a_graph_is_used_on_another_machine(home, tmp_path, capsys, monkeypatch):
    model, folder = str(home / "model"), str(tmp_path / "exported")
    assert main(["compile", "--model", model, "--quiet", "-o", folder]) == 0
    monkeypatch.setattr(Recipe, "compile", None)  # nothing is compiled
    monkeypatch.setattr("factored_asr.models.recipe.cached_graph", None)
    soundfile.write(tmp_path / "a.wav", say("bad ace", gap=0.06), RATE)
    arguments = ["transcribe", "--model", model, "--graph", folder, "--quiet"]
    capsys.readouterr()
    assert main([*arguments, str(tmp_path / "a.wav")]) == 0
    assert capsys.readouterr().out.split() == ["bad", "ace"]
    there = Recognizer.load(model, graph=folder)
    assert there.graph.n_arcs == Graph.read(folder).n_arcs
    assert text(there, words=CED) == "ced ace"
    with pytest.raises(FormatError, match="was not compiled from the files and options of"):
        Recognizer.load(model, graph=folder, words=CED, lm=home / "lm.arpa")
    with pytest.raises(MissingError, match="no such graph folder"):
        Recognizer.load(model, graph=tmp_path / "nowhere")
