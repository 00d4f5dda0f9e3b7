"""Classes of n-gram models and commands in dictation: costs as by a full compilation."""

from __future__ import annotations

import itertools
import json
import pickle
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import soundfile
from naive_graph import costs_of
from support.ctc_home import ARPA, written_home
from support.routes import check_routes, check_server
from support.tones import RATE, speak
from support.topologies import RANDOM_KINDS, Model, random_topology

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph import GraphOptions, build_graph, make_units
from factored_asr.graph.added import extended
from factored_asr.graph.commands import command_graphs, pause_loops
from factored_asr.graph.grammar_scorer import GrammarScorer
from factored_asr.graph.graph import WORDS
from factored_asr.language import Grammar, GrammarWarning, NGramModel, NGramScorer
from factored_asr.language.classes import ClassScorer, PhraseScorer, classes_of
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.lexicon.g2p import GuessWarning
from factored_asr.understanding import Understander
from factored_asr.understanding.spotted import Spotted, Spotter

WAYS = {"x": ["A B", "A"], "y": ["B", "B A"], "z": ["A A", "B"], "go": ["A"]}
LEXICON = Lexicon({
    word: tuple(Pronunciation(tuple(phones.split()), 1 / len(ways)) for phones in ways)
    for word, ways in WAYS.items()
})  # fmt: skip
OPTIONS = GraphOptions(silence_probability=0.25, filler_probability=0, word_penalty=0.5)
LISTS = {"{one}": {("x",): 0.3, ("y", "x"): 1.2}, "{two}": {("z",): 0.1}}


def random_ngrams(random: Random) -> NGramModel:
    """Bigrams of words and two classes, which may follow each other."""
    words = ("<eps>", "<s>", "</s>", "x", "y", "go", "{one}", "{two}")
    rng = np.random.default_rng(random.randint(0, 99))
    log_probs, backoffs = np.log(rng.uniform(0.1, 0.9, (2, len(words) - 1)))
    backoffs[1] = 0.0
    unigrams = np.arange(1, len(words))[:, None], log_probs, backoffs
    pairs = sorted(random.sample([(a, b) for a in (1, 3, 4, 5, 6, 7) for b in range(2, 8)], 9))
    bigrams = np.array(pairs), np.log(rng.uniform(0.2, 0.9, len(pairs))), np.zeros(len(pairs))
    return NGramModel.from_ngrams(words, [unigrams, bigrams])


def cheapest(
    model: NGramModel, lists: dict[str, dict[tuple[str, ...], float]], words: tuple[str, ...],
    anywhere: dict[tuple[str, ...], float],
) -> float:
    """Cost of a word string by the model, in the cheapest way to read it: a naive twin."""
    table = model.arcs()
    best = float("inf")

    def walk(state: int, at: int, cost: float) -> None:
        nonlocal best
        if at == len(words):
            best = min(best, cost - float(table.final[state]))
        for a in np.flatnonzero(table.source == state):
            token = model.words[table.word[a]]
            price, after = cost - float(table.log_prob[a]), int(table.target[a])
            for phrase, more in lists.get(token, {(token,): 0.0}).items():
                if words[at : at + len(phrase)] == phrase:
                    walk(after, at + len(phrase), price + more)
        for row in np.flatnonzero(table.backoff_source == state):
            walk(int(table.backoff_target[row]), at, cost - float(table.log_backoff[row]))
        for phrase, more in anywhere.items() if state == 0 else ():
            if words[at : at + len(phrase)] == phrase:
                walk(state, at + len(phrase), cost + more)

    walk(table.start, 0, 0.0)
    return best


def strings(n: int) -> list[tuple[str, ...]]:
    return [words for k in range(n + 1) for words in itertools.product(("x", "y", "z", "go"),
                                                                       repeat=k)]


def sentences_json(sentences: dict[tuple[str, ...], float]) -> str:
    """A grammar of these sentences at these costs."""
    return json.dumps({"intents": {"Say": {"data": [{"sentences": [
        {"sentence": " ".join(words), "count": float(np.exp(-cost))}
        for words, cost in sentences.items()
    ]}]}}})


