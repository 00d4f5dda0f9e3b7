"""Training: from words and sound to a model, on a language whose truth is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import naive_training as naive
import numpy as np
import pytest
from support import synthetic
from support.training import SMALL, never_falls, same_models

from factored_asr.acoustic import DiagonalMixtures
from factored_asr.acoustic._kernels import viterbi
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.corpus.corpus import Corpus
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training import _kernels
from factored_asr.training.alignment import (
    AlignmentOptions,
    StateAlignment,
    align_all,
    align_equally,
    score_trellis,
    sentences_of,
)
from factored_asr.training.checkpoint import Checkpoint
from factored_asr.training.data import TrainingData, load_data, normalise_all
from factored_asr.training.em import (
    EmOptions,
    PassReport,
    Run,
    Trained,
    collect,
    count_transitions,
    improve,
    train_em,
    update_transitions,
)
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.run import train
from factored_asr.training.schedule import Schedule
from factored_asr.training.sentence import make_sentences, make_trellis
from factored_asr.training.update import UpdateOptions, split, split_targets, update


@pytest.fixture(scope="module")
def corpus() -> synthetic.Corpus:
    return synthetic.speak()


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return synthetic.lexicon()


@pytest.fixture(scope="module")
def mono(corpus: synthetic.Corpus, lexicon: Lexicon) -> Trained:
    return train_mono(corpus.data, lexicon, None, SMALL)


def mixtures(rng: np.random.Generator, sizes: tuple[int, ...], n: int = 3) -> DiagonalMixtures:
    total = sum(sizes)
    weights = np.concatenate([rng.dirichlet(np.ones(size)) for size in sizes])
    return DiagonalMixtures(
        rng.standard_normal((total, n)), rng.uniform(0.5, 2, (total, n)), weights,
        np.concatenate([[0], np.cumsum(sizes)]),
    )  # fmt: skip


class TestStatistics:
    def test_agree_with_sums_frame_by_frame(self) -> None:
        rng = np.random.default_rng(1)
        densities = mixtures(rng, (2, 1, 3))
        features = rng.standard_normal((50, 3)).astype(np.float32)
        pdf, weight = rng.integers(0, 3, 50), rng.random(50)
        found = accumulate(densities, features, pdf, weight)
        occupancy, first, second, total = naive.accumulate(densities, features, pdf, weight)
        np.testing.assert_allclose(found.occupancy, occupancy, rtol=1e-10)
        np.testing.assert_allclose(found.first, first, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.second, second, rtol=1e-9)
        assert found.log_likelihood == pytest.approx(total, rel=1e-12)
        assert found.frames == pytest.approx(weight.sum())

    def test_parts_add_up_to_the_whole(self) -> None:
        rng = np.random.default_rng(2)
        densities = mixtures(rng, (2, 2))
        features = rng.standard_normal((30, 3)).astype(np.float32)
        pdf = rng.integers(0, 2, 30)
        whole = accumulate(densities, features, pdf)
        parts = GaussianStatistics.zeros(densities)
        for part in (slice(0, 11), slice(11, 11), slice(11, 30)):
            parts = parts + accumulate(densities, features[part], pdf[part])
        np.testing.assert_allclose(parts.second, whole.second, rtol=1e-12)
        assert parts.frames == whole.frames == 30

    def test_one_gaussian_becomes_the_mean_and_variance_of_its_frames(self) -> None:
        rng = np.random.default_rng(3)
        features = rng.standard_normal((100, 3)).astype(np.float32) * 3 + 1
        seen = accumulate(mixtures(rng, (1,)), features, np.zeros(100, int))
        found = update(mixtures(rng, (1,)), seen).densities
        np.testing.assert_allclose(found.means[0], features.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(found.variances[0], features.var(axis=0), rtol=1e-5)

    def test_a_gaussian_without_frames_is_dropped(self) -> None:
        far = DiagonalMixtures([[0.0], [90.0]], [[1.0], [1.0]], [0.5, 0.5], [0, 2])
        seen = accumulate(far, np.float32([[-1], [0], [1], [2]]), np.zeros(4, int))
        found = update(far, seen)
        assert found.kept.tolist() == [True, False]
        assert found.densities.weights.tolist() == [1.0]
        assert found.empty.size == 0

    def test_a_pdf_without_frames_stays_as_it_was_and_is_named(self) -> None:
        densities = mixtures(np.random.default_rng(4), (1, 2))
        seen = accumulate(densities, np.zeros((9, 3), np.float32) + [[1], [2], [3]] * 3,
                          np.zeros(9, int))  # fmt: skip
        found = update(densities, seen)
        assert found.empty.tolist() == [1]
        heavier = 1 + int(np.argmax(densities.weights[1:]))
        np.testing.assert_array_equal(found.densities.means[1], densities.means[heavier])
        assert found.densities.weights.tolist() == [1.0, 1.0]

    def test_variances_stay_above_their_floor(self) -> None:
        densities = DiagonalMixtures([[0.0], [9.0]], [[1.0], [1.0]], [1.0, 1.0], [0, 1, 2])
        features = np.float32([[0.0]] * 10 + [[10.0]] * 10)  # each pdf: not the least variance
        seen = accumulate(densities, features, np.repeat([0, 1], 10))
        found = update(densities, seen, UpdateOptions(variance_floor=0.04))
        np.testing.assert_allclose(found.densities.variances, 0.04 * features.var(), rtol=1e-5)
        assert found.n_floored == 2

    def test_em_on_given_pdfs_never_lowers_the_likelihood(self) -> None:
        rng = np.random.default_rng(5)
        densities = mixtures(rng, (4, 3))
        features = rng.standard_normal((400, 3)).astype(np.float32) ** 3
        pdf, values = rng.integers(0, 2, 400), []
        for _ in range(20):
            seen = accumulate(densities, features, pdf)
            values.append(seen.log_likelihood / 400)
            densities = update(densities, seen, UpdateOptions(0.0, 0.0, 0.0, 1e-9)).densities
        assert never_falls(values) and values[-1] > values[0] + 0.5

    def test_the_many_get_more_gaussians_than_the_few(self) -> None:
        counts = split_targets(np.array([10_000.0, 100.0, 0.0]), 12, power=0.5)
        assert counts.tolist() == [10, 1, 1] or counts.sum() == 12
        assert counts[0] > counts[1] >= counts[2] == 1
        assert split_targets(np.array([50.0, 50.0]), 10, power=0.2).tolist() == [2, 2]

    def test_a_split_keeps_mean_and_mass(self) -> None:
        densities = mixtures(np.random.default_rng(6), (1, 2))
        larger = split(densities, np.array([900.0, 900.0]), 9, power=0.0, seed=1)
        assert len(larger.weights) == 9
        for p in range(2):
            old = slice(*densities.first_gaussian[p : p + 2])
            new = slice(*larger.first_gaussian[p : p + 2])
            assert larger.weights[new].sum() == pytest.approx(1, abs=1e-6)
            np.testing.assert_allclose(
                larger.weights[new] @ larger.means[new],
                densities.weights[old] @ densities.means[old], rtol=1e-4, atol=1e-6,
            )  # fmt: skip
        again = split(densities, np.array([900.0, 900.0]), 9, power=0.0, seed=1)
        np.testing.assert_array_equal(again.means, larger.means)

    def test_wrong_frames_are_refused(self) -> None:
        densities = mixtures(np.random.default_rng(7), (1,))
        with pytest.raises(OptionError, match="2 frames need as many pdfs"):
            accumulate(densities, np.zeros((2, 3)), np.zeros(3, int))
        with pytest.raises(OptionError, match="pdf 1 is not one of the model's 1"):
            accumulate(densities, np.zeros((2, 3)), np.array([0, 1]))


class TestSentences:
    @pytest.mark.parametrize("seed", range(4))
    def test_kernels_find_what_trying_every_path_finds(self, seed: int, mono: Trained) -> None:
        rng = np.random.default_rng(seed)
        (sentence,) = make_sentences([("baa",)], synthetic.lexicon(), mono.model, 0.3)
        trellis = make_trellis(sentence, mono.model)
        observed = rng.standard_normal((8, 2)).astype(np.float32) * 4
        scores, column = score_trellis(observed, trellis, mono.model, AlignmentOptions())
        paths = list(naive.all_paths(scores, column, trellis))
        path, best = viterbi(scores, column, column, *trellis.transitions)
        expected = max(paths, key=lambda each: each[1])
        assert best == pytest.approx(expected[1], rel=1e-9)
        assert tuple(path) == expected[0]
        posterior, loops, total = _kernels.forward_backward(scores, column, *trellis.transitions)
        logs = np.array([each[1] for each in paths])
        assert total == pytest.approx(np.logaddexp.reduce(logs), rel=1e-9)
        share = np.exp(logs - total)
        naive_posterior, naive_loops = np.zeros_like(posterior), np.zeros_like(loops)
        for (nodes, _), weight in zip(paths, share, strict=True):
            naive_posterior[np.arange(8), nodes] += weight
            stayed = [a for a, b in zip(nodes, nodes[1:], strict=False) if a == b]
            np.add.at(naive_loops, stayed, weight)
        np.testing.assert_allclose(posterior, naive_posterior, atol=1e-9)
        np.testing.assert_allclose(loops, naive_loops, atol=1e-9)

    def test_no_path_where_there_are_too_few_frames(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, mono: Trained
    ) -> None:
        short = replace(corpus.data, cepstra=tuple(c[:5] for c in corpus.data.cepstra))
        short = replace(short, cepstra=(corpus.data.cepstra[0][:0], *short.cepstra[1:]))
        found = align_all(short, lexicon, mono.model)
        needed = [sum(2 * len(lexicon[word][0].phones) for word in utterance.words)
                  for utterance in short.utterances]  # fmt: skip
        assert [each is None for each in found] == [n > 5 for n in needed]

    def test_an_unknown_word_or_phone_is_named(self, mono: Trained, lexicon: Lexicon) -> None:
        with pytest.raises(MissingError, match="'moo' has no pronunciation"):
            make_sentences([("ab", "moo")], lexicon, mono.model)
        odd = lexicon.extend(Lexicon({"moo": (Pronunciation(("M",)),)}))
        with pytest.raises(MissingError, match="phone 'M' of word 'moo'"):
            make_sentences([("moo",)], odd, mono.model)
        with pytest.raises(OptionError, match="at least one word"):
            make_sentences([()], lexicon, mono.model)

    def test_the_same_paths_with_contexts_as_without(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, mono: Trained
    ) -> None:
        """A model that lists every context, all meaning the same, must align alike."""
        axes = np.meshgrid(*map(np.arange, (3, 3, 3, 4)), indexing="ij")
        contexts = np.stack(axes, axis=-1).reshape(-1, 4)
        rich = replace(mono.model, triphone_contexts=contexts, triphone_hmms=contexts[:, 0])
        plain, found = (align_all(corpus.data, lexicon, model) for model in (mono.model, rich))
        for one, two in zip(plain, found, strict=True):
            assert one is not None and two is not None
            np.testing.assert_array_equal(one.phones, two.phones)
            np.testing.assert_array_equal(one.segment, two.segment)
            np.testing.assert_array_equal(one.state, two.state)

    def test_contexts_in_the_graph_are_those_on_the_path(
        self, lexicon: Lexicon, mono: Trained
    ) -> None:
        """Every arc joins phones that name each other as neighbours; silence takes any."""
        contexts, hmms = [[0, 1, 1, 0]], [0]
        rich = replace(mono.model, triphone_contexts=contexts, triphone_hmms=hmms)
        (sentence,) = make_sentences([("baa", "b", "baa")], lexicon, rich)
        silence = rich.phones.index("SIL")
        for a, b in sentence.arcs:
            if a < 0 or b == len(sentence.phones):
                end = sentence.phones[max(a, 0) if b == len(sentence.phones) else b]
                assert end[0] == silence or end[1 if a < 0 else 2] == silence
                continue
            one, two = sentence.phones[a], sentence.phones[b]
            assert one[0] == silence or one[2] == two[0]
            assert two[0] == silence or two[1] == one[0]


class TestAlignment:
    def test_frames_are_first_shared_out_equally(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, mono: Trained
    ) -> None:
        sentences = sentences_of(corpus.data, lexicon, mono.model, AlignmentOptions())
        found = align_equally(corpus.data, sentences, mono.model)
        assert all(each is not None for each in found)
        first = found[0]
        assert first is not None
        spoken = [p for w in corpus.data.utterances[0].words for p in lexicon[w][0].phones]
        names = [mono.model.phones[p] for p in first.phones[:, 0]]
        assert names == ["SIL", *spoken, "SIL"]
        _, frames = np.unique(first.segment * 2 + first.state, return_counts=True)
        assert frames.max() - frames.min() <= 1

    def test_most_frames_go_to_the_state_that_spoke_them(
        self, corpus: synthetic.Corpus, mono: Trained
    ) -> None:
        """The two states of silence sound alike, so only its phone is asked for."""
        right = total = 0
        for each, truth in zip(mono.alignments, corpus.truth, strict=True):
            assert each is not None
            phones = [mono.model.phones[p] for p in each.phones[each.segment, 0]]
            for phone, state, (true_phone, true_state) in zip(
                phones, each.state, truth, strict=True
            ):
                right += phone == true_phone and (phone == "SIL" or state == true_state)
                total += 1
        assert right / total > 0.97

    def test_neighbours_are_those_on_the_path(self, mono: Trained) -> None:
        silence = mono.model.phones.index("SIL")
        for each in mono.alignments:
            assert each is not None
            centre = each.phones[:, 0]
            np.testing.assert_array_equal(each.phones[1:, 1], centre[:-1])
            np.testing.assert_array_equal(each.phones[:-1, 2], centre[1:])
            assert each.phones[0, 1] == each.phones[-1, 2] == silence

    def test_durations_become_transitions(
        self, corpus: synthetic.Corpus, mono: Trained
    ) -> None:
        leave = np.exp(mono.model.hmm_exit_log_probs)
        for i, phone in enumerate(mono.model.phones):
            if phone != "SIL":  # whose two states sound alike
                np.testing.assert_allclose(leave[i], synthetic.LEAVE[phone], atol=0.07)
        loop = np.exp(mono.model.hmm_loop_log_probs)
        np.testing.assert_allclose(loop + leave, 1, rtol=1e-5)

    def test_a_hard_flat_start_may_stick(
        self, corpus: synthetic.Corpus, lexicon: Lexicon
    ) -> None:
        """Why there are soft passes: with hard decisions from the first pass on, one state of a
        phone takes what belongs to two, and no later pass gives it back."""
        hard, soft = (
            train_mono(corpus.data, lexicon, None, replace(SMALL, soft_passes=n)) for n in (0, 4)
        )
        shortest = [np.exp(each.model.hmm_exit_log_probs[:2]).max() for each in (hard, soft)]
        assert shortest[0] > 0.9 > 0.5 > shortest[1]

    def test_a_state_never_seen_keeps_its_transitions(self, mono: Trained) -> None:
        nothing = count_transitions([], mono.model)
        same = update_transitions(mono.model, nothing)
        np.testing.assert_array_equal(same.hmm_loop_log_probs, mono.model.hmm_loop_log_probs)

    def test_louder_silence_takes_more_frames(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, mono: Trained
    ) -> None:
        def silent(boost: float) -> int:
            options = AlignmentOptions(boost_silence=boost)
            found = align_all(corpus.data, lexicon, mono.model, options)
            silence = mono.model.phones.index("SIL")
            return sum(int((a.phones[a.segment, 0] == silence).sum()) for a in found if a)

        assert silent(1e-6) < silent(1.0) < silent(1e6)

    def test_options_outside_their_range_are_refused(self) -> None:
        with pytest.raises(OptionError, match=r"silence_probability must lie in \(0, 1\), got 1"):
            AlignmentOptions(silence_probability=1)
        with pytest.raises(OptionError, match="boost_silence must be above 0"):
            AlignmentOptions(boost_silence=0)
        with pytest.raises(OptionError, match="power must lie"):
            Schedule(power=2)
        with pytest.raises(OptionError, match="richness above 0; got 0.25, 0"):
            Schedule(richness=0)

    def test_a_schedule_takes_as_many_gaussians_as_the_data_bear(self) -> None:
        free, richer = Schedule(n_gaussians=0), Schedule(n_gaussians=0, richness=2.0)
        assert free.sized(4 * 193_631).n_gaussians == 2 * free.sized(193_631).n_gaussians == 3000
        assert richer.sized(193_631).n_gaussians == 3000
        assert Schedule(n_gaussians=7, richness=2.0).sized(193_631).n_gaussians == 7


class TestMonophones:
    def test_means_are_found(self, mono: Trained) -> None:
        densities = mono.model.densities
        assert isinstance(densities, DiagonalMixtures)
        for i, phone in enumerate(mono.model.phones):
            for state, true in enumerate(synthetic.MEANS[phone]):
                p = mono.model.hmm_pdfs[i, state]
                own = slice(*densities.first_gaussian[p : p + 2])
                mean = densities.weights[own] @ densities.means[own]
                np.testing.assert_allclose(mean, true, atol=0.4)

    def test_reports_say_what_happened(
        self, corpus: synthetic.Corpus, lexicon: Lexicon
    ) -> None:
        told: list[PassReport] = []
        train_mono(corpus.data, lexicon, None, SMALL, Run(report=told.append))
        assert [each.number for each in told] == list(range(1, 13))
        assert all(each.n_frames == corpus.data.n_frames and not each.failed for each in told)
        assert told[-1].n_pdfs == 6 and 6 < told[-1].n_gaussians <= 8
        assert told[-1].log_likelihood > told[0].log_likelihood + 1

    def test_a_phone_that_never_occurs_is_reported(
        self, corpus: synthetic.Corpus, lexicon: Lexicon
    ) -> None:
        told: list[PassReport] = []
        with_z = lexicon.extend(Lexicon({"z": (Pronunciation(("Z",)),)}))
        quick = replace(SMALL, schedule=replace(SMALL.schedule, passes=1))
        train_mono(corpus.data, with_z, None, quick, Run(report=told.append))
        assert told[0].notes == ("2 pdfs without data: Z/0, Z/1",)

    @pytest.mark.parametrize("soft_passes", [0, 8])
    def test_likelihood_never_falls_between_splits(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, mono: Trained, soft_passes: int
    ) -> None:
        """With the paths fixed, or over all paths, each pass is an EM step of the same mixtures."""
        told: list[PassReport] = []
        blurred = replace(
            mono.model, densities=replace(
                mono.model.densities, means=mono.model.densities.means * 0.5,
                variances=mono.model.densities.variances * 9,
            ),
        )  # fmt: skip
        options = EmOptions(
            Schedule(passes=8, realign=(), n_gaussians=1), AlignmentOptions(boost_silence=1.0)
        )
        train_em(
            corpus.data, lexicon, replace(mono, model=blurred), "again", options,
            Run(report=told.append), soft_passes=soft_passes,
        )  # fmt: skip
        values = [each.log_likelihood for each in told]
        assert never_falls(values) and values[-1] > values[0] + 0.5

    def test_baum_welch_ends_where_viterbi_training_does(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, mono: Trained
    ) -> None:
        told: list[PassReport] = []
        soft = train_mono(
            corpus.data, lexicon, None, replace(SMALL, soft_passes=12), Run(report=told.append)
        )
        assert told[-1].n_frames == corpus.data.n_frames
        same = [
            np.mean(one.phones[one.segment, 0] == two.phones[two.segment, 0])
            for one, two in zip(soft.alignments, mono.alignments, strict=True)
            if one and two
        ]
        assert np.mean(same) > 0.98

    def test_the_seed_decides(self, corpus: synthetic.Corpus, lexicon: Lexicon,
                              mono: Trained) -> None:  # fmt: skip
        assert same_models(train_mono(corpus.data, lexicon, None, SMALL).model, mono.model)
        other = train_mono(corpus.data, lexicon, None, replace(SMALL, seed=1))
        assert not same_models(other.model, mono.model)

    def test_a_corpus_of_clicks_is_refused(
        self, corpus: synthetic.Corpus, lexicon: Lexicon
    ) -> None:
        clicks = replace(corpus.data, cepstra=tuple(c[:2] for c in corpus.data.cepstra))
        with pytest.raises(FormatError, match="no utterance of the corpus is long enough"):
            train_mono(clicks, lexicon, None, SMALL)


class TestData:
    def test_blocks_hold_every_utterance_once_in_order(
        self, corpus: synthetic.Corpus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("factored_asr.training.data.BLOCK_FRAMES", 200)
        blocks = list(corpus.data.blocks())
        assert len(blocks) > 3
        assert [i for block in blocks for i in block] == list(range(len(corpus.data)))

    def test_a_speaker_has_one_mean(self) -> None:
        options = FeatureOptions(n_cepstra=2, streams="1s_c", normalisation="batch")
        rng = np.random.default_rng(0)
        cepstra = [rng.standard_normal((n, 2)).astype(np.float32) + n for n in (5, 9, 7)]
        found = normalise_all(cepstra, ["x", "y", "x"], options, "speaker")
        both = np.concatenate([found[0], found[2]])
        np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-6)
        shift = found[0][0] - cepstra[0][0]
        np.testing.assert_allclose(found[2] - cepstra[2], np.tile(shift, (7, 1)), atol=1e-5)

    def test_features_are_made_as_a_stage_wants_them(self, corpus: synthetic.Corpus) -> None:
        spliced = replace(synthetic.FEATURES, splice=2)
        assert corpus.data.features(0).shape[1] == 2
        features = corpus.data.features(0, spliced)
        assert features.shape == (len(corpus.data.cepstra[0]), 10)
        np.testing.assert_array_equal(features[:, 4:6], corpus.data.cepstra[0])

    def test_cepstra_of_another_size_are_refused(self, corpus: synthetic.Corpus) -> None:
        with pytest.raises(OptionError, match=r"cepstra of u000 have shape .* \(n_frames, 2\)"):
            replace(corpus.data, cepstra=tuple(c[:, :1] for c in corpus.data.cepstra))
        with pytest.raises(OptionError, match="need as many cepstra"):
            TrainingData(corpus.data.utterances, (), synthetic.FEATURES)


class TestRun:
    def test_two_processes_give_the_same_bits_as_one(
        self, lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("factored_asr.training.data.BLOCK_FRAMES", 500)
        data = synthetic.speak(60).data
        assert len(list(data.blocks())) > 3
        short = replace(SMALL, schedule=replace(SMALL.schedule, passes=4))
        one, two = (train(data, lexicon, ["mono"], {"mono": short}, jobs=n) for n in (1, 2))
        assert same_models(one.trained.model, two.trained.model)
        assert one.log == two.log

    def test_a_finished_stage_is_not_trained_again(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, tmp_path: Path
    ) -> None:
        first = train(corpus.data, lexicon, ["mono"], {"mono": SMALL}, checkpoints=tmp_path)
        told: list[PassReport] = []
        again = train(corpus.data, lexicon, ["mono"], {"mono": SMALL}, checkpoints=tmp_path,
                      report=told.append)  # fmt: skip
        assert not told and again.log == first.log
        assert same_models(first.trained.model, again.trained.model)
        other = replace(SMALL, schedule=replace(SMALL.schedule, passes=3))
        train(corpus.data, lexicon, ["mono"], {"mono": other}, checkpoints=tmp_path,
              report=told.append)  # fmt: skip
        assert len(told) == 3

    def test_a_stage_goes_on_from_its_last_pass(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, tmp_path: Path
    ) -> None:
        whole = train(corpus.data, lexicon, ["mono"], {"mono": SMALL})

        def interrupt(done: PassReport) -> None:
            if done.number == 10:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(corpus.data, lexicon, ["mono"], {"mono": SMALL}, checkpoints=tmp_path,
                  report=interrupt)  # fmt: skip
        told: list[PassReport] = []
        rest = train(corpus.data, lexicon, ["mono"], {"mono": SMALL}, checkpoints=tmp_path,
                     report=told.append)  # fmt: skip
        assert [each.number for each in told] == [9, 10, 11, 12]
        assert rest.log == whole.log
        assert same_models(rest.trained.model, whole.trained.model)

    def test_a_kill_loses_nothing(
        self, corpus: synthetic.Corpus, lexicon: Lexicon, tmp_path: Path
    ) -> None:
        """Killed outright as soon as there is a checkpoint, then begun again."""
        code = (
            "import sys; from support import synthetic; from support.training import SMALL\n"
            "from factored_asr.training.run import train\n"
            "train(synthetic.speak().data, synthetic.lexicon(), ['mono'], {'mono': SMALL},\n"
            "      checkpoints=sys.argv[1], report=lambda done: print(done.number, flush=True))"
        )
        paths = os.pathsep.join([*map(str, [Path(__file__).parent, Path(__file__).parents[1]]),
                                 os.environ.get("PYTHONPATH", "")])  # fmt: skip
        started = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        assert started.stdout is not None
        for line in started.stdout:
            if int(line) >= 6:
                break
        started.send_signal(signal.SIGKILL)
        started.stdout.close()
        assert started.wait() == -signal.SIGKILL
        told: list[PassReport] = []
        rest = train(corpus.data, lexicon, ["mono"], {"mono": SMALL}, checkpoints=tmp_path,
                     report=told.append)  # fmt: skip
        assert told[0].number in (5, 9)
        whole = train(corpus.data, lexicon, ["mono"], {"mono": SMALL})
        assert rest.log == whole.log
        assert same_models(rest.trained.model, whole.trained.model)

    def test_what_is_not_a_stage_is_refused(
        self, corpus: synthetic.Corpus, lexicon: Lexicon
    ) -> None:
        with pytest.raises(OptionError, match="stage 'stereo' must be one of mono"):
            train(corpus.data, lexicon, ["stereo"])
        with pytest.raises(OptionError, match="at least one stage"):
            train(corpus.data, lexicon, [])
        with pytest.raises(OptionError, match="options of stage mono must be MonoOptions"):
            train(corpus.data, lexicon, ["mono"], {"mono": Schedule()})


class TestCheckpoint:
    def test_comes_back_as_it_was(self, mono: Trained, tmp_path: Path) -> None:
        trained = replace(
            mono, alignments=(None, *mono.alignments[1:]), transforms={"s1": np.eye(2, 3)}
        )
        log = (PassReport("mono", 1, 2, 3, -0.1, 4, 5, 6, ("a note",)),)
        Checkpoint("key", "mono", 7, False, trained, log).write(tmp_path / "state.npz")
        found = Checkpoint.read(tmp_path / "state.npz")
        assert (found.key, found.stage, found.number, found.done) == ("key", "mono", 7, False)
        assert found.log == log and found.trained.model.features == mono.model.features
        assert same_models(found.trained.model, mono.model)
        assert found.trained.alignments[0] is None
        np.testing.assert_array_equal(found.trained.transforms["s1"], np.eye(2, 3))
        for one, two in zip(found.trained.alignments[1:], mono.alignments[1:], strict=True):
            assert isinstance(one, StateAlignment) and two is not None
            np.testing.assert_array_equal(one.phones, two.phones)
            np.testing.assert_array_equal(one.segment, two.segment)
            np.testing.assert_array_equal(one.state, two.state)
        assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]

    def test_half_a_file_is_refused(self, mono: Trained, tmp_path: Path) -> None:
        path = tmp_path / "state.npz"
        Checkpoint("key", "mono", 7, False, mono, ()).write(path)
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(FormatError, match=r"state\.npz: no whole checkpoint"):
            Checkpoint.read(path)

    def test_checkpoints_of_earlier_versions_are_read(self, mono: Trained, tmp_path: Path) -> None:
        path = tmp_path / "state.npz"
        Checkpoint("key", "mono", 7, False, mono, ()).write(path)
        arrays = dict(np.load(path))
        text = arrays["text"].tobytes().decode()
        for new, old in (
            ("acoustic.gmm.model:GmmModel", "acoustic.model:AcousticModel"),
            ("acoustic.gmm.mixtures:DiagonalMixtures", "acoustic.gmm:DiagonalMixtures"),
            ("training.alignment:Trained", "training.em:Trained"),
            ('"sample_rate": ', '"reference": {"tuple": []}, "sample_rate": '),
        ):
            assert new in text
            text = text.replace(new, old)
        np.savez(path, **{**arrays, "text": np.frombuffer(text.encode(), np.uint8)})
        assert same_models(Checkpoint.read(path).trained.model, mono.model)

    def test_nothing_foreign_is_made_from_a_file(self, tmp_path: Path) -> None:
        text = b'{"version": 1, "value": {"class": "os:system", "fields": {}}}'
        np.savez(tmp_path / "state.npz", text=np.frombuffer(text, np.uint8))
        with pytest.raises(FormatError, match="foreign class os:system"):
            Checkpoint.read(tmp_path / "state.npz")


@pytest.fixture(scope="module")
def an4(data_dir: Path) -> tuple[TrainingData, Lexicon]:
    """Every ninth utterance of AN4: all speakers, five minutes."""
    folder = data_dir / "an4"
    if not folder.is_dir():
        pytest.skip(f"no AN4: {folder} is absent")
    options = FeatureOptions(dct="legacy", normalisation="batch")
    corpus = Corpus.read(folder)
    chosen = range(0, len(corpus), 9)
    corpus = replace(corpus, utterances=tuple(corpus.utterances[i] for i in chosen))
    return load_data(corpus, options, mean_over="speaker"), Lexicon.read(
        folder / "etc" / "an4.dic", fillers=folder / "etc" / "an4.filler"
    )


class TestRealSpeech:
    def test_likelihood_never_falls_along_fixed_paths(
        self, an4: tuple[TrainingData, Lexicon]
    ) -> None:
        data, lexicon = an4
        start = MonoOptions(schedule=Schedule(passes=6, n_gaussians=200, grow_until=5))
        begun = train_mono(data, lexicon, None, start)
        for soft_passes in (0, 4):
            told: list[PassReport] = []
            options = EmOptions(
                Schedule(passes=4, realign=(), n_gaussians=1), AlignmentOptions(boost_silence=1.0),
                UpdateOptions(min_occupancy=0, min_weight=0),
            )
            train_em(
                data, lexicon, begun, "again", options, Run(report=told.append),
                soft_passes=soft_passes,
            )  # fmt: skip
            assert never_falls([each.log_likelihood for each in told])
            assert not any(each.failed for each in told)

    def test_every_pdf_has_frames_or_is_named(self, an4: tuple[TrainingData, Lexicon]) -> None:
        data, lexicon = an4
        few = data.select(range(12))  # these have not every phone
        options = MonoOptions(schedule=Schedule(passes=2, n_gaussians=1))
        trained = train_mono(few, lexicon, None, options)
        seen = collect(few, trained)
        _, notes = improve(trained.model, seen, options.update, 0, 0.25, 0)
        frames = seen.mixtures.occupancy  # one Gaussian a pdf
        without = int((frames <= options.update.min_occupancy).sum())
        assert 0 < without < len(frames)
        assert notes[0].startswith(f"{without} pdfs without data: ")
