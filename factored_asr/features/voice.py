"""Voice activity: which frames of a long recording hold speech, decided in a stream.

The levels of silence and speech are two Gaussians, fitted to a histogram of the last seconds. A
frame is speech where the louder one explains it better, with hang-over before and after (compare
Rabiner and Sambur, 1975). It serves to cut recordings: what is doubtful counts as speech.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from factored_asr.audio.reading import Samples
from factored_asr.errors import OptionError

FRAME_SECONDS = 0.01
BAND = (150.0, 3500.0)  # Hz, where voices are: offset, rumble and half of a hiss stay outside
SILENT = -100.0  # dB of full scale: digital silence, and rounding of it
LEVELS = np.arange(SILENT, 21.0)  # dB, the histogram's bins
MEDIAN_FRAMES = 7  # a click of up to three frames is no speech
STEP = 100  # frames: how often the Gaussians are fitted
LOOKAHEAD = 200  # frames after a frame that its decision uses
PASSES = 6  # of EM in each fit; further ones move the threshold by less than a bin
MIN_DEVIATION = 2.0  # dB


@dataclass(frozen=True)
class VoiceOptions:
    """Options of the detection of speech."""

    before: float = 0.25
    """Seconds before a loud frame that count as speech; higher: safer beginnings."""
    after: float = 0.35
    """Seconds after it; pauses shorter than `before` and `after` together are not detected."""
    min_range: float = 5.0
    """Least distance of the levels of silence and of speech, dB; where they are closer, as in
    steady noise, there is no speech. Lower: noise is taken for speech; higher: speech in noise is
    lost."""
    memory: float = 8.0
    """Seconds after which a level counts half. Lower: adapts faster to another room or voice."""

    def __post_init__(self) -> None:
        if min(self.before, self.after) < 0 or not (self.min_range > 0 and self.memory > 0):
            raise OptionError(f"{self}: before and after must not be negative, the rest positive")


class LevelStream:
    """Levels of the frames of a sound, in chunks of any size.

    A frame's level is its power between 150 and 3500 Hz, in dB of full scale; `rate` is in Hz.

    Examples
    --------
    >>> LevelStream(16000).accept(np.zeros(400, np.float32)).tolist()
    [-100.0, -100.0]
    """

    def __init__(self, rate: int):
        from scipy.signal import butter, sosfilt, sosfilt_zi

        self.frame_samples = max(1, round(rate * FRAME_SECONDS))
        """Samples in a frame; what is left over at the end of a sound makes no frame."""
        high = min(BAND[1], 0.45 * rate)
        sections = butter(2, (BAND[0], high), "bandpass", output="sos", fs=rate)
        self._filter = functools.partial(sosfilt, sections)
        self._settled = sosfilt_zi(sections)  # after a long time at 1
        self._state: NDArray[np.float64] | None = None
        self._rest = np.zeros(0, np.float32)

    def accept(self, samples: Samples) -> NDArray[np.float32]:
        """Return the levels of the frames that are complete, (n_frames,)."""
        if not len(samples):
            return np.zeros(0, np.float32)
        if self._state is None:  # as after a long time at the first sample's value: no click
            self._state = self._settled * samples[0]
        voiced, self._state = self._filter(samples, zi=self._state)
        voiced = np.concatenate([self._rest, voiced])
        n_frames = len(voiced) // self.frame_samples
        whole = n_frames * self.frame_samples
        self._rest = voiced[whole:]
        frames = voiced[:whole].reshape(n_frames, self.frame_samples)
        power = np.einsum("ij,ij->i", frames, frames) / self.frame_samples
        return np.maximum(10 * np.log10(np.maximum(power, 1e-12)), SILENT).astype(np.float32)


class VoiceStream:
    """Marks frames of speech, some 3 s behind the sound; memory does not grow with the sound.

    The decisions do not depend on the size of the chunks.
    """

    def __init__(self, options: VoiceOptions | None = None):
        self._options = options or VoiceOptions()
        self._before = round(self._options.before / FRAME_SECONDS)
        self._after = round(self._options.after / FRAME_SECONDS)
        self._forget = 0.5 ** (STEP * FRAME_SECONDS / self._options.memory)
        self._histogram = np.zeros(len(LEVELS))
        self._n_counted = 0  # levels at the front of those waiting that the histogram has
        self._waiting = np.zeros(0, np.float32)
        self._edge: NDArray[np.float32] | None = None  # levels before those, for the median
        self._loud = np.zeros(self._after, np.bool_)  # judged, hang-over still to come

    def accept(self, levels: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Take the next levels, (k,); return the mask of the frames that are decided."""
        self._waiting = np.concatenate([self._waiting, checked_levels(levels, np.float32)])
        judged = []
        while len(self._waiting) >= STEP + LOOKAHEAD:
            judged.append(self._judge(STEP))
        return self._hang_over(np.concatenate([np.zeros(0, np.bool_), *judged]))

    def finish(self) -> NDArray[np.bool_]:
        """Return the mask of the frames that are left."""
        judged = []
        while len(self._waiting):
            judged.append(self._judge(min(STEP, len(self._waiting))))
        return self._hang_over(np.concatenate([*judged, np.zeros(self._before, np.bool_)]))

    def _judge(self, n_frames: int) -> NDArray[np.bool_]:
        """Return which of the next frames are loud; the histogram is some seconds ahead."""
        known = self._waiting[: STEP + LOOKAHEAD]
        self._histogram *= self._forget
        self._histogram += histogram_of(known[self._n_counted :])
        self._n_counted = len(known) - n_frames
        threshold = speech_threshold(self._histogram, self._options.min_range)
        loud = self._smooth(n_frames) > threshold
        self._edge = self._waiting[max(0, n_frames - MEDIAN_FRAMES // 2) : n_frames]
        self._waiting = self._waiting[n_frames:]
        return loud

    def _smooth(self, n_frames: int) -> NDArray[np.float32]:
        """Return the running median; the first and the last level are repeated at the ends."""
        half = MEDIAN_FRAMES // 2
        before = self._waiting[:0] if self._edge is None else self._edge
        around = np.concatenate([before, self._waiting[: n_frames + half]])
        padding = (half - len(before), n_frames + half - len(self._waiting[: n_frames + half]))
        around = np.pad(around, padding, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(around, MEDIAN_FRAMES)
        return np.asarray(np.median(windows, axis=1), np.float32)

    def _hang_over(self, judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the next decisions: a loud frame makes the frames around it speech, too."""
        loud = np.concatenate([self._loud, judged])
        n_decided = len(loud) - self._after - self._before
        if n_decided <= 0:
            self._loud = loud
            return np.zeros(0, np.bool_)
        total = np.concatenate([[0], np.cumsum(loud)])
        self._loud = loud[n_decided:]
        width = self._after + self._before + 1
        return total[width : width + n_decided] > total[:n_decided]


def speech_threshold(histogram: NDArray[np.floating], min_range: float) -> float:
    """Return the level above which speech is more probable than silence, dB; inf for no speech.

    `histogram` is (len(LEVELS),) counts of the levels; `min_range` their least distance, dB.
    """
    if not histogram.any():
        return float("inf")
    means, deviations = two_levels(histogram)
    if means[1] - means[0] < min_range:
        return float("inf")
    silence, speech = _gaussians(means, deviations)  # as if speech were as frequent as silence
    between = (LEVELS > means[0]) & (LEVELS <= means[1]) & (speech > silence)
    return float(LEVELS[between][0] - 0.5) if between.any() else float(means.mean())


def two_levels(histogram: NDArray[np.floating]) -> tuple[np.ndarray, np.ndarray]:
    """Return means and deviations, dB, (2,) each, of silence and speech; not all counts are 0."""
    shares = np.cumsum(histogram) / histogram.sum()
    means = LEVELS[np.searchsorted(shares, (0.05, 0.995))]
    deviations = np.full(2, max(MIN_DEVIATION, (means[1] - means[0]) / 4))
    weights = np.full(2, 0.5)
    for _ in range(PASSES):
        likelihoods = weights[:, None] * _gaussians(means, deviations)
        posteriors = likelihoods / (likelihoods.sum(axis=0) + 1e-300) * histogram
        counts = posteriors.sum(axis=1) + 1e-9
        means = posteriors @ LEVELS / counts
        spread = (posteriors * (LEVELS - means[:, None]) ** 2).sum(axis=1) / counts
        deviations, weights = np.maximum(np.sqrt(spread), MIN_DEVIATION), counts / counts.sum()
    return means, deviations


def checked_levels(levels: ArrayLike, kind: type[np.floating]) -> NDArray[np.floating]:
    """Return the levels as an array; OptionError if one is not finite, or for another shape."""
    levels = np.asarray(levels, kind)
    if levels.ndim != 1 or not np.isfinite(levels).all():
        raise OptionError(f"levels must be finite and of one dimension, have {levels.shape}")
    return levels


def histogram_of(levels: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return counts of the levels in whole dB, (len(LEVELS),), without digital silence."""
    bins = np.round(levels[levels > SILENT] - SILENT).astype(np.intp)
    return np.bincount(np.clip(bins, 0, len(LEVELS) - 1), minlength=len(LEVELS)).astype(float)


def _gaussians(means: NDArray[np.floating], deviations: NDArray[np.floating]) -> np.ndarray:
    """Return both densities at every level, (2, len(LEVELS))."""
    distances = (LEVELS - means[:, None]) / deviations[:, None]
    return np.asarray(np.exp(-0.5 * distances**2) / deviations[:, None])
