"""What is done by saying something, judged by the sentence alone."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.sentences import expected, no, random_sentence, repeat, restart, uh

from factored_asr.dialogue import Reader
from factored_asr.dialogue.frames import base_forms, frames
from factored_asr.language.grammar import Grammar, tokens
from factored_asr.understanding import Understander
from factored_asr.understanding.channel import deletions, lexicon, noise

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def house() -> Reader:
    return Reader(Understander(Grammar.read(ROOT / "lm" / "house.yaml")))


def acts(reader: Reader, text: str) -> list[str]:
    """Acts in short: "deny TurnOn kitchen"."""
    found = []
    for act in reader.read(text).to_dict()["acts"]:
        slots = act.get("slots", {})
        value = slots.get("place", slots.get("degrees", slots.get("which", "")))
        words = (act["act"], act.get("note", ""), act.get("intent", ""), str(value))
        found.append(" ".join(filter(None, words)))
    return found


@pytest.mark.parametrize(("text", "expected"), [
    ("turn on the kitchen light", ["command TurnOn kitchen"]),
    ("no turn on the kitchen light", ["correction", "command TurnOn kitchen"]),
    ("don't turn on the kitchen light", ["deny TurnOn kitchen"]),
    ("don't forget to turn on the kitchen light", ["command TurnOn kitchen"]),
    ("why don't you turn on the kitchen light", ["command TurnOn kitchen"]),
    ("don't not turn on the kitchen light", ["command TurnOn kitchen"]),
    ("why did you turn on the kitchen light", ["query TurnOn kitchen"]),
    ("is the kitchen light on", ["query TurnOn kitchen"]),
    ("she said turn on the kitchen light", ["report TurnOn kitchen"]),
    ("i turned on the kitchen light yesterday", ["report TurnOn kitchen"]),
    ("she has closed the office blinds already", ["report Close office"]),
    ("the weather is nice", []),
    ("if it rains close the office blinds", ["report Close office"]),
    ("turn on every light except the hall", ["command TurnOn all", "deny except TurnOn hall"]),
    ("leave the hall light on", ["deny TurnOff hall"]),
    ("turn on the hall or the porch light",
     ["command choice TurnOn hall", "command choice TurnOn porch"]),
    ("don't turn on the hall or the porch light", ["deny TurnOn hall", "deny TurnOn porch"]),
    ("yes", ["confirm"]),
    ("no", ["correction"]),
    ("undo that", ["undo"]),
    ("no the other way round", ["correction swap"]),
    ("the hall", []),  # of what, only a dialogue knows
    ("turn it off", []),
    ("purple rain fell", []),
])
def test_acts(house: Reader, text: str, expected: list[str]) -> None:
    assert acts(house, text) == expected


@pytest.mark.parametrize("text", [
    "don't turn on the kitchen light", "she said turn on the kitchen light",
    "did you turn on the kitchen light", "unless it rains turn on the kitchen light",
    "turn on the kitchen or the hall light", "turn on the kitchen light no forget it",
])
def test_only_what_is_to_be_done_now_is_an_intent(house: Reader, text: str) -> None:
    plain = house.read(text).to_dict()
    assert plain["intent"] is None and plain["slots"] == {}
    assert plain["acts"]


class TestRepair:
    @pytest.mark.parametrize(("text", "meant"), [
        ("turn on the kitchen no the hall light", "command TurnOn hall"),
        ("turn on the kitchen light i mean the hall", "command TurnOn hall"),
        ("turn on the kitchen er the hall light", "command TurnOn hall"),
        ("turn on no off the kitchen light", "command TurnOff kitchen"),
        ("turn the kitchen light on sorry off", "command TurnOff kitchen"),
        ("lock the front door no close the office blinds", "command Close office"),
        ("set the heating to twenty one no twenty degrees", "command SetHeating 20"),
        ("set the heating to nineteen scratch that twenty two", "command SetHeating 22"),
        ("turn the kitchen light on no wait turn it off", "command TurnOff kitchen"),
    ])
    def test_puts_the_new_words_in_the_place_of_the_old(
        self, house: Reader, text: str, meant: str
    ) -> None:
        assert acts(house, text) == [meant]

    def test_needs_something_to_repair(self, house: Reader) -> None:
        assert acts(house, "my aunt said hello no turn on the kitchen light")[:1] != ["command"]
        assert house.read("grandfather clocks no turn on the hall light").acts == ()


class TestSlots:
    def test_stand_where_their_words_were_said(self, house: Reader) -> None:
        reading = house.read("uh turn on the the Living Room light please").interpretation
        assert reading is not None
        (slot,) = reading.spans
        assert (slot.text, slot.start, slot.end) == ("Living Room", 5, 7)
        assert any("'the' is left out" in line for line in reading.trace)

    def test_of_a_repaired_sentence_stand_in_the_repair(self, house: Reader) -> None:
        text = "turn on the hall no the porch light"
        reading = house.read(text).interpretation
        assert reading is not None and reading.spans[-1].start == text.split().index("porch")

    def test_that_take_any_words_are_written_as_they_were(self) -> None:
        grammar = Grammar.from_text("""
            intents: {Play: {data: [{sentences: ["play {song} [on repeat]"]}]}}
            lists: {song: {wildcard: true}}
        """)
        reader = Reader(Understander(grammar))
        for text in ("play Hey Jude", "uh play Hey uh Jude", "no play Hey Jude"):
            reading = reader.read(text).interpretation
            assert reading is not None and reading.slots == {"song": "Hey Jude"}
        assert reader.read("play New York New York").to_dict()["slots"] == {
            "song": "New York New York"
        }
        assert reader.read("play play Hey Jude").to_dict()["slots"] == {"song": "Hey Jude"}
        assert acts(reader, "don't play Hey Jude") == ["deny Play"]


class TestChannel:
    def test_never_takes_out_what_carries_meaning(self) -> None:
        protected = sorted(lexicon().protected)
        assert {"not", "never", "off", "twenty", "except", "why"} <= set(protected)
        for word in protected:
            words = ["turn", word, "the", "light"]
            assert not any(d.start <= 1 < d.end for d in [*noise(words), *deletions(words)]), word

    def test_leaves_one_of_two_copies(self, house: Reader) -> None:
        assert acts(house, "turn on on the kitchen light") == ["command TurnOn kitchen"]
        assert acts(house, "turn on off the kitchen light") == []

    def test_takes_a_repeated_number_only_where_both_say_nothing(self) -> None:
        grammar = Grammar.from_text("""
            intents:
              Timer: {data: [{sentences: ["timer for {n} minutes"]}]}
              Dial: {data: [{sentences: ["dial {n:first} {n:second}"]}]}
            lists: {n: {range: {from: 1, to: 60}}}
        """)
        reader = Reader(Understander(grammar))
        assert reader.read("timer for five five minutes").to_dict()["slots"] == {"n": 5}
        assert reader.read("dial five five").to_dict()["slots"] == {"first": 5, "second": 5}
        assert reader.read("timer for fifty five minutes").to_dict()["slots"] == {"n": 55}

    def test_takes_restarts(self, house: Reader) -> None:
        for text in (
            "turn on the turn on the hall light", "turn on turn on the hall light",
            "turn on the ha turn on the hall light", "close the close the bedroom blinds",
        ):
            assert len(acts(house, text)) == 1, text
        # "kitchen" does not come again, and "on" is not given up: two commands.
        assert len(acts(house, "turn on the kitchen turn on the hall light")) == 2

    def test_takes_wake_words_anywhere(self, house: Reader) -> None:
        for text in ("alexa turn on the hall light", "turn on the hall light hey computer"):
            assert acts(house, text) == ["command TurnOn hall"]


class TestRules:
    def test_are_tried_in_the_order_of_their_file(self) -> None:
        fitting = [frame.rule for frame in frames().fitting(tuple("she said don't go".split()))]
        assert fitting[0] == "told" and "report" in fitting

    def test_know_verb_forms_by_their_spelling(self) -> None:
        for form, base in {"turning": "turn", "closing": "close", "setting": "set"}.items():
            assert base in base_forms(form)


VERBS = frozenset(
    "turn switch put flip shut open close raise lower lock unlock set make kill cut pull".split()
)


@pytest.fixture(scope="module")
def orders(house: Reader) -> list[tuple[str, tuple[str, dict]]]:
    """Random sentences of the house's grammar that begin with a verb, and what they mean."""
    rng, found = random.Random(0), []
    grammar = house.understander.grammar
    assert isinstance(grammar, Grammar)
    while len(found) < 80:
        text = random_sentence(grammar, rng)
        reading = house.understander.parse(text)
        if reading is not None and text.split()[0] in VERBS:
            found.append((text, (reading.intent, dict(reading.slots))))
    return found


