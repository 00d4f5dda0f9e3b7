"""Whispered or voiced: how each stretch of speech is spoken.

Voiced speech repeats itself with every period of the voice; a whisper has noise in its place, and
loses the voice bar and most of the lowest formant (K. J. Kallail, F. W. Emanuel, "Formant-frequency
differences between isolated whispered and phonated vowel samples", 1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.network.encoder import HOP, SAMPLE_RATE
from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.detectors.detection import Detection
from factored_asr.detectors.stretches import Stretch, StretchSession
from factored_asr.errors import OptionError

VOICED, WHISPERED = "voiced", "whispered"
LOWEST_PITCH, HIGHEST_PITCH = 60.0, 400.0  # Hz
SIZE = 2 * HOP  # samples under the periodicity of a frame
N_FFT = 2048
LOW_PASS = 1500.0  # Hz: above it a voice in noise repeats less well
BANDS = ((80.0, 500.0), (500.0, 1500.0), (1500.0, 3000.0), (3000.0, 5500.0), (5500.0, 8000.0))
"""Hz."""
LOUD_DB = 10.0
"""Frames within this of the loudest of a stretch count: the others may be noise."""
REPEATS, REPEATS_WELL = 0.6, 0.8
"""Periodicity from which on a frame counts as voiced, and as clearly voiced."""


def frame_values(before: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return periodicity, level of each of `BANDS` and level of each frame, (n, 7) float64.

    Parameters
    ----------
    before
        (384,): the samples under the frame before the first.
    samples
        (n, 384): those under the frames.

    The periodicity is the highest value of the normalised autocorrelation at lags of
    `LOWEST_PITCH` to `HIGHEST_PITCH`, of the sound below `LOW_PASS`; levels are in decibels.
    """
    pieces, power, shares = _repeats(before, samples)
    hertz = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    levels = [10 * np.log10(power[:, (hertz >= low) & (hertz < high)].sum(axis=1) + 1e-9)
              for low, high in BANDS]
    level = 10 * np.log10((pieces**2).mean(axis=1) + 1e-10)
    return np.column_stack([shares.max(axis=1), *levels, level])


def pitches(before: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the pitch of each frame in Hz, (n,), that is the lag of the highest periodicity.

    Parameters are those of `frame_values`. Frames without voice have a pitch by chance.
    """
    _, _, shares = _repeats(before, samples)
    return SAMPLE_RATE / (shares.argmax(axis=1) + int(SAMPLE_RATE / HIGHEST_PITCH))


def _repeats(before: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sound under each frame, its power spectrum, and its autocorrelation at lags of a pitch."""
    sound = np.concatenate([before[None], samples]).astype(np.float64)
    pieces = np.concatenate([sound[:-1], sound[1:]], axis=1)
    pieces -= pieces.mean(axis=1, keepdims=True)
    window, hertz = np.hanning(SIZE), np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
    power = np.abs(np.fft.rfft(pieces * window, N_FFT)) ** 2
    own = np.fft.irfft(np.abs(np.fft.rfft(window, N_FFT)) ** 2)
    repeated = np.fft.irfft(power * (hertz < LOW_PASS))
    shares = repeated / (repeated[:, :1] + 1e-12) * (own[0] / np.maximum(own, 1e-9))
    lags = slice(int(SAMPLE_RATE / HIGHEST_PITCH), int(SAMPLE_RATE / LOWEST_PITCH) + 1)
    return pieces, power, shares[:, lags]


def stretch_values(frames: np.ndarray) -> np.ndarray:
    """Return what is judged of a stretch of speech, (11,): of its loud frames alone.

    The mean, three quantiles and two shares of the periodicity; the power of each band as a share
    of all of them, in units of 10 decibels.

    Parameters
    ----------
    frames
        (n, 7): of `frame_values`.
    """
    loud = frames[frames[:, -1] > frames[:, -1].max() - LOUD_DB]
    periodicity = loud[:, 0]
    power = (10 ** (loud[:, 1:-1] / 10)).mean(axis=0) + 1e-9
    return np.concatenate([[periodicity.mean()], np.percentile(periodicity, (50, 75, 90)),
                           [(periodicity > least).mean() for least in (REPEATS, REPEATS_WELL)],
                           np.log10(power / power.sum())])


@dataclass(frozen=True)
class VoicingOptions:
    """What a stretch of speech is.

    Examples
    --------
    >>> VoicingOptions(pause_seconds=1.0).shortest_seconds
    0.2
    """

    pause_seconds: float = 0.5
    """A stretch ends where there is no speech for so long."""
    shortest_seconds: float = 0.2
    """Shorter stretches are not judged."""

    def __post_init__(self) -> None:
        for name in ("pause_seconds", "shortest_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise OptionError(f"{name} must be above 0, got {getattr(self, name)}")


WEIGHTS = (-2.78, -2.408, -4.476, -6.747, -2.153, -2.566, -1.435, 0.573, -0.371, -0.004, -0.167)
OFFSET = 12.736
"""Of the logistic map of `stretch_values` to the probability of a whisper; learnt by
tests/bench/whisper.py."""


def whisper_probability(values: np.ndarray) -> float:
    """Return the probability that a stretch of these `stretch_values` is whispered."""
    return float(1 / (1 + np.exp(-OFFSET - np.dot(WEIGHTS, values))))


class VoicingDetector:
    """Reports each stretch of speech as voiced or whispered, at its end.

    Examples
    --------
    >>> from factored_asr.detectors import detect
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us-network").acoustic_model()
    >>> sound = "examples/audio/music_stop.wav"
    >>> [found.name for found in detect(model, [VoicingDetector()], sound)]
    ['voiced']
    """

    def __init__(self, options: VoicingOptions | None = None):
        self.options = options or VoicingOptions()

    def session(self, model: NetworkModel) -> StretchSession:
        """Begin a sound."""
        return StretchSession(_judged, self.options.pause_seconds, self.options.shortest_seconds,
                              model.frame_seconds)


def _judged(stretch: Stretch, start: float, end: float) -> Detection:
    values = frame_values(stretch.sound_before, stretch.samples[stretch.spoken])
    whisper = whisper_probability(stretch_values(values))
    name, score = (WHISPERED, whisper) if whisper > 0.5 else (VOICED, 1 - whisper)
    return Detection("speech", name, start, end, score)
