"""Training speech in noise: ratios, alignments of names and cepstra, the same every time."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from factored_asr.audio.mixing import BLOCK
from factored_asr.audio.reading import read_audio
from factored_asr.corpus.augment import NoiseMix, noisy_copies
from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.training.data import load_data, noisy_data

SOUND = Path(__file__).resolve().parents[1] / "examples" / "audio" / "kitchen_light_on.wav"
WORDS = ("turn", "on", "the", "kitchen", "light")
NOISE = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)  # shorter than the speech


@pytest.fixture
def corpus():
    return Corpus((Utterance("light", "anna", WORDS, SOUND),))


def loudest(samples):
    return max(
        sum(float(x) ** 2 for x in samples[at : at + BLOCK])
        for at in range(0, len(samples), BLOCK)
    )


@pytest.mark.parametrize("snr", [0.0, 6.0, 20.0])
def test_the_ratio_is_that_of_the_loudest_blocks(snr):
    speech, _ = read_audio(SOUND, sample_rate=16000)
    (mixed,) = noisy_copies(speech, [NOISE], NoiseMix(snrs=((snr, snr),), clean=False), "light")
    rng = np.random.default_rng([0, zlib.crc32(b"light")])
    rng.uniform(snr, snr)
    begin = int(rng.integers(0, -(-(len(speech) + 1) // 8000) * 8000 - len(speech)))
    cut = np.tile(NOISE, 8)[begin : begin + len(speech)]
    scale = np.sqrt(loudest(speech) / loudest(cut) / 10 ** (snr / 10))
    gain = 0.5 / abs(speech + scale * cut).max()
    np.testing.assert_allclose(mixed, gain * (speech + scale * cut), atol=1e-6)


def test_every_utterance_stays_clean_and_comes_again_in_noise(corpus):
    data = noisy_data(corpus, NOISE, options=NoiseMix(snrs=((20.0, 20.0), (5.0, 10.0))))
    assert [each.id for each in data.utterances] == ["light-0", "light-1", "light-2"]
    assert {each.words for each in data.utterances} == {WORDS}
    clean = load_data(corpus, FeatureOptions()).cepstra[0]
    np.testing.assert_array_equal(data.cepstra[0], clean)
    far = [float(abs(cepstra - clean).mean()) for cepstra in data.cepstra]
    assert far[0] < far[1] < far[2]  # the louder the noise, the further away


def test_only_the_stretch_of_the_words_is_kept(corpus):
    part = Utterance("light", "anna", WORDS, SOUND, 0.1, 0.6)
    data = noisy_data(Corpus((part,)), NOISE)
    assert {len(cepstra) for cepstra in data.cepstra} == {50}
    whole = noisy_data(corpus, NOISE)
    np.testing.assert_array_equal(data.cepstra[1], whole.cepstra[1][10:60])


def test_the_same_seed_makes_the_same_sounds(corpus):
    one, two, other = (
        noisy_data(corpus, NOISE, options=NoiseMix(seed=seed)).cepstra[1] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_each_copy_has_noises_of_its_own(corpus):
    tones = [np.sin(np.arange(16000) * pitch).astype(np.float32) for pitch in (0.1, 0.7, 1.9)]
    mixed = NoiseMix(snrs=((0.0, 0.0),) * 12, clean=False, second=0.0)
    alone = [noisy_data(corpus, tone, options=mixed).cepstra[0] for tone in tones]
    heard = noisy_data(corpus, tones, options=mixed).cepstra
    nearest = [int(np.argmin([abs(each - tone).mean() for tone in alone])) for each in heard]
    assert set(nearest) == {0, 1, 2}


def test_two_noises_at_once_are_neither_of_them(corpus):
    tones = [np.sin(np.arange(16000) * pitch).astype(np.float32) for pitch in (0.1, 1.9)]
    copies = ((0.0, 0.0),) * 12
    both, one = (
        noisy_data(corpus, tones, options=NoiseMix(copies, clean=False, second=second)).cepstra
        for second in (1.0, 0.0)
    )
    alone = [noisy_data(corpus, tone, options=NoiseMix(copies, False)).cepstra[0] for tone in tones]

    def away(copies):
        return np.mean([min(abs(each - tone).mean() for tone in alone) for each in copies])

    assert away(both) > 1.5 * away(one)


def test_where_two_noises_pause_the_speech_is_alone(corpus):
    click = np.zeros(40 * 16000, np.float32)
    click[0] = 1
    copies = NoiseMix(((0.0, 0.0),) * 3, clean=True, second=1.0)
    clean, *heard = noisy_data(corpus, [click, click], options=copies).cepstra
    assert any(np.array_equal(each, clean) for each in heard)


def test_what_cannot_be_mixed(corpus):
    with pytest.raises(OptionError, match="no noise"):
        noisy_data(corpus, [])
    with pytest.raises(OptionError, match="second is 2"):
        NoiseMix(second=2)
    with pytest.raises(OptionError, match="empty or silent"):
        noisy_data(corpus, np.zeros(100, np.float32))
    with pytest.raises(OptionError, match="must ascend, got 9 to 3 dB"):
        NoiseMix(snrs=((9, 3),))
    with pytest.raises(OptionError, match="nothing would be left"):
        NoiseMix(snrs=(), clean=False)