class TestAnySentence:
    """What holds for one command holds for all."""

    @pytest.mark.parametrize("frame", [
        "don't {}", "do not {}", "never {}", "please don't {}", "you mustn't {}", "no need to {}",
        "i don't want you to {}", "i didn't ask you to {}", "alexa do not {}", "no don't {}",
        "she said {}", "my mother told me to {}", "if it rains {}", "{} when i come home",
        "why did you {}", "{} no forget it", "unless i am home {}",
    ])
    def test_is_not_done_when_it_is_denied_reported_asked_or_conditional(
        self, house: Reader, orders: list, frame: str
    ) -> None:
        for text, _ in orders:
            assert house.read(frame.format(text)).interpretation is None, text

    @pytest.mark.parametrize("frame", [
        "uh {}", "please {}", "{} thank you", "don't forget to {}", "why don't you {}",
        "could you {}", "i'd like you to {}", "would you be so kind as to {}", "no {}", "alexa {}",
    ])
    def test_is_done_however_politely_it_is_said(
        self, house: Reader, orders: list, frame: str
    ) -> None:
        for text, meant in orders:
            plain = house.read(frame.format(text)).to_dict()
            assert (plain["intent"], plain["slots"]) == meant, text

    @pytest.mark.parametrize(("frame", "kinds"), [
        ("{} and {}", "command command"), ("{} but don't {}", "command deny"),
        ("don't {} or {}", "deny deny"), ("{} no {}", "second"), ("{} i mean {}", "second"),
    ])
    def test_joins_another(self, house: Reader, orders: list, frame: str, kinds: str) -> None:
        right = 0
        for (one, first), (other, second) in zip(orders, orders[1:], strict=False):
            acts = house.read(frame.format(one, other)).acts
            said = [(a.kind, a.reading and (a.reading.intent, dict(a.reading.slots))) for a in acts]
            if kinds == "second":
                right += said == [("command", second)]
            else:
                right += said == list(zip(kinds.split(), (first, second), strict=True))
        assert right >= 0.95 * (len(orders) - 1)


