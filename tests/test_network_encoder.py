"""The encoder's numbers: against a slow twin, and against ONNX Runtime."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from naive_encoder import encode
from support.network import encoder
from support.onnx_float import Oracle

from factored_asr.acoustic.network._kernels import gelu
from factored_asr.acoustic.network.encoder import FIELD, HOP, SAMPLE_RATE
from factored_asr.acoustic.network.moonshine import encoder_path
from factored_asr.acoustic.threads import blas_threads

SOUND = Path(__file__).parent.parent / "examples" / "audio" / "kitchen_light_on.wav"


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return soundfile.read(SOUND, dtype="float32")[0]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    encoder()
    return Oracle(encoder_path(), tmp_path_factory.mktemp("onnx"))


def test_the_encoder_is_its_slow_twin(sound):
    part = sound[8000:20000]
    for ours, naive in zip(encoder()(part), encode(encoder(), part), strict=True):
        assert ours.dtype == np.float32 and ours.shape == naive.shape
        assert np.abs(ours - naive).max() < 1e-5 * max(1, np.abs(naive).max())


@pytest.mark.parametrize("n_samples", [FIELD, FIELD + HOP - 1, FIELD + HOP, 16_000, 10 * 16_000])
def test_the_encoder_against_onnx_runtime(oracle, sound, n_samples):
    samples = np.tile(sound, 1 + n_samples // len(sound))[:n_samples]
    hidden, found = encoder()(samples), oracle(samples)
    assert len(hidden) == 8 and len(hidden[0]) == (n_samples - FIELD) // HOP + 1
    assert np.abs(hidden[7] - found[-1]).max() < 1e-3
    for ours, theirs in zip(hidden, found[:-1], strict=False):
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()
    assert (hidden[7] - oracle.rounded(samples)).std() < 0.05  # the same weights, coarsely


def test_the_encoder_takes_no_longer_than_allowed(oracle, sound):
    """At most 1.5 times ONNX Runtime's time on one thread; the least of some tries of each."""
    samples = np.tile(sound, 2)[: 4 * SAMPLE_RATE]
    with blas_threads():
        ours, theirs = _seconds(encoder(), samples), _seconds(oracle, samples)
    assert ours < 1.5 * theirs * 1.2, f"{ours * 1000:.1f} against {theirs * 1000:.1f} ms"


def _seconds(run, samples: np.ndarray) -> float:
    found = []
    for _ in range(12):
        began = time.perf_counter()
        run(samples)
        found.append(time.perf_counter() - began)
    return min(found)


def test_gelu():
    from scipy.special import erf

    x = np.linspace(-8, 8, 4001, dtype=np.float32).reshape(1, -1)
    ours = x.copy()
    gelu(ours, np.zeros(x.shape[1], np.float32))
    exact = x.astype(np.float64) / 2 * (1 + erf(x.astype(np.float64) / np.sqrt(2)))
    assert np.abs(ours - exact).max() < 2e-6


def test_silence_is_finite():
    for hidden in encoder()(np.zeros(16000, np.float32)):
        assert np.isfinite(hidden).all()
