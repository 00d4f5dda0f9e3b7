"""Lists of a grammar that are replaced at run time: costs, slots, routes, bad input."""

from __future__ import annotations

import gc
import io
import json
import pickle
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import soundfile
from naive_graph import costs_of
from support.ctc_home import written_home
from support.tones import RATE, speak
from support.topologies import RANDOM_KINDS, Model, random_topology

from factored_asr import Recognizer
from factored_asr.cli import main
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph import GraphOptions, build_graph, make_units
from factored_asr.graph.added import extended
from factored_asr.graph.build import pauses
from factored_asr.language import Grammar
from factored_asr.language.grammar.lists import read_list, value_list
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.lexicon.g2p import GuessWarning

WAYS = {"x": ["A B", "A"], "y": ["B", "B A"], "z": ["A A", "B"], "not": ["B B"], "x's": ["A C"],
        "z's": ["B C", "C"]}
LEXICON = Lexicon({
    word: tuple(Pronunciation(tuple(phones.split()), 1 / len(ways)) for phones in ways)
    for word, ways in WAYS.items()
})  # fmt: skip
FORMS = ["{one}", "{one}'s", "{two}", "[{two}] x", "(y|{one})", "x", "[y]", "z", "{one} {two}"]


def random_grammar(random: Random) -> str:
    """Sentences of words and two lists, which may stand anywhere and next to each other."""
    sentences = [" ".join(random.choices(FORMS, k=random.randint(1, 3))) + " {one}"
                 for _ in range(random.randint(1, 3))]
    return json.dumps({
        "intents": {"Say": {"data": [{"sentences": sentences}]}},
        "lists": {name: {"values": [
            {"in": value, "count": random.randint(1, 9)} for value in random.sample(
                ["x", "y", "z", "x z", "z x", "y y"], random.randint(1, 3))
        ]} for name in ("one", "two")},
    })


@pytest.mark.parametrize("kind", RANDOM_KINDS)
@pytest.mark.parametrize("seed, denials", [(0, False), (2, False), (1, True)])
def test_lists_cost_what_compiled_values_do(kind: str, seed: int, denials: bool) -> None:
    rng = np.random.default_rng(seed)
    model = Model(random_topology(rng, **RANDOM_KINDS[kind]))
    text = random_grammar(Random(seed))
    compiled = Grammar.from_text(text)
    open_text = json.loads(text)
    for values in open_text["lists"].values():
        values["replaceable"] = True
    replaceable = Grammar.from_text(json.dumps(open_text))
    lexicon = LEXICON if denials else Lexicon({w: LEXICON[w] for w in LEXICON if w != "not"})
    options = GraphOptions(silence_probability=0.25, filler_probability=0, word_penalty=0.5)
    whole = build_graph(model, lexicon, compiled, options)
    base = build_graph(model, lexicon, replaceable, options)
    assert set(base.lists) == set(replaceable.places) and len(base.parts) == len(whole.parts)
    entries = {place: symbol.word_forms()
               for place, symbol in replaceable.network.places.items()}
    silence, fillers = pauses(model.topology, options)
    graph = extended(base, make_units(model), model.topology.phones, lexicon, entries, {},
                     word_cost=options.word_penalty, loops=silence + fillers)
    assert not any(words for _, words in costs_of(base, 3) if words[-1:] != ("x",))
    expected, found = costs_of(whole, 4), costs_of(graph, 4)
    assert len(expected) > 1 and set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=2e-3), key


# --- a recogniser ---------------------------------------------------------------

