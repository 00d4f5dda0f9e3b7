"""The front end: the same numbers as its peer, from a file or from a stream."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import naive_features as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tones import syllables

from factored_asr.audio.reading import read_audio
from factored_asr.errors import FormatError, OptionError
from factored_asr.features import CepstraStream, FeatureOptions, FrontEnd, speech_frames
from factored_asr.features.mel import cepstral_transform, mel_filters
from factored_asr.features.noise import NoiseRemover

EN_US = FeatureOptions(normalisation="none")


def read_mfc(path: Path, n_values: int, kind: str = "<f4") -> np.ndarray:
    values = np.fromfile(path, dtype=kind)[1:]  # the first is a count
    return values.reshape(-1, n_values)


# The peer's numbers


def test_en_us_cepstra_are_those_of_sphinx(data_dir: Path) -> None:
    """goforward.mfc: feat.params of en-us (25 filters, lifter 22, noise removal), no mean taken
    off; the peer stopped 14 frames before the end of the file."""
    samples = np.fromfile(data_dir / "front_end" / "goforward.raw", dtype="<i2")
    expected = read_mfc(data_dir / "front_end" / "goforward.mfc", 13)
    ours = FrontEnd(EN_US).cepstra(samples)
    assert (ours.shape, expected.shape) == ((278, 13), (264, 13))
    np.testing.assert_allclose(ours[:264], expected, atol=1e-4)


# chan3: 11025 Hz, 105 frames a second, windows of 24 ms, 36 filters from 130 to 5400 Hz, the
# legacy transform, no lifter, noise removed. The peer dropped frames that it took for silence:
# (its first frame, its last frame + 1, frames dropped so far).
CHAN3 = FeatureOptions(
    sample_rate=11025,
    frame_shift=1 / 105,
    frame_length=0.024,
    n_mels=36,
    high_hz=5400.0,
    lifter=0,
    dct="legacy",
    normalisation="none",
)
CHAN3_SPEECH = ((0, 218, 0), (218, 1295, 9), (1678, 2177, 12))


def test_another_rate_and_the_legacy_transform_are_those_of_sphinx(data_dir: Path) -> None:
    samples, rate = read_audio(data_dir / "front_end" / "chan3.wav")
    assert rate == CHAN3.sample_rate
    expected = read_mfc(data_dir / "front_end" / "chan3.mfc", 13)
    ours = FrontEnd(CHAN3).cepstra(samples)
    for first, last, dropped in CHAN3_SPEECH:
        np.testing.assert_allclose(
            ours[first + dropped : last + dropped], expected[first:last], atol=1e-4
        )


def test_the_log_spectrum_is_that_of_sphinx(data_dir: Path) -> None:
    from scipy.fft import idct

    samples, _ = read_audio(data_dir / "front_end" / "chan3.wav")
    expected = read_mfc(data_dir / "front_end" / "chan3.logspec", 36)
    all_cepstra = FrontEnd(replace(CHAN3, dct="ortho", n_cepstra=36)).cepstra(samples)
    ours = idct(all_cepstra, type=2, norm="ortho", axis=1)  # no cepstrum is cut off
    for first, last, dropped in CHAN3_SPEECH:
        np.testing.assert_allclose(
            ours[first + dropped : last + dropped], expected[first:last], atol=1e-4
        )


@pytest.mark.parametrize("clip", ["0870", "0930"])
def test_a_whole_sentence_is_that_of_pocketsphinx(
    data_dir: Path, tmp_path: Path, clip: str
) -> None:
    """Its own log of the en-us model's cepstra, to single precision; and its batch mean."""
    pocketsphinx = pytest.importorskip("pocketsphinx")
    name = f"sense_and_sensibility_01_austen_64kb-{clip}.wav"
    samples, _ = read_audio(data_dir / "native_dictation" / name)
    model = pocketsphinx.get_model_path("en-us/en-us")
    decoder = pocketsphinx.Decoder(
        hmm=model, lm=None, dict=None, mfclogdir=str(tmp_path), logfn=os.devnull
    )
    decoder.add_keyphrase("any", "any")
    decoder.activate_search("any")
    decoder.start_utt()
    decoder.process_raw((samples * 32768).astype("<i2").tobytes(), no_search=True, full_utt=True)
    decoder.end_utt()
    expected = read_mfc(tmp_path / "000000000.mfc", 13, ">f4")
    np.testing.assert_allclose(FrontEnd(EN_US).cepstra(samples), expected, atol=1e-4)
    mean = np.array([float(value) for value in decoder.get_cmn(False).split(",")])
    normalised = FrontEnd(replace(EN_US, normalisation="batch")).features(samples)
    np.testing.assert_allclose(expected - normalised[:, :13], mean[None].repeat(len(expected), 0),
                               atol=1e-3)  # fmt: skip


