"""Options of the front end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, Literal, get_args

from factored_asr.errors import OptionError

Mel = Literal["sphinx", "htk", "slaney"]
Transform = Literal["ortho", "htk", "legacy"]
Streams = Literal["1s_c", "1s_c_d", "1s_c_d_dd"]
Delta = Literal["difference", "regression"]
Normalisation = Literal["speech", "batch", "running", "none"]
Enhancement = Literal["none", "mask"]
CHOICES = {
    "mel": get_args(Mel), "dct": get_args(Transform), "streams": get_args(Streams),
    "delta": get_args(Delta), "normalisation": get_args(Normalisation),
    "enhancement": get_args(Enhancement),
}  # fmt: skip
REMOVED = ("subtraction", "wiener", "log_mmse", "variance", "quantiles")
"""Choices of enhancement and normalisation in older files."""


@dataclass(frozen=True)
class FeatureOptions:
    """Sizes and choices of a cepstral front end. The defaults are those of the en-us model.

    >>> FeatureOptions().n_features
    39
    """

    sample_rate: int = 16000
    """Samples a second that the front end takes; it does not resample."""
    frame_shift: float = 0.01
    """Seconds from one frame to the next; rounded to whole samples."""
    frame_length: float = 0.025625
    """Seconds of sound under one (symmetric Hamming) window; rounded to whole samples."""
    n_fft: int = 512
    """Points of the Fourier transform, at least the samples of a window."""
    n_mels: int = 25
    """Mel filters. More resolve the spectrum finer, until a filter covers no bin."""
    low_hz: float = 130.0
    """Lower edge of the lowest filter, Hz."""
    high_hz: float = 6800.0
    """Upper edge of the highest filter, Hz; at most half the sample rate."""
    preemphasis: float = 0.97
    """Weight of the sample before, taken off each sample; 0 turns it off."""
    n_cepstra: int = 13
    """Cepstra kept, c0 first; at most n_mels."""
    lifter: int = 22
    """Period of the sine lifter that raises the higher cepstra; 0 turns it off."""
    mel: Mel = "sphinx"
    """Shape of the filters: Sphinx's (edges rounded to bins), or librosa's htk or slaney scale."""
    dct: Transform = "ortho"
    """Cosine transform: orthonormal (Sphinx calls it dct), HTK's, or Sphinx's legacy one."""
    remove_noise: bool = True
    """Track the noise of each mel band and take it off (see noise.py)."""
    enhancement: Enhancement = "none"
    """Take the noise off the mel bands by a trained mask (mask.py), or leave it."""
    mask: str = ""
    """File of a mask trained for the bands of this front end; empty takes the mask that comes with
    the package."""
    remove_dc: bool = False
    """Take the mean off each frame before the window."""
    streams: Streams = "1s_c_d_dd"
    """Static cepstra alone, with deltas, or with deltas and delta-deltas."""
    delta: Delta = "difference"
    """Deltas as Sphinx's plain differences, or HTK's regression over the window."""
    delta_window: int = 2
    """Frames on each side that a delta uses. More is smoother."""
    splice: int = 0
    """Neighbours on each side that are appended to a frame, in place of streams and their deltas; a
    projection such as LDA then selects what matters. 0 turns it off."""
    normalisation: Normalisation = "speech"
    """The mean that is taken off: of speech (and a little silence), of all frames ("batch"), of the
    speech so far ("running"), or none."""
    initial_mean: tuple[float, ...] = ()
    """The stored cepstral mean of the model: used where there is no speech, and where a running
    mean starts. Empty stands for zeros."""
    mean_weight: float = 30.0
    """Frames of speech that initial_mean counts for in a running mean. More adapts more slowly to a
    new voice or microphone."""
    mean_frames: float = 400.0
    """Memory of a running mean in frames of speech. More is steadier and slower to follow."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise OptionError(f"{name} is {value!r}, must be one of {', '.join(choices)}")
        for name in ("sample_rate", "n_mels", "n_cepstra", "delta_window"):
            if (value := getattr(self, name)) < 1:
                raise OptionError(f"{name} is {value}, must be at least 1")
        window, half = self.window_samples, self.sample_rate / 2
        for law, holds in {
            f"frame_length {self.frame_length} s and frame_shift {self.frame_shift} s must be at "
            "least a sample, the length no shorter than the shift":
                1 <= self.shift_samples <= window,
            f"n_fft is {self.n_fft}, must be at least the {window} samples of a window":
                self.n_fft >= window,
            f"n_cepstra {self.n_cepstra} must not exceed n_mels {self.n_mels}":
                self.n_cepstra <= self.n_mels,
            f"splice is {self.splice}, must not be negative": self.splice >= 0,
            f"lifter {self.lifter} must not be negative, preemphasis {self.preemphasis} must lie "
            "in [0, 1]": self.lifter >= 0 and 0 <= self.preemphasis <= 1,
            f"mean_weight {self.mean_weight} and mean_frames {self.mean_frames} must satisfy 0 <= "
            "weight <= frames, and frames at least 1":
                0 <= self.mean_weight <= self.mean_frames and self.mean_frames >= 1,
            f"low_hz {self.low_hz} and high_hz {self.high_hz} must satisfy 0 <= low < high <= "
            f"sample_rate / 2 = {half}": 0 <= self.low_hz < self.high_hz <= half + 1,
            f"initial_mean has {len(self.initial_mean)} values, must have n_cepstra = "
            f"{self.n_cepstra} or none": len(self.initial_mean) in (0, self.n_cepstra),
            f"initial_mean {self.initial_mean} must be finite numbers":
                all(isinstance(v, Real) and math.isfinite(v) for v in self.initial_mean),
        }.items():
            if not holds:
                raise OptionError(law)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> FeatureOptions:
        """Return the options of a manifest, perhaps of an older version; errors as of `changed`."""
        return FeatureOptions(**without_removed(values))

    def changed(self, choices: Mapping[str, Any]) -> FeatureOptions:
        """Return the options with other choices, by name, as a file of settings may hold them.

        Raises OptionError for a choice that is not known or was removed, or for its value.

        >>> FeatureOptions().changed({"enhancement": "mask"}).enhancement
        'mask'
        """
        choices = without_removed(choices)
        for name in choices.keys() - {field.name for field in fields(self)}:
            raise OptionError(f"the front end has no choice {name!r}")
        return replace(self, **choices)

    @property
    def shift_samples(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sample_rate * self.frame_shift + 0.5)

    @property
    def window_samples(self) -> int:
        """Samples under one window."""
        return int(self.sample_rate * self.frame_length + 0.5)

    @property
    def n_features(self) -> int:
        """Values a frame, with its deltas or its neighbours."""
        orders = 2 * self.splice + 1 if self.splice else self.streams.count("_")
        return self.n_cepstra * orders

    @property
    def lookahead(self) -> int:
        """Frames to each side that the deltas of a frame, or its splice, need."""
        if self.splice or self.streams == "1s_c":
            return self.splice
        second = self.streams.endswith("dd")
        if self.delta == "difference":  # Sphinx takes a delta-delta from frames one apart
            return self.delta_window + second
        return self.delta_window * (1 + second)


def without_removed(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return choices of the front end as an older file may hold them, for this version.

    Raises OptionError where one of them was removed and had an effect.
    """
    for name in ("enhancement", "normalisation"):
        if choices.get(name) in REMOVED:
            use = "mask" if name == "enhancement" else "speech"
            law = f"was removed because it did not help; leave it out or use {use!r}"
            raise OptionError(f"{name} {choices[name]!r} {law}")
    return {name: value for name, value in choices.items() if name != "reference"}
