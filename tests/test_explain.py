"""Explanations are exact: costs add up, competitors are the lattice's, ablations are decodes."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import naive_decoder
import naive_language
import naive_paths
import numpy as np
import pytest
from naive_graph import cheapest
from support.browser import AXE, PROGRAM, browser

from factored_asr import Recognizer
from factored_asr.acoustic import DiagonalMixtures, GmmModel, Topology
from factored_asr.audio.reading import read_audio
from factored_asr.cli import explain as command
from factored_asr.cli import main
from factored_asr.decoder import decode
from factored_asr.errors import MissingError, OptionError
from factored_asr.explain import FACTORS, FACTORS_TO_LEAVE_OUT, Costs, ExplainOptions, Explanation
from factored_asr.explain.ablation import neutral_lexicon
from factored_asr.explain.competitors import competitors
from factored_asr.explain.explain import prices_of
from factored_asr.explain.factors import Prices, lattice_costs
from factored_asr.explain.html import as_html
from factored_asr.explain.media import png
from factored_asr.explain.path_costs import path_parts
from factored_asr.explain.text import as_text
from factored_asr.explain.transitions import lattice_transitions
from factored_asr.features import FeatureOptions
from factored_asr.graph import BACKGROUND, Graph, GraphOptions, build_graph
from factored_asr.graph.grammar_scorer import GrammarScorer
from factored_asr.language import Grammar, NGramScorer, read_arpa
from factored_asr.lattice import Path as BestPath
from factored_asr.lattice import best_path, nbest
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.models.bundle import Bundle

PHONES = ("A", "B", "C", "SIL", "+N+")

ROOT = Path(__file__).parent.parent
GRAMMAR = ROOT / "lm" / "smart_home.yaml"
SOUNDS = ["kitchen_light_on.wav", "heating_twenty_one.wav", "music_bathroom.wav", "weather.wav"]
BARE = ExplainOptions(without=())
LM_TEXT = """\\data\\
ngram 1=10
ngram 2=7

\\1-grams:
-99 <s> -0.4
-1.0 </s>
-1.0 turn -0.3
-1.2 on -0.2
-1.1 off
-0.9 the -0.5
-1.5 kitchen -0.1
-1.6 chicken -0.2
-1.3 light -0.3
-1.4 lights -0.2

\\2-grams:
-0.3 <s> turn
-0.4 turn on
-0.5 on the
-2.5 the kitchen
-0.6 the chicken
-2.0 kitchen light
-0.7 light </s>

\\end\\
"""


@pytest.fixture(scope="module")
def commands(graph_cache: Path) -> Recognizer:
    return Recognizer.load("en-us", grammar=GRAMMAR)


@pytest.fixture(scope="module")
def dictation(graph_cache: Path) -> Recognizer:
    return Recognizer.load("en-us")


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bigram model that thinks of chicken; it would rather back off from two of its pairs."""
    path = tmp_path_factory.mktemp("lm") / "chicken.arpa"
    path.write_text(LM_TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dictionary with probabilities; they speak for the short "lights"."""
    path = tmp_path_factory.mktemp("lexicon") / "weighted.dict"
    path.write_text(
        "turn 0.9 T ER N\non 0.6 AA N\non 0.4 AO N\noff 1.0 AO F\nthe 0.7 DH AH\nthe 0.3 DH IY\n"
        "kitchen 0.8 K IH CH AH N\nchicken 0.9 CH IH K AH N\nlight 0.001 L AY T\n"
        "lights 1.0 L AY T S\n", encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def small(lm: Path, lexicon: Path, graph_cache: Path) -> Recognizer:
    """Has few n-grams: for what needs an LM, pronunciations and penalties at once."""
    settings = Bundle.find("en-us").dictation
    graph = replace(settings.graph, word_penalty=0.7, filler_probability=1e-3)
    options = replace(settings, graph=graph)
    return Recognizer.load("en-us", lm=lm, lexicon=lexicon, options=options)


@pytest.fixture(scope="module")
def kitchen(small: Recognizer, audio_dir: Path) -> Explanation:
    return small.explain(audio_dir / "kitchen_light_on.wav")


# --- costs add up -----------------------------------------------------------


def check_sums(explanation: Explanation) -> None:
    """All parts add up to the path's cost, and cover all its frames."""
    assert explanation.costs.total == pytest.approx(explanation.cost, abs=1e-3)
    assert explanation.parts[0].part.start == 0
    for one, other in itertools.pairwise(each.part for each in explanation.parts):
        assert one.end == other.start
    lattice = explanation.transcript.lattice
    assert lattice is not None and explanation.parts[-1].part.end == lattice.n_frames


@pytest.mark.parametrize("name", SOUNDS)
def test_costs_of_commands_add_up(commands: Recognizer, audio_dir: Path, name: str) -> None:
    explanation = commands.explain(audio_dir / name, options=BARE)
    check_sums(explanation)
    # A grammar leaves nothing but what pushing moved to other places.
    assert explanation.costs.remainder == pytest.approx(0.0, abs=1e-3)
    assert explanation.text == commands.transcribe(audio_dir / name).text


def test_costs_under_tools_against_noise_add_up(commands: Recognizer, audio_dir: Path) -> None:
    """The scores explained are those of the model as it was moved, at the scale it was given."""
    options = commands.options.against_noise(["vts", "scale", "mask"])
    moved = Recognizer.load("en-us", grammar="lm/smart_home.yaml", options=options)
    sound = np.random.default_rng(0).normal(0, 0.01, 32000) + np.pad(
        read_audio(audio_dir / SOUNDS[0], sample_rate=16000)[0], (0, 32000)
    )[:32000]
    noisy = sound.astype(np.float32)
    said = moved.transcribe(noisy, sample_rate=16000)
    explanation = moved.explain(
        noisy, sample_rate=16000, options=ExplainOptions(without=("background",))
    )
    check_sums(explanation)
    assert explanation.transcript.text == said.text
    assert said.lattice is not None
    assert explanation.cost == pytest.approx(said.lattice.best().cost, abs=1e-4)
    [alone] = explanation.ablations
    plain = replace(options, background=None)
    without = Recognizer.load("en-us", grammar="lm/smart_home.yaml", options=plain)
    assert alone.text == without.transcribe(noisy, sample_rate=16000).text


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUNDS[-1:] + ["good_morning.wav", "train.wav"])
def test_costs_of_dictation_add_up(dictation: Recognizer, audio_dir: Path, name: str) -> None:
    explanation = dictation.explain(audio_dir / name, options=BARE)
    check_sums(explanation)
    assert explanation.costs.remainder < 1e-3  # backing off is taken where it is cheaper
    assert explanation.text == dictation.transcribe(audio_dir / name).text