@pytest.fixture(scope="module")
def librosa() -> Mapping[str, np.ndarray]:
    """What librosa computes, see data/librosa/generate.py: it compiles for half a minute."""
    with np.load(Path(__file__).parent / "data" / "librosa" / "expected.npz") as file:
        return dict(file)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_general_mfcc_is_that_of_librosa(librosa: Mapping[str, np.ndarray], scale: str) -> None:
    options = replace(
        EN_US, mel=scale, n_mels=40, frame_length=0.032, lifter=0, remove_noise=False
    )
    ours, expected = FrontEnd(options).cepstra(syllables()), librosa[scale]
    assert len(ours) - len(expected) in (0, 1)  # librosa leaves out a last frame that is not full
    np.testing.assert_allclose(ours[: len(expected)], expected, atol=2e-3)


def test_regression_deltas_are_those_of_librosa(librosa: Mapping[str, np.ndarray]) -> None:
    options = replace(EN_US, delta="regression")
    ours = FrontEnd(options).features_from_cepstra(librosa["static"])
    inside = slice(2, -2)  # at the edges librosa fits a line instead
    np.testing.assert_allclose(ours[inside, 13:26], librosa["first"][inside], atol=1e-5)
    np.testing.assert_allclose(ours[4:-4, 26:], librosa["second"][4:-4], atol=1e-5)


# The slow twin


@pytest.mark.parametrize("noise", [True, False])
@pytest.mark.parametrize("n_samples", [1, 300, 410, 411, 569, 570, 16000])
def test_cepstra_equal_their_naive_twin(n_samples: int, noise: bool) -> None:
    options = replace(EN_US, remove_noise=noise)
    samples = syllables(1.0)[:n_samples]
    expected = naive.cepstra(samples, options)
    np.testing.assert_allclose(FrontEnd(options).cepstra(samples), expected, atol=2e-3)


def test_filters_equal_their_naive_twin() -> None:
    for options in (EN_US, CHAN3, replace(EN_US, n_mels=40, low_hz=133.33334, high_hz=6855.4976)):
        np.testing.assert_allclose(mel_filters(options), naive.sphinx_filters(options), rtol=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 30))
def test_noise_removal_equals_its_naive_twin(seed: int, n_frames: int, n_bands: int) -> None:
    rng = np.random.default_rng(seed)
    powers = np.exp(rng.normal(8, 6, size=(n_frames, n_bands))) * rng.integers(0, 2, (n_frames, 1))
    np.testing.assert_allclose(NoiseRemover(n_bands)(powers), naive.remove_noise(powers), rtol=1e-8)


def test_deltas_equal_their_naive_twin() -> None:
    for n_frames in (1, 2, 3, 7, 40):
        static = np.random.default_rng(n_frames).normal(size=(n_frames, 13)).astype(np.float32)
        ours = FrontEnd(EN_US).features_from_cepstra(static)
        np.testing.assert_allclose(ours, naive.add_deltas(static), atol=1e-5)


def test_a_steady_rise_has_a_steady_delta_and_no_delta_delta() -> None:
    static = np.arange(20, dtype=np.float32)[:, None].repeat(13, axis=1)
    ours = FrontEnd(EN_US).features_from_cepstra(static)[3:-3]
    assert np.all(ours[:, 13:26] == 4) and np.all(ours[:, 26:] == 0)
    regression = replace(EN_US, delta="regression", streams="1s_c_d")
    slope = FrontEnd(regression).features_from_cepstra(static)[2:-2, 13:]
    np.testing.assert_allclose(slope, 1, atol=1e-6)


