"""Write what librosa computes of a synthetic sound: python tests/data/librosa/generate.py."""

import sys
from pathlib import Path

import librosa
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from support.tones import syllables  # noqa: E402

samples = syllables()
emphasised = np.append(samples[:1], samples[1:] - np.float32(0.97) * samples[:-1]) * 32768
expected = {}
for scale in ("htk", "slaney"):
    powers = librosa.feature.melspectrogram(
        y=emphasised, sr=16000, n_fft=512, hop_length=160, window=np.hamming(512), center=False,
        n_mels=40, fmin=130, fmax=6800, htk=scale == "htk", norm=None if scale == "htk" else scale,
    )  # fmt: skip
    expected[scale] = librosa.feature.mfcc(S=np.log(powers + 1e-4), n_mfcc=13).T
static = np.random.default_rng(1).normal(size=(50, 13)).astype(np.float32)
first = librosa.feature.delta(static, width=5, order=1, axis=0)
second = librosa.feature.delta(first, width=5, order=1, axis=0)
np.savez_compressed(
    Path(__file__).with_name("expected.npz"), static=static, first=first, second=second, **expected
)