@pytest.mark.slow
def test_costs_of_read_english_add_up(dictation: Recognizer, data_dir: Path) -> None:
    for sound in sorted((data_dir / "native_dictation").glob("*.wav"))[:2]:
        explanation = dictation.explain(sound, options=BARE)
        check_sums(explanation)
        assert len(explanation.words) > 3 and any(each.competitor for each in explanation.words)


def test_each_factor_is_its_own_table(
    small: Recognizer, kitchen: Explanation, lm: Path
) -> None:
    check_sums(kitchen)
    words = [each.word for each in kitchen.words]
    language = -read_arpa(lm).score_sentence(words)
    assert kitchen.costs.language == pytest.approx(language, abs=1e-4)
    assert kitchen.costs.penalty == pytest.approx(0.7 * len(words))
    costs = {each.word: each.costs.pronunciation for each in kitchen.words}
    assert costs["turn"] == pytest.approx(-np.log(0.9))
    assert costs["lights"] == 0.0
    silence = -np.log(small.options.graph.silence_probability)
    n_pauses = sum(len(e.part.phones) for e in kitchen.parts if e.part.kind == "pause")
    assert kitchen.costs.silence == pytest.approx(n_pauses * silence, abs=1e-4)


def test_the_remainder_is_what_backing_off_spares(kitchen: Explanation, lm: Path) -> None:
    """``the kitchen`` is listed so low that the graph would rather back off; the rule would not."""
    model, words = read_arpa(lm), tuple(each.word for each in kitchen.words)
    spared = cheapest(model, words) + model.score_sentence(words)
    assert spared < -0.1
    assert kitchen.costs.remainder == pytest.approx(spared, abs=1e-3)


def test_free_phones_fit_no_worse_than_words_do(kitchen: Explanation) -> None:
    """Excess is acoustic cost above the best phones out of context: near 0 for what was said."""
    for each in kitchen.words:
        assert each.part.excess == pytest.approx(each.costs.acoustic - each.part.free)
        assert abs(each.part.excess) < 0.25 * each.costs.acoustic


# --- random small graphs ----------------------------------------------------


