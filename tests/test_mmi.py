"""Boosted MMI: lattices of what was said and what could have been, and the models they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import naive_mmi as naive
import numpy as np
import pytest

from factored_asr.acoustic import DiagonalMixtures, GmmModel, TiedMixtures
from factored_asr.acoustic.alignment import align_spans
from factored_asr.acoustic.gmm.statistics import GaussianStatistics
from factored_asr.acoustic.gmm.transforms import identity
from factored_asr.acoustic.topology import Topology
from factored_asr.decoder import BeamOptions, decode
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.graph import build_graph
from factored_asr.lattice import Lattice
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training import _kernels
from factored_asr.training.data import TrainingData
from factored_asr.training.ebw import EbwOptions, update_ebw
from factored_asr.training.em import PassReport, Run, Trained
from factored_asr.training.mmi import (
    MmiOptions,
    gather,
    make_lattices,
    state_differences,
    train_mmi,
    unigram,
)
from factored_asr.training.phone_lattice import (
    START,
    STOP,
    PhoneLattice,
    holds,
    phone_lattice,
    span_frames,
)
from factored_asr.training.tying import TreeOptions, context_statistics, grow_tree

PHONES = ("SIL", "A", "B", "C")
WORDS = {"ab": "AB", "ba": "BA", "cab": "CAB", "a": "A", "bac": "BAC"}
LEXICON = Lexicon({word: (Pronunciation(tuple(phones)),) for word, phones in WORDS.items()})
FEATURES = FeatureOptions(n_cepstra=2, streams="1s_c", normalisation="none")
OPTIONS = MmiOptions(
    passes=3, acoustic_scale=0.5, boost=0.2, beams=BeamOptions(beam=30.0, lattice_beam=8.0),
    update=EbwOptions(tau=10.0),
)
MEANS = np.array([[-4.0, 0], [0.0, 0], [1.5, 0.5], [1.0, 2.0]])


@dataclass(frozen=True)
class Said:
    id: str
    speaker: str
    words: tuple[str, ...]


def a_corpus(n: int = 30, seed: int = 0) -> TrainingData:
    """Sentences of one to three words between silences; phones overlap, so that some go wrong."""
    rng = np.random.default_rng(seed)
    utterances, cepstra = [], []
    for i in range(n):
        words = tuple(rng.choice(list(WORDS), rng.integers(1, 4)).tolist())
        phones = ["SIL", *"".join(WORDS[word] for word in words), "SIL"]
        spoken = np.repeat([PHONES.index(each) for each in phones], rng.integers(3, 7, len(phones)))
        utterances.append(Said(f"u{i}", f"s{i % 3}", words))
        loud = np.where(rng.random((len(spoken), 1)) < 0.2, 2.0, 1.0)
        noise = loud * rng.normal(size=(len(spoken), 2))
        cepstra.append((MEANS[spoken] + noise).astype(np.float32))
    return TrainingData(tuple(utterances), tuple(cepstra), FEATURES)


def a_model(n_states: int = 2) -> GmmModel:
    """Each phone has two states of two Gaussians each, near where they should be."""
    rng = np.random.default_rng(1)
    n_pdfs = len(PHONES) * n_states
    means = np.repeat(MEANS, 2 * n_states, axis=0) + rng.normal(size=(2 * n_pdfs, 2)) * 0.4
    densities = DiagonalMixtures(
        means, np.full((2 * n_pdfs, 2), 1.3), np.tile([0.4, 0.6], n_pdfs),
        np.arange(0, 2 * n_pdfs + 1, 2),
    )
    pdfs = np.arange(n_pdfs).reshape(len(PHONES), n_states)
    halves = np.full(pdfs.shape, np.log(0.5))
    return GmmModel(
        PHONES, "SIL", ("SIL",), FEATURES, densities, pdfs, np.arange(len(PHONES)), halves, halves,
        np.zeros((0, 4), np.int32), np.zeros(0, np.int32),
    )


def a_triphone_model() -> GmmModel:
    """Every context tells itself apart as far as random statistics go."""
    rng = np.random.default_rng(2)
    contexts = np.array(list(product(range(4), range(4), range(4), range(4), range(2))))
    features = MEANS[contexts[:, 0]] + rng.normal(size=(len(contexts), 2)) * 0.6
    tree = grow_tree(
        context_statistics(features, contexts), PHONES, np.full(4, 2), TreeOptions(60, 4), (0,)
    )
    tied, mono = tree.tied_hmms(0, (0,)), a_model()
    means = rng.normal(size=(tree.n_pdfs, 2))
    for phone in range(4):
        means[np.unique(tied.hmm_pdfs[tied.hmm_phone == phone])] += MEANS[phone]
    densities = DiagonalMixtures(
        means, np.ones_like(means), np.ones(len(means)), np.arange(len(means) + 1)
    )
    loops = np.log(rng.uniform(0.2, 0.8, 4))[tied.hmm_phone][:, None].repeat(2, axis=1)
    return replace(
        mono, densities=densities, hmm_pdfs=tied.hmm_pdfs, hmm_phone=tied.hmm_phone,
        hmm_loop_log_probs=loops, hmm_exit_log_probs=np.log1p(-np.exp(loops)),
        triphone_contexts=tied.triphone_contexts, triphone_hmms=tied.triphone_hmms, tree=tree,
    )


def trained_on(data: TrainingData, model: GmmModel | None = None) -> Trained:
    return Trained(model or a_model(), (None,) * len(data))


def heard_lattices(
    data: TrainingData, model: GmmModel, beams: BeamOptions = OPTIONS.beams
) -> Iterator[tuple[Lattice, np.ndarray]]:
    graph = build_graph(model, LEXICON, unigram(data, LEXICON), OPTIONS.graph)
    for i in range(len(data)):
        scores = 0.5 * model.log_likelihoods(data.features(i))
        yield decode(graph, scores, beams), scores


@pytest.mark.parametrize("model", [a_model(), a_triphone_model()], ids=["mono", "tri"])
def test_states_of_spans_are_those_of_the_search(model: GmmModel) -> None:
    """Frame costs of every arc come out again, so contexts, times and states are all right."""
    for lattice, scores in heard_lattices(a_corpus(8), model):
        phones = phone_lattice(lattice, model, scores)
        assert phones.n_arcs == lattice.n_arcs > 3
        hmm = model.hmm_index(*phones.spans[:, :START].T)
        states = align_spans(
            model.topology, hmm, phones.spans[:, START], phones.spans[:, STOP], scores,
            np.arange(model.n_pdfs),
        )
        frame, span = span_frames(phones)
        acoustic, log_likelihood = np.bincount(span, scores[frame, states.pdfs]), states[1]
        np.testing.assert_allclose(acoustic, log_likelihood - states.transitions, atol=1e-4)
        np.testing.assert_allclose(-phones.over_arcs(acoustic), lattice.arc_acoustic, atol=1e-3)
        total = phones.arc_cost - phones.over_arcs(log_likelihood)
        np.testing.assert_allclose(total, lattice.arc_acoustic + lattice.arc_graph, atol=1e-9)
        # What is left is no cost of states: on whole paths, words and silences alone.
        path = lattice.best()
        assert (phones.final[np.isfinite(phones.final)] >= -1e-5).all() and path.reached_final


@pytest.mark.parametrize("kind", ["plain", "skips", "loops"])
def test_states_of_spans_are_those_of_brute_force(kind: str) -> None:
    """With states that may be skipped, and with pdfs of their own for frames that stay."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(12, 5)).astype(np.float32)
    start, stop = np.array([0, 2, 5, 0]), np.array([2, 9, 8, 1])
    pdfs = np.array([[0, 1, -1], [2, 3, 4], [4, 4, 1], [2, 3, -1]])
    loop, leave = np.log(rng.uniform(0.1, 0.9, (2, 4, 3)))
    skip = np.full((4, 3), -np.inf)
    if kind == "skips":
        skip[:, 0], skip[1:3, 1] = np.log(rng.uniform(0.1, 0.9, 4)), np.log([0.9, 0.2])
    stay = np.where(pdfs < 0, -1, (pdfs + 2) % 5) if kind == "loops" else pdfs
    topology = Topology(
        ("A",), "", (), np.zeros(4), pdfs, stay, loop, leave, np.zeros(1), np.zeros((4, 1, 1)),
        skip_log_prob=skip,
    )
    units = [0, 1, 2, 3]
    found = align_spans(topology, units, start, stop, scores, np.arange(5))
    expected = naive.align_spans(topology, units, start, stop, scores)
    np.testing.assert_allclose(found.log_likelihood, expected[1], rtol=1e-5)
    np.testing.assert_allclose(found.transitions, expected[2], rtol=1e-4, atol=1e-5)
    if kind != "skips":
        assert found.log_likelihood[3] == -np.inf  # two states do not fit into one frame
    assert found.pdfs[: len(expected[0])].tolist() == expected[0]