# Streams


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 16000), max_size=12),
    st.sampled_from(["1s_c", "1s_c_d", "1s_c_d_dd"]),
    st.sampled_from(["running", "none"]),
    st.sampled_from(["difference", "regression"]),
    st.integers(0, 5),
)
def test_any_chunks_give_the_features_of_the_whole(
    cuts: list[int], streams: str, normalisation: str, delta: str, splice: int
) -> None:
    options = replace(
        EN_US, streams=streams, normalisation=normalisation, delta=delta, splice=splice
    )
    front_end, samples = FrontEnd(options), syllables(1.0)
    samples[3000:7000] = 0  # as a gate leaves it
    stream = front_end.stream()
    parts = [stream.accept(samples[a:b]) for a, b in pairwise([0, *sorted(cuts), len(samples)])]
    streamed = np.concatenate([*parts, stream.finish()])
    np.testing.assert_allclose(streamed, front_end.features(samples), atol=1e-4)


def test_a_stream_of_single_samples() -> None:
    front_end, samples = FrontEnd(EN_US), syllables(0.1)
    stream = front_end.stream()
    parts = [stream.accept(samples[i : i + 1]) for i in range(len(samples))]
    streamed = np.concatenate([*parts, stream.finish()])
    np.testing.assert_allclose(streamed, front_end.features(samples), atol=1e-4)


def test_listeners_share_the_cepstra_of_a_sound() -> None:
    """One stream of cepstra feeds two streams of features, each with a mean of its own."""
    front_end, samples = FrontEnd(FeatureOptions()), syllables(1.0)
    means = np.zeros(13), np.full(13, 5.0)
    cepstra, listeners = CepstraStream(front_end), [front_end.stream(mean) for mean in means]
    chunks = [samples[at : at + 1234] for at in range(0, len(samples), 1234)]
    frames = [*map(cepstra.accept, chunks), cepstra.finish()]
    np.testing.assert_array_equal(np.concatenate(frames).shape, front_end.cepstra(samples).shape)
    for mean, listener in zip(means, listeners, strict=True):
        alone = front_end.stream(mean)
        expected = [*map(alone.accept, chunks), alone.finish()]
        shared = [*map(listener.accept_cepstra, frames), listener.finish()]
        np.testing.assert_array_equal(np.concatenate(shared), np.concatenate(expected))
    with pytest.raises(OptionError, match="the stream is finished"):
        listeners[0].accept_cepstra(frames[0])


def test_powers_are_those_under_the_cepstra() -> None:
    options = FeatureOptions(remove_noise=False)
    front_end, samples = FrontEnd(options), syllables(0.5)
    spectra, powers = front_end.powers(samples)
    assert spectra.shape == (len(powers), 257) and powers.shape[1] == 25
    cepstra = np.log(powers + 1e-4) @ cepstral_transform(options)
    np.testing.assert_allclose(front_end.cepstra(samples)[:-1], cepstra, atol=1e-4)
    for n_samples in (0, 409, 410):
        assert len(front_end.powers(samples[:n_samples])[0]) == n_samples // 410


def test_features_come_as_late_as_their_deltas_look_ahead() -> None:
    frames_heard = 1 + (16000 - 410) // 160
    for streams, late in (("1s_c", 0), ("1s_c_d", 2), ("1s_c_d_dd", 3)):
        options = replace(EN_US, streams=streams)
        assert options.lookahead == late
        stream = FrontEnd(options).stream()
        assert len(stream.accept(syllables(1.0))) == frames_heard - late
        assert len(stream.finish()) == late + 1  # and the frame that is filled up


def test_a_splice_lays_the_neighbours_side_by_side() -> None:
    """The earliest first; beyond the edges the first and the last frame stand again."""
    options = FeatureOptions(n_cepstra=1, splice=2, normalisation="none")
    assert (options.n_features, options.lookahead) == (5, 2)
    spliced = FrontEnd(options).features_from_cepstra([[1.0], [2.0], [3.0]])
    assert spliced.tolist() == [[1, 1, 1, 2, 3], [1, 1, 2, 3, 3], [1, 2, 3, 3, 3]]