@pytest.fixture(scope="module")
def model() -> GmmModel:
    """Five phones of two states, out of context, each state with its own chances of staying."""
    n, rng = len(PHONES), np.random.default_rng(0)
    leave = rng.uniform(0.2, 0.8, (n, 2)).astype(np.float32)
    densities = DiagonalMixtures(
        np.zeros((2 * n, 2)), np.ones((2 * n, 2)), np.ones(2 * n), np.arange(2 * n + 1)
    )
    return GmmModel(
        PHONES, "SIL", ("SIL", "+N+"),
        FeatureOptions(n_cepstra=2, streams="1s_c", remove_noise=False), densities,
        np.arange(2 * n).reshape(n, 2), np.arange(n), np.log(1 - leave), np.log(leave),
        np.zeros((0, 4)), np.zeros(0),
    )  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A model of nothing but a topology."""

    topology: Topology
    n_pdfs: int
    frame_seconds: float = 0.02


def made(kind: str) -> Made:
    """Phones of two or three states, with skips and loops of other pdfs; or of one and a blank."""
    rng = np.random.default_rng(1)
    phones = PHONES[: 3 if kind == "blank" else 5]
    n, n_states = len(phones), 1 if kind == "blank" else 3
    probs = np.log(rng.dirichlet([3, 3, 2], (n, n_states)))
    pdfs = 1 + np.arange(n * n_states).reshape(n, n_states)
    loops = pdfs if kind == "blank" else pdfs + n * n_states
    skip = np.full((n, n_states), -np.inf)
    if kind == "skips":
        pdfs[0, 2] = loops[0, 2] = -1  # a phone of two states
        skip[:, :-1] = probs[:, :-1, 2]
        skip[0, 1] = -np.inf
    silence, fillers = ("", ()) if kind == "blank" else ("SIL", ("SIL", "+N+"))
    topology = Topology(
        phones, silence, fillers, np.arange(n), pdfs, loops, probs[..., 0], probs[..., 1],
        np.arange(n), np.arange(n).repeat(4)[:, None, None], skip_log_prob=skip,
        blank_pdf=0 if kind == "blank" else -1,
    )
    return Made(topology, int(loops.max()) + 1)


def random_lexicon(rng: np.random.Generator, words: list[str]) -> Lexicon:
    entries = {}
    for word in words:
        ways = {
            tuple(rng.choice(["A", "B", "C"], rng.integers(1, 4)).tolist())
            for _ in range(rng.integers(1, 3))
        }
        entries[word] = tuple(
            Pronunciation(way, float(rng.uniform(0.1, 1.0))) for way in sorted(ways)
        )
    return Lexicon(entries)


def random_decode(
    model: GmmModel | Made, seed: int, order: int, tmp_path: Path
) -> tuple[Graph, np.ndarray, BestPath, Prices]:
    rng = np.random.default_rng(seed)
    ngrams = naive_language.random_ngrams(seed, 4, order)
    naive_language.write_arpa(ngrams, tmp_path / "random.arpa")
    language = read_arpa(tmp_path / "random.arpa")
    words = [word for word in language.vocabulary if not word.startswith("<")]
    options = GraphOptions(
        silence_probability=0.2, filler_probability=float(rng.choice([0.0, 0.05])),
        transition_scale=float(rng.uniform(0, 1)), word_penalty=float(rng.uniform(-0.5, 1)),
    )
    prices = Prices(model.topology, random_lexicon(rng, words), NGramScorer(language), options)
    graph = build_graph(model, prices.lexicon, language, options)
    scores = rng.normal(0, 2, (rng.integers(8, 25), model.n_pdfs)).astype(np.float32)
    return graph, scores, decode(graph, scores).best(), prices


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_costs_add_up_on_random_graphs(
    model: GmmModel, seed: int, order: int, tmp_path: Path
) -> None:
    graph, scores, path, prices = random_decode(model, seed, order, tmp_path)
    rows = np.arange(path.n_frames)
    frames = scores[rows, graph.label_pdf[path.labels]]
    parts = path_parts(graph, path, frames, scores.max(axis=1), prices)
    total = sum((part.costs for part in parts), Costs())
    assert total.total == pytest.approx(path.cost, abs=1e-3)
    slow, last = naive_decoder.path_cost(graph, scores, path.arcs)
    assert total.total == pytest.approx(slow + float(graph.final[last]), abs=1e-3)
    has_fillers = any(phone.phone == "+N+" for phone in path.phones)
    if order == 1:  # no backing off
        assert total.remainder == pytest.approx(0.0, abs=1e-3)
    elif not has_fillers:  # a filler forgets the history, which may cost
        assert total.remainder < 1e-3


# --- competitors ------------------------------------------------------------


def test_the_competitor_is_the_cheapest_path_with_another_word(
    small: Recognizer, kitchen: Explanation
) -> None:
    lattice = kitchen.lattice
    assert lattice is not None
    for each in kitchen.words:
        middle = (each.part.start + each.part.end) // 2
        kept = np.flatnonzero(~(
            (lattice.node_frame[lattice.arc_source] <= middle)
            & (middle < lattice.node_frame[lattice.arc_target])
            & np.isin(lattice.arc_word, [lattice.words.index(each.word)])
        ))
        other = best_path(lattice.with_arcs(kept))
        if each.competitor is None:
            assert other is None or other.words == tuple(e.word for e in kitchen.words)
            continue
        assert other is not None
        assert each.competitor.cost == pytest.approx(other.cost, abs=1e-6)
        assert each.word in each.competitor.instead_of
        assert each.competitor.words != each.competitor.instead_of
    assert any(each.competitor for each in kitchen.words)


def test_costs_of_a_competitor_are_those_of_the_lattice(
    small: Recognizer, kitchen: Explanation
) -> None:
    lattice = kitchen.lattice
    assert lattice is not None
    for each in kitchen.words:
        if each.competitor is None:
            continue
        arcs = list(each.competitor.arcs)
        cost = lattice.arc_cost[arcs].sum() + lattice.final[lattice.arc_target[arcs[-1]]]
        assert each.competitor.cost == pytest.approx(cost, abs=1e-6)
        assert each.competitor.costs.acoustic == pytest.approx(lattice.arc_acoustic[arcs].sum())
        assert each.competitor.margin == pytest.approx(cost - kitchen.cost, abs=1e-3)
        assert each.competitor.difference.to_dict()[each.competitor.decided] < 0


@pytest.mark.parametrize("seed", range(20))
def test_competitors_of_random_lattices(
    model: GmmModel, seed: int, tmp_path: Path
) -> None:
    """Of all paths, enumerated, those with something else in the middle of the word."""
    graph, scores, _, prices = random_decode(model, seed, 2, tmp_path)
    lattice = decode(graph, scores[:12])
    paths = sorted(naive_paths.paths(lattice), key=lambda each: each[1])
    best = best_path(lattice)
    assert best is not None and lattice.aligned
    halves = scores[:5], scores[5:12]
    arcs = [a for a in best.arcs if lattice.arc_word[a]]
    others_of = competitors(
        lattice, prices, lambda pdfs: [half[:, pdfs] for half in halves], best.word_ids
    )
    for arc, competitor in zip(arcs, others_of, strict=True):
        frames = lattice.node_frame[[lattice.arc_source[arc], lattice.arc_target[arc]]]
        others = [
            (cost, naive_paths.words_of(lattice, path)) for path, cost in paths
            if word_at(lattice, path, int(frames.sum()) // 2) != lattice.arc_word[arc]
        ]
        if competitor is None:  # all others have the same words, at other times
            assert {words for _, words in others[:1]} <= {best.words}
            continue
        cost, words = others[0]
        assert competitor.cost >= cost - 1e-5
        if lattice.spelt(int(lattice.arc_word[arc])) not in words:
            assert competitor.cost == pytest.approx(cost, abs=1e-5)
        assert competitor.costs.total == pytest.approx(competitor.cost)
        assert naive_paths.words_of(lattice, list(competitor.arcs)) != best.words


@pytest.mark.parametrize("seed", range(12))
def test_the_states_of_a_lattices_paths_are_found_again(
    model: GmmModel, seed: int, tmp_path: Path
) -> None:
    """With unigrams, the factors are all of each path's cost, which needs its exact states."""
    graph, scores, _, prices = random_decode(model, seed, 1, tmp_path)
    lattice = decode(graph, scores)
    paths = [arcs for arcs, _ in itertools.islice(naive_paths.paths(lattice), 50)]
    transitions = lattice_transitions(
        lattice, paths, model.topology, prices.options.transition_scale,
        lambda pdfs: [scores[:5, pdfs], scores[5:, pdfs]],
    )
    for arcs, moved in zip(paths, transitions, strict=True):
        costs = lattice_costs(lattice, arcs, prices, moved)
        assert costs.remainder == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("kind, seed", [
    *(("loops", seed) for seed in range(8)), *(("blank", seed) for seed in range(8)),
    *(("skips", seed) for seed in (1, 2, 3, 4, 6, 7)),  # lattices of the others are not aligned
])
def test_transitions_of_other_topologies(kind: str, seed: int, tmp_path: Path) -> None:
    """With unigrams nothing remains, neither of the best path nor of the N-best of a lattice."""
    model = made(kind)
    graph, scores, path, prices = random_decode(model, seed, 1, tmp_path)
    rows = np.arange(path.n_frames)
    frames = scores[rows, graph.label_pdf[path.labels]]
    total = sum((each.costs for each in path_parts(graph, path, frames, frames, prices)), Costs())
    assert path.reached_final and total.total == pytest.approx(path.cost, abs=1e-3)
    assert total.remainder == pytest.approx(0.0, abs=1e-3)
    lattice = decode(graph, scores)
    paths = [each.arcs for each in nbest(lattice, 20)]
    transitions = lattice_transitions(
        lattice, paths, model.topology, prices.options.transition_scale,
        lambda pdfs: [scores[:, pdfs]],
    )
    for arcs, moved in zip(paths, transitions, strict=True):
        costs = lattice_costs(lattice, arcs, prices, moved)
        assert costs.remainder == pytest.approx(0.0, abs=1e-3)
    assert lattice.aligned and paths