def test_posteriors_are_those_of_all_paths() -> None:
    rng = np.random.default_rng(6)
    source = np.sort(np.concatenate([np.arange(7), rng.integers(0, 7, 9)]))
    target = source + rng.integers(1, 3, 16)
    log_arc, log_final = rng.normal(size=16), np.full(9, -np.inf)
    log_final[6:] = rng.normal(size=3)
    posterior, total = _kernels.arc_posteriors(source, target, log_arc, log_final)
    expected = naive.arc_posteriors(source, target, log_arc, log_final)
    np.testing.assert_allclose(posterior, expected[0], atol=1e-9)
    assert total == pytest.approx(expected[1])


def test_two_lattices_joined_hold_the_paths_of_both() -> None:
    data = a_corpus(3)
    for each in make_lattices(data, LEXICON, trained_on(data), OPTIONS):
        assert each is not None
        both = each.numerator.joined(each.numerator.with_cost(1.0))
        assert both.n_arcs == 2 * each.numerator.n_arcs and (np.diff(both.arc_source) >= 0).all()
        alone, twice = (
            _kernels.arc_posteriors(x.arc_source, x.arc_target, -x.arc_cost, -x.final)
            for x in (each.numerator, both)
        )
        assert twice[1] == pytest.approx(alone[1] + np.log1p(np.exp(-1)))
        of_spans = both.over_spans(twice[0])
        np.testing.assert_allclose(
            of_spans[: len(each.numerator.spans)],
            each.numerator.over_spans(alone[0]) / (1 + np.exp(-1)),
        )