GRAMMAR = """
intents:
  Call: {data: [{sentences: ["bad {who}", "{who} bad"]}]}
lists:
  who: {replaceable: true, values: [ace, {in: bee, out: 7}]}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with written_home(tmp_path_factory.mktemp("lists")) as folder:
        (folder / "call.yaml").write_text(GRAMMAR)
        yield folder


@pytest.fixture(scope="module")
def calls(home: Path, graph_cache: Path) -> Recognizer:
    return Recognizer.load(home / "model", grammar=home / "call.yaml")


def said(*words: str) -> np.ndarray:
    return speak(["", *(letter for word in words for letter in (*word, "")), ""])


DAD_A_BEE = said("BAD", "DAD", "A", "BE")  # "bad dad a bee", as it is spelt below
WHO = {"who": {"Dad a Bee": "d-17", "deed": "d-18"}}


def slots(recognizer: Recognizer, sound: np.ndarray, **more: object) -> dict[str, object] | None:
    found = recognizer.transcribe(sound, sample_rate=RATE, **more).interpretation
    return found and dict(found.slots)


def test_lists_are_replaced_on_every_route(calls, home, tmp_path, capsys):
    assert slots(calls, said("BAD", "AC")) == {"who": "ace"}
    assert slots(calls, said("BE", "BAD")) == {"who": 7}
    taught = calls.with_lists(WHO)
    whole = taught.transcribe(DAD_A_BEE, sample_rate=RATE)
    assert whole.text == "bad dad a bee" and whole.interpretation.slots == {"who": "d-17"}
    assert slots(calls, DAD_A_BEE, lists=WHO) == {"who": "d-17"}
    assert slots(calls, DAD_A_BEE) != {"who": "d-17"}  # it stayed as it was
    assert taught.model is calls.model and taught.graph.base is not None
    for stream in (taught.stream(), calls.stream(lists=WHO)):
        for piece in np.array_split(DAD_A_BEE, 7):
            stream.accept(piece)
        assert stream.finish().interpretation.slots == {"who": "d-17"}
    again = taught.with_lists({"who": ["ace"]})
    assert slots(again, said("BAD", "AC")) == {"who": "ace"} and slots(again, DAD_A_BEE) is None
    assert taught.with_hotwords({"deed": 2.0}).graph.n_states == taught.graph.n_states
    explained = taught.explain(DAD_A_BEE, sample_rate=RATE)
    assert [each.word for each in explained.words] == ["bad", "dad", "a", "bee"]
    assert abs(sum(each.part.costs.remainder for each in explained.words)) < 1.0
    assert {"dad a bee bad", "bad deed"} <= set(taught.examples(60))
    soundfile.write(tmp_path / "call.wav", DAD_A_BEE, RATE)
    (tmp_path / "who.txt").write_text("deed\td-18\n\ndad a bee\td-17\nbad\n")
    arguments = ["transcribe", "--model", str(home / "model"), "--grammar",
                 str(home / "call.yaml"), "--quiet", "--list", f"who={tmp_path / 'who.txt'}"]
    assert main([*arguments, "--format", "json", str(tmp_path / "call.wav")]) == 0
    assert json.loads(capsys.readouterr().out)["interpretation"]["slots"] == {"who": "d-17"}
    loaded = Recognizer.load(home / "model", grammar=home / "call.yaml", lists=WHO)
    for each in (loaded, pickle.loads(pickle.dumps(loaded))):
        assert slots(each, DAD_A_BEE) == {"who": "d-17"}


def test_a_replaced_list_leaves_no_memory_behind(calls):
    gc.disable()
    try:
        taught = calls.with_lists({"who": ["ace"]})
        left = weakref.ref(taught.graph)
        del taught
        assert left() is None
    finally:
        gc.enable()


def test_grammars_take_turns(calls, home):
    other = calls.with_grammar(home / "grammar.yaml")
    sound = said("BAD", "AC")
    assert other.transcribe(sound, sample_rate=RATE).interpretation.intent == "Say"
    assert other.graph is not calls.graph and slots(calls, sound) == {"who": "ace"}
    back = pickle.loads(pickle.dumps(other)).with_grammar(home / "call.yaml")
    assert slots(back, sound) == {"who": "ace"}
    dictation = Recognizer.load(home / "model")
    calls_too = dictation.with_grammar(home / "call.yaml")
    assert slots(calls_too, sound, lists={"who": {"ace": 1}}) == {"who": 1}
    with pytest.raises(MissingError, match="no such grammar"):
        calls.with_grammar(home / "none.yaml")


def test_words_that_no_dictionary_has_are_guessed_once(calls):
    with pytest.warns(GuessWarning, match="the pronunciation of 'cab' is guessed"):
        taught = calls.with_lists({"who": ["cab"]})
    spoken = dict(taught.recipe.vocabulary.guesses)["cab"]
    assert slots(taught, said("BAD", "".join(spoken[0].phones))) == {"who": "cab"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls.with_lists({"who": ["cab", "ace"]})


@pytest.mark.parametrize("wrong, error, says", [
    ({"where": ["ace"]}, OptionError, "list 'where' cannot be replaced: .* are 'who'"),
    ({"who": ["ace", "!?"]}, OptionError, r"entry '!\?' of list 'who' has no letters"),
    ({"who": (f"ace {i}" for i in range(10**6))}, OptionError, "100,000 entries, got over 100,000"),
    ({"who": range(10**6)}, OptionError, "must be text, got 0"),
    ({"who": "ace"}, OptionError, "must be texts, got 'ace'"),
    ({"who": ["a" * 1001]}, OptionError, "may have 1,000 characters, got 1,001"),
    ({"who": ["ñandú"]}, MissingError, "list 'who': .*ñandú"),
])  # fmt: skip
def test_wrong_lists_are_named(calls, wrong, error, says):
    with pytest.raises(error, match=says):
        calls.with_lists(wrong)
    assert slots(calls, said("BAD", "AC")) == {"who": "ace"}


def test_lists_need_a_place(home, tmp_path, capsys):
    closed = Recognizer.load(home / "model", grammar=home / "grammar.yaml")
    with pytest.raises(OptionError, match="cannot be replaced: those .* are none"):
        closed.with_lists(WHO)
    dictation = Recognizer.load(home / "model")
    with pytest.raises(OptionError, match="cannot be replaced"):
        dictation.with_lists(WHO)
    for wrong in ("who", "=x"):
        with pytest.raises(SystemExit):
            main(["transcribe", "--list", wrong, "x.wav"])
        assert "must be a name and a file" in capsys.readouterr().err
    (tmp_path / "who.txt").write_text("ace\n\td-17\n")
    with pytest.raises(FormatError, match=r"who.txt:2: .*before the tab"):
        read_list(tmp_path / "who.txt")


@pytest.mark.parametrize("more, says", [
    ("range: {from: 1, to: 3}", "can only have 'values'"), ("wildcard: true", "can only have"),
    ("values: [{in: ace, context: {domain: light}}]", "have no 'context'"),
])  # fmt: skip
def test_what_a_replaceable_list_may_be(more, says):
    text = GRAMMAR.replace("values: [ace, {in: bee, out: 7}]", more)
    with pytest.raises(FormatError, match=says):
        Grammar.from_text(text)
    counted = value_list("who", {"Ace!": 1, "ace": 2})
    assert [(value.forms, value.out) for value in counted.values] == [((("ace",),), 1)]


def test_sentences_are_read_with_other_lists(home, tmp_path, capsys, monkeypatch):
    (tmp_path / "who.txt").write_text("Dad\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("bad dad\nbad ace\n"))
    arguments = ["understand", "--grammar", str(home / "call.yaml"), "--list"]
    assert main([*arguments, f"who={tmp_path / 'who.txt'}"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["slots"] == {"who": "Dad"} and second["intent"] is None
    assert main([*arguments, f"where={tmp_path / 'who.txt'}"]) == 2
    assert "list 'where' cannot be replaced" in capsys.readouterr().err