def word_at(lattice, path: list[int], frame: int) -> int:
    """Word id at a frame of a path."""
    for arc in path:
        if lattice.node_frame[lattice.arc_source[arc]] <= frame < lattice.node_frame[
            lattice.arc_target[arc]
        ]:
            return int(lattice.arc_word[arc])
    return -1


# --- ablations --------------------------------------------------------------


def test_the_result_without_language_is_that_of_a_flat_model(
    small: Recognizer, kitchen: Explanation, lexicon: Path, audio_dir: Path, tmp_path: Path
) -> None:
    words = ["<s>", "</s>", *sorted(Lexicon.read(lexicon))]
    lines = "\n".join(f"{-99 if word == '<s>' else 0} {word}" for word in words)
    flat = tmp_path / "flat.arpa"
    flat.write_text(f"\\data\\\nngram 1={len(words)}\n\n\\1-grams:\n{lines}\n\n\\end\\\n")
    other = Recognizer.load("en-us", lm=flat, lexicon=lexicon, options=small.options)
    [ablation] = [each for each in kitchen.ablations if each.name == "language"]
    said = other.transcribe(audio_dir / "kitchen_light_on.wav")
    assert ablation.text == said.text != kitchen.text
    assert ablation.compile_seconds > 0


def test_the_result_without_pronunciation_costs_is_that_of_such_a_dictionary(
    small: Recognizer, kitchen: Explanation, lm: Path, lexicon: Path, audio_dir: Path,
    tmp_path: Path,
) -> None:
    plain = tmp_path / "plain.dict"
    lines = lexicon.read_text(encoding="utf-8").splitlines()
    plain.write_text("\n".join(re.sub(r" [\d.]+ ", " 1.0 ", line) for line in lines) + "\n")
    other = Recognizer.load("en-us", lm=lm, lexicon=plain, options=small.options)
    [ablation] = [each for each in kitchen.ablations if each.name == "pronunciation"]
    text = other.transcribe(audio_dir / "kitchen_light_on.wav").text
    assert ablation.text == text != kitchen.text