def test_what_was_said_is_always_among_what_could_have_been() -> None:
    data = a_corpus(20)
    trained, options = trained_on(data), replace(OPTIONS, boost=0.0)
    narrow = replace(options, beams=BeamOptions(beam=12.0, lattice_beam=0.5))
    searched = heard_lattices(data, trained.model, narrow.beams)
    missed = [not holds(lattice, said.words)
              for (lattice, _), said in zip(searched, data.utterances, strict=True)]
    for setting in (options, narrow):
        lattices = make_lattices(data, LEXICON, trained, setting)
        for i, each in enumerate(lattices):
            assert each is not None and each.numerator.n_frames == each.denominator.n_frames
            scores = trained.model.log_likelihoods(data.features(i))
            pdfs = np.arange(scores.shape[1])
            difference, log_odds = state_differences(each, trained.model, scores, pdfs, setting)
            # A narrow lattice may have the words without all pauses that the numerator has.
            assert log_odds < (0.5 if setting is narrow else 1e-3)
            shares = difference.sum(axis=1)
            np.testing.assert_allclose(shares, 0, atol=2e-3)
    assert 0 < sum(missed) < len(missed)  # so both ways were gone


def test_statistics_are_the_gradient_of_the_objective() -> None:
    """The exact derivative for a mean is that of its statistics; here against differences."""
    data = a_corpus(12)
    trained = trained_on(data)
    lattices = make_lattices(data, LEXICON, trained, OPTIONS)
    seen = gather(data, trained, lattices, OPTIONS)
    own = trained.model.densities
    count = seen.numerator.occupancy - seen.denominator.occupancy
    first = seen.numerator.first - seen.denominator.first
    gradient = OPTIONS.acoustic_scale * (first - count[:, None] * own.means) / own.variances
    checked = 0
    for g, d in product(range(2, 16, 3), range(2)):
        objective = []
        for step in (-1e-3, 1e-3):
            means = own.means.astype(np.float64)
            means[g, d] += step
            model = replace(trained.model, densities=replace(own, means=means))
            moved = gather(data, replace(trained, model=model), lattices, OPTIONS)
            objective.append(moved.objective)
        slope = (objective[1] - objective[0]) / 2e-3
        assert slope == pytest.approx(gradient[g, d], abs=0.02 + 0.02 * abs(slope))
        checked += abs(slope) > 0.2
    assert checked >= 3


