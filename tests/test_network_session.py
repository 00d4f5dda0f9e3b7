"""Sessions of the network: windows, chunks, memory, what they refuse."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.network import random_network

from factored_asr.acoustic.gmm.tools import NoiseOptions, NoiseTools, SnrScale
from factored_asr.acoustic.model import Frames
from factored_asr.acoustic.network import NetworkModel, Window
from factored_asr.acoustic.network.encoder import FIELD, HOP
from factored_asr.acoustic.network.memory import Memory
from factored_asr.acoustic.network.session import clarity, is_speech, stands_out
from factored_asr.acoustic.network.windows import BEFORE
from factored_asr.acoustic.threads import blas_threads
from factored_asr.errors import FormatError, OptionError

PDFS = np.arange(40)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with blas_threads():
        yield


@pytest.fixture(scope="module")
def model() -> NetworkModel:
    return replace(random_network(), window=Window(20, 12, 5), whole=Window(20, 12, 5))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.uniform(0.01, 0.2, int(seconds * 8) + 1), 2000)[: int(seconds * 16000)]
    return (level * rng.normal(size=len(level))).astype(np.float32)


def scores(model: NetworkModel, sound: np.ndarray, chunk: int = 0, whole: bool = False):
    session = model.session(PDFS, whole=whole)
    chunk = chunk or len(sound)
    parts = [session.accept(sound[i : i + chunk]) for i in range(0, len(sound), chunk)]
    return np.concatenate([*parts, *session.finish()]), session


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.4, 0.41, 1.0, 3.21])
def test_streams_and_whole_sounds_with_equal_windows_give_equal_scores(model, seconds):
    sound = noise(seconds)
    whole, session = scores(model, sound, whole=True)
    assert whole.shape == (-(-len(sound) // HOP), 40) and len(session.speech) == len(whole)
    for chunk in (97, 1000, 16000):
        stream, other = scores(model, sound, chunk)
        assert np.array_equal(stream, whole)
        assert np.array_equal(other.speech, session.speech)
        assert np.array_equal(other.clarity, session.clarity)


def test_a_sound_in_one_window_is_one_pass_of_the_encoder(model):
    sound = noise(2.0)
    long = replace(model, window=Window(0, 1000, 0))
    found, _ = scores(long, sound)
    lacking = (len(found) - 1) * HOP + FIELD - len(sound) - BEFORE
    padded = np.pad(sound, (BEFORE, max(0, lacking)))
    log_probs = model.head(model.encoder(padded))[: len(found)]
    assert np.allclose(found, log_probs - model.prior_weight * model.head.log_prior, atol=1e-5)


def test_a_frame_does_not_depend_on_what_comes_after_its_look_ahead(model):
    sound = noise(3.0)
    changed = np.concatenate([sound[: 3 * 12 * HOP + 5 * HOP + FIELD], noise(3.0, seed=9)])
    one, two = scores(model, sound)[0], scores(model, changed)[0]
    assert np.array_equal(one[:36], two[:36]) and not np.allclose(one[48:60], two[48:60])


def test_without_anything_in_mind_a_piece_is_computed_alone(model):
    """Frames 12 to 23 and their look-ahead; all but the first, whose head sees the frame before."""
    sound = noise(2.0)
    found, _ = scores(replace(model, window=Window(0, 12, 5)), sound)
    padded = np.pad(sound, (BEFORE, 0))[12 * HOP :][: 16 * HOP + FIELD]
    alone = model.head(model.encoder(padded)) - model.prior_weight * model.head.log_prior
    assert np.allclose(found[13:24], alone[1:12], atol=1e-4)
    assert not np.allclose(found[13:24], scores(model, sound)[0][13:24], atol=1e-2)


def test_memory_makes_pieces_one_sound(model):
    """With everything in mind, a piece without look-ahead is what one pass makes of the first."""
    encoder, sound = model.encoder, noise(2.0)
    memory = Memory()
    first = encoder(sound[: 20 * HOP + FIELD], memory)
    assert memory.n_frames == 21
    again = encoder(sound[21 * HOP :], memory)
    whole = encoder(sound[: 20 * HOP + FIELD])
    assert all(np.array_equal(one, other) for one, other in zip(first, whole, strict=True))
    assert np.abs(again[7] - encoder(sound)[7][21:]).mean() < 0.1  # the same, nearly
    memory.forget(4, 10)
    assert memory.n_frames == 10


def test_early_frames_are_those_of_the_sound_so_far(model):
    """What a window still waits for is scored by what is there, and nothing else changes."""
    sound, late = noise(3.0), replace(model, window=Window(20, 12, 5, first=60))
    n_there = 10_000
    session = late.session(PDFS, whole=False)
    assert not len(session.early())
    assert not len(session.accept(sound[:n_there]))
    n_frames = (n_there + BEFORE - FIELD) // HOP + 1
    padded = np.pad(sound[:n_there], (BEFORE, 0))[: (n_frames - 1) * HOP + FIELD]
    assert np.array_equal(session._frames.early(), late.head(late.encoder(padded)))
    parts = []
    for first in range(n_there, len(sound), 4000):
        parts.append(session.accept(sound[first : first + 4000]))
        session.early()
    found = np.concatenate([*parts, *session.finish()])
    assert np.array_equal(found, scores(late, sound)[0])
    assert not len(session.early())


def test_a_finished_stream_holds_nothing(model):
    _, session = scores(model, noise(3.0), chunk=1600)
    kept = session._frames
    assert not kept._memory.n_frames and not kept._before and not kept._parts


def test_scores_are_there_again_for_any_pdfs(model):
    sound = noise(2.0)
    found, session = scores(model, sound, whole=True)
    again = np.concatenate([*session.scores(np.array([3, 7]))])
    assert np.array_equal(again, found[:, [3, 7]])
    path = np.random.default_rng(0).integers(0, 40, len(found))
    assert np.array_equal(session.path_scores(path), found[np.arange(len(found)), path])
    few = model.session(np.array([0, 5]), whole=True)
    few.accept(sound)
    assert np.array_equal(np.concatenate([*few.finish()]), found[:, [0, 5]])
    with pytest.raises(OptionError, match="once it is finished"):
        next(model.session(PDFS, whole=True).scores(PDFS))


def test_samples_of_both_types_and_no_others(model):
    sound = (noise(1.0) * 32768).astype(np.int16)
    one, _ = scores(model, sound)
    two, _ = scores(model, sound.astype(np.float32) / 32768)
    assert np.array_equal(one, two)
    session = model.session(PDFS, whole=False)
    for bad in (sound.astype(np.float64), sound[None], [0.0]):
        with pytest.raises(OptionError, match="float32 or int16"):
            session.accept(bad)
    with pytest.raises(FormatError, match="not finite"):
        session.accept(np.array([0, np.nan], np.float32))


def test_log_probabilities_take_the_place_of_the_sound(model):
    sound = noise(2.0)
    whole = model.session(PDFS, whole=True)
    whole.accept(sound)
    expected = np.concatenate([*whole.finish()])
    frames = whole.log_probs()
    session = model.session(PDFS, whole=False)
    found = [session.accept_frames(Frames(each)) for each in np.array_split(frames, 3)]
    found += [*session.finish()]
    assert np.array_equal(np.concatenate(found), expected)
    assert np.array_equal(session.speech, whole.speech)
    assert np.array_equal(session.clarity, whole.clarity) and len(whole.clarity) == len(frames)
    with pytest.raises(OptionError, match="en-us"):
        session.accept_frames(Frames(np.zeros((3, 13), np.float32)))
    with pytest.raises(FormatError, match="log probabilities"):
        session.accept_frames(Frames(np.ones_like(frames)))
    with pytest.raises(OptionError, match="either sound or frames"):
        session.accept(sound)
    session = model.session(PDFS, whole=False)
    session.accept(sound)
    with pytest.raises(OptionError, match="either sound or frames"):
        session.accept_frames(Frames(frames))


@pytest.mark.parametrize("whole", [False, True])
def test_memory_stays_flat(model, whole):
    """80 seconds take the memory of 20, but for 160 bytes a frame of whole sounds."""
    block, peaks = noise(5.0), []
    model = replace(model, window=Window(20, 100, 5), whole=Window(20, 100, 5))
    for n_blocks in (4, 16):
        tracemalloc.start()
        session = model.session(PDFS, whole=whole)
        for _ in range(n_blocks):
            session.accept(block)
        for _ in session.finish():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    more = 60 / model.frame_seconds * 200 if whole else 0
    assert peaks[1] < 1.3 * peaks[0] + more


def test_what_is_for_mixtures_is_refused_with_the_remedy(model):
    for tools, name in (
        (NoiseTools(noise=NoiseOptions()), "vts"), (NoiseTools(snr_scale=SnrScale()), "scale"),
        (NoiseTools(front_end={"enhancement": "mask"}), "mask"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=f"{name}.*use --model en-us"):
            model.configured(tools)
    for refused in (lambda: model.adapted([]), lambda: model.read_frames("a.mfc")):
        with pytest.raises(OptionError, match="use --model en-us"):
            refused()
    changed = model.configured(NoiseTools(prior_weight=0.2))
    assert changed.prior_weight == 0.2 and model.configured(NoiseTools()) is model


def test_the_topology_has_a_blank_and_no_silence(model):
    topology = model.topology
    assert topology.has_blank and topology.silence == "" and len(topology.phones) == 39
    assert topology.free_pdfs.tolist() == list(range(40))
    assert "Moonshine" in model.describe()["encoder"]


def test_windows_have_frames():
    for bad in ((-1, 5, 0), (0, 0, 0), (0, 1, -2)):
        with pytest.raises(OptionError, match="at least 1"):
            Window(*bad)


def test_noise_is_shared_among_phones_and_does_not_stand_out():
    rain, spoken, pause = (np.full((1, 40), 0.7 / 39), np.full((1, 40), 0.2 / 38),
                           np.full((1, 40), 0.1 / 39))  # fmt: skip
    rain[0, 0], pause[0, 0], spoken[0, :2] = 0.3, 0.9, (0.2, 0.6)
    frames = np.log(np.concatenate([rain, spoken, pause]))
    assert is_speech(frames).tolist() == [True, True, False]
    assert stands_out(frames).tolist() == [False, True, False]
    expected = np.array([[0.7 / 39, 0.7], [0.6, 0.8], [0.1 / 39, 0.1]])
    assert clarity(frames) == pytest.approx(expected, rel=1e-5)
