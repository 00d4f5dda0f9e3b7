"""Cepstra brought to a reference's distribution: exactly, in files, and running in streams."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factored_asr import Recognizer
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.equalisation import (
    MOST_SCALED,
    RunningQuantiles,
    equalise,
    quantiles_of,
)
from factored_asr.features.normalisation import normalise
from factored_asr.models.settings import COMMANDS, DecodeOptions

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("variance", "quantiles")


def options(kind: str, clean: np.ndarray, **others: object) -> FeatureOptions:
    reference = tuple(map(tuple, quantiles_of(clean).tolist()))
    return FeatureOptions(n_cepstra=clean.shape[1], normalisation=kind, reference=reference,
                          streams="1s_c", **others)  # fmt: skip


@pytest.fixture
def clean():
    return np.random.default_rng(0).normal(0, (4.0, 2.0, 1.0), (5000, 3))


def test_quantiles_of_what_is_bent_become_the_reference(clean):
    wanted = options("quantiles", clean)
    bent = np.log(1 + np.exp(clean))  # as noise fills up what is quiet
    mapped = equalise(bent, quantiles_of(bent), wanted)
    np.testing.assert_allclose(quantiles_of(mapped), np.array(wanted.reference), atol=0.01)
    assert (np.diff(mapped[np.argsort(bent[:, 0]), 0]) >= 0).all()  # the order stays


def test_variance_becomes_that_of_the_reference(clean):
    squeezed = 0.5 * clean
    mapped = equalise(squeezed, quantiles_of(squeezed), options("variance", clean))
    np.testing.assert_allclose(mapped, clean, rtol=1e-9)
    steady = 1e-3 * clean
    scaled = equalise(steady, quantiles_of(steady), options("variance", clean))
    np.testing.assert_allclose(scaled, MOST_SCALED * steady)


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_the_reference_already_stays(clean, kind):
    mapped = equalise(clean, quantiles_of(clean), options(kind, clean))
    np.testing.assert_allclose(mapped, clean, atol=1e-9)


def spoken(rng: np.random.Generator, n_frames: int) -> np.ndarray:
    """Half a second of silence and of speech in turn; c0 first."""
    cepstra = rng.normal(0, 2.0, (n_frames, 3))
    cepstra[:, 0] += np.where(np.arange(n_frames) // 50 % 2, 70.0, 30.0)
    return cepstra.astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_only_speech_is_counted(clean, kind):
    """More silence changes nothing of how speech comes out, but for the mean's share of it."""
    chosen = options(kind, clean)
    cepstra = spoken(np.random.default_rng(1), 400)
    longer = np.concatenate([cepstra, cepstra[:50], cepstra[100:150]])
    np.testing.assert_allclose(
        normalise(longer, chosen)[50:100], normalise(cepstra, chosen)[50:100], atol=0.5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_running_quantiles_come_near_those_of_the_whole(clean, kind):
    chosen = options(kind, clean)
    running = RunningQuantiles(chosen)
    heard = 0.5 * clean[:3000] + 1.0
    running(heard, np.ones(len(heard), np.bool_))
    # Tolerance: a fifth of the deviation (2, 1 and 0.5) after half a minute of speech.
    off = abs(running.quantiles - quantiles_of(heard))[1:-1] / heard.std(axis=0)
    assert off.max() < 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_does_not_depend_on_its_pieces(kind):
    rng = np.random.default_rng(3)
    reference = tuple(map(tuple, np.linspace(-20, 20, 9)[:, None].repeat(13, axis=1).tolist()))
    front_end = FrontEnd(FeatureOptions(normalisation=kind, reference=reference))
    samples = rng.normal(0, 1e-3, 24000).astype(np.float32)
    samples[8000:16000] += rng.normal(0, 0.2, 8000).astype(np.float32)

    def streamed(size: int) -> np.ndarray:
        stream = front_end.stream()
        pieces = [stream.accept(samples[at : at + size]) for at in range(0, len(samples), size)]
        return np.concatenate([*pieces, stream.finish()])

    np.testing.assert_allclose(streamed(240), streamed(24000), atol=2e-4)
    plain = FrontEnd(replace(front_end.options, normalisation="speech", reference=()))
    assert abs(front_end.features(samples) - plain.features(samples)).max() > 1.0


def test_tools_against_noise_are_switched_on_at_decoding():
    """The en-us model brings the reference; a stream and a file hear by the same front end."""
    sound = ROOT / "examples" / "audio" / "music_stop.wav"
    options = replace(COMMANDS, background=None).against_noise(["log-mmse", "quantiles"])
    assert DecodeOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    made = Recognizer.load("en-us", grammar=ROOT / "lm" / "smart_home.yaml", options=options)
    assert made.model.features.enhancement == "log_mmse" and made.model.features.equalises
    assert made.transcribe(sound).text == "stop the music"
    assert options.against_noise([]) == replace(COMMANDS, background=None)
    with pytest.raises(OptionError, match="no tool against noise is named 'magic': there are vts,"):
        options.against_noise(["magic"])
    with pytest.raises(OptionError, match="the front end has no choice 'loudness'"):
        FeatureOptions().changed({"loudness": 3})


def test_references_that_cannot_be():
    with pytest.raises(OptionError, match="normalisation 'variance' needs a reference"):
        FeatureOptions(normalisation="variance")
    with pytest.raises(OptionError, match=r"rows of the reference have \[2\] values"):
        FeatureOptions(normalisation="quantiles", reference=((1.0, 2.0),))
    with pytest.raises(OptionError, match="quantiles in the reference must not fall"):
        FeatureOptions(n_cepstra=1, normalisation="variance", reference=((1.0,), (0.0,)))
