"""Which share of each mel band's power is speech: a mask that a small network computes.

It looks at the mel bands around a frame and at the harmonics of a voice in it. It knows no words,
so any acoustic model of the same mel bands can use it (A. Narayanan and D. Wang, "Ideal ratio mask
estimation using deep neural networks for robust speech recognition", 2013). It is trained on speech
and noise known before they are mixed (tests/bench/speech_mask.py, with torch).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factored_asr.errors import FormatError, OptionError
from factored_asr.features.options import FeatureOptions
from factored_asr.storage.reading import read_arrays
from factored_asr.storage.writing import whole_file

Array = NDArray[np.float64]
Weights = NDArray[np.float32]

HARMONICS = slice(2, 66)  # bins of the spectrum that show the harmonics of a voice: 60 to 2,000 Hz
HARMONIC_AROUND = 1  # frames to each side whose harmonics are looked at
AROUND = 8  # frames to each side whose bands are looked at, and by which the mask comes late
MEMORY = 300  # frames over which the mean of the logarithms forgets
LOG_FLOOR = 1e-2  # added to powers before the logarithm: below the rounding to 16 bits
FLOOR = 0.05  # least share: a mask is wrong at times, and a hole in the spectrum is no sound
SHAPE = ("sample_rate", "frame_shift", "frame_length", "n_fft", "n_mels", "low_hz", "high_hz",
         "preemphasis", "mel", "remove_dc")  # fmt: skip
"""Choices of a front end on which its mel bands depend."""


@dataclass(frozen=True, eq=False)
class SpeechMask:
    """A network of two hidden layers, from logarithms of powers to shares of speech."""

    layers: tuple[tuple[Weights, Weights], ...]
    """Of each layer the matrix, (n_inputs, n_outputs), and the (n_outputs,) that are added."""
    deviation: Weights
    """(n_mels + n_harmonics,): standard deviations of the logarithms about their running mean."""

    def shares(self, inputs: NDArray[np.floating]) -> Weights:
        """Return shares of speech, (n_frames, n_mels) in (0, 1), of what `windows` returns."""
        values = np.asarray(inputs, np.float32)
        for number, (matrix, added) in enumerate(self.layers):
            values = (np.maximum(values, 0) if number else values) @ matrix + added
        return np.asarray(1 / (1 + np.exp(-values)), np.float32)

    def save(self, path: str | Path) -> None:
        """Write the mask; half precision is enough."""
        arrays: dict[str, Any] = {"deviation": self.deviation}
        for number, (matrix, added) in enumerate(self.layers):
            arrays[f"matrix{number}"] = matrix.astype(np.float16)
            arrays[f"added{number}"] = added.astype(np.float16)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @staticmethod
    def read(path: str | Path) -> SpeechMask:
        """Read a mask that `save` wrote; FormatError for any other file."""
        try:
            held = {name: array.astype(np.float32) for name, array in read_arrays(path).items()}
            n_layers = sum(name.startswith("matrix") for name in held)
            layers = tuple((held[f"matrix{i}"], held[f"added{i}"]) for i in range(n_layers))
            return SpeechMask(layers, held["deviation"])
        except (ValueError, LookupError) as error:
            raise FormatError(f"no mask of speech: {error}", path) from error


@cache
def mask_of(path: str = "") -> SpeechMask:
    """Return the mask in a file, or the one that comes with the package."""
    if path:
        return SpeechMask.read(path)
    with as_file(files("factored_asr.features") / "speech_mask.npz") as shipped:
        return SpeechMask.read(shipped)


def check_bands(options: FeatureOptions) -> None:
    """Raise OptionError where the mel bands are not those that the mask was trained for."""
    if options.mask:
        n_bands = len(mask_of(options.mask).layers[-1][1])
        if n_bands != options.n_mels:
            raise OptionError(f"{options.mask} masks {n_bands} bands, not {options.n_mels}")
        return
    trained = FeatureOptions()
    for name in SHAPE:
        wanted, found = getattr(trained, name), getattr(options, name)
        if found != wanted:
            raise OptionError(f"the mask was trained for {name} {wanted}, not {found}")


class MaskStream:
    """Mel powers without the noise, AROUND frames late; the size of the chunks does not matter."""

    def __init__(self, mask: SpeechMask):
        self._mask = mask
        self._running = RunningLogs()
        self._waiting: Array | None = None  # rows: AROUND before the next frame, and all after

    def accept(self, spectra: Array, powers: Array) -> Array:
        """Return the masked mel powers of the frames that are ready.

        `spectra` is (n_frames, n_bins) powers of samples on a 16-bit scale, `powers` the same in
        mel bands, (n_frames, n_mels).
        """
        if not len(powers):
            return powers
        rows = np.hstack([self._running(spectra, powers), powers])
        if self._waiting is None:
            self._waiting = rows[:1].repeat(AROUND, axis=0)
        return self._ready(rows)

    def finish(self) -> Array:
        """Return the masked powers that are still waiting; accept nothing afterwards."""
        if self._waiting is None:
            return np.zeros((0, len(self._mask.layers[-1][1])))
        return self._ready(self._waiting[-1:].repeat(AROUND, axis=0))

    def _ready(self, rows: Array) -> Array:
        assert self._waiting is not None
        waiting = np.concatenate([self._waiting, rows])
        self._waiting = waiting[max(0, len(waiting) - 2 * AROUND) :].copy()
        n_logs = 2 * len(self._mask.deviation)
        n_ready = max(0, len(waiting) - 2 * AROUND)
        powers = waiting[AROUND : AROUND + n_ready, n_logs:]
        if not n_ready:
            return powers
        logs, frames = waiting[:, :n_logs], np.arange(n_ready)
        shares = self._mask.shares(windows(logs, frames, powers.shape[1], self._mask.deviation))
        return powers * np.maximum(shares, FLOOR)


class RunningLogs:
    """Inputs of the network for each frame: logarithms of powers, and their mean so far.

    The mean stands for channel and level. It averages MEMORY frames and then forgets.
    """

    def __init__(self) -> None:
        self._mean: Array | None = None
        self._n_frames = 0

    def __call__(self, spectra: Array, powers: Array) -> Array:
        """Return (n_frames, 2 * (n_mels + n_harmonics)): all logarithms, then all means."""
        logs = np.log(np.hstack([powers, spectra[:, HARMONICS]]) + LOG_FLOOR)
        mean = logs[0] if self._mean is None else self._mean
        means = np.empty_like(logs)
        for number, row in enumerate(logs):
            self._n_frames = min(self._n_frames + 1, MEMORY)
            mean = means[number] = mean + (row - mean) / self._n_frames
        self._mean = mean
        return np.hstack([logs, means])


def windows(
    rows: NDArray[np.floating], frames: NDArray[np.integer], n_mels: int, deviation: Weights
) -> Weights:
    """Return the inputs of the network for some frames, (n, n_inputs).

    They are the bands of 2 * AROUND + 1 frames and the harmonics of 2 * HARMONIC_AROUND + 1, less
    the mean as it stands at the window's end, in standard deviations. `rows` are those of
    `RunningLogs`, AROUND more on either side; `frames`, (n,), the first row of each window.
    """
    n_logs = rows.shape[1] // 2
    means = rows[frames + 2 * AROUND, n_logs:][:, None]
    around = np.arange(2 * AROUND + 1)
    near = AROUND + np.arange(-HARMONIC_AROUND, HARMONIC_AROUND + 1)
    bands = rows[frames[:, None] + around, :n_mels] - means[:, :, :n_mels]
    harmonics = rows[frames[:, None] + near, n_mels:n_logs] - means[:, :, n_mels:]
    parts = (bands / deviation[:n_mels], harmonics / deviation[n_mels:])
    return np.hstack([part.reshape(len(frames), -1) for part in parts]).astype(np.float32)