@pytest.mark.parametrize("kind", ["mono", "tri", "adapted"])
def test_the_objective_rises_and_errors_fall(kind: str) -> None:
    data = a_corpus(25)
    trained = trained_on(data, a_triphone_model() if kind == "tri" else None)
    if kind == "adapted":  # a speaker's transform that undoes a shift of the model
        shifted = replace(trained.model.densities, means=trained.model.densities.means + 3)
        back = identity(2)
        back[:, -1] = 3
        trained = Trained(
            replace(trained.model, densities=shifted), trained.alignments,
            {speaker: back for speaker in ("s0", "s1", "s2")},
        )
    reports: list[PassReport] = []
    better = train_mmi(data, LEXICON, trained, OPTIONS, Run(report=reports.append))
    objectives = [each.log_likelihood for each in reports]
    assert (np.diff(objectives) > 0).all() and len(objectives) == OPTIONS.passes
    assert reports[0].failed == 0 and reports[0].n_frames == data.n_frames
    assert "an utterance" in reports[0].notes[0]
    assert errors(data, better) < errors(data, trained)
    if kind == "adapted":
        plain = train_mmi(data, LEXICON, trained_on(data), OPTIONS)
        np.testing.assert_allclose(
            better.model.densities.means - 3, plain.model.densities.means, atol=1e-3
        )


def errors(data: TrainingData, trained: Trained) -> int:
    """Sentences that are heard wrong."""
    graph = build_graph(trained.model, LEXICON, unigram(data, LEXICON), OPTIONS.graph)
    wrong = 0
    for i, said in enumerate(data.utterances):
        x = trained.observed(data, i)
        scores = trained.model.densities.scorer()(x)
        wrong += decode(graph, 0.5 * scores).best().words != said.words
    return wrong


def test_it_goes_on_where_it_was_stopped_and_two_processes_are_as_good_as_one() -> None:
    data = a_corpus(16)
    kept: list[tuple[int, Trained]] = []
    whole = train_mmi(
        data, LEXICON, trained_on(data), OPTIONS, Run(keep=lambda n, t: kept.append((n, t)))
    )
    again = train_mmi(data, LEXICON, trained_on(data), OPTIONS, Run(jobs=2, begun=kept[1]))
    for name in ("means", "variances", "weights"):
        assert np.array_equal(getattr(again.model.densities, name),
                              getattr(whole.model.densities, name))