def test_a_finished_stream_takes_no_more() -> None:
    stream = FrontEnd().stream()
    assert stream.finish().shape == (0, 39)
    with pytest.raises(OptionError, match="finished"):
        stream.accept(np.zeros(160))
    with pytest.raises(OptionError, match="finished"):
        stream.finish()


def test_more_samples_than_a_block_are_worked_on_in_blocks() -> None:
    samples = np.tile(syllables(2.0), 8)  # 16 s are more than a thousand frames
    front_end = FrontEnd(EN_US)
    stream = front_end.stream()
    parts = [stream.accept(part) for part in np.array_split(samples, 7)]
    streamed = np.concatenate([*parts, stream.finish()])
    np.testing.assert_allclose(streamed, front_end.features(samples), atol=1e-4)


# The mean


def test_silence_around_a_command_does_not_move_its_mean() -> None:
    rng = np.random.default_rng(3)
    command = syllables()
    quiet = (0.0005 * rng.normal(size=3 * 16000)).astype(np.float32)
    surrounded = np.concatenate([quiet, command, quiet])
    shift = {}
    for normalisation in ("speech", "batch"):
        front_end = FrontEnd(
            FeatureOptions(normalisation=normalisation, remove_noise=False, streams="1s_c")
        )
        alone, inside = front_end.features(command), front_end.features(surrounded)[300:500]
        shift[normalisation] = np.abs(alone[50:150] - inside[50:150]).mean()
    assert shift["speech"] < 0.5 < 2.5 < shift["batch"]


def test_the_speech_mean_is_over_speech_and_a_tenth_of_silence() -> None:
    front_end = FrontEnd(FeatureOptions(streams="1s_c"))
    samples = syllables()
    cepstra = front_end.cepstra(samples)
    spoken = speech_frames(cepstra)
    assert 0.2 < spoken.mean() < 0.8 and (cepstra[:, 0] >= 0).all()
    features = front_end.features(samples)
    mixed = 0.9 * features[spoken].mean(axis=0) + 0.1 * features[~spoken].mean(axis=0)
    np.testing.assert_allclose(mixed, 0, atol=1e-3)


@pytest.mark.parametrize("normalisation", ["speech", "running"])
def test_without_speech_the_stored_mean_is_taken_off(normalisation: str) -> None:
    stored = tuple(float(k) for k in range(13))
    options = FeatureOptions(initial_mean=stored, normalisation=normalisation, streams="1s_c")
    front_end = FrontEnd(options)
    for sound in (np.zeros(16000), 0.01 * np.random.default_rng(4).normal(size=32000)):
        np.testing.assert_allclose(
            front_end.features(sound), front_end.cepstra(sound) - np.array(stored), atol=1e-4
        )


def test_digital_silence_has_no_part_in_where_speech_begins() -> None:
    heard = np.array([30.0, 31, 60, 65, 64, 30, 31, 30])
    padded = np.concatenate([np.full(50, -46.0), heard])
    np.testing.assert_array_equal(speech_frames(padded)[50:], speech_frames(heard))
    assert not speech_frames(padded)[:50].any()


def test_zeros_in_place_of_sound_are_heard_as_what_rounding_leaves() -> None:
    front_end, rng = FrontEnd(EN_US), np.random.default_rng(7)
    rounded = rng.uniform(-0.5, 0.5, 32000) / 32768
    gated, quiet = front_end.cepstra(np.zeros(32000)), front_end.cepstra(rounded)
    np.testing.assert_allclose(gated[5:-5].mean(axis=0), quiet[5:-5].mean(axis=0), atol=2.0)
    assert (gated[:, 0] < 0).all()  # and still count as digital silence


def test_a_batch_mean_of_nothing_but_digital_silence_is_the_stored_one() -> None:
    front_end = FrontEnd(replace(EN_US, normalisation="batch"))
    silence = np.zeros(8000)
    np.testing.assert_array_equal(front_end.features(silence)[:, :13], front_end.cepstra(silence))


