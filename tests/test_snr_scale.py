"""Scores weigh less in noise, by the sound's own ratio of speech to noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factored_asr import Recognizer
from factored_asr.acoustic.gmm.tools import SnrScale
from factored_asr.audio.mixing import add_noise
from factored_asr.audio.reading import read_audio
from factored_asr.errors import OptionError
from factored_asr.features import FrontEnd
from factored_asr.features.snr import cepstral_levels, estimate_snr
from factored_asr.models.settings import COMMANDS, DecodeOptions

GRAMMAR = Path(__file__).parent.parent / "lm" / "smart_home.yaml"
RATE = 16000


def test_the_share_falls_with_the_ratio_and_not_below_the_least() -> None:
    weight = SnrScale(clean=25.0, noisy=5.0, least=0.4)
    shares = [weight.share(snr) for snr in np.linspace(-20, 60, 81)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.4) and shares[-1] == 1
    assert weight.share(15) == pytest.approx(0.7)


def test_a_noisy_sound_is_searched_at_its_share_of_the_scale(audio_dir: Path) -> None:
    speech, _ = read_audio(audio_dir / "kitchen_light_on.wav", sample_rate=RATE)
    hiss = np.random.default_rng(0).normal(0, 0.1, len(speech)).astype(np.float32)
    weight = SnrScale(least=0.5)
    weighed = Recognizer.load("en-us", grammar=GRAMMAR, options=replace(COMMANDS, snr_scale=weight))
    features = weighed.model.features
    shares = []
    for snr in (40.0, 15.0):
        sound = add_noise(speech, hiss, snr)
        cepstra = FrontEnd(features).cepstra(sound)
        shares.append(weight.share(estimate_snr(cepstral_levels(cepstra, features))))
        scale = COMMANDS.acoustic_scale * shares[-1]
        options = replace(COMMANDS, acoustic_scale=scale)
        plain = Recognizer.load("en-us", grammar=GRAMMAR, options=options)
        heard, wanted = (
            each.transcribe(sound, sample_rate=RATE).lattice for each in (weighed, plain)
        )
        assert heard is not None and wanted is not None
        assert heard.best().cost == pytest.approx(wanted.best().cost, rel=1e-6)
        assert heard.best().words == wanted.best().words
    assert shares[1] < shares[0]


def test_it_is_switched_on_alone_by_name() -> None:
    options = COMMANDS.against_noise(["scale"])
    assert options.snr_scale == SnrScale() and options.noise is None and not options.front_end
    assert DecodeOptions.from_dict(options.to_dict()) == options
    assert options.against_noise([]) == COMMANDS


@pytest.mark.parametrize("wrong", [{"least": 0.0}, {"least": 1.5}, {"noisy": 30.0}])
def test_what_is_no_share_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="must"):
        SnrScale(**wrong)
