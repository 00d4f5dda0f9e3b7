"""A denied command is never taken for the command: what graphs allow, and spoken denials."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import spoken

from factored_asr import Recognizer
from factored_asr.acoustic.model import AcousticModel
from factored_asr.graph import GraphOptions, build_graph
from factored_asr.graph.denials import denials_for, with_ing
from factored_asr.graph.grammar_scorer import GrammarScorer
from factored_asr.language import Grammar
from factored_asr.lexicon import Lexicon
from factored_asr.models.bundle import Bundle
from factored_asr.models.en_us import EN_US_COMMANDS

ROOT = Path(__file__).parent.parent
GRAMMAR = Grammar.from_text("""
language: en
intents:
  Do: {data: [{sentences: ["turn on [the] light", "stop [the] music", "the light on",
                           "i want [a] coffee", "can i get a coffee", "don't panic"]}]}
""")


@cache
def lexicon() -> Lexicon:
    return Lexicon.read(Bundle.find("en-us").lexicon)  # type: ignore[arg-type]


@cache
def acoustic_model() -> AcousticModel:
    return Bundle.find("en-us").acoustic_model()


@cache
def scorer(denials: bool = True, prefixes: tuple[str, ...] = ()) -> GrammarScorer:
    """Of the graph's words, in the costs of its sentences."""
    options = GraphOptions(denials=denials, prefixes=prefixes)
    graph = build_graph(acoustic_model(), lexicon(), GRAMMAR, options)
    ids = {word: i for i, word in enumerate(graph.words) if i}
    phones = acoustic_model().topology.phones
    return GrammarScorer.of(GRAMMAR, ids, options, lexicon(), phones)


def cost(text: str, **options: object) -> float:
    """Cost of a sentence; inf where the graph does not have it."""
    of = scorer(**options)  # type: ignore[arg-type]
    state, total = of.start(), 0.0
    for word in text.split():
        state, log_prob = of.score_word(state, word)
        total -= log_prob
    return total - of.finish(state)


@pytest.mark.parametrize("text", [
    "do not turn on the light", "don't turn on light", "never stop the music",
    "please don't stop the music", "i said don't turn on the light", "stop turning on the light",
    "stop stopping the music", "would you mind not turning on the light",
    "i'd rather you didn't turn on the light", "not the light on", "i don't want a coffee",
    "i do not want coffee", "no don't turn on the light", "don't bother turning on the light",
])  # fmt: skip
def test_sentences_are_denied_at_no_or_little_cost(text: str) -> None:
    assert 0 <= cost(text) <= 3
    assert cost(text, denials=False) == np.inf


@pytest.mark.parametrize("text", [
    "don't the light on", "can't i get a coffee", "don't can i get a coffee", "do not", "stop",
    "turning on the light", "not want a coffee", "stop lighting on",
])  # fmt: skip
def test_what_nobody_says_is_no_denial(text: str) -> None:
    assert cost(text) == np.inf


def test_a_sentence_of_the_grammar_is_no_denial() -> None:
    """"stop the music" denies nothing, nor does "don't panic", which the grammar has."""
    graph = build_graph(acoustic_model(), lexicon(), GRAMMAR)
    assert len(graph.parts) == 2
    assert cost("don't panic") == cost("stop the music") == 0
    plain, denied = scorer().start()
    for text in ("don't panic", "stop the music"):
        states = (denied,)
        for word in text.split():
            states, _ = scorer().score_word(states, word)
        assert not states or scorer().finish(states) == -np.inf


def test_prefixes_that_deny_go_to_the_denied_part_and_others_before_both() -> None:
    own = ("jarvis", "whatever you do never")
    assert cost("jarvis don't turn on the light", prefixes=own) == 7
    assert cost("whatever you do never the light on", prefixes=own) == 0
    assert cost("whatever you do never the light on", prefixes=("jarvis",)) == np.inf


def test_a_lexicon_without_the_words_denies_nothing() -> None:
    words = lexicon().restrict(GRAMMAR.words)
    graph = build_graph(acoustic_model(), words, GRAMMAR)
    assert graph.parts == (0,)
    small = replace(words, entries={**words.entries, "not": lexicon().find("not")})
    graph = build_graph(acoustic_model(), small, GRAMMAR)
    assert graph.parts[1] > 0 and not {"do", "never", "stopping"} & set(graph.words)
    assert not denials_for(graph, graph.words, words, ()).words


@pytest.mark.parametrize(("verb", "form"), [
    ("close", "closing"), ("put", "putting"), ("switch", "switching"), ("dim", "dimming"),
    ("open", "opening"), ("show", "showing"), ("see", "seeing"), ("be", "being"),
])  # fmt: skip
def test_forms_in_ing(verb: str, form: str) -> None:
    assert with_ing(verb) == form


# ------------------------------------------------------------------------------- spoken denials
def denied_turns() -> list[tuple[str, Path]]:
    """Text and sound of the shipped turns that deny a whole command."""
    return [
        (turn.say, dialogue.file(i))
        for dialogue in spoken.spoken_dialogues() for i, turn in enumerate(dialogue.turns)
        if turn.kind in ("negated", "refusal") and dialogue.file(i).exists()
    ]  # fmt: skip


@cache
def house(denials: bool = True) -> Recognizer:
    graph = replace(EN_US_COMMANDS.graph, denials=denials)
    options = replace(EN_US_COMMANDS, graph=graph)
    return Recognizer.load("en-us", grammar=ROOT / "lm" / "house.yaml", options=options)


@pytest.mark.parametrize("snr", [None, 15.0])
def test_no_spoken_denial_is_acted_on(snr: float | None) -> None:
    turns = denied_turns()
    assert len(turns) >= 60
    acted, understood = [], 0
    for text, path in turns[:: 1 if snr is None else 3]:
        samples = soundfile.read(path, dtype="float32")[0]
        if snr is not None:
            samples = spoken.mix(samples, spoken.noise(), snr, path.name)
        said = house().transcribe(samples, sample_rate=spoken.RATE)
        understood += said.text == text
        if said.interpretation is not None and not said.interpretation.ask:
            acted.append((text, said.text, path.name))
        assert bool(said.rejection) == (not said.words)
    assert not acted
    assert understood >= len(turns) // 8


def test_without_denials_some_are_acted_on() -> None:
    found = [house(denials=False).transcribe(str(path)) for _, path in denied_turns()[::4]]
    assert any(said.interpretation for said in found)
