"""The stages tdnn and chain on a language whose truth is known; hybrid models on every route."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly
from support import synthetic
from support.hybrid import random_hybrid
from support.training import SHORT, TREE, VOICES, spoken_by

from factored_asr import Recognizer
from factored_asr.acoustic.gmm.tools import NoiseTools, SnrScale
from factored_asr.acoustic.hybrid import HybridModel
from factored_asr.acoustic.model import Frames
from factored_asr.acoustic.nnet3.forward import NetworkStream
from factored_asr.decoder import BeamOptions
from factored_asr.errors import MissingError, OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.graph import GraphOptions, build_graph
from factored_asr.language import NGramModel
from factored_asr.models.folder import ModelFolder, write_model
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.training.alignment import StateAlignment, Trained
from factored_asr.training.chain.copies import at_speed
from factored_asr.training.chain.examples import Examples, make_examples
from factored_asr.training.chain.graphs import END, estimate_phones, node_of
from factored_asr.training.chain.mmi import denominator, mmi
from factored_asr.training.chain.network import Tdnn, exported, torch_module
from factored_asr.training.chain.options import CHAIN, TdnnOptions
from factored_asr.training.chain.stage import _Training, train_tdnn
from factored_asr.training.chain.states import entered, output_pdfs
from factored_asr.training.em import PassReport, Run
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.run import check_stages
from factored_asr.training.sat import SatOptions, train_sat
from factored_asr.training.schedule import Schedule
from factored_asr.training.tying import TreeOptions

pytest.importorskip("torch")
LEXICON = synthetic.lexicon()
OPTIONS = TdnnOptions(
    step=3, hidden=32, bottleneck=8, offsets=(1, 3), n_gaussians=12, passes=10, entropy_passes=3,
    tree=TreeOptions(n_leaves=6, ask_position=False), batch_frames=150, learning_rate=1e-2,
    speeds=(1.0, 0.9),
)
EVERY_FRAME = replace(OPTIONS, step=1, offsets=(1, 2), gaussian_weight=0.2)
SLOW = {"A": 0.15, "B": 0.12, "SIL": 0.15}  # phones that last some frames of the output


@pytest.fixture(scope="module", autouse=True)
def slow_phones():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "LEAVE", SLOW)
        yield


@pytest.fixture(scope="module")
def data(slow_phones):
    return spoken_by(VOICES, synthetic.speak(48).data)


@pytest.fixture(scope="module")
def sat(data) -> Trained:
    schedule = Schedule(passes=6, realign=tuple(range(2, 7)), n_gaussians=8, grow_until=5)
    mono = train_mono(data, LEXICON, None, MonoOptions(
        schedule=schedule, states=synthetic.STATES, silence_states=synthetic.STATES))
    return train_sat(data, LEXICON, mono,
                     SatOptions(fmllr_passes=(2, 4), tree=TREE, schedule=SHORT))


@pytest.fixture(scope="module")
def examples(data, sat) -> Examples:
    return make_examples(data, LEXICON, sat, OPTIONS)


@pytest.fixture(scope="module")
def kept() -> dict[int, Trained]:
    return {}


@pytest.fixture(scope="module")
def told() -> list[PassReport]:
    return []


@pytest.fixture(scope="module")
def trained(data, sat, kept, told) -> Trained:
    return train_tdnn(data, LEXICON, sat, OPTIONS, Run(report=told.append, keep=kept.__setitem__))


@pytest.fixture(scope="module")
def model(trained) -> HybridModel:
    assert trained.hybrid is not None
    return trained.hybrid


@pytest.fixture(scope="module")
def every_frame(data, sat) -> Trained:
    """What the stage tdnn makes; the other fixtures are of the stage chain."""
    return train_tdnn(data, LEXICON, sat, EVERY_FRAME)


# States and graphs


def test_the_frame_that_enters_a_phone_has_a_pdf_of_its_own(examples: Examples) -> None:
    phones = np.int32([[2, 2, 0, 3], [0, 2, 0, 0], [0, 0, 2, 1]])  # SIL A A
    given = StateAlignment(phones, np.repeat([0, 1, 2], [5, 6, 8]).astype(np.int32), np.zeros(19))
    entry, loop = examples.states.hmm_pdfs[examples.states.hmm_index(*phones.T)].T
    assert output_pdfs(entered(given), examples.states).tolist() == [
        entry[0], loop[0], entry[1], loop[1], entry[2], loop[2], loop[2]]


def test_probabilities_of_phones_add_up_to_one(data, sat) -> None:
    silence = sat.model.phones.index("SIL")
    found = estimate_phones([a for a in sat.alignments if a is not None], [], silence)
    for history, after in found.followers.items():
        assert sum(np.exp(found.log_prob[history, each]) for each in after) == pytest.approx(1)
    assert sum(found.frequency.values()) == pytest.approx(1)
    first = node_of(sat.alignments[0].phones[0], silence)
    last = node_of(sat.alignments[0].phones[-1], silence)
    assert first == last == (-1, silence, -1)
    assert END in found.followers[last]


def test_what_was_said_is_part_of_all_that_can_be_said(examples: Examples) -> None:
    rng, everything = np.random.default_rng(0), examples.all_phones
    for copies in examples.utterances[:6]:
        for each in copies:
            scores = rng.normal(0, 1, (len(each.pdfs), examples.states.n_pdfs)).astype(np.float32)
            scores[np.arange(len(scores)), each.pdfs] += 20  # so that the alignment has a path
            found = mmi(scores, each.said, everything, 0.0)
            assert -50 < found.objective < 1e-3  # phones too short for a frame cost some
            best = found.gradient + denominator(scores, everything, 0.0).posteriors
            assert (best.argmax(axis=1) == each.pdfs).mean() > 0.9


# The network


def test_layers_of_numpy_give_what_torch_gives() -> None:
    torch = torch_module()
    for step, offsets in ((3, (1, 3, 3)), (3, (3,)), (3, (1, 1, 6)), (1, (1, 2, 3)), (1, (2,))):
        options = replace(OPTIONS, step=step, offsets=offsets)
        tdnn, rng = Tdnn(5, 7, options), np.random.default_rng(1)
        with torch.no_grad():
            tdnn.weights["output"].copy_(torch.from_numpy(rng.normal(0, 1, (7, 32))))
            for moments in tdnn.moments.values():
                moments.copy_(torch.from_numpy(rng.uniform(0.5, 1, (2, 32))))
        network, c = exported(tdnn.arrays(), options), tdnn.context
        assert network.context == (c, c) and network.step == step
        x = rng.normal(0, 1, (40 + 2 * c, 5)).astype(np.float32)
        expected = tdnn.scores(tdnn.rows(torch.from_numpy(x)[None], momentum=0))[0]
        stream = NetworkStream(network)
        found = np.concatenate([stream.accept(part) for part in np.split(x, [3, 31])])
        np.testing.assert_allclose(found, expected.detach().numpy()[: len(found)], atol=1e-4)
        assert len(found) == {3: 14, 1: 40}[step]


def test_first_factors_come_near_to_right_angles() -> None:
    tdnn = Tdnn(5, 7, OPTIONS)
    for _ in range(60):
        tdnn.orthogonalise()
    m = tdnn.weights["tdnnf2.linear"].detach().numpy()
    p = m @ m.T
    np.testing.assert_allclose(p, np.eye(len(p)) * p.trace() / len(p), atol=1e-2 * p.trace())


def test_training_raises_the_objective(trained: Trained, told: list[PassReport]) -> None:
    assert [each.number for each in told] == list(range(1, OPTIONS.passes + 1))
    objective = [each.log_likelihood for each in told]
    assert objective[2] > objective[0] and objective[-1] > objective[3]  # entropy; MMI
    assert trained.acoustic is trained.hybrid and not trained.state


def test_training_resumes_with_the_same_bits(data, sat, trained, kept) -> None:
    again = train_tdnn(data, LEXICON, sat, OPTIONS, Run(begun=(5, kept[5])))
    for name, layer in trained.hybrid.network.layers.items():
        for key, array in layer.arrays.items():
            assert np.array_equal(again.hybrid.network.layers[name].arrays[key], array), name


# The model


def recognizer_of(model: HybridModel) -> Recognizer:
    words = NGramModel.from_ngrams(
        ("<eps>", "<s>", *sorted(LEXICON), "</s>"),
        [(np.arange(1, 6)[:, None], np.log([1e-9, 0.25, 0.25, 0.25, 0.25]), np.zeros(5))])
    graph = GraphOptions(silence_probability=0.3)
    options = DecodeOptions(acoustic_scale=1.0, beam=BeamOptions(beam=20.0, lattice_beam=0.0),
                            graph=graph)
    return Recognizer(model, build_graph(model, LEXICON, words, graph), options)


@pytest.mark.parametrize("stage", ["trained", "every_frame"])
def test_new_speech_is_recognised_better_with_the_speakers_maps(
    stage: str, request: pytest.FixtureRequest
) -> None:
    corpus = synthetic.speak(12, seed=5)
    model = request.getfixturevalue(stage).hybrid
    new, recognizer = spoken_by(VOICES, corpus.data), recognizer_of(model)
    wrong, n_frames = [0, 0], 0
    for speaker in new.speakers:
        own = [i for i, each in enumerate(new.utterances) if each.speaker == speaker]
        sounds = [Frames(new.features(i), normalised=True) for i in own]
        voices = recognizer, recognizer.adapted(sounds, SpeakerOptions())
        for i, sound in zip(own, sounds, strict=True):
            said = [model.phones.index(phone) for phone, _ in corpus.truth[i]]
            said = said[:: model.network.step]
            n_frames += len(said)
            for at, voice in enumerate(voices):
                labels = voice.transcribe(sound).lattice.best().labels
                wrong[at] += int((voice.graph.label_phone[labels] - 1 != said).sum())
    assert wrong[1] < wrong[0] < 0.15 * n_frames and wrong[1] < 0.07 * n_frames


def test_the_stage_tdnn_keeps_the_states_of_the_model_before(
    data, sat: Trained, every_frame: Trained
) -> None:
    hybrid = every_frame.hybrid
    assert hybrid.gmm is sat.model and hybrid.gaussian_weight == 0.2
    assert hybrid.topology is sat.model.topology and not hybrid.is_chain
    assert hybrid.frame_seconds == sat.model.frame_seconds
    right = n_frames = 0
    for i, alignment in enumerate(sat.alignments[:12]):
        own = replace(sat.model, transform=sat.transforms[data.utterances[i].speaker],
                      first_pass=None)
        session = replace(hybrid, gmm=own).session(np.arange(hybrid.n_pdfs), whole=True)
        session.accept_frames(Frames(data.features(i), normalised=True))
        scores, pdfs = np.concatenate(list(session.finish())), alignment.pdfs(sat.model)
        right, n_frames = right + (scores.argmax(axis=1) == pdfs).sum(), n_frames + len(pdfs)
    assert right > 0.6 * n_frames


def test_without_the_prior_scores_are_likelihoods(data, sat: Trained) -> None:
    training = _Training(make_examples(data, LEXICON, sat, EVERY_FRAME), EVERY_FRAME)
    shares = np.exp(training._log_prior())
    counts = np.bincount(np.concatenate([a.pdfs(sat.model) for a in sat.alignments]))
    assert shares.sum() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(shares, counts / counts.sum(), atol=0.02)


@pytest.mark.parametrize("step", [1, 3])
def test_gaussians_of_the_same_frames_count_with_their_weight(step: int) -> None:
    features, pdfs = FeatureOptions(normalisation="none"), np.arange(5)
    plain, both = (random_hybrid(features, step, weight) for weight in (0.0, 0.3))
    sound = np.random.default_rng(4).normal(0, 0.1, 9000).astype(np.float32)
    scores = []
    for model in (plain, both, plain.gmm):
        session = model.session(pdfs, whole=True)
        session.accept(sound)
        scores.append(np.concatenate(list(session.finish())))
    np.testing.assert_allclose(scores[1], scores[0] + 0.3 * scores[2][::step], rtol=1e-4)
    assert both.describe()["weight of gaussians"] == "0.3"
    with pytest.raises(OptionError, match=r"gaussian_weight is -1\.0"):
        replace(both, gaussian_weight=-1.0)


@pytest.mark.parametrize("stage", ["trained", "every_frame"])
def test_a_folder_holds_the_model(
    stage: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(stage).hybrid
    read = ModelFolder.open(write_model(tmp_path / "m", model, lexicon=LEXICON)).acoustic_model()
    assert isinstance(read, HybridModel) and read.describe() == model.describe()
    frames = Frames(np.random.default_rng(3).normal(0, 3, (50, 2)).astype(np.float32))
    one, two = (each.session(np.arange(model.n_pdfs), whole=True) for each in (model, read))
    for session in (one, two):
        session.accept_frames(frames)
    scores = np.concatenate(list(one.finish()))
    assert np.array_equal(scores, np.concatenate(list(two.finish())))
    n = {3: 17, 1: 50}[model.network.step]
    assert scores.shape == (n, model.n_pdfs) and one.speech.shape == (n,)
    path = np.arange(n) % model.n_pdfs
    np.testing.assert_array_equal(one.path_scores(path), scores[np.arange(n), path])


@pytest.mark.parametrize(("step", "weight"), [(3, 0.0), (3, 0.3), (1, 0.0), (1, 0.3)])
def test_sounds_in_pieces_have_the_scores_of_whole_ones(step: int, weight: float) -> None:
    sounds = np.random.default_rng(4).normal(0, 0.1, 9000).astype(np.float32)
    model = random_hybrid(FeatureOptions(normalisation="none"), step, weight)
    pdfs = np.arange(0, model.n_pdfs, 2)
    whole = model.session(pdfs, whole=True)
    whole.accept(sounds)
    expected = np.concatenate(list(whole.finish()))
    for size in (123, 1600, 9000):
        session = model.session(pdfs, whole=False)
        found = [session.accept(sounds[at : at + size]) for at in range(0, len(sounds), size)]
        found += list(session.finish())
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-3)
    nothing = model.session(pdfs, whole=True)
    assert [len(block) for block in nothing.finish()] == []


def test_tools_of_mixtures_are_refused_by_name(model: HybridModel) -> None:
    with pytest.raises(OptionError, match="scale is for Gaussian mixtures, not for hybrid models"):
        model.configured(NoiseTools(snr_scale=SnrScale()))
    with pytest.raises(OptionError, match="weight of a prior is for Gaussian mixtures"):
        model.configured(NoiseTools(prior_weight=1.0))
    assert model.configured(NoiseTools()) is model
    with pytest.raises(OptionError, match=r"\d+ pdfs for a network of \d+ outputs"):
        HybridModel(model.gmm, exported(Tdnn(2, 3, OPTIONS).arrays(), OPTIONS))


# Copies, options


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_copies_are_near_those_of_sound_at_another_speed(speed: float) -> None:
    from factored_asr.audio.reading import read_audio

    folder = Path(__file__).parent.parent / "examples" / "audio"
    samples, _ = read_audio(folder / "weather.wav", sample_rate=16000)
    front_end = FrontEnd(FeatureOptions(normalisation="none"))
    cepstra = front_end.cepstra(samples)
    true = front_end.cepstra(resample_poly(samples, 10, round(10 * speed)).astype(np.float32))
    found = at_speed(cepstra, speed, front_end.options)
    assert abs(len(found) - len(true)) <= 1
    n = min(len(found), len(true))
    slower = cepstra[(np.arange(n) * speed).astype(int)]
    assert np.abs(found[:n] - true[:n]).mean() < 0.4 * np.abs(slower - true[:n]).mean()
    with pytest.raises(OptionError, match=r"0\.5 to 2, got 3"):
        at_speed(cepstra, 3, front_end.options)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"step": 2}, "step is 2, must be 1 or 3"),
    ({"offsets": (1, 0), "step": 1}, "must be at least 1"),
    ({"gaussian_weight": -0.1}, r"gaussian_weight is -0\.1"),
    ({"offsets": (1, 2)}, "must be 1, then multiples of 3"),
    ({"offsets": (3, 1)}, "must be 1, then multiples of 3"),
    ({"bottleneck": 192}, "bottleneck 192 must lie in 1 to hidden"),
    ({"tree": TREE}, "cannot ask for positions"),
    ({"entropy_passes": 30}, "entropy_passes must lie in 0 to passes"),
    ({"dropout": 1.0}, "dropout is 1.0"),
    ({"speeds": (0.1,)}, r"must lie in 0\.5 to 2"),
    ({"unmapped": 2.0}, r"must lie in \[0, 1\]"),
])  # fmt: skip
def test_wrong_options(wrong: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        replace(CHAIN, **wrong)


def test_the_stage_is_the_last_one_and_needs_torch(data, sat, monkeypatch) -> None:
    with pytest.raises(OptionError, match="tdnn must be the last one"):
        check_stages(("sat", "tdnn", "mmi"), {})
    with pytest.raises(OptionError, match="the stage chain must be the last one"):
        check_stages(("sat", "chain", "tdnn"), {})
    for stage, options in (("chain", OPTIONS), ("tdnn", EVERY_FRAME)):
        with pytest.raises(OptionError, match=f"the stage {stage} needs a trained model"):
            train_tdnn(data, LEXICON, None, options)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingError, match=r"factored-asr\[train\]"):
        train_tdnn(data, LEXICON, sat, OPTIONS)