def test_a_running_mean_nears_the_mean_of_speech() -> None:
    options = FeatureOptions(normalisation="running", streams="1s_c")
    front_end, samples = FrontEnd(options), np.tile(syllables(), 10)
    cepstra = front_end.cepstra(samples)
    of_speech = cepstra[speech_frames(cepstra)].mean(axis=0)
    stream = front_end.stream()
    stream.accept(samples)
    assert stream.mean is not None
    assert np.abs(stream.mean - of_speech).mean() < 0.2 * np.abs(of_speech).mean()


def test_a_stream_may_start_from_the_mean_of_the_last_one() -> None:
    front_end, samples = FrontEnd(FeatureOptions(streams="1s_c")), syllables()
    first = front_end.stream()
    first.accept(samples)
    second = front_end.stream(mean=first.mean)
    np.testing.assert_array_equal(second.mean, first.mean)
    with pytest.raises(OptionError, match=r"shape \(2,\)"):
        front_end.stream(mean=np.zeros(2))


def test_a_stream_without_normalisation_has_no_mean() -> None:
    assert FrontEnd(EN_US).stream().mean is None


# What is handed in


def test_nothing_in_gives_nothing_out() -> None:
    assert FrontEnd().features(np.zeros(0)).shape == (0, 39)
    assert FrontEnd().features(np.zeros(1)).shape == (1, 39)


def test_16_bit_samples_are_the_same_as_floats() -> None:
    whole = (syllables() * 32768).astype(np.int16)
    np.testing.assert_array_equal(
        FrontEnd().features(whole), FrontEnd().features(whole.astype(np.float32) / 32768)
    )


def test_results_are_of_single_precision() -> None:
    front_end = FrontEnd()
    assert front_end.features(syllables()).dtype == np.float32
    assert front_end.stream().accept(syllables()).dtype == np.float32


def test_a_sample_that_is_no_number_is_named() -> None:
    samples = syllables()
    samples[17] = np.nan
    with pytest.raises(FormatError, match="sample 17 is nan, must be finite"):
        FrontEnd().features(samples)
    with pytest.raises(FormatError, match="sample 17 is nan"):
        FrontEnd().stream().accept(samples)


def test_cepstra_that_cannot_be_are_refused() -> None:
    with pytest.raises(OptionError, match=r"\(5, 12\), must be \(n_frames, 13\)"):
        FrontEnd().features_from_cepstra(np.zeros((5, 12)))
    broken = np.zeros((5, 13))
    broken[3, 2] = np.inf
    with pytest.raises(FormatError, match="cepstrum 2 of frame 3 is inf, must be finite"):
        FrontEnd().features_from_cepstra(broken)
    with pytest.raises(OptionError, match="3 dimensions"):
        speech_frames(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"mel": "bark"}, "mel is 'bark', must be one of sphinx, htk, slaney"),
        ({"streams": "s3_1x39"}, "streams is 's3_1x39'"),
        ({"normalisation": "live"}, "normalisation is 'live'"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"n_cepstra": 26}, "n_cepstra 26 must not exceed n_mels 25"),
        ({"n_fft": 256}, "n_fft is 256, must be at least the 410 samples"),
        ({"frame_length": 0.005}, "no shorter than the shift"),
        ({"high_hz": 9000.0}, "sample_rate / 2 = 8000"),
        ({"low_hz": 7000.0}, "low_hz 7000.0"),
        ({"preemphasis": 1.5}, "preemphasis 1.5"),
        ({"initial_mean": (1.0, 2.0)}, "initial_mean has 2 values"),
        ({"splice": -1}, "splice is -1"),
        ({"mean_weight": 500.0}, "mean_weight 500.0 and mean_frames 400.0"),
    ],
)
def test_options_outside_their_law_are_refused(wrong: dict, law: str) -> None:
    with pytest.raises(OptionError, match=law):
        FeatureOptions(**wrong)


def test_filters_narrower_than_a_bin_are_refused() -> None:
    with pytest.raises(OptionError, match="filter 0 is narrower than a bin"):
        FrontEnd(FeatureOptions(n_mels=120))
