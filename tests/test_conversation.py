"""Graphs for conversations: they hold what is said to a dialogue, and what it understands."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
import soxr
from support import spoken

from factored_asr import Recognizer
from factored_asr.dialogue import Dialogue, Reader, World
from factored_asr.dialogue.conversation import Conversation, gerund, patterns
from factored_asr.dialogue.expectation import LEAST, MOST
from factored_asr.dialogue.scene import NOTHING_SAID
from factored_asr.errors import MissingError, OptionError
from factored_asr.language import Grammar
from factored_asr.language.grammar.sampling import random_sentences
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.understanding import Understander

HOUSE = Path(__file__).parent.parent / "lm" / "house.yaml"
SMART = HOUSE.with_name("smart_home.yaml")
SHOP = """
language: en
intents:
  Order:
    data:
      - sentences: ["(order|bring me) [a|the] {size} {drink} [with {extra}]"]
  Cancel: {data: [{sentences: ["send the {drink} back"]}]}
lists:
  size: {values: [small, large]}
  drink: {values: [coffee, green tea]}
  extra: {values: [milk, sugar]}
"""


@pytest.fixture(scope="module")
def conversation() -> Conversation:
    return Conversation(Grammar.read(HOUSE))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("en-us", grammar=HOUSE, conversation=True)


@pytest.fixture(scope="module")
def commands() -> Recognizer:
    return Recognizer.load("en-us", grammar=Grammar.read(SMART))


@pytest.fixture
def house() -> Dialogue:
    return Dialogue(Grammar.read(HOUSE), World.read(HOUSE))


@pytest.mark.parametrize("grammar", [HOUSE, SMART, SHOP], ids=["house", "smart home", "shop"])
def test_what_the_graph_holds_is_understood(grammar: Path | str) -> None:
    read = Grammar.read(grammar) if isinstance(grammar, Path) else Grammar.from_text(grammar)
    reader = Reader(Understander(read))
    before = [" ".join(words) for words in random_sentences(read, 40, seed=1)]
    scenes = [NOTHING_SAID, *(NOTHING_SAID.after(reader.read(each).acts) for each in before)]
    said = {" ".join(words) for words in random_sentences(Conversation(read), 150, seed=2)}
    missed = [text for text in said
              if not any(reader.read(text, scene=scene).acts for scene in scenes)]
    assert len(missed) <= 0.02 * len(said), missed


def test_what_is_said_to_a_house_is_in_its_graph(conversation: Conversation) -> None:
    ids = {word: i for i, word in enumerate(sorted(conversation.words), 1)}
    acceptor = conversation.acceptor(ids)

    def accepts(text: str) -> bool:
        return acceptor.cost([ids.get(word, -1) for word in text.split()]) < float("inf")

    for text in (
        "turn on the kitchen light", "the bedroom", "and the hall", "turn it off", "undo that",
        "no not the kitchen the bedroom", "yes", "no", "forget it", "all but the kitchen",
        "make that nineteen", "not the bedroom either",
        "would you mind not turning on the porch light",
        "don't turn it on", "turn on the kitchen no the bedroom light", "i meant the office",
        "turn off the hall light and turn on the porch light", "close the blinds there",
        "turn on every light except the kitchen", "i'd rather you didn't lock the front door",
        "no off", "no on", "i said closed",
    ):  # fmt: skip
        assert accepts(text), text
    for text in ("turn the", "bedroom", "them", "not", "and", "kitchening light on"):
        assert not accepts(text), text
    turns = [turn for _, turns in spoken.read_dialogues() for turn in turns]
    meant = [turn.say for turn in turns if turn.kind not in ("near", "other")]
    assert sum(map(accepts, meant)) >= 0.97 * len(meant), [t for t in meant if not accepts(t)]
    plain, denied = conversation.parts(ids)
    assert plain.n_states + denied.n_states < 3100


def test_patterns_that_a_grammar_cannot_fill_are_left_out() -> None:
    grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = stop the music;")
    conversation = Conversation(grammar)
    kept = {each.text for each in conversation.patterns["heard"]}
    assert not conversation.kept["fragment"]
    assert not any("{fragment}" in text or "{exception}" in text for text in kept)
    assert any("undo that" in text for text in kept)
    assert len(kept) < len(patterns()["heard"])


def test_words_that_cannot_be_pronounced_are_left_out() -> None:
    grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = stop the music;")
    known = {"stop", "the", "music", "undo", "that", "stopping"}
    conversation = Conversation(grammar, known)
    assert conversation.words == known
    said = {" ".join(words) for words in random_sentences(conversation, 300)}
    assert {"stop the music", "undo that"} <= said
    assert all(set(text.split()) <= known for text in said)


def test_a_gerund_is_read_back() -> None:
    verbs = "turn switch put set close lock open raise pull roll draw cut dim tie free see"
    assert [gerund(verb) for verb in verbs.split()] == (
        "turning switching putting setting closing locking opening raising pulling rolling "
        "drawing cutting dimming tying freeing seeing".split()
    )


def test_a_conversation_needs_a_grammar() -> None:
    with pytest.raises(OptionError, match="conversation needs a grammar"):
        Recipe(Bundle.find("en-us"), conversation=True)


class TestExpectations:
    def test_an_answer_is_expected_after_a_question(self, house: Dialogue) -> None:
        for text in ("lock the front door", "don't lock the front door"):
            house.hear(text)
        heard = house.hear([("yes", 0.4), ("the bedroom", 0.5)])
        assert heard.actions == ("unlock front door",)
        assert heard.readings[0].factor == MOST
        assert "0.400 x 4 'yes' (answers the question): unlock front door" in heard.explain()

    def test_what_would_change_nothing_is_not(self, house: Dialogue) -> None:
        heard = house.hear([("turn off the hall light", 0.5), ("turn on the hall light", 0.3)])
        assert heard.actions == ("on hall light",)
        assert min(each.factor for each in heard.readings) == LEAST

    def test_no_expectation_outweighs_clear_speech(self, house: Dialogue) -> None:
        house.hear("turn on the hall light")
        assert house.hear([("undo that", 0.1), ("turn on the porch light", 0.9)]).actions == (
            "on porch light",
        )

    def test_a_correction_does_not_stray_to_another_kind_of_device(self, house: Dialogue) -> None:
        """A recogniser takes "no off" for "no lower", which is about the heating."""
        house.hear("turn on the study light")
        heard = house.hear("no lower")
        assert heard.actions == () and heard.question == "set heating 17?"
        assert house.hear("yes").actions == ("set heating 17",)
        assert house.hear("no lower").actions == ("set heating 16",)
        house.hear("turn on the hall light")
        assert house.hear("no make the heating lower").actions == (
            "off hall light", "set heating 15",
        )

    def test_readings_that_do_the_same_count_together(self, house: Dialogue) -> None:
        heard = house.hear([("turn on the hall light", 0.34), ("turn on the porch light", 0.33),
                            ("please turn on the porch light", 0.33)])
        assert heard.actions == ("on porch light",)


class TestSpoken:
    def test_the_example_of_the_page(self, capsys: pytest.CaptureFixture[str]) -> None:
        page = HOUSE.parent.parent / "docs" / "how-to" / "python.md"
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        code = "".join(block for block in blocks if "house" in block)
        exec(compile(code, "python.md", "exec"), {})  # noqa: S102
        said = capsys.readouterr().out.splitlines()
        both = ["('on kitchen light',)", "('off kitchen light', 'on bedroom light')"]
        assert said == both * 2

    def test_dialogues_in_the_repository(self, recognizer: Recognizer) -> None:
        right = wrong = turned = n = 0
        for each in list(spoken.spoken_dialogues())[::13]:
            house = Dialogue(Grammar.read(HOUSE), World.read(HOUSE))
            for i, turn in enumerate(each.turns):
                said = recognizer.transcribe(each.samples(i), sample_rate=spoken.RATE)
                heard = house.hear(said)
                right += heard.actions == turn.do
                wrong += not set(heard.actions) <= set(turn.do)
                turned += turn.kind in ("negated", "refusal") and any(
                    act.kind == "command" for act in heard.utterance.acts) and bool(heard.actions)
                n += 1
        assert right >= 0.65 * n
        assert wrong <= 0.04 * n
        assert not turned

    def test_silence_says_nothing(self, recognizer: Recognizer, house: Dialogue) -> None:
        said = recognizer.transcribe(np.zeros(16_000, np.float32), sample_rate=16_000)
        assert house.hear(said).actions == ()


class TestStreams:
    def test_a_grammar_that_was_read_before_is_a_grammar(self, commands: Recognizer) -> None:
        by_path = Recognizer.load("en-us", grammar=SMART)
        assert (by_path.graph.n_states, by_path.graph.n_arcs) == (
            commands.graph.n_states, commands.graph.n_arcs)
        said = commands.transcribe("examples/audio/music_stop.wav")
        assert (said.text, said.interpretation) == (
            by_path.transcribe("examples/audio/music_stop.wav").text,
            by_path.transcribe("examples/audio/music_stop.wav").interpretation)

    @pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
    def test_of_any_rate(self, commands: Recognizer, rate: int) -> None:
        sound = commands.read("examples/audio/music_stop.wav")
        stream = commands.stream(sample_rate=rate)
        for block in np.array_split(soxr.resample(sound, 16_000, rate), 23):
            stream.accept(block)
        assert stream.finish().text == "stop the music"
        stream.accept(soxr.resample(sound, 16_000, rate))  # the next utterance begins anew
        assert stream.finish().text == "stop the music"

    def test_a_rate_that_is_none(self, commands: Recognizer) -> None:
        with pytest.raises(OptionError, match="sample_rate is -1, must be 1000 to"):
            commands.stream(sample_rate=-1)

    def test_listening(self, commands: Recognizer) -> None:
        sound = commands.read("examples/audio/music_stop.wav")
        blocks = [*np.array_split(np.concatenate([sound, np.zeros(24_000, np.float32)] * 2), 90)]
        with commands.listen(blocks) as heard:
            assert [each.text for each in heard] == ["stop the music"] * 2

        async def listened() -> list[str]:
            return [said.text async for said in commands.listen(blocks)]

        assert asyncio.run(listened()) == ["stop the music"] * 2

    def test_examples_are_recognised_sentences(self, commands: Recognizer) -> None:
        reader = Understander(Grammar.read(SMART))
        examples = commands.examples(10)
        assert len(examples) == 10
        assert all(reader.parse(text) for text in examples)
        with pytest.raises(MissingError, match="no grammar"):
            Recognizer(commands.model, commands.graph).examples(1)
