"""How much the scores of a sound count, by how far its speech stands above the noise.

People lean on what could have been said when they hear badly. So does a decoder whose acoustic
scores weigh less, as frames in noise are less sure than their likelihoods look (compare N. Yoma
and others, "Weighted Viterbi algorithm and state duration modelling for speech recognition in
noise", 1998, who weigh frames so; here a whole sound has one weight).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.errors import OptionError


@dataclass(frozen=True)
class SnrTrust:
    """What share of the acoustic scale counts at which signal-to-noise ratio."""

    clean: float = 30.0
    """Decibels from which on scores count in full."""
    noisy: float = 8.0
    """Decibels at and below which the least counts; between the two, in proportion."""
    least: float = 0.75
    """That share, in (0, 1]."""

    def __post_init__(self) -> None:
        if not -np.inf < self.noisy < self.clean < np.inf:
            raise OptionError(f"noisy {self.noisy} and clean {self.clean} dB must ascend")
        if not 0 < self.least <= 1:
            raise OptionError(f"least is {self.least}, must lie in (0, 1]")

    def share(self, snr: float) -> float:
        """The share at a ratio in dB, as `estimate_snr` gives it.

        Examples
        --------
        >>> trust = SnrTrust(clean=30.0, noisy=10.0, least=0.5)
        >>> [trust.share(snr) for snr in (0.0, 10.0, 20.0, 50.0)]
        [0.5, 0.5, 0.75, 1.0]
        """
        return float(np.interp(snr, (self.noisy, self.clean), (self.least, 1.0)))
