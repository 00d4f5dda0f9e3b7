"""The combination of two acoustic models: word strings scored by both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import naive_lattice
import numpy as np
import pytest
from support.network import encoder

from factored_asr import Recognizer
from factored_asr.audio.mixing import mix
from factored_asr.audio.reading import read_audio
from factored_asr.cli import main
from factored_asr.errors import OptionError
from factored_asr.explain import ExplainOptions
from factored_asr.explain.text import as_text
from factored_asr.lattice import CombineOptions, Lattice, SecondPassOptions, best_path, second_pass
from factored_asr.lattice.combine import combined
from factored_asr.lattice.second_pass import ConfidenceOptions
from factored_asr.models.settings import COMMANDS, DecodeOptions
from factored_asr.recognizer.session import TIE, Session, _combination
from factored_asr.recognizer.times import word_timer
from factored_asr.results.transcript import Word

ROOT = Path(__file__).parent.parent
AUDIO, GRAMMAR = ROOT / "examples" / "audio", ROOT / "lm" / "smart_home.yaml"
WORDS = ("<eps>", "soy", "whole", "skim", "milk")


def lattice_of(seed: int) -> Lattice:
    """Three places, each with words of random costs; the second may be silence."""
    rng = np.random.default_rng(seed)
    word = np.array([1, 2, 3, 0, 4, 2, 4, 1])
    source = np.array([0, 0, 0, 1, 1, 1, 2, 2], np.int32)
    return Lattice(
        9, words=WORDS, pronunciations=((),), node_frame=np.array([0, 3, 6, 9], np.int32),
        final=np.array([np.inf, np.inf, np.inf, 0.5]), arc_source=source, arc_target=source + 1,
        arc_word=word.astype(np.int32), arc_pronunciation=np.zeros(8, np.int32),
        arc_acoustic=rng.uniform(0, 5, 8), arc_graph=rng.uniform(0, 2, 8), arc_lm=np.zeros(8),
        phone_first=np.arange(9), phone_end=(3 * (source + 1)).astype(np.int32),
    )


def costs_of(strings):
    """Costs of words by name and place, as another model might have them."""
    return [np.array([100.0 + 7 * len(each.word) * (i + 1) for i, each in enumerate(string)])
            for string in strings]


@pytest.mark.parametrize("seed", range(5))
def test_the_string_of_least_cost_by_both_models_is_selected(seed):
    lattice, weight = lattice_of(seed), 0.05
    both, strings = combined(lattice, costs_of, CombineOptions(weight, n=100, beam=1e9))
    naive = naive_lattice.strings(lattice)
    assert {each.words: pytest.approx(each.cost) for each in strings} == {
        tuple(lattice.spelt(i) for i in words): cost for words, cost in naive.items()
    }
    assert list(strings) == sorted(strings, key=lambda each: each.cost)
    best = best_path(both)
    assert best.words == min(strings, key=lambda each: each.total).words
    assert best.cost == pytest.approx(min(each.total for each in strings))
    assert {tuple(lattice.spelt(i) for i in words): cost
            for words, cost in naive_lattice.strings(both).items()} == {
        each.words: pytest.approx(each.total) for each in strings}
    chosen = second_pass(lattice, SecondPassOptions(confidences=True), ConfidenceOptions(),
                         combine=lambda one: combined(one, costs_of, CombineOptions(weight)))
    assert tuple(each.word for each in chosen.segments) == best.words
    assert len(chosen.confidences) == len(best.words) and chosen.strings


def test_strings_far_from_the_best_are_not_scored():
    lattice = lattice_of(1)
    _, all_of_them = combined(lattice, costs_of, CombineOptions(0.1, n=100, beam=1e9))
    _, near = combined(lattice, costs_of, CombineOptions(0.1, n=100, beam=3.0))
    assert near == tuple(e for e in all_of_them if e.cost <= all_of_them[0].cost + 3.0)
    assert 1 < len(near) < len(all_of_them)
    assert len(combined(lattice, costs_of, CombineOptions(0.1, n=3, beam=1e9))[1]) == 3


@pytest.mark.parametrize(("model", "options"), [
    (lambda strings: None, CombineOptions(0.1)), (costs_of, CombineOptions()),
    (costs_of, CombineOptions(0.1, beam=0.0)),
], ids=["unable", "off", "one string"])
def test_a_lattice_stays_as_it_is_without_other_costs(model, options):
    lattice = lattice_of(2)
    same, strings = combined(lattice, model, options)
    assert same is lattice and strings == ()


@pytest.mark.parametrize(("wrong", "law"), [
    (dict(weight=-1.0), "0 or more"), (dict(n=1), "at least 2"), (dict(beam=-1.0), "0 or more"),
])
def test_options_are_checked(wrong, law):
    with pytest.raises(OptionError, match=law):
        CombineOptions(**wrong)


def test_only_a_network_is_combined():
    asked = SecondPassOptions(combine=CombineOptions(weight=0.1))
    with pytest.raises(OptionError, match="only a network"):
        replace(COMMANDS, second_pass=asked)
    options = DecodeOptions(align_words=True, second_pass=asked)
    assert DecodeOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_the_other_model_scores_each_string_by_its_best_alignment():
    timer = word_timer()
    sound = timer.listen()
    sound.accept(read_audio(AUDIO / "music_stop.wav", sample_rate=16_000)[0])
    for _ in sound.finish():
        pass
    stop = ("stop", ("S", "T", "AA", "P"))
    said = [stop, ("the", ("DH", "AH")), ("music", ("M", "Y", "UW", "Z", "IH", "K"))]
    other = [*said[:2], ("mocha", ("M", "OW", "K", "AH"))]
    (right, wrong), paths = timer.word_costs([said, other], sound)
    assert right.shape == wrong.shape == (3,)
    assert right.sum() < wrong.sum() - 100 and right[0] == pytest.approx(wrong[0], abs=1.0)
    (alone,), _ = timer.word_costs([said], sound)
    assert alone == pytest.approx(right)
    words = [Word(text, 0.0, 0.1, phones=phones) for text, phones in said]
    assert timer.retimed(words, sound, paths) == timer.retimed(words, sound)
    assert all(each.text != "mocha" for each in timer.retimed(words, sound, paths))
    assert timer.word_costs([said, [("x", ("QQ",))]], sound) is None
    assert timer.word_costs([[("long", ("S",) * 400)]], sound) is None


@pytest.fixture(scope="module")
def recognizer(graph_cache: Path) -> Recognizer:
    encoder()
    asked = SecondPassOptions(combine=CombineOptions(weight=0.02))
    return Recognizer.load("en-us-network", grammar=GRAMMAR, second_pass=asked)


def test_commands_are_scored_twice_and_explained(recognizer):
    speech = read_audio(AUDIO / "kitchen_light_on.wav", sample_rate=16_000)[0]
    sound = mix(speech, np.random.default_rng(0).normal(size=len(speech)), 12.0, "l")
    said = recognizer.transcribe(sound, sample_rate=16_000)
    assert said.text == "turn on the kitchen light" and said.interpretation is not None
    strings = said.scored_twice
    assert len(strings) > 1 and strings[0].words == tuple(said.text.split())
    assert min(strings, key=lambda each: each.total).words == tuple(said.text.split())
    narrow = ExplainOptions(lattice_beam=2.0, without=())
    found = recognizer.explain(sound, sample_rate=16_000, options=narrow)
    assert found.strings == strings
    assert found.costs.total == pytest.approx(found.cost, abs=1e-3)
    assert strings[0].cost == pytest.approx(found.cost, abs=1e-3)
    assert strings[0].acoustic == pytest.approx(found.costs.acoustic, abs=1e-3)
    first = json.loads(found.to_json())["strings"][0]
    assert first["total"] == pytest.approx(first["cost"] + 0.02 * first["other"], abs=1e-3)
    text = as_text(found)
    assert "scored by en-us-network and, with the weight 0.02, by en-us:" in text
    assert text.count(" + 0.02 × ") == len(strings)


def test_no_combination_turns_a_command_into_a_denial_or_back(recognizer):
    session = Session(recognizer.pipeline, whole=True)
    session.feed(AUDIO / "music_stop.wav")
    found = session.search()
    path, denied = found.lattice.best(), found.evidence.denied
    assert "don't" in denied.words and denied.cost > path.cost
    near = replace(found, parts=(path, replace(denied, cost=path.cost + 3.0)))
    assert _combination(recognizer.pipeline, near, path).options.beam == 3.0 - TIE
    far = replace(found, parts=(path, replace(denied, cost=path.cost + 30.0)))
    assert _combination(recognizer.pipeline, far, path).options.beam == 8.0
    assert _combination(recognizer.pipeline, found, denied) is None


def test_the_command_line_weighs_the_other_model(recognizer, capsys):
    arguments = ["transcribe", "--model", "en-us-network", "--grammar", str(GRAMMAR),
                 str(AUDIO / "music_stop.wav"), "--combine"]
    assert main([*arguments, "0.02"]) == 0
    assert capsys.readouterr().out == "stop the music\n"
    assert main([*arguments, "-1"]) == 2
    assert "weight of the other model" in capsys.readouterr().err