def test_other_factors_are_those_of_a_recogniser_with_their_files(
    commands: Recognizer, small: Recognizer, lm: Path, lexicon: Path, audio_dir: Path
) -> None:
    sound = audio_dir / "kitchen_light_on.wav"
    swapped = small.explain(sound, options=ExplainOptions(
        without=("transitions", "variants"), other_lm=lm, other_lexicon=lexicon
    ))
    assert [each.name for each in swapped.ablations] == [
        "transitions", "variants", "other_lm", "other_lexicon"
    ]
    assert swapped.ablations[2].text == swapped.ablations[3].text == swapped.text  # the same files
    graph = replace(small.options.graph, transition_scale=0.0)
    still = Recognizer.load(
        "en-us", lm=lm, lexicon=lexicon, options=replace(small.options, graph=graph)
    )
    assert swapped.ablations[0].text == still.transcribe(sound).text


def test_a_grammar_may_lose_its_order_but_not_weights_it_does_not_have(
    commands: Recognizer, audio_dir: Path
) -> None:
    explanation = commands.explain(audio_dir / "heating_twenty_one.wav")
    by_name = {each.name: each for each in explanation.ablations}
    assert by_name["weights"].text == explanation.text and "already" in by_name["weights"].note
    assert set(by_name["language"].text.split()) <= set(commands.graph.words)
    assert by_name["language"].text != explanation.text


def test_without_a_background_the_best_command_is_accepted(
    commands: Recognizer, audio_dir: Path
) -> None:
    options = replace(commands.options, background=None)
    alone = Recognizer.load("en-us", grammar=GRAMMAR, options=options)
    explanation = commands.explain(
        audio_dir / "train.wav", options=ExplainOptions(without=("background",))
    )
    [ablation] = explanation.ablations
    assert not explanation.text and explanation.nearest == ablation.text
    assert ablation.text == alone.transcribe(audio_dir / "train.wav").text != ""


