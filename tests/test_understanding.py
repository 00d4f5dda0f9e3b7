"""Understanding: what a sentence means, by the grammar that was listened for."""

from __future__ import annotations

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import naive_grammar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sentences import random_sentence

from factored_asr.errors import FormatError
from factored_asr.language.grammar import Grammar, normalise_text
from factored_asr.language.grammar.compiled import CompiledGrammar, write_compiled
from factored_asr.models.grammars import cached_grammar
from factored_asr.storage.cache import clear
from factored_asr.understanding import Interpretation, Slot, Understander, parse

HOUSE = """
language: en
intents:
  TurnOn:
    data:
      - sentences: ["turn on [the] {room} light[s]"]
        slots: {domain: light}
      - sentences: ["turn on [the] {name}"]
        requires_context: {domain: [light, fan]}
      - sentences: ["turn on [the] light[s]"]
        requires_context: {area: {slot: true}}
        excludes_context: {mode: [night, away]}
  SetHeating:
    data: [{sentences: ["set [the] [{room}] heating to {degrees}[°| degrees]"]}]
  Play:
    data: [{sentences: ["play {song}", "play {song} in [the] {room}", "{song} on repeat"]}]
lists:
  room: {values: [kitchen, {in: "(living|sitting) room", out: living room}]}
  name:
    values:
      - {in: kitchen light, out: light.kitchen, context: {domain: light}}
      - {in: tower fan, out: fan.tower, context: {domain: fan}}
      - {in: front door, out: lock.front, context: {domain: lock}}
      - {in: front door, out: light.front, context: {domain: light}}
      - {in: "[big] lamp", context: {domain: light}}
  degrees: {range: {from: 5, to: 30, fractions: halves}}
  song: {wildcard: true}
skip_words: [please, could you]
"""


@pytest.fixture(scope="module")
def house() -> Understander:
    return Understander(Grammar.from_text(HOUSE))


def meaning(reading: Interpretation | None) -> tuple[str, dict[str, object]] | None:
    return None if reading is None else (reading.intent, dict(reading.slots))


class TestReadings:
    @pytest.mark.parametrize(
        ("text", "intent", "slots"),
        [
            (
                "turn on the sitting room lights",
                "TurnOn",
                {"domain": "light", "room": "living room"},
            ),
            ("Turn on the tower fan!", "TurnOn", {"name": "fan.tower"}),
            ("turn on the front door", "TurnOn", {"name": "light.front"}),  # not the lock
            ("turn on the big lamp", "TurnOn", {"name": "big lamp"}),  # no out: its words
            ("set the heating to 21.5°", "SetHeating", {"degrees": 21.5}),
            (
                "set the kitchen heating to twenty one and a half degrees",
                "SetHeating",
                {"room": "kitchen", "degrees": 21.5},
            ),
            ("could you play Hey Jude, please", "Play", {"song": "Hey Jude, please"}),
            (
                "play Hey Jude in the kitchen please",
                "Play",
                {"song": "Hey Jude", "room": "kitchen"},
            ),
        ],
    )
    def test_have_intent_and_slots(
        self, house: Understander, text: str, intent: str, slots: dict[str, object]
    ) -> None:
        assert meaning(house.parse(text)) == (intent, slots)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "?",
            "please",
            "could you please",
            "turn on",
            "turn on the the kitchen light",
            "set heating to 31",
            "turn on the front",
            "play",
            "turn on the lights",
            "play " * 300,
        ],
    )
    def test_are_none_where_nothing_fits(self, house: Understander, text: str) -> None:
        assert house.parse(text) is None
        assert house.readings(text) == []

    def test_say_which_words_filled_the_slots(self, house: Understander) -> None:
        words = ["please", "set", "the", "living", "room", "heating", "to", "twenty", "one"]
        reading = house.parse(words)
        assert reading is not None
        assert reading.spans == (
            Slot("room", "living room", "living room", 3, 5),
            Slot("degrees", 21, "twenty one", 7, 9),
        )
        reading = house.parse("set  heating to 21.5°")  # one written word for five spoken ones
        assert reading is not None and reading.spans == (Slot("degrees", 21.5, "21.5", 3, 4),)

    def test_hand_on_what_is_told_about_a_value(self) -> None:
        grammar = Grammar.from_text("""
            intents: {Go: {data: [{sentences: ["go to {room}"]}]}}
            lists: {room: {values: [{in: hall, metadata: {floor: 1}}]}}
        """)
        reading = parse(grammar, "go to hall")
        assert reading is not None and reading.spans[0].metadata == {"floor": 1}

    def test_are_data(self, house: Understander) -> None:
        reading = house.parse("turn on the kitchen lights")
        assert reading is not None
        assert json.loads(json.dumps(reading.to_dict())) == {
            "text": "turn on the kitchen lights",
            "intent": "TurnOn",
            "slots": {"domain": "light", "room": "kitchen"},
            "confidence": 1.0,
        }
        assert reading.template.endswith("turn on [the] {room} light[s]")

    def test_take_what_is_known_from_the_context(self, house: Understander) -> None:
        lights = "turn on the lights"
        assert meaning(house.parse(lights, {"area": "hall"})) == ("TurnOn", {"area": "hall"})
        assert house.parse(lights, {"area": {"value": "hall"}}) == house.parse(
            lights, {"area": "hall"}
        )
        assert house.parse(lights, {"area": "hall", "mode": "night"}) is None

    def test_prefer_the_longest_name_then_fewer_wildcards(self, house: Understander) -> None:
        readings = house.readings("turn on the kitchen light")
        assert [dict(r.slots) for r in readings] == [
            {"name": "light.kitchen"},
            {"domain": "light", "room": "kitchen"},
        ]
        readings = house.readings("play yesterday in the kitchen")
        assert [r.slots["song"] for r in readings] == ["yesterday", "yesterday in the kitchen"]

    def test_leave_skip_words_at_the_ends_to_wildcards(self, house: Understander) -> None:
        assert meaning(house.parse("please please me on repeat")) == (
            "Play",
            {"song": "please please me"},
        )

    def test_of_one_grammar_are_read_by_many_threads(self) -> None:
        grammar = Grammar.from_text(HOUSE)
        texts = ["turn on the tower fan", "set heating to 20", "play it on repeat", "nothing"] * 50
        expected = [Understander(grammar).parse(text) for text in texts]
        fresh = Understander(Grammar.from_text(HOUSE))
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(fresh.parse, texts)) == expected

    def test_of_a_keyword_block_need_a_keyword(self) -> None:
        grammar = Grammar.from_text("""
            intents: {Go: {data: [{sentences: ["[now] go"], required_keywords: [now]}]}}
        """)
        assert parse(grammar, "now go") is not None
        assert parse(grammar, "go") is None