def test_extended_baum_welch_is_the_textbook_formula() -> None:
    one = DiagonalMixtures([[1.0]], [[2.0]], [1.0], [0, 1])
    for_ = GaussianStatistics(np.array([10.0]), np.array([[20.0]]), np.array([[60.0]]))
    against = GaussianStatistics(np.array([4.0]), np.array([[-2.0]]), np.array([[5.0]]))
    new = update_ebw(one, for_, against, EbwOptions(e=2.0, tau=12.0))
    d = 12 + 2 * 4
    mean = (20 + 2 + d * 1) / (10 - 4 + d)
    assert new.means[0, 0] == pytest.approx(mean)
    assert new.variances[0, 0] == pytest.approx((55 + d * (2 + 1)) / (6 + d) - mean**2)


def test_gaussians_stay_sound_whatever_the_statistics() -> None:
    rng = np.random.default_rng(4)
    densities = DiagonalMixtures(
        rng.normal(size=(9, 3)), rng.uniform(0.1, 2, (9, 3)), np.full(9, 1 / 3), [0, 3, 6, 9]
    )
    for_, against = (
        GaussianStatistics(rng.uniform(0, 50, 9), rng.normal(size=(9, 3)) * 200,
                          rng.uniform(0, 900, (9, 3)))
        for _ in range(2)
    )
    new = update_ebw(densities, for_, against)
    assert (new.variances > 0).all() and np.isfinite(new.means).all()
    np.testing.assert_allclose(np.add.reduceat(new.weights, [0, 3, 6]), 1, rtol=1e-5)
    nothing = GaussianStatistics.zeros(densities)
    same = update_ebw(densities, nothing, nothing)
    assert np.array_equal(same.means, densities.means)
    np.testing.assert_allclose(same.weights, densities.weights, rtol=1e-6)


def test_weights_go_up_where_the_numerator_is() -> None:
    densities = DiagonalMixtures(np.zeros((2, 1)), np.ones((2, 1)), [0.5, 0.5], [0, 2])
    zero = np.zeros((2, 1))
    for_ = GaussianStatistics(np.array([30.0, 10.0]), zero, zero + 20)
    against = GaussianStatistics(np.array([10.0, 30.0]), zero, zero + 20)
    weights = update_ebw(densities, for_, against).weights

    def objective(w: float) -> float:
        held = np.array([30.0, 10.0]) + 10 * 0.5
        return float(held @ np.log([w, 1 - w]) - np.array([20.0, 60.0]) @ [w, 1 - w])

    best = max(np.linspace(0.001, 0.999, 999), key=objective)
    assert weights[0] == pytest.approx(best, abs=0.01)


def test_wrong_options_are_refused() -> None:
    data = a_corpus(2)
    for wrong, message in (
        (dict(passes=0), "passes"), (dict(acoustic_scale=0.0), "acoustic_scale"),
        (dict(beams=BeamOptions(lattice_beam=0.0)), "lattice_beam"),
    ):
        with pytest.raises(OptionError, match=message):
            replace(OPTIONS, **wrong)
    tied = TiedMixtures(np.zeros((1, 1, 2)), np.ones((1, 1, 2)), np.ones((1, 1, 8)), [0] * 8)
    model = replace(a_model(), densities=tied)
    with pytest.raises(OptionError, match="plain mixtures"):
        train_mmi(data, LEXICON, trained_on(data, model), OPTIONS)
    with pytest.raises(OptionError, match="such as tri"):
        train_mmi(data, LEXICON, None, OPTIONS)
    unknown = TrainingData((Said("u", "s", ("zzz",)),), data.cepstra[:1], FEATURES)
    with pytest.raises(OptionError, match="no utterance has lattices"):
        train_mmi(replace(unknown, utterances=(Said("u", "s", ("a", "zzz")),)), LEXICON,
                  trained_on(unknown), OPTIONS)


def test_a_lattice_without_phones_is_refused() -> None:
    lattice, scores = next(heard_lattices(a_corpus(1), a_model()))
    with pytest.raises(OptionError, match="does not know its phones"):
        phone_lattice(replace(lattice, aligned=False), a_model(), scores)
    assert isinstance(phone_lattice(lattice, a_model(), scores), PhoneLattice)