def test_a_grammar_without_weights_has_a_graph_of_its_own(
    audio_dir: Path, tmp_path: Path, graph_cache: Path
) -> None:
    grammar, flat = tmp_path / "weighted.jsgf", tmp_path / "flat.jsgf"
    rooms = "(/1e9/ chicken | /1/ kitchen)"
    head = "#JSGF V1.0;\ngrammar g;\npublic <g> = turn on the {} light;\n"
    grammar.write_text(head.format(rooms), encoding="utf-8")
    flat.write_text(head.format("(chicken | kitchen)"), encoding="utf-8")
    options = replace(Bundle.find("en-us").commands, acoustic_scale=0.02, background=None)
    weighted = Recognizer.load("en-us", grammar=grammar, options=options)
    explanation = weighted.explain(
        audio_dir / "kitchen_light_on.wav", options=ExplainOptions(without=("weights",))
    )
    check_sums(explanation)
    equal = Recognizer.load("en-us", grammar=flat, options=options)
    [ablation] = explanation.ablations
    assert ablation.text == equal.transcribe(audio_dir / "kitchen_light_on.wav").text
    assert ablation.compile_seconds > 0 and ablation.text != explanation.text


def test_an_unknown_factor_is_named(commands: Recognizer, audio_dir: Path) -> None:
    with pytest.raises(OptionError, match="leave out are language.*got 'vowels'"):
        commands.explain(audio_dir / "train.wav", options=ExplainOptions(without=("vowels",)))
    with pytest.raises(MissingError, match=r"news\.arpa: no such file"):
        ExplainOptions(other_lm=Path("news.arpa"))
    with pytest.raises(OptionError, match="lattice_beam must be above 0"):
        ExplainOptions(lattice_beam=0.0)


# --- what cannot be explained -----------------------------------------------


def test_silence_and_foreign_speech(commands: Recognizer, audio_dir: Path) -> None:
    silence = commands.explain(audio_dir / "silence.wav", options=BARE)
    assert not silence.parts and silence.transcript.reason == "no speech"
    assert "no speech" in as_text(silence) and "no speech" in as_html(silence)
    assert json.loads(silence.to_json())["cost"] is None
    foreign = commands.explain(audio_dir / "weather.wav", options=BARE)
    check_sums(foreign)
    assert foreign.is_rejected and not foreign.text and BACKGROUND not in foreign.nearest
    for told in (as_text(foreign), as_html(foreign)):
        assert "no sentence of the grammar fits" in told and "The best command lost" in told
    assert f'Best command, rejected: "{foreign.nearest}"' in as_text(foreign)
    assert foreign.nearest in re.sub("<[^>]+>", "", as_html(foreign))
    content = json.loads(foreign.to_json())
    assert content["refused"] and content["nearest"] == foreign.nearest and not content["text"]


# --- the same verdict as transcribe -----------------------------------------


def check_verdict(recognizer: Recognizer, sound: Path, lattice_beam: float | None = None) -> None:
    options = replace(BARE, lattice_beam=lattice_beam)
    explanation, expected = recognizer.explain(sound, options=options), recognizer.transcribe(sound)
    found = explanation.transcript
    assert (found.text, found.reason) == (expected.text, expected.reason), sound.name
    assert found.words == expected.words, sound.name
    assert found.interpretation == expected.interpretation, sound.name
    assert explanation.is_rejected == bool(explanation.parts and expected.reason), sound.name
    if explanation.parts:
        assert expected.lattice is not None
        assert explanation.cost == pytest.approx(expected.lattice.best().cost, abs=1e-3)


def test_the_verdict_is_that_of_transcribe(commands: Recognizer, audio_dir: Path) -> None:
    for sound in sorted(audio_dir.glob("*.wav")):
        check_verdict(commands, sound)