class TestJsgfTags:
    GRAMMAR = """#JSGF V1.0;
        public <light> = turn (on {state=on} | off {state:off}) the <room> {room} [<more>];
        public <count> = count (<digit> {digit})+ | rewind {intent=Back};
        <room> = kitchen | living room;
        <more> = and the <room> {other};
        <digit> = one | two;
    """

    @pytest.mark.parametrize(
        ("text", "intent", "slots"),
        [
            ("turn off the living room", "light", {"state": "off", "room": "living room"}),
            (
                "turn on the kitchen and the living room",
                "light",
                {"state": "on", "room": "kitchen", "other": "living room"},
            ),
            ("count one two", "count", {"digit": "two"}),  # the last word on a slot counts
            ("rewind", "Back", {}),
        ],
    )
    def test_fill_slots(self, text: str, intent: str, slots: dict[str, str]) -> None:
        assert meaning(parse(Grammar.from_text(self.GRAMMAR), text)) == (intent, slots)

    def test_keep_every_span(self) -> None:
        reading = parse(Grammar.from_text(self.GRAMMAR), "count one two")
        assert reading is not None
        assert [(slot.text, slot.start, slot.end) for slot in reading.spans] == [
            ("one", 1, 2),
            ("two", 2, 3),
        ]


PIECES = st.sampled_from(["a", "b ", " b", "[a] ", "(a|b) ", " (a;b) ", "{x}", "{x} ", "[{x} c]"])


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=5).map("".join), st.integers(0, 999))
def test_the_parser_reads_exactly_the_sentences_of_the_grammar(template: str, seed: int) -> None:
    grammar = Grammar.from_text(
        f"intents: {{Go: {{data: [{{sentences: [{json.dumps('go ' + template)}]}}]}}}}\n"
        "lists: {x: {values: [a, b a, c]}}"
    )
    sentences = naive_grammar.sentences(grammar)
    understander = Understander(grammar)
    assert all(understander.parse(words) is not None for words in sentences)
    rng = random.Random(seed)
    for _ in range(20):
        words = ("go", *rng.choices(["a", "b", "c", "ba"], k=rng.randrange(5)))
        assert (understander.parse(words) is not None) == (words in sentences)


@pytest.fixture(scope="module")
def home_assistant(data_dir: Path) -> Path:
    return data_dir / "understanding" / "home_assistant"