@pytest.mark.parametrize("kind", RANDOM_KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_classes_cost_what_their_compiled_phrases_do(kind: str, seed: int) -> None:
    """Against a grammar of all short word strings, each at the cheapest cost by the model."""
    random = Random(seed)
    model = Model(random_topology(np.random.default_rng(seed), **RANDOM_KINDS[kind]))
    language, phones = random_ngrams(random), model.topology.phones
    base = build_graph(model, LEXICON, language, OPTIONS)
    assert base.joint_names == (WORDS, "{one}", "{two}") and not base.omitted
    commands = command_graphs(Grammar.from_text("#JSGF V1.0; grammar g; public <s> = x z | y;"),
                              LEXICON, model, OPTIONS, ("go",))
    units, loops = make_units(model), pause_loops(model, OPTIONS)
    parts = list(commands.parts({}, LEXICON, phones, units, OPTIONS, loops, 0.7))
    graph = extended(base, units, phones, LEXICON, LISTS, {}, word_cost=OPTIONS.word_penalty,
                     loops=loops, parts={WORDS: parts})
    anywhere = dict.fromkeys([("go", "x", "z"), ("go", "y")], 0.7 + np.log(2))
    costs = {words: cheapest(language, LISTS, words, anywhere) for words in strings(3)}
    least = min(costs.values())
    grammar = Grammar.from_text(sentences_json(
        {words: cost - least for words, cost in costs.items() if words and cost < np.inf}))
    whole = build_graph(model, LEXICON, grammar, replace(OPTIONS, denials=False))
    n_frames = 4
    expected, found = costs_of(whole, n_frames), costs_of(graph, n_frames)
    found = {key: cost for key, cost in found.items() if 0 < len(key[1]) <= 3}
    expected = {key: cost for key, cost in expected.items() if key[1]}
    assert set(found) == set(expected) and len(expected) > 10
    shift = {found[key] - expected[key] for key in expected}
    assert max(shift) - min(shift) < 2e-3
    assert not any("z" in words for _, words in costs_of(base, 3))


@pytest.mark.parametrize("seed", range(3))
def test_the_scorer_takes_the_cheapest_reading(seed: int) -> None:
    model = random_ngrams(Random(seed))
    scorer = NGramScorer(model)
    anywhere = {("go", "x"): 0.4, ("x",): 2.0}
    named = ClassScorer(scorer, {name: PhraseScorer(forms) for name, forms in LISTS.items()},
                        [PhraseScorer(anywhere)])

    def best(state: tuple, words: tuple[str, ...]) -> float:
        """All readings, one after the other."""
        if not words:
            return -scorer.finish(state)
        found = [float("inf")]
        for token, forms in {**LISTS, words[0]: {words[:1]: 0.0}, "": anywhere}.items():
            if token == "z":
                continue  # a word of a list alone
            after, log_prob = scorer.score_word(state, token) if token else scorer.forget(state)
            found += [best(after, words[len(phrase) :]) + cost - log_prob
                      for phrase, cost in forms.items() if words[: len(phrase)] == phrase]
        return min(found)

    for words in strings(3):
        state, total = named.start(), 0.0
        for word in words:
            state, log_prob = named.score_word(state, word)
            total -= log_prob
        expected = best(scorer.start(), words)
        assert total - named.finish(state) == pytest.approx(expected, abs=1e-4), words
    assert classes_of(model.words) == ("{one}", "{two}")


# --- a recogniser ---------------------------------------------------------------

CLASS_ARPA = ARPA.replace("ngram 1=8", "ngram 1=9").replace("ngram 2=4", "ngram 2=5").replace(
    "-0.9 deed -0.3", "-0.9 deed -0.3\n-0.9 {who} -0.3").replace(
    "-0.3 bad a\n", "-0.3 bad a\n-0.2 bad {who}\n")
GRAMMAR = """
intents:
  Call: {data: [{sentences: ["bad {who}", "ace bee"]}]}
lists:
  who: {replaceable: true, values: [{in: cad, out: 3}]}
"""
WHO = {"who": {"Dad a Bee": "d-17", "deed": "d-18"}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with written_home(tmp_path_factory.mktemp("classes")) as folder:
        (folder / "class.arpa").write_text(CLASS_ARPA)
        (folder / "call.yaml").write_text(GRAMMAR)
        (folder / "words.dict").write_text("cad C A D\n")
        yield folder


@pytest.fixture(scope="module")
def dictation(home: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load(home / "model", words=home / "words.dict")


def said(*words: str) -> np.ndarray:
    return speak(["", *(letter for word in words for letter in (*word, "")), ""])


def test_a_class_of_a_language_model_gets_entries(home, tmp_path, capsys):
    recognizer = Recognizer.load(home / "model", lm=home / "class.arpa")
    assert recognizer.graph.lists == ("{who}",) and not recognizer.graph.omitted
    spoken = {"who": ["dab", "cab deed"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuessWarning)
        taught = recognizer.with_lists(spoken)
    sound = said("BAD", "".join(taught.recipe.vocabulary.lexicon.find("dab")[0].phones))
    whole = taught.transcribe(sound, sample_rate=RATE)
    assert whole.text == "bad dab" and whole.words[1].confidence > 0.5
    assert "dab" not in recognizer.transcribe(sound, sample_rate=RATE).text
    stream = taught.stream()
    stream.accept(sound)
    assert stream.finish().text == "bad dab"
    assert check_routes(taught, sound, tmp_path).words == ("bad", "dab")
    assert check_server(taught, sound).words == ("bad", "dab")
    assert any(each.text == "bad dab" for each in whole.nbest(5))
    explained = taught.explain(sound, sample_rate=RATE)
    assert [each.word for each in explained.words] == ["bad", "dab"]
    assert abs(sum(each.part.costs.remainder for each in explained.words)) < 1.0
    again = pickle.loads(pickle.dumps(taught))
    assert again.transcribe(sound, sample_rate=RATE).text == "bad dab"
    with pytest.raises(OptionError, match="list 'where' cannot be replaced: .* are 'who'"):
        recognizer.with_lists({"where": ["ace"]})
    with pytest.raises(OptionError, match="entry '!' of list 'who' has no letters"):
        recognizer.with_lists({"who": ["!"]})


def test_commands_stand_in_dictation(dictation, home, tmp_path, capsys):
    carried = dictation.with_commands(home / "call.yaml", after="Deed!")
    sound = said("AC", "DED", "BAD", "CAD")
    found = carried.transcribe(sound, sample_rate=RATE)
    assert found.text == "ace deed bad cad"
    assert found.interpretation.intent == "Call" and found.interpretation.slots == {"who": 3}
    assert found.interpretation.text == "bad cad" and found.interpretation.confidence > 0.5
    slot, = found.interpretation.spans
    assert (slot.start, slot.end) == (3, 4) and slot.seconds[0] > found.words[2].start
    assert dictation.transcribe(sound, sample_rate=RATE).interpretation is None
    plain = carried.transcribe(said("BAD", "AC"), sample_rate=RATE)
    assert plain.text == "bad ace" and plain.interpretation is None
    taught = carried.with_lists(WHO)
    other = said("DED", "BAD", "DAD", "A", "BE")
    assert taught.transcribe(other, sample_rate=RATE).interpretation.slots == {"who": "d-17"}
    assert carried.transcribe(other, sample_rate=RATE).interpretation is None
    for each in (taught.stream(), pickle.loads(pickle.dumps(taught)).stream()):
        each.accept(other)
        assert each.finish().interpretation.slots == {"who": "d-17"}
    explained = taught.explain(other, sample_rate=RATE)
    assert abs(sum(each.part.costs.remainder for each in explained.words)) < 1.0
    assert check_routes(taught, other, tmp_path).meaning == ("Call", {"who": "d-17"})
    assert check_server(taught, other).meaning == ("Call", {"who": "d-17"})
    assert taught.align(other, "deed bad dad a bee", sample_rate=RATE).words[2].word.text == "dad"
    assert found.nbest(3)[0].text == found.text
    anywhere = dictation.with_commands(home / "call.yaml")
    free = anywhere.transcribe(said("A", "BAD", "CAD"), sample_rate=RATE)
    assert free.text == "a bad cad" and free.interpretation.slots == {"who": 3}
    soundfile.write(tmp_path / "deed.wav", other, RATE)
    (tmp_path / "who.txt").write_text("dad a bee\td-17\n")
    assert main(["transcribe", "--model", str(home / "model"), "--quiet", "--format", "json",
                 "--commands", str(home / "call.yaml"), "--after", "deed",
                 "--list", f"who={tmp_path / 'who.txt'}", str(tmp_path / "deed.wav")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["interpretation"]["slots"] == {"who": "d-17"}


def test_denied_commands_are_passed_over() -> None:
    """In the graph they stand next to the commands; the reader knows where they end."""
    words = {"don't": "A C", "call": "A B", "stop": "B", "computer": "C A", "a": "A", "b": "B",
             "not": "B A"}
    lexicon = Lexicon({word: (Pronunciation(tuple(each.split())),) for word, each in words.items()})
    model = Model(random_topology(np.random.default_rng(1)))
    grammar = Grammar.from_text("""
        intents: {Call: {data: [{sentences: ["call {who}"]}]}, Stop: {data: [{sentences: [stop]}]}}
        lists: {who: {replaceable: true, values: [a, a b]}}
    """)
    graphs = command_graphs(grammar, lexicon, model, OPTIONS, ("computer",))
    plain, denied = graphs.acceptors
    ids = {word: i for i, word in enumerate(graphs.table) if i} | graphs.list_ids
    lists = {"{who}": PhraseScorer({("a",): 0.7, ("a", "b"): 0.7})}
    for acceptor, sentence, expected in (
        (plain, "computer call a b", 0.7 + np.log(2)), (plain, "computer stop", np.log(2)),
        (plain, "call a", np.inf), (plain, "computer", np.inf),
        (plain, "computer don't call a", np.inf), (denied, "computer call a", np.inf),
    ):
        scorer = ClassScorer(GrammarScorer(acceptor, ids), lists)
        state, cost = scorer.start(), 0.0
        for word in sentence.split():
            state, log_prob = scorer.score_word(state, word)
            cost -= log_prob
        assert cost - scorer.finish(state) == pytest.approx(expected, abs=1e-4), sentence
    scorer, state = ClassScorer(GrammarScorer(denied, ids), lists), None
    for word in ["computer", "don't", "call", "a"]:
        state, log_prob = scorer.score_word(state or scorer.start(), word)
        assert log_prob > -np.inf
    assert scorer.finish(state) > -np.inf
    denies = lambda words: 4 if words[:2] == ["computer", "don't"] else 0  # noqa: E731
    spotter = Spotter([Spotted(Understander(grammar), ("computer",), denies)])
    assert spotter.parse("computer don't call a".split()) is None
    found = spotter.parse("a computer don't call a computer call a b stop".split())
    assert found.slots == {"who": "a b"} and found.spans[0].start == 7
    assert spotter.parse("computer a".split()) is spotter.parse("call a".split()) is None


@pytest.mark.parametrize("grammar, more, error, says", [
    (GRAMMAR, {"after": "?"}, OptionError, "carrier phrase '\\?' has no letters"),
    (GRAMMAR, {"probability": 0.0}, OptionError, "above 0 and at most 1, got 0.0"),
    (GRAMMAR, {"after": "xyzzy"}, MissingError, "no pronunciation for 'xyzzy'"),
    (GRAMMAR.replace("replaceable: true, values: [{in: cad, out: 3}]", "wildcard: true"), {},
     FormatError, "cannot have a wildcard"),
    (Path("none.yaml"), {}, MissingError, "none.yaml: no such grammar"),
])  # fmt: skip
def test_wrong_commands_are_named(dictation, grammar, more, error, says):
    given = grammar if isinstance(grammar, Path) else Grammar.from_text(grammar)
    with pytest.raises(error, match=says):
        dictation.with_commands(given, **more)
    assert dictation.transcribe(said("BAD", "AC"), sample_rate=RATE).text == "bad ace"


def test_commands_are_for_dictation(home, graph_cache):
    closed = Recognizer.load(home / "model", grammar=home / "grammar.yaml")
    with pytest.raises(OptionError, match="to dictation alone"):
        closed.with_commands(home / "call.yaml")


# --- a list for dictation ---------------------------------------------------------


def random_lm(random: Random) -> NGramModel:
    words = ("<eps>", "<s>", "</s>", "x", "y")
    rng = np.random.default_rng(random.randint(0, 99))
    log_probs, backoffs = np.log(rng.uniform(0.1, 0.9, (2, 4)))
    backoffs[1] = 0.0
    pairs = sorted(random.sample([(a, b) for a in (1, 3, 4) for b in (2, 3, 4)], 5))
    bigrams = np.array(pairs), np.log(rng.uniform(0.2, 0.9, 5)), np.zeros(5)
    return NGramModel.from_ngrams(words, [(np.arange(1, 5)[:, None], log_probs, backoffs), bigrams])


@pytest.mark.parametrize("kind", RANDOM_KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_dictation_in_a_grammar_costs_what_its_sentences_do(kind: str, seed: int) -> None:
    model = Model(random_topology(np.random.default_rng(seed), **RANDOM_KINDS[kind]))
    spoken, options = random_lm(Random(seed)), replace(OPTIONS, denials=False)
    grammar = Grammar.from_text(json.dumps({
        "intents": {"Say": {"data": [{"sentences": ["go {text} [z]", "z", "{who}"]}]}},
        "lists": {"text": {"dictation": True}, "who": {"replaceable": True}},
    }))
    assert grammar.dictated == ("{text}",) and not grammar.left_out
    graph = build_graph(model, LEXICON, grammar, options, dictation=spoken)
    assert graph.joint_names == ("{who}", WORDS)
    texts = [words for words in strings(3) if words and not {"z", "go"} & {*words}]
    costs = {("z",): 0.0}
    for words in texts:
        cost = cheapest(spoken, {}, words, {})
        costs |= {("go", *words): cost, ("go", *words, "z"): cost}
    costs = {words: cost for words, cost in costs.items() if cost < np.inf}
    compiled = Grammar.from_text(sentences_json(
        {words: cost - min(costs.values()) for words, cost in costs.items()}))
    expected = costs_of(build_graph(model, LEXICON, compiled, options), 4)
    found = costs_of(graph, 4)
    assert set(found) == set(expected) and len(found) > 5
    shift = {found[key] - cost for key, cost in expected.items() if key[1]}
    assert max(shift) - min(shift) < 2e-3
    with pytest.raises(MissingError, match="{text} for dictation: give a language model"):
        build_graph(model, LEXICON, grammar, options)


NOTES = """
intents:
  Note: {data: [{sentences: ["deed {text}", "{text} dad dad", "dad"]}]}
lists:
  text: {dictation: true}
"""


def slots(recognizer: Recognizer, sound: np.ndarray) -> dict[str, object] | None:
    found = recognizer.transcribe(sound, sample_rate=RATE).interpretation
    return found and dict(found.slots)


def test_a_slot_is_dictated_on_every_route(home, tmp_path, capsys):
    (tmp_path / "notes.yaml").write_text(NOTES)
    notes = Recognizer.load(home / "model", grammar=tmp_path / "notes.yaml")
    sound = said("DED", "BAD", "AC")
    found = notes.transcribe(sound, sample_rate=RATE)
    assert found.text == "deed bad ace" and found.interpretation.slots == {"text": "bad ace"}
    assert check_routes(notes, sound, tmp_path).meaning == ("Note", {"text": "bad ace"})
    assert check_server(notes, sound).meaning == ("Note", {"text": "bad ace"})
    assert notes.align(sound, "deed bad ace", sample_rate=RATE).words[1].word.text == "bad"
    other = notes.transcribe(said("BAD", "BE", "DAD", "DAD"), sample_rate=RATE).interpretation
    assert other.slots == {"text": "bad bee"}
    assert notes.transcribe(said("DAD"), sample_rate=RATE).interpretation.slots == {}
    assert not notes.transcribe(said("DED"), sample_rate=RATE).interpretation
    explained = notes.explain(sound, sample_rate=RATE)
    assert [each.word for each in explained.words] == ["deed", "bad", "ace"]
    assert abs(sum(each.part.costs.remainder for each in explained.words)) < 1.0
    taught = notes.with_words({"cab": ["C A B"]})
    assert taught.transcribe(said("DED", "CAB"), sample_rate=RATE).interpretation.slots == {
        "text": "cab"}
    other = Recognizer.load(home / "model", grammar=tmp_path / "notes.yaml",
                            lm=home / "class.arpa")
    assert other.recipe.key() != notes.recipe.key()
    assert slots(other, sound) == slots(pickle.loads(pickle.dumps(taught)), sound) == {
        "text": "bad ace"}
    (tmp_path / "one.yaml").write_text(NOTES.replace('dad dad", "dad"', 'dad dad", "ace bee"'))
    with pytest.warns(GrammarWarning, match="leaves out the sentences with a list that is"):
        Recognizer.load(home / "model", grammar=tmp_path / "one.yaml", conversation=True)
    with pytest.raises(OptionError, match="list 'text' cannot be replaced: those that can are no"):
        notes.with_lists({"text": ["ace"]})
    with pytest.raises(OptionError, match="not both: the grammar has no list with 'dictation"):
        Recognizer.load(home / "model", grammar=home / "grammar.yaml", lm=home / "lm.arpa")
    with pytest.raises(FormatError, match="list text is for dictation and has nothing else"):
        Grammar.from_text(NOTES.replace("true}", "true, values: [ace]}"))
