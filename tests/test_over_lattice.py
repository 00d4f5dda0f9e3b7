"""Meanings over lattices against the sum over all paths, one by one."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from naive_paths import paths, random_lattice, words_of

from factored_asr import Recognizer
from factored_asr.errors import OptionError
from factored_asr.language.grammar import Grammar
from factored_asr.lattice import nbest, word_strings
from factored_asr.lattice.files import read_slf_text
from factored_asr.lattice.path import NO_PATH
from factored_asr.models.settings import COMMANDS
from factored_asr.understanding import Understander
from factored_asr.understanding.channel import deletions, noise
from factored_asr.understanding.over_lattice import MeaningOptions, interpret, meanings

LETTERS = Understander(Grammar.from_text(
    "#JSGF V1.0; grammar g; public <one> = a | b [c]; public <two> = (a | c) d | [b] a;"
))
LIGHTS = Understander(Grammar.from_text("""
intents:
  On: {data: [{sentences: ["(turn on|switch on) the {room} light"]}]}
  Off: {data: [{sentences: ["turn off the {room} light"]}]}
lists: {room: {values: [kitchen, bedroom]}}
"""))


def summed(lattice, scale=1.0):
    """Word string -> its share, over all paths."""
    sums = defaultdict(float)
    for arcs, cost in paths(lattice):
        sums[words_of(lattice, arcs)] += math.exp(-scale * cost)
    total = sum(sums.values())
    return {words: share / total for words, share in sums.items()}


def lattice_of(*strings, header=""):
    """A lattice of whole sentences side by side: (words and their frames, cost)."""
    nodes, arcs = ["I=0 t=0", "I=1 t=1"], []
    for words, cost in strings:
        names = words.split()
        before = 0
        for k, name in enumerate(names):
            last = k == len(names) - 1
            after = 1 if last else len(nodes)
            if not last:
                nodes.append(f"I={after} t={(k + 1) / len(names):.2f}")
            price = cost if k == 0 else 0.0
            arcs.append(f"J={len(arcs)} S={before} E={after} W={name} a={-price} l=0")
            before = after
    text = f"N={len(nodes)} L={len(arcs)} acscale=1 start=0 end=1\n"
    return read_slf_text("\n".join([text.strip(), *nodes, *arcs]) + "\n")


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_word_strings_have_the_sum_of_all_their_paths(seed, scale):
    lattice = random_lattice(seed, n_words=3, n_arcs=15)
    strings, left_out = word_strings(lattice, 10_000, scale=scale, least=0.0)
    expected = summed(lattice, scale)
    assert {each.words: each.probability for each in strings} == pytest.approx(expected, rel=1e-9)
    assert left_out == pytest.approx(0, abs=1e-9)
    shares = [each.probability for each in strings]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("seed", range(10))
def test_a_short_list_is_the_beginning_of_the_long_one_and_knows_its_rest(seed):
    lattice = random_lattice(seed)
    everything, _ = word_strings(lattice, 10_000, least=0.0)
    some, left_out = word_strings(lattice, 3, least=0.0)
    assert [each.words for each in some] == [each.words for each in everything[:3]]
    assert left_out == pytest.approx(sum(each.probability for each in everything[3:]), abs=1e-9)
    enough, left_out = word_strings(lattice, 10_000, least=0.2)
    assert left_out < 0.2 <= left_out + enough[-1].probability


@pytest.mark.parametrize("seed", range(10))
def test_the_path_of_a_word_string_is_its_cheapest(seed):
    lattice = random_lattice(seed)
    best = {path.words: path for path in nbest(lattice, 10_000)}
    strings, _ = word_strings(lattice, 10_000, least=0.0)
    assert {each.words for each in strings} == set(best)
    for each in strings:
        assert each.acoustic + each.graph == pytest.approx(best[each.words].cost)
        assert each.arcs == best[each.words].arcs
        assert each.acoustic == pytest.approx(best[each.words].acoustic)


def test_a_lattice_without_a_whole_path_leaves_everything_out():
    lattice = random_lattice(1)
    lattice.final[:] = np.inf
    assert word_strings(lattice) == ((), 1.0)
    heard = meanings(lattice, LETTERS)
    assert (heard.best, heard.ranked, heard.left_out) == (None, (), 1.0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_meaning_has_the_sum_of_all_paths_that_mean_it(seed, scale):
    lattice = random_lattice(seed, n_nodes=4, n_arcs=12, silence=0.4)
    expected, nothing = defaultdict(float), 0.0
    for words, share in summed(lattice, scale).items():
        left_out = [*noise(words), *deletions(words)]
        reading = LETTERS.parse(words, deletions=left_out) if words else None
        if reading is None:
            nothing += share
        else:
            expected[reading.meaning] += share * math.exp(-scale * reading.costs.channel)
    total = nothing + sum(expected.values())
    heard = meanings(
        lattice, LETTERS, options=MeaningOptions(scale=scale, n_strings=10_000, least=0.0)
    )
    found = {each.meaning: each.confidence * total for each in heard.ranked}
    assert found == pytest.approx(dict(expected), rel=1e-9)
    assert heard.nothing * total == pytest.approx(nothing, abs=1e-9)


def test_two_wordings_outweigh_a_likelier_one_that_means_something_else():
    lattice = lattice_of(
        ("turn off the kitchen light", 1.0),
        ("turn on the kitchen light", 1.3), ("switch on the kitchen light", 1.5),
    )
    weights = np.exp([-1.0, -1.3, -1.5])
    heard = meanings(lattice, LIGHTS)
    assert heard.best.intent == "On"
    assert heard.best.confidence == pytest.approx(weights[1:].sum() / weights.sum())
    assert heard.best.text == "turn on the kitchen light"
    assert [each.intent for each in heard.best.alternatives] == ["Off"]
    assert any("switch on the kitchen light" in line for line in heard.best.trace)


def test_slots_know_when_they_were_said():
    best = interpret(lattice_of(("turn on the kitchen light", 1.0)), LIGHTS)
    (slot,) = best.spans
    assert (slot.name, slot.start, slot.end) == ("room", 3, 4)
    assert slot.seconds == pytest.approx((0.6, 0.8))
    assert best.costs.acoustic == pytest.approx(1.0) and best.costs.channel == 0


def test_what_the_channel_leaves_out_costs_something():
    lattice = lattice_of(("uh turn on the kitchen light", 1.0), ("oh hum", 1.0))
    heard = meanings(lattice, LIGHTS)
    share = math.exp(-heard.ranked[0].costs.channel)
    assert 0 < share < 1
    assert heard.ranked[0].confidence == pytest.approx(share / (1 + share))
    assert any("'uh' is left out" in line for line in heard.ranked[0].trace)


def test_a_negated_command_is_none():
    assert interpret(lattice_of(("don't turn on the kitchen light", 1.0)), LIGHTS) is None


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("ahead", [-1.0, 1.0])
def test_the_background_takes_its_share(ahead, scale):
    lattice = lattice_of(
        ("turn on the kitchen light", 2.0), ("turn on the bedroom light", 2.5),
        ("switch on the kitchen light", 3.0),
    )
    said, background = (
        replace(NO_PATH, cost=cost, labels=np.ones(1)) for cost in (7.0, 7.0 + ahead)
    )
    heard = meanings(
        replace(lattice, path=said), LIGHTS, options=MeaningOptions(scale=scale),
        background=background,
    )
    weights = np.exp(-scale * np.array([2.0, 2.5, 3.0, 2.0 + ahead]))
    assert heard.nothing == pytest.approx(weights[3] / weights.sum())
    assert heard.ranked[0].confidence == pytest.approx((weights[0] + weights[2]) / weights.sum())
    assert (heard.best is None) == (weights[3] > weights[0] + weights[2])


def test_a_small_margin_asks_and_a_smaller_one_rejects():
    lattice = lattice_of(("turn on the kitchen light", 1.0), ("turn on the bedroom light", 1.2))
    margin = meanings(lattice, LIGHTS).margin
    assert margin == pytest.approx(math.tanh(0.1))

    def best(reject: float, ask: float):
        options = MeaningOptions(ask_below=ask, reject_below=reject)
        return interpret(lattice, LIGHTS, options=options)

    assert not best(0.0, margin / 2).ask
    assert best(margin / 2, 2 * margin).ask
    assert best(2 * margin, 2 * margin) is None


def test_options_out_of_range_are_told():
    for wrong in ({"scale": 0}, {"n_strings": 0}, {"least": 2}, {"ask_below": -0.5}):
        with pytest.raises(OptionError):
            MeaningOptions(**wrong)
    with pytest.raises(OptionError, match="n must be"):
        word_strings(random_lattice(0), 0)


def test_near_misses_are_none_of_the_grammars_sentences(data_dir):
    coffee = Understander(Grammar.read(data_dir / "coffee_commands" / "grammar.yaml"))

    def read(name):
        lines = (Path(__file__).parent / "data" / name).read_text(encoding="utf-8").splitlines()
        texts = [line for line in lines if not line.startswith("#")]
        return texts, [text for text in texts if coffee.parse(text)]

    texts, understood = read("near_misses.txt")
    assert len(texts) >= 100 and understood == []
    texts, understood = read("near_misses_unseen.txt")
    assert len(texts) >= 48 and understood == []
    texts, understood = read("spoken_orders.txt")
    assert understood == texts


def test_a_recogniser_with_lattices_tells_how_sure_a_command_is_and_when_its_slots_were_said():
    options = replace(COMMANDS, beam=replace(COMMANDS.beam, lattice_beam=6.0))
    home = Path(__file__).parent.parent
    sound = home / "examples" / "audio" / "kitchen_light_on.wav"
    by_lattice, by_path = (
        Recognizer.load("en-us", grammar=home / "lm" / "smart_home.yaml", options=each)
        .transcribe(sound).interpretation
        for each in (options, None)
    )
    assert by_lattice.meaning == by_path.meaning
    assert 0.5 < by_lattice.confidence <= 1 and 0.5 < by_path.confidence <= 1
    (slot,), (plain,) = by_lattice.spans, by_path.spans
    assert slot.text == "kitchen"
    assert slot.seconds == pytest.approx(plain.seconds, abs=0.05)
