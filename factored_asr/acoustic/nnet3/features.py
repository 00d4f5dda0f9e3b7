"""Kaldi's cepstra and filterbank features, as its programs compute them, without dither.

Steps of a frame: its mean is taken off, then pre-emphasis, the window, the power spectrum of the
frame padded to a power of two. Then triangles on Kaldi's mel scale, the logarithm of at least the
smallest float32 step, and for cepstra an orthonormal cosine transform with a lifter. Samples are
those of 16-bit files, -32768 to 32767.

Source: the options of Kaldi's ``compute-mfcc-feats`` and ``compute-fbank-feats``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np

from factored_asr.errors import OptionError

FLOOR = float(np.finfo(np.float32).eps)
FULL_SCALE = 32768.0
WINDOWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "povey": lambda a: (0.5 - 0.5 * np.cos(a)) ** 0.85,
    "hamming": lambda a: 0.54 - 0.46 * np.cos(a),
    "hanning": lambda a: 0.5 - 0.5 * np.cos(a),
    "sine": lambda a: np.sin(0.5 * a),
    "rectangular": np.ones_like,
    "blackman": lambda a: 0.42 - 0.5 * np.cos(a) + 0.08 * np.cos(2 * a),
}
"""By name, of the angle 0 to 2 π over the frame."""
KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"), int: (Integral, "an integer"), float: (Real, "a finite number"),
    str: (str, "a text"),
}  # fmt: skip
"""What an option may be, by the type of its default."""


@dataclass(frozen=True)
class KaldiFeatures:
    """The options of Kaldi's features, with its names and defaults.

    Raises
    ------
    OptionError
        A value out of its range.
    """

    kind: str = "mfcc"
    """``mfcc`` or ``fbank``."""
    sample_frequency: float = 16000.0
    """Hz."""
    frame_length: float = 25.0
    """ms."""
    frame_shift: float = 10.0
    """ms."""
    preemphasis_coefficient: float = 0.97
    remove_dc_offset: bool = True
    window_type: str = "povey"
    round_to_power_of_two: bool = True
    snip_edges: bool = True
    """True: only whole frames. False: as many frames as shifts, edges mirrored."""
    num_mel_bins: int = 23
    num_ceps: int = 13
    low_freq: float = 20.0
    """Hz."""
    high_freq: float = 0.0
    """Hz; 0 or less is counted down from half the sample frequency."""
    cepstral_lifter: float = 22.0
    use_energy: bool = True
    """Energy of the frame in place of the first cepstrum, or in front of a filterbank."""
    raw_energy: bool = True
    """Before pre-emphasis and window."""
    energy_floor: float = 0.0
    use_log_fbank: bool = True
    use_power: bool = True

    def __post_init__(self) -> None:
        for each in fields(self):
            value, kind = getattr(self, each.name), type(each.default)
            allowed, law = KINDS[kind]
            fits = isinstance(value, allowed) and isinstance(value, bool) == (kind is bool)
            if not fits or (kind is float and not math.isfinite(value)):
                raise OptionError(f"{each.name} must be {law}, got {value!r}")
        half = self.sample_frequency / 2
        if self.kind not in ("mfcc", "fbank"):
            raise OptionError(f"kind must be mfcc or fbank, got {self.kind!r}")
        if not 1000 <= self.sample_frequency <= 200_000:
            raise OptionError(f"sample_frequency must be 1000 to 200000, got "
                              f"{self.sample_frequency}")
        if self.window_type not in WINDOWS:
            raise OptionError(f"window_type must be one of {', '.join(WINDOWS)}, got "
                              f"{self.window_type!r}")
        if not 1 <= self.frame_shift <= self.frame_length <= 1000:
            raise OptionError("frame_shift and frame_length must be 1 to 1000 ms, the shift no "
                              f"longer, got {self.frame_shift} and {self.frame_length}")
        if not 3 <= self.num_mel_bins <= 1000 or not 1 <= self.num_ceps <= self.num_mel_bins:
            raise OptionError("num_mel_bins must be 3 to 1000, num_ceps at most as many, got "
                              f"{self.num_mel_bins} and {self.num_ceps}")
        if not 0 <= self.low_freq < self._high <= half:
            raise OptionError(f"low_freq {self.low_freq} and high_freq {self.high_freq} must lie "
                              f"in 0..{half:g} Hz")
        if not self.cepstral_lifter >= 0 or not 0 <= self.preemphasis_coefficient <= 1:
            raise OptionError("cepstral_lifter must be at least 0, preemphasis_coefficient 0 to 1")

    @property
    def n_features(self) -> int:
        if self.kind == "mfcc":
            return self.num_ceps
        return self.num_mel_bins + self.use_energy

    @property
    def length(self) -> int:
        """Samples of a frame."""
        return int(self.sample_frequency * 0.001 * self.frame_length)

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sample_frequency * 0.001 * self.frame_shift)

    @property
    def _high(self) -> float:
        return self.high_freq if self.high_freq > 0 else self.sample_frequency / 2 + self.high_freq

    @property
    def _padded(self) -> int:
        return 1 << (self.length - 1).bit_length() if self.round_to_power_of_two else self.length

    @cached_property
    def _window(self) -> np.ndarray:
        angle = 2 * np.pi * np.arange(self.length) / (self.length - 1)
        return WINDOWS[self.window_type](angle).astype(np.float32)

    @cached_property
    def _triangles(self) -> np.ndarray:
        """(n_bins of the spectrum, num_mel_bins) float32."""
        low, high = _mel(self.low_freq), _mel(self._high)
        edges = low + (high - low) / (self.num_mel_bins + 1) * np.arange(self.num_mel_bins + 2)
        left, centre, right = edges[:-2], edges[1:-1], edges[2:]
        n = self._padded
        mel = _mel(np.arange(n // 2) * self.sample_frequency / n)[:, None]
        up, down = (mel - left) / (centre - left), (right - mel) / (right - centre)
        weights = np.where(mel <= centre, up, down)
        weights = np.where((mel > left) & (mel < right), weights, 0)
        return weights.astype(np.float32)

    @cached_property
    def _cosines(self) -> np.ndarray:
        """(num_mel_bins, num_ceps) float32: cosine transform and lifter."""
        n, k = self.num_mel_bins, np.arange(self.num_ceps)
        table = np.sqrt(2 / n) * np.cos(np.pi / n * (np.arange(n)[:, None] + 0.5) * k)
        table[:, 0] = np.sqrt(1 / n)
        if self.cepstral_lifter:
            table *= 1 + 0.5 * self.cepstral_lifter * np.sin(np.pi * k / self.cepstral_lifter)
        return table.astype(np.float32)

    def n_frames(self, n_samples: int, *, finished: bool) -> int:
        """Return how many frames so many samples give; `finished`: no more will follow."""
        if self.snip_edges:
            return max(0, 1 + (n_samples - self.length) // self.shift)
        n = (n_samples + self.shift // 2) // self.shift
        while not finished and n > 0 and self.first_sample(n - 1) + self.length > n_samples:
            n -= 1
        return n

    def first_sample(self, frame: int) -> int:
        """Return where a frame begins; below 0, or beyond the end, edges are mirrored."""
        if self.snip_edges:
            return frame * self.shift
        return int(frame * self.shift + self.shift // 2 - self.length // 2)

    def of_frames(self, frames: np.ndarray) -> np.ndarray:
        """Return the features of cut frames, (n, length) float32 → (n, n_features) float32."""
        frames = frames.astype(np.float32)
        if self.remove_dc_offset:
            frames -= frames.mean(axis=1, keepdims=True)
        energy = _log((frames * frames).sum(axis=1))
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        frames = (frames - np.float32(self.preemphasis_coefficient) * before) * self._window
        if not self.raw_energy:
            energy = _log((frames * frames).sum(axis=1))
        spectrum = np.abs(np.fft.rfft(frames, self._padded)[:, : self._padded // 2])
        power = (spectrum * spectrum if self.use_power or self.kind == "mfcc" else spectrum)
        mel = power.astype(np.float32) @ self._triangles
        if self.energy_floor > 0:
            energy = np.maximum(energy, np.float32(np.log(self.energy_floor)))
        if self.kind == "fbank":
            mel = _log(mel) if self.use_log_fbank else mel
            return np.concatenate([energy[:, None], mel], axis=1) if self.use_energy else mel
        cepstra = _log(mel) @ self._cosines
        if self.use_energy:
            cepstra[:, 0] = energy
        return cepstra

    @staticmethod
    def from_options(options: Mapping[str, Any], kind: str = "mfcc") -> KaldiFeatures:
        """Return the features of a configuration file: ``num-mel-bins`` → its value as text.

        Options about dither, and about other sample rates, are ignored. Raises OptionError for an
        option that is not known, or for its value.

        >>> KaldiFeatures.from_options({"num-ceps": "40", "num-mel-bins": "40"}).n_features
        40
        """
        values: dict[str, Any] = {} if kind == "mfcc" else {"use_energy": False}
        for name, text in options.items():
            field = name.replace("-", "_")
            if field in IGNORED:
                continue
            default = getattr(KaldiFeatures, field, None)
            if default is None or field == "kind" or not isinstance(default, bool | float | int |
                                                                    str):
                raise OptionError(f"option {name} is not known, or not supported")
            try:
                values[field] = _value(text, type(default))
            except ValueError:
                raise OptionError(f"option {name} cannot be {text!r}") from None
        return KaldiFeatures(kind, **values)


IGNORED = ("dither", "allow_downsample", "allow_upsample", "max_feature_vectors", "debug_mel",
           "output_format", "subtract_mean", "channel", "min_duration", "blackman_coeff")
"""Options that change nothing here."""


class FeatureStream:
    """Features of a sound that arrives in pieces; they do not depend on the pieces.

    >>> stream = FeatureStream(KaldiFeatures())
    >>> stream.accept(np.zeros(560, np.float32)).shape, stream.finish().shape
    ((2, 13), (0, 13))
    """

    def __init__(self, features: KaldiFeatures):
        self._features = features
        self._samples = np.zeros(0, np.float32)
        self._dropped = self._n_frames = 0

    def accept(self, samples: np.ndarray) -> np.ndarray:
        """Return the features that these samples complete; samples are those of 16-bit files."""
        self._samples = np.concatenate([self._samples, samples])
        return self._ready(finished=False)

    def finish(self) -> np.ndarray:
        """Return the features still missing."""
        return self._ready(finished=True)

    def _ready(self, *, finished: bool) -> np.ndarray:
        features, total = self._features, self._dropped + len(self._samples)
        n = features.n_frames(total, finished=finished)
        first = np.array([features.first_sample(frame) for frame in range(self._n_frames, n)],
                         np.int64)
        at = first[:, None] + np.arange(features.length)
        if len(at) and at[0, 0] < 0 or len(at) and at[-1, -1] >= total:
            at = np.where(at < 0, -at - 1, at)
            at = np.where(at >= total, 2 * total - 1 - at, at).clip(0, total - 1)
        found = features.of_frames(self._samples[at - self._dropped])
        self._n_frames = max(n, self._n_frames)
        keep = max(features.first_sample(self._n_frames) - features.length, self._dropped)
        self._samples = self._samples[keep - self._dropped :]
        self._dropped = keep
        return found


def _mel(hz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(values, np.float32(FLOOR)))


def _value(text: str, kind: type) -> Any:
    if kind is not bool:
        return kind(text)
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"