class TestHomeAssistant:
    """Home Assistant's own sentences and hassil, its own matcher."""

    def test_their_sentences_are_understood(self, home_assistant: Path) -> None:
        understander = Understander(Grammar.read(home_assistant / "grammar"))
        lines = (home_assistant / "tests.jsonl").read_text().splitlines()
        wrong = []
        for test in map(json.loads, lines):
            reading = understander.parse(test["text"], {"area": "here"})
            slots = {} if reading is None else dict(reading.slots)
            if "area" not in test["slots"] and slots.get("area") == "here":
                del slots["area"]
            if "domain" not in test["slots"]:
                slots.pop("domain", None)
            if reading is None or (reading.intent, slots) != (test["intent"], test["slots"]):
                wrong.append((test["text"], meaning(reading)))
        assert len(wrong) <= 0.01 * len(lines), wrong

    def test_random_sentences_have_the_readings_of_hassil(self, home_assistant: Path) -> None:
        pytest.importorskip("hassil", reason="the matcher to compare with is not installed")
        from hassil.intents import Intents
        from hassil.recognize import recognize_all

        intents = Intents.from_files(sorted((home_assistant / "grammar").glob("*.yaml")))
        understander = Understander(Grammar.read(home_assistant / "grammar"))
        rng = random.Random(4)
        for _ in range(60):
            text = random_sentence(understander.grammar, rng)
            context = {"area": "here"} if rng.random() < 0.5 else {}
            theirs = {
                (r.intent.name, values({name: e.value for name, e in r.entities.items()}))
                for r in recognize_all(text, intents, intent_context=context)
            }
            ours = {(r.intent, values(r.slots)) for r in understander.readings(text, context)}
            assert ours == theirs, text


def values(slots: object) -> str:
    """Slots in one form; without the sign of numbers: hassil keeps one range's for another."""
    numbers = {k: abs(float(v)) if isinstance(v, int | float) else v for k, v in slots.items()}
    return json.dumps(numbers, sort_keys=True)


class TestCompiledGrammars:
    """What is written once is read back the same."""

    def test_have_the_readings_of_the_grammar(self, tmp_path: Path) -> None:
        for text in (HOUSE, TestJsgfTags.GRAMMAR):
            grammar = Grammar.from_text(text)
            write_compiled(grammar, tmp_path / "grammar.json")
            compiled = CompiledGrammar.read(tmp_path / "grammar.json")
            assert compiled.words >= grammar.words  # G leaves out templates with wildcards
            for sentence in (
                "turn on the tower fan", "please set the kitchen heating to twenty and a half",
                "play Hey Jude in the kitchen", "turn on the lights", "count one two", "rewind",
            ):
                theirs = Understander(compiled).readings(sentence, {"area": "hall"})
                assert theirs == Understander(grammar).readings(sentence, {"area": "hall"})

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 0}', '{"version": 1}'])
    def test_that_are_damaged_are_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "grammar.json"
        file.write_text(text)
        with pytest.raises(FormatError, match="compiled grammar"):
            CompiledGrammar.read(file)

    def test_are_kept_until_the_grammar_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
        file = tmp_path / "g.yaml"
        file.write_text("intents: {Go: {data: [{sentences: [go]}]}}")
        assert isinstance(cached_grammar(file), Grammar)
        kept = cached_grammar(file)
        assert isinstance(kept, CompiledGrammar) and parse(kept, "go") is not None
        next((tmp_path / "cache" / "grammars").glob("*.json")).write_text("damaged")
        assert isinstance(cached_grammar(file), Grammar)
        file.write_text("intents: {Go: {data: [{sentences: [run]}]}}")
        assert isinstance(cached_grammar(file), Grammar)
        assert clear() > 0 and not list((tmp_path / "cache" / "grammars").iterdir())


@pytest.fixture(scope="module")
def home() -> Understander:
    return Understander(Grammar.read(Path(__file__).parent.parent / "lm" / "smart_home.yaml"))


class TestSmartHome:
    @pytest.mark.parametrize(
        ("text", "intent", "slots"),
        [
            ("turn on the kitchen light", "TurnOn", {"device": "light", "room": "kitchen"}),
            ("turn off all the lights", "TurnOff", {"device": "light"}),
            ("set the heating to twenty one degrees", "SetTemperature", {"degrees": 21}),
            ("close the bedroom blinds", "CloseBlinds", {"room": "bedroom"}),
            ("open the blinds in the sitting room", "OpenBlinds", {"room": "living room"}),
            ("set a timer for five minutes", "StartTimer", {"minutes": 5}),
            ("start a timer for an hour and a half", "StartTimer", {"hours": 1, "minutes": 30}),
            ("play some jazz", "PlayMusic", {"genre": "jazz"}),
            ("turn it up please", "SetVolume", {"change": "up"}),
        ],
    )
    def test_does_what_people_say(
        self, home: Understander, text: str, intent: str, slots: dict[str, object]
    ) -> None:
        assert meaning(home.parse(text)) == (intent, slots)
        assert all(word in home.grammar.words for word in normalise_text(text))

    def test_is_never_of_two_minds(self, home: Understander) -> None:
        rng = random.Random(0)
        for _ in range(500):
            text = random_sentence(home.grammar, rng)
            assert len(home.readings(text)) < 2, text

    def test_words_have_pronunciations(self, home: Understander) -> None:
        pocketsphinx = pytest.importorskip("pocketsphinx", reason="its dictionary is not there")
        dictionary = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
        entries = dictionary.read_text(encoding="utf-8").splitlines()
        known = {re.sub(r"\(\d+\)$", "", entry.split()[0]) for entry in entries if entry.strip()}
        assert home.grammar.words <= known
