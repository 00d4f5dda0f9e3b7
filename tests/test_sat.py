"""The stages lda_mllt and sat, and adaptation to a speaker, on a language whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import synthetic
from support.training import SHORT, TREE, VOICES, never_falls, same_models, spoken_by

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.acoustic.gmm.fmllr import FmllrOptions
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.acoustic.model import Frames
from factored_asr.decoder import BeamOptions
from factored_asr.errors import OptionError
from factored_asr.graph import Graph, GraphOptions, build_graph
from factored_asr.language import NGramModel
from factored_asr.lattice import Lattice
from factored_asr.lexicon import Lexicon
from factored_asr.models.folder import ModelFolder, write_model
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.session import Pipeline, Session
from factored_asr.recognizer.speaker import SpeakerOptions, adapt_to_speaker, frame_weights
from factored_asr.training.adapt import AdaptOptions, adapt
from factored_asr.training.alignment import align_all
from factored_asr.training.blocks import by_speaker, speech_blocks
from factored_asr.training.data import TrainingData
from factored_asr.training.em import PassReport, Run, Trained, collect
from factored_asr.training.lda_mllt import (
    LdaMlltOptions,
    apply_mllt,
    estimate_mllt,
    train_lda_mllt,
)
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.sat import SatOptions, estimate_transforms, train_sat
from factored_asr.training.schedule import Schedule
from factored_asr.training.update import UpdateOptions


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return spoken_by(VOICES, synthetic.speak(60).data)


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return synthetic.lexicon()


@pytest.fixture(scope="module")
def mono(data: TrainingData, lexicon: Lexicon) -> Trained:
    schedule = Schedule(passes=8, realign=tuple(range(2, 9)), n_gaussians=8, grow_until=6)
    states = synthetic.STATES
    options = MonoOptions(schedule=schedule, states=states, silence_states=states)
    return train_mono(data, lexicon, None, options)


@pytest.fixture(scope="module")
def sat(data: TrainingData, lexicon: Lexicon, mono: Trained) -> Trained:
    return train_sat(
        data, lexicon, mono, SatOptions(fmllr_passes=(2, 4), tree=TREE, schedule=SHORT)
    )


# LDA and MLLT


LEARNT = LdaMlltOptions(splice=1, n_features=3, mllt_passes=(2, 4), tree=TREE, schedule=SHORT)


def test_features_are_learnt_from_alignments(
    data: TrainingData, lexicon: Lexicon, mono: Trained
) -> None:
    told: list[PassReport] = []
    found = train_lda_mllt(data, lexicon, mono, LEARNT, Run(report=told.append))
    model = found.model
    assert model.features.splice == 1 and model.features.n_features == 6
    assert model.transform is not None and model.transform.shape == (3, 7)
    assert model.densities.n_features == 3
    assert [done.number for done in told] == [1, 2, 3, 4, 5, 6]
    # Within a pdf the dimensions hardly lean on each other.
    total = np.zeros((3, 3))
    for block in speech_blocks(data, found):
        x = block.frames(mapped=False).astype(float)
        for pdf in np.unique(block.pdfs[block.weights > 0]):
            own = x[(block.pdfs == pdf) & (block.weights > 0)]
            total += (own - own.mean(axis=0)).T @ (own - own.mean(axis=0))
    scale = np.sqrt(np.diag(total))
    assert np.abs(total / np.outer(scale, scale) - np.eye(3)).max() < 0.25


def test_two_processes_learn_the_same_features(
    data: TrainingData, lexicon: Lexicon, mono: Trained
) -> None:
    options = replace(LEARNT, schedule=replace(SHORT, passes=2))
    one, two = (train_lda_mllt(data, lexicon, mono, options, Run(jobs=jobs)) for jobs in (1, 2))
    assert same_models(one.model, two.model)
    np.testing.assert_array_equal(one.model.transform, two.model.transform)


def test_mllt_raises_the_likelihood(data: TrainingData, lexicon: Lexicon, mono: Trained) -> None:
    """Of the frames as they were: the Jacobian of the turn counts."""
    matrix = estimate_mllt(data, mono)
    turned = apply_mllt(mono, matrix)
    before, after = (collect(data, each).mixtures.log_likelihood for each in (mono, turned))
    speech = sum(float(block.weights.sum()) for block in speech_blocks(data, mono))
    everything = sum(len(block.weights) for block in speech_blocks(data, mono))
    assert speech < everything
    weighed = estimate_mllt(data, mono, silence_weight=1.0)
    after = collect(data, apply_mllt(mono, weighed)).mixtures.log_likelihood
    assert after + everything * np.linalg.slogdet(weighed)[1] >= before


@pytest.mark.parametrize("stage", ["lda_mllt", "sat"])
def test_likelihood_never_falls_while_features_and_paths_stay(
    data: TrainingData, lexicon: Lexicon, mono: Trained, stage: str
) -> None:
    """Between one transform and the next, each pass is an EM step of the same mixtures."""
    schedule = Schedule(passes=14, realign=(), n_gaussians=20, grow_until=3)  # grown by pass 3
    update, told = UpdateOptions(min_occupancy=0.0, variance_floor=0.0), []
    if stage == "lda_mllt":
        train_lda_mllt(
            data, lexicon, mono, replace(
                LEARNT, mllt_passes=(2, 9), schedule=schedule, update=update
            ), Run(report=told.append),
        )  # fmt: skip
    else:
        train_sat(
            data, lexicon, mono, SatOptions(
                fmllr_passes=(2, 9), tree=TREE, schedule=schedule, update=update
            ), Run(report=told.append),
        )  # fmt: skip
    values = [done.log_likelihood for done in told]
    assert told[3].n_gaussians == told[-1].n_gaussians > told[0].n_gaussians
    assert never_falls(values[3:8]) and values[7] > values[3]
    assert never_falls(values[8:]) and values[-1] > values[8]


# SAT


def test_maps_bring_the_speakers_together(
    data: TrainingData, lexicon: Lexicon, sat: Trained
) -> None:
    """What the maps make of the voices is the same up to one map that all share."""
    assert sorted(sat.transforms) == sorted(VOICES)
    whole = {}
    for speaker, (matrix, offset) in VOICES.items():
        affine = sat.transforms[speaker].astype(float)
        whole[speaker] = np.hstack([
            affine[:, :2] @ matrix, (affine[:, :2] @ offset + affine[:, 2])[:, None]
        ])
    spread = np.std(list(whole.values()), axis=0)
    voices = np.std([np.c_[matrix, offset] for matrix, offset in VOICES.values()], axis=0)
    assert spread.max() < 0.5 * voices.max()
    assert spread.mean() < 0.4 * voices.mean()


def test_maps_never_lower_the_likelihood(
    data: TrainingData, lexicon: Lexicon, mono: Trained
) -> None:
    trained, reached = mono, -np.inf
    for _ in range(3):
        maps = estimate_transforms(data, trained, SatOptions(silence_weight=1.0))
        trained = replace(trained, transforms=maps)
        total = 0.0
        for speaker, indices in by_speaker(data).items():
            model = mono.model.with_transform(maps[speaker])
            for i in indices:
                x = data.features(i, model.features)
                alignment = trained.alignments[i]
                assert alignment is not None
                own = alignment.pdfs(mono.model)
                total += float(model.log_likelihoods(x)[range(len(x)), own].sum())
                total += len(x) * np.linalg.slogdet(maps[speaker][:, :2].astype(float))[1]
        assert total > reached - 0.01
        reached = total


def test_the_first_pass_hears_strangers_better(
    data: TrainingData, lexicon: Lexicon, sat: Trained
) -> None:
    """Densities of frames without maps fit such frames better than those behind maps."""
    model = sat.model
    assert model.first_pass is not None
    plain = replace(model, first_pass=None)
    total = {}
    for name, each in (("first", model.unadapted), ("behind", plain)):
        x = [data.features(i, model.features) for i in range(len(data))]
        found = [a.pdfs(model) for a in sat.alignments if a is not None]
        total[name] = sum(
            float(each.log_likelihoods(f)[range(len(f)), pdfs].sum())
            for f, pdfs in zip(x, found, strict=True)
        )
    assert total["first"] > total["behind"] + 100


def test_both_densities_are_kept_on_disk(
    sat: Trained, data: TrainingData, tmp_path: Path
) -> None:
    model = replace(sat.model, transform=[[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]])
    found = ModelFolder.open(write_model(tmp_path / "model", model)).acoustic_model()
    x = data.features(0)
    np.testing.assert_array_equal(found.log_likelihoods(x), model.log_likelihoods(x))
    np.testing.assert_array_equal(
        found.unadapted.log_likelihoods(x), model.unadapted.log_likelihoods(x)
    )
    assert not np.array_equal(found.log_likelihoods(x), found.unadapted.log_likelihoods(x))


def test_densities_of_other_pdfs_are_refused(sat: Trained) -> None:
    model = sat.model
    assert isinstance(model.densities, DiagonalMixtures)
    one = DiagonalMixtures(np.zeros((1, 2)), np.ones((1, 2)), [1.0], [0, 1])
    with pytest.raises(OptionError, match="first-pass densities of 1 pdfs over 2 values do not"):
        replace(model, first_pass=one)


@pytest.mark.parametrize("stage", ["lda_mllt", "sat"])
def test_a_stage_goes_on_where_it_was_killed(
    stage: str, data: TrainingData, lexicon: Lexicon, mono: Trained
) -> None:
    kept: dict[int, Trained] = {}
    run = Run(keep=lambda number, trained: kept.update({number: trained}))
    if stage == "sat":
        options = SatOptions(fmllr_passes=(2, 4), tree=TREE, schedule=SHORT)
        whole = train_sat(data, lexicon, mono, options, run)
        resumed = train_sat(data, lexicon, mono, options, Run(begun=(3, kept[3])))
        for speaker, affine in whole.transforms.items():
            np.testing.assert_array_equal(affine, resumed.transforms[speaker])
    else:
        whole = train_lda_mllt(data, lexicon, mono, LEARNT, run)
        resumed = train_lda_mllt(data, lexicon, mono, LEARNT, Run(begun=(3, kept[3])))
        np.testing.assert_array_equal(whole.model.transform, resumed.model.transform)
    assert same_models(whole.model, resumed.model)


def test_stages_need_what_comes_before(data: TrainingData, lexicon: Lexicon, mono: Trained) -> None:
    with pytest.raises(OptionError, match="the stage lda_mllt needs a trained model"):
        train_lda_mllt(data, lexicon, None)
    with pytest.raises(OptionError, match="the stage sat needs a trained model"):
        train_sat(data, lexicon, None)
    nothing = replace(mono, alignments=(None,) * len(data))
    with pytest.raises(OptionError, match="no utterance is aligned"):
        estimate_transforms(data, nothing)
    with pytest.raises(OptionError, match="splice 0"):
        LdaMlltOptions(splice=0)
    with pytest.raises(OptionError, match="silence_weight is 2"):
        SatOptions(silence_weight=2)


# Decoding with adaptation


@pytest.fixture(scope="module")
def graph(sat: Trained, lexicon: Lexicon) -> Graph:
    words = ("<eps>", "<s>", "</s>", *sorted(lexicon))
    return build_graph(sat.model, lexicon, unigrams(words), GraphOptions(filler_probability=0))


def unigrams(words: tuple[str, ...]) -> NGramModel:
    from factored_asr.language.ngram import NGramOrder

    n = len(words) - 1
    log_prob = np.full(n, np.log(0.25), np.float32)
    log_prob[0] = -99.0
    zeros = np.zeros(n, np.int32)
    order = NGramOrder(zeros, np.arange(1, n + 1, dtype=np.int32), log_prob, zeros.astype("f4"))
    return NGramModel(words, (order,))


DECODING = DecodeOptions(acoustic_scale=1.0, beam=BeamOptions(beam=30.0, lattice_beam=0.0))


def test_a_stranger_is_heard_better_the_second_time(graph: Graph, sat: Trained) -> None:
    corpus = synthetic.speak(40, seed=9)
    one = tuple(replace(u, speaker="s0") for u in corpus.data.utterances)
    strange = {"s0": ([[0.8, 0.2], [-0.2, 1.1]], [1.0, 1.0])}
    said = spoken_by(strange, replace(corpus.data, utterances=one))
    features = [said.features(i) for i in range(len(said))]
    sounds = [Frames(each, normalised=True) for each in features]
    adapted = adapt_to_speaker(Pipeline(sat.model, graph, DECODING), sounds)
    assert isinstance(adapted, GmmModel)
    assert adapted.first_pass is None and adapted.transform is not None

    def wrong_frames(model: GmmModel) -> int:
        count = 0
        for x, truth in zip(features, corpus.truth, strict=True):
            path = decoded(model, graph, x, lattice_beam=0).best()
            heard = [each.phone for each in path.phones for _ in range(each.start, each.end)]
            count += sum(h != phone for h, (phone, _) in zip(heard, truth, strict=True))
        return count

    assert wrong_frames(adapted) < 0.3 * wrong_frames(sat.model.unadapted)


def decoded(model: GmmModel, graph: Graph, features: np.ndarray, lattice_beam: float) -> Lattice:
    beam = replace(DECODING.beam, lattice_beam=lattice_beam)
    session = Session(Pipeline(model, graph, replace(DECODING, beam=beam)), whole=True)
    session.feed(Frames(features, normalised=True))
    return session.search().lattice


def test_nothing_heard_leaves_the_model_as_it_is(graph: Graph, sat: Trained) -> None:
    adapted = adapt_to_speaker(Pipeline(sat.model, graph, DECODING), [])
    assert isinstance(adapted, GmmModel)
    x = np.zeros((3, 2), np.float32)
    plain = replace(sat.model, first_pass=None)
    np.testing.assert_allclose(adapted.log_likelihoods(x), plain.log_likelihoods(x), atol=1e-4)
    with pytest.raises(OptionError, match="rounds 0"):
        SpeakerOptions(rounds=0)


def test_frames_count_by_how_sure_their_word_is(
    graph: Graph, sat: Trained, data: TrainingData
) -> None:
    lattice = decoded(sat.model, graph, data.features(1), lattice_beam=20)
    weights = frame_weights(lattice)
    assert weights.shape == (len(data.cepstra[1]),)
    assert ((weights >= 0) & (weights <= 1)).all()
    for phone in lattice.best().phones:
        if phone.is_silence:
            assert (weights[phone.start : phone.end] == 0).all()
    assert weights.sum() > 0


# A given model, moved


@pytest.mark.parametrize("method", ["map", "mllr", "mllr+map"])
def test_a_model_moves_towards_a_new_voice(
    method: str, data: TrainingData, lexicon: Lexicon, mono: Trained
) -> None:
    voices = {speaker: ([[0.8, 0.3], [0.0, 1.3]], [2.0, -2.0]) for speaker in VOICES}
    there = spoken_by(voices, synthetic.speak(30, seed=5).data)
    told: list[PassReport] = []
    options = AdaptOptions(method)  # type: ignore[arg-type]
    adapted = adapt(there, lexicon, mono.model, options, report=told.append)
    reached = []
    for model in (mono.model, adapted):
        aligned = align_all(there, lexicon, model, options.alignment)
        seen = collect(there, Trained(model, aligned)).mixtures
        reached.append(seen.log_likelihood / there.n_frames)
    assert reached[1] > reached[0] + 0.1
    assert {done.stage for done in told} == set(method.split("+"))
    ll = [done.log_likelihood for done in told]
    assert (np.diff(ll) > -0.02).all()


def test_a_wrong_method_is_refused() -> None:
    with pytest.raises(OptionError, match="method is 'vtln'"):
        AdaptOptions("vtln")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="mllr_passes 0"):
        AdaptOptions(mllr_passes=0)


def test_a_map_of_one_speaker_is_small_when_little_is_known(
    data: TrainingData, mono: Trained
) -> None:
    few = FmllrOptions(full_frames=1e6, diagonal_frames=1e6, offset_frames=1.0)
    maps = estimate_transforms(data, mono, SatOptions(fmllr=few))
    for affine in maps.values():
        np.testing.assert_array_equal(affine[:, :2], np.eye(2))
    moved = apply_affine(maps["s3"], [[0.0, 0.0]])
    assert moved[0, 1] < 0  # s3 speaks 2 too high
