"""Tools against noise that a Gaussian-mixture model may use while it scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from factored_asr._deprecated import old_names, renamed_fields
from factored_asr.errors import OptionError

REMOVED = ("kinds", "rounds")  # options that older manifests hold; 1 had no effect
RENAMED = {"trust": "static_weight", "delta_trust": "delta_weight"}  # old names


@renamed_fields(RENAMED)
@dataclass(frozen=True)
class NoiseOptions:
    """How a model is moved to the noise of a sound."""

    clean: float = 25.0
    """Signal-to-noise ratio in decibels, as `estimate_snr` says, from which on a sound counts as
    clean and the model stays as it is; inf moves it for every sound."""
    passes: int = 4
    """Passes of estimation of noise and channel; each starts from the result of the last."""
    stride: int = 3
    """Use every n-th frame in the estimation; higher is faster."""
    groups: int = 16
    """Gaussians that a codebook is reduced to for the estimation, at most; lower is faster."""
    channel_variance: float = 25.0
    """Of the channel's cepstra around the stored mean, level aside; higher: the sound decides."""
    noise_frames: float = 10.0
    """Frames that the noise's variance before a pass counts for."""
    silence_share: float = 0.3
    """Of all frames that are expected to be silence, in (0, 1)."""
    static_weight: float = 0.5
    """Weight of the log-likelihoods of static cepstra, > 0: in noise they are less sure than they
    look, and they depend most on voice, room and microphone. Lower: deltas and language decide."""
    delta_weight: float = 0.75
    """Weight of the log-likelihoods of deltas, > 0."""
    dynamic: bool = True
    """Whether a frame's deltas count for as much as there is speech in it (see compensation.py)."""

    def __post_init__(self) -> None:
        for name in ("passes", "stride", "groups"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must be at least 1")
        if not self.channel_variance > 0 or not self.noise_frames >= 0:
            raise OptionError(
                f"channel_variance {self.channel_variance} must be above 0, noise_frames "
                f"{self.noise_frames} not negative"
            )
        if np.isnan(self.clean):
            raise OptionError("clean is no number of decibels")
        for name in ("static_weight", "delta_weight"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name} is {getattr(self, name)}, must be above 0 and finite")
        if not 0 < self.silence_share < 1:
            raise OptionError(f"silence_share is {self.silence_share}, must lie in (0, 1)")

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> NoiseOptions:
        """Return the options of a manifest, which may be older and hold options since removed.

        Raises
        ------
        OptionError
            A removed option has a value that had an effect.
        """
        for name in REMOVED:
            if values.get(name, 1) != 1:
                raise OptionError(
                    f"{name} is {values[name]}, but this option of noise was removed because it "
                    f"did not help; leave {name} out"
                )
        kept = {RENAMED.get(name, name): v for name, v in values.items() if name not in REMOVED}
        return NoiseOptions(**kept)


@dataclass(frozen=True)
class SnrScale:
    """How the weight of scores falls with the signal-to-noise ratio of a whole sound.

    In noise frames are less sure than their likelihoods look, so the language should weigh more
    (compare N. Yoma and others, "Weighted Viterbi algorithm and state duration modelling for
    speech recognition in noise", 1998, who weight single frames).
    """

    clean: float = 30.0
    """Decibels from which on scores count in full, default 30."""
    noisy: float = 8.0
    """Decibels at and below which scores have the least weight, default 8; linear in between."""
    least: float = 0.75
    """That weight, in (0, 1], default 0.75; lower: the language decides more in noise."""

    def __post_init__(self) -> None:
        if not -np.inf < self.noisy < self.clean < np.inf:
            raise OptionError(f"noisy {self.noisy} and clean {self.clean} dB must ascend")
        if not 0 < self.least <= 1:
            raise OptionError(f"least is {self.least}, must lie in (0, 1]")

    def share(self, snr: float) -> float:
        """Return the weight at a ratio in dB, as `estimate_snr` gives it.

        Examples
        --------
        >>> scale = SnrScale(clean=30.0, noisy=10.0, least=0.5)
        >>> [scale.share(snr) for snr in (0.0, 10.0, 20.0, 50.0)]
        [0.5, 0.5, 0.75, 1.0]
        """
        return float(np.interp(snr, (self.noisy, self.clean), (self.least, 1.0)))


@dataclass(frozen=True)
class NoiseTools:
    """The tools in use; see `models.settings.DecodeOptions`."""

    noise: NoiseOptions | None = None
    """How the model is moved to the noise of whole sounds; None: not."""
    snr_scale: SnrScale | None = None
    """How scores of whole sounds are weighted by their signal-to-noise ratio; None: not."""
    front_end: Mapping[str, Any] = field(default_factory=dict)
    """Options of the front end, by their names, that differ from those of training."""
    prior_weight: float | None = None
    """Of a network: the weight of its log prior; None: the model's own. It is no tool."""
    taught: bool = False
    """Of a network: with the head that was taught in noise, where it has one. It is no tool."""

    def __bool__(self) -> bool:
        """Return whether any tool is in use: models without tools take none but empty ones."""
        return replace(self, prior_weight=None, taught=False) != NoiseTools()

    @property
    def least_weight(self) -> float:
        """The least weight that scores of a sound may have."""
        least = self.snr_scale.least if self.snr_scale else 1.0
        if self.noise is None:
            return least
        return least * min(self.noise.static_weight, self.noise.delta_weight)


__getattr__ = old_names(__name__)