@pytest.fixture(scope="module")
def home_assistant(data_dir: Path) -> tuple[Reader, list[dict]]:
    folder = data_dir / "understanding" / "home_assistant"
    tests = [json.loads(line) for line in (folder / "tests.jsonl").read_text().splitlines()]
    return Reader(Understander(Grammar.read(folder / "grammar"))), tests


class TestHomeAssistant:
    """Home Assistant's own sentences, spoken as people speak."""

    @pytest.mark.parametrize("disfluent", [uh, no, repeat, restart])
    def test_disfluent_sentences_are_understood(
        self, home_assistant: tuple[Reader, list[dict]],
        disfluent: Callable[[list[str], random.Random], list[str]],
    ) -> None:
        reader, tests = home_assistant
        rng, right = random.Random(0), 0
        for test in tests:
            text = " ".join(disfluent(test["text"].split(), rng))
            plain = reader.read(text, {"area": "here"}).to_dict()
            right += expected(test, plain["intent"], plain["slots"])
        assert right >= 0.95 * len(tests)

    def test_denied_sentences_are_never_done(
        self, home_assistant: tuple[Reader, list[dict]]
    ) -> None:
        reader, tests = home_assistant
        right = 0
        for test in tests:
            plain = reader.read(f"don't {test['text']}", {"area": "here"}).to_dict()
            assert plain["intent"] is None, test["text"]
            right += any(
                act["act"] == "deny" and expected(test, act["intent"], act["slots"])
                for act in plain["acts"] if "intent" in act
            )
        assert right >= 0.95 * len(tests)


def test_slurp_is_split_by_sentence(data_dir: Path) -> None:
    """The grammar was written from even numbers; no sentence has an odd one as well."""
    file = data_dir / "understanding" / "slurp_recognised.tsv"
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    even, odd = (
        {" ".join(t.word for t in tokens(row["gold"])) for row in rows
         if int(row["slurp_id"]) % 2 == parity}
        for parity in (0, 1)
    )
    assert even and odd and even.isdisjoint(odd)