def test_the_verdict_on_coffee_commands_is_that_of_transcribe(
    data_dir: Path, graph_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 sounds; the beam of competitors changes no verdict, so it may be small.

    ``tests/bench/explain_verdict.py`` takes hundreds.
    """
    folder = data_dir / "coffee_commands"
    if not folder.is_dir():
        pytest.skip("needs coffee_commands")
    recognizer = Recognizer.load("en-us", grammar=folder / "grammar.yaml")
    assert recognizer.recipe is not None
    prices = prices_of(recognizer.recipe, recognizer.model, recognizer.graph)
    module = sys.modules["factored_asr.explain.explain"]  # its name is that of its function
    monkeypatch.setattr(module, "prices_of", lambda *of: prices)  # reads a dictionary each time
    sounds = sorted((folder / "clean").glob("*.flac"))
    assert len(sounds) >= 60
    for sound in sounds[:: len(sounds) // 20][:20]:
        check_verdict(recognizer, sound, lattice_beam=5.0)


# --- the background ---------------------------------------------------------


@pytest.mark.parametrize("name", ["kitchen_light_on.wav", "weather.wav", "train.wav"])
def test_the_background_adds_up_in_the_time_of_the_command(
    commands: Recognizer, audio_dir: Path, name: str
) -> None:
    explanation = commands.explain(audio_dir / name, options=BARE)
    check_sums(explanation)
    stretches = [each.background for each in explanation.parts]
    assert explanation.background is not None and explanation.margin is not None
    paid = sum(each.cost for each in stretches if each is not None)
    assert paid == pytest.approx(explanation.background.cost, abs=1e-3)
    words = [word for each in stretches if each is not None for word in each.words]
    assert tuple(words) == explanation.background.words
    assert explanation.is_rejected == (explanation.margin < 0) == (not explanation.text)
    content = explanation.to_dict()
    margins = sum(part["background"]["margin"] for part in content["parts"])
    assert margins == pytest.approx(content["background"]["margin"], abs=0.01)


def test_a_grammar_without_a_background_has_nothing_to_lose_to(
    commands: Recognizer, audio_dir: Path
) -> None:
    options = replace(commands.options, background=None)
    alone = Recognizer.load("en-us", grammar=GRAMMAR, options=options)
    explanation = alone.explain(audio_dir / "train.wav", options=ExplainOptions(
        without=("background",)
    ))
    assert explanation.margin is None and not explanation.ablations and not explanation.is_rejected
    assert explanation.text == explanation.nearest != ""
    assert "background" not in as_text(explanation)
    assert explanation.to_dict()["background"] is None


def test_a_sentence_is_charged_the_same_wherever_its_words_may_also_be_a_prefix() -> None:
    """``please`` begins a sentence, and may come before each: then its cost is not yet known."""
    grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <g> = please stop | stop now;")
    options = GraphOptions(prefixes=("please",), prefix_cost=2.0)
    scorer = GrammarScorer.of(grammar, {"please": 1, "stop": 2, "now": 3}, options)
    assert cost_of(scorer, ["please", "stop"]) == pytest.approx(0.0)
    assert cost_of(scorer, ["please", "stop", "now"]) == pytest.approx(2.0)
    assert cost_of(scorer, ["please"]) == np.inf


def test_a_ready_graph_has_no_factors_to_look_at(small: Recognizer, audio_dir: Path) -> None:
    bare = Recognizer(small.model, small.graph, small.options)
    with pytest.raises(MissingError, match="made from a graph"):
        bare.explain(audio_dir / "train.wav")


# --- formats ----------------------------------------------------------------


class Parsed(HTMLParser):
    """Checks that tags nest, and gathers all addresses."""

    VOID = frozenset({"meta", "img", "br", "line", "rect", "path"})

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs
                           if name in ("src", "href", "srcset", "action", "data", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()


@pytest.fixture(scope="module")
def pages(
    kitchen: Explanation, commands: Recognizer, audio_dir: Path
) -> Iterator[list[tuple[Explanation, str]]]:
    foreign = commands.explain(audio_dir / "weather.wav", options=BARE)
    said = commands.explain(audio_dir / "heating_twenty_one.wav", options=BARE)
    yield [(each, as_html(each, "a <sound>.wav")) for each in (kitchen, foreign, said)]


def test_a_page_is_whole_and_needs_nothing_else(pages: list[tuple[Explanation, str]]) -> None:
    for explanation, page in pages:
        parsed = Parsed(page)
        assert all(address.startswith("data:") for address in parsed.addresses)
        assert sum(a.startswith("data:audio/wav") for a in parsed.addresses) == 1
        assert sum(a.startswith("data:image/png") for a in parsed.addresses) == 1
        assert len(set(parsed.ids)) == len(parsed.ids)
        text = re.sub(r"data:[\w/]+;base64,[\w+/=]+", "", page)
        assert not re.search(r"https?:|//\w|url\(|@import|<link|<iframe", text)
        assert "a &lt;sound&gt;.wav" in page and "<sound>" not in page
        for each in explanation.words:
            start = explanation.seconds(each.part.start)
            assert f'data-start="{start:.3f}"' in page


def test_a_page_is_accessible(pages: list[tuple[Explanation, str]], audio_dir: Path,
                              tmp_path: Path) -> None:
    pytest.importorskip("websockets")
    if not (PROGRAM and AXE.is_file()):
        pytest.skip("needs Chromium and axe-core-python")
    with browser(tmp_path / "profile", audio_dir / "silence.wav") as shown:
        for width, (_, page) in zip((1300, 390), pages[1:], strict=True):
            (tmp_path / "page.html").write_text(page, encoding="utf-8")
            shown.size(width, 900)
            shown.open((tmp_path / "page.html").as_uri())
            assert shown.violations() == []


def test_the_page_draws_in_the_same_scale_as_its_script(
    pages: list[tuple[Explanation, str]]
) -> None:
    from factored_asr.explain.timeline import PIXELS

    assert f"const PIXELS = {PIXELS};" in pages[0][1]


def test_json_says_all_of_it(kitchen: Explanation, commands: Recognizer, audio_dir: Path) -> None:
    content = json.loads(kitchen.to_json())
    assert content["schema"] == 1 and content["factors"] == list(FACTORS)
    sums = {name: sum(part["costs"][name] for part in content["parts"]) for name in FACTORS}
    for name in FACTORS:
        assert content["costs"][name] == pytest.approx(sums[name], abs=0.01)
    assert sum(sums.values()) == pytest.approx(content["cost"], abs=0.01)
    assert content["states"][0]["start"] == 0.0
    ends = [state["end"] for state in content["states"]]
    assert ends == sorted(ends) and ends[-1] == pytest.approx(content["duration"], abs=0.02)
    assert content["interpretation"] is None and content["language"] == "ngram"
    said = commands.explain(audio_dir / "heating_twenty_one.wav", options=BARE).to_dict()
    assert said["interpretation"]["intent"] == "SetTemperature"
    assert any("smart_home.yaml" in line for line in said["interpretation"]["trace"])


def test_text_can_be_read_aloud(kitchen: Explanation) -> None:
    text = as_text(kitchen)
    assert text.startswith(f'Recognised: "{kitchen.text}"')
    assert re.search(r"'[\w ]+' beat '?[\w ]+'? by \d+\.\d.*decided\.", text)
    assert "LM scale 0" in text and "graph" in text


def test_a_picture_is_a_picture() -> None:
    import io

    image = pytest.importorskip("matplotlib.image")
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    pixels = image.imread(io.BytesIO(png(levels)), format="png")
    assert pixels.shape[:2] == (3, 4)
    assert pixels[0, 0, :3].tolist() == [1.0, 1.0, 1.0]
    assert (np.diff(pixels[..., 0].ravel()) < 0).all()  # darker and darker


def test_the_grammar_scorer_walks_its_sentences() -> None:
    grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <g> = (/3/ go | /1/ stop) now;")
    ids, options = {"go": 1, "stop": 2, "now": 3}, GraphOptions(empty_cost=2.5)
    scorer = GrammarScorer.of(grammar, ids, options)
    assert cost_of(scorer, ["go", "now"]) == pytest.approx(-np.log(0.75), abs=1e-6)
    assert cost_of(scorer, ["stop", "now"]) == pytest.approx(-np.log(0.25), abs=1e-6)
    assert cost_of(scorer, []) == 2.5
    assert cost_of(scorer, ["now"]) == cost_of(scorer, ["go"]) == np.inf
    assert scorer.is_weighted


def cost_of(scorer: GrammarScorer, words: list[str]) -> float:
    """Of a whole sentence."""
    state, total = scorer.start(), 0.0
    for word in words:
        state, log_prob = scorer.score_word(state, word)
        total -= log_prob
    return total - scorer.finish(state)


def test_first_pronunciations(lexicon: Path, graph_cache: Path) -> None:
    words = Lexicon.read(lexicon)
    first = Lexicon.read(neutral_lexicon(words, words, first_only=True))
    assert {word: len(first[word]) for word in first} == dict.fromkeys(words, 1)
    assert first["on"][0].phones == ("AA", "N")


# --- command line -----------------------------------------------------------


def test_the_command_writes_each_format(
    audio_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = str(audio_dir / "kitchen_light_on.wav")
    base = ["explain", "--quiet", "--grammar", str(GRAMMAR), "--without", "none", sound]
    assert main(base) == 0
    assert capsys.readouterr().out.startswith('Recognised: "turn on the kitchen light"')
    assert main([*base, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "turn on the kitchen light"
    page = tmp_path / "page.html"
    assert main([*base, "--format", "html", "-o", str(page)]) == 0
    assert capsys.readouterr().out == ""
    Parsed(page.read_text(encoding="utf-8"))


def test_the_command_says_what_is_wrong(
    audio_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = str(audio_dir / "kitchen_light_on.wav")
    base = ["explain", "--quiet", "--grammar", str(GRAMMAR), sound]
    assert main([*base, "--without", "vowels"]) == 2
    assert "got 'vowels'" in capsys.readouterr().err
    assert main([*base, "--other-lm", "no.arpa"]) == 1
    assert "no.arpa: no such file" in capsys.readouterr().err
    assert main([*base, "--without", "none", "-o", str(tmp_path / "no" / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert command.ABLATIONS == FACTORS_TO_LEAVE_OUT
