"""Which frames are speech, and the cepstral mean that is taken off.

The mean belongs to speech. A command stands in seconds of silence, and the mean over all of it
says more about the room than about the voice and its microphone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factored_asr.errors import OptionError
from factored_asr.features.options import FeatureOptions

Array = NDArray[np.float32]

THRESHOLD = 0.4  # of the way from silence to the loudest speech
SILENCE_PERCENTILE, SPEECH_PERCENTILE = 5, 98
MIN_RANGE = 3.0  # between those, 13 dB: steady noise and hum stay below 9 dB, speech above 25
FLOOR_RISE = 0.002  # a frame, of the way to a louder frame
PEAK_FALL = 0.002  # a frame, of the way to a quieter frame
SILENCE_SHARE = 0.1  # of the mean: models were trained on the mean of clips with a little silence


def speech_frames(energies: NDArray[np.floating], min_range: float = 15.0) -> NDArray[np.bool_]:
    """Mark the frames of a whole sound that are speech by their energy, (n_frames,) of bool.

    These lie above 40 % of the way from the 5th to the 98th percentile of the energies. Frames of
    digital silence (below 0) do not count.

    Parameters
    ----------
    energies
        (n_frames,) of c0, or (n_frames, n_cepstra) with c0 first; of samples on a 16-bit scale.
    min_range
        Where the percentiles are closer, as in steady noise, no frame is speech. The default fits
        the c0 of the en-us front end and stands for 13 dB.

    Examples
    --------
    >>> speech_frames(np.array([30.0, 31.0, 62.0, 65.0, 32.0, 30.0])).tolist()
    [False, False, True, True, False, False]
    """
    energies = np.asarray(energies)
    if energies.ndim not in (1, 2):
        raise OptionError(f"energies have {energies.ndim} dimensions, must have one or two")
    energies = energies if energies.ndim == 1 else energies[:, 0]
    if (with_energy := energies[energies >= 0]).size:
        low, high = np.percentile(with_energy, (SILENCE_PERCENTILE, SPEECH_PERCENTILE))
        if high - low >= min_range:
            return np.asarray(energies > low + THRESHOLD * (high - low))
    return np.zeros(len(energies), dtype=np.bool_)


def normalise(cepstra: Array, options: FeatureOptions) -> Array:
    """Take the mean that the options ask for off the cepstra of a whole utterance."""
    if options.normalisation == "none" or len(cepstra) == 0:
        return cepstra
    if options.normalisation == "running":
        return RunningMean(options)(cepstra)
    return (cepstra - mean_of(cepstra, options)).astype(np.float32)


def mean_of(cepstra: Array, options: FeatureOptions) -> NDArray[np.float64]:
    """Return the mean that is taken off a whole utterance, (n_cepstra,), of all or of speech."""
    with_energy = cepstra[:, 0] >= 0  # Sphinx leaves out frames without energy
    if options.normalisation == "batch":
        return _mean(cepstra[with_energy], stored_mean(options))
    speech = speech_frames(cepstra, min_range(options))
    silence = with_energy & ~speech
    mean = _mean(cepstra[speech], stored_mean(options))
    if speech.any():
        share = min(SILENCE_SHARE, silence.mean())
        mean += share * (_mean(cepstra[silence], mean) - mean)
    return mean


def _mean(cepstra: Array, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean frame, (n_cepstra,), or `otherwise` where there is no frame."""
    return cepstra.mean(axis=0, dtype=np.float64) if len(cepstra) else otherwise


def min_range(options: FeatureOptions) -> float:
    """Return MIN_RANGE, of the mean log power of the bands, on the scale of c0."""
    if options.dct == "legacy":
        return MIN_RANGE
    return MIN_RANGE * float(np.sqrt(options.n_mels * (2 if options.dct == "htk" else 1)))


def stored_mean(options: FeatureOptions) -> NDArray[np.float64]:
    """Return the stored mean of the model, (n_cepstra,)."""
    return np.array(options.initial_mean or (0.0,) * options.n_cepstra)


class RunningMean:
    """The mean of the speech so far, which each new frame of speech moves a little.

    It starts from `mean`, (n_cepstra,), such as that of the same speaker's last utterance (default:
    the model's stored mean), which counts for ``mean_weight`` frames. It averages ``mean_frames``
    frames and then forgets exponentially. The size of the chunks does not matter.
    """

    def __init__(self, options: FeatureOptions, mean: NDArray[np.floating] | None = None):
        start = stored_mean(options) if mean is None else np.asarray(mean, dtype=np.float64)
        if start.shape != (options.n_cepstra,):
            raise OptionError(
                f"mean has shape {start.shape}, must have n_cepstra = {options.n_cepstra} values"
            )
        self.mean = start
        self._n_frames = options.mean_weight  # that the mean is taken over
        self._memory = options.mean_frames
        self._min_range = min_range(options)
        self._levels: tuple[float, float] | None = None  # floor and peak of c0

    def __call__(self, cepstra: Array) -> Array:
        """Take the mean off the next cepstra, (n_frames, n_cepstra)."""
        speech = self._speech(cepstra[:, 0])
        means = [self.mean]
        for frame in cepstra[speech].astype(np.float64):
            self._n_frames = min(self._n_frames + 1, self._memory)
            means.append(means[-1] + (frame - means[-1]) / self._n_frames)
        self.mean = means[-1]
        return (cepstra - np.array(means)[np.cumsum(speech)]).astype(np.float32)

    def _speech(self, energies: Array) -> NDArray[np.bool_]:
        """Mark frames of speech by the rule of speech_frames, without look-ahead.

        The floor falls to a quieter frame at once and rises slowly, the peak the other way round.
        """
        speech = np.zeros(len(energies), dtype=np.bool_)
        for frame, energy in enumerate(energies.tolist()):
            if energy < 0:
                continue
            floor, peak = self._levels or (energy, max(energy, float(self.mean[0])))
            floor = min(energy, floor + FLOOR_RISE * (energy - floor))
            peak = max(energy, peak + PEAK_FALL * (energy - peak))
            self._levels = floor, peak
            speech[frame] = (
                peak - floor >= self._min_range and energy > floor + THRESHOLD * (peak - floor)
            )
        return speech
