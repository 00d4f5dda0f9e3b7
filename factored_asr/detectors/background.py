"""How well a keyword fits speech and noise without it: the threshold, and the probability.

Most of an hour of speech and noise is shipped as what the network says of it: log probabilities,
in steps of 1/4, no sound. A keyword is spotted in it; the places where it fits best make the tail
of false alarms, which is continued to rates that an hour cannot show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from factored_asr.errors import FormatError, OptionError
from factored_asr.storage.reading import read_arrays

SHIPPED = Path(__file__).parent / "background.npz"
"""Made by tests/bench/wake_words.py."""
STEPS = 4
"""Of a log probability, natural log, in the file."""
LEAST = -12
"""Lower ones are not told apart."""
STRETCH = 42
"""Frames, 1 s, of which only the best place of a keyword counts."""
FIRST, LAST = 4, 25
"""Ranks of the places that make the tail; the very best may be the keyword itself."""
SMALLEST = 0.02
"""Least shortfall of a ratio from 0."""
TRUE_SCALE = 0.5
"""Mean shortfall per phone of keywords that were said: their ratios fall off exponentially from
0."""
SAID_AN_HOUR = 1.0
"""How often a keyword is expected, for its probability."""


@dataclass(frozen=True)
class Tail:
    """False alarms an hour of a keyword from a ratio r on: ``exp(level) · (-r) ** power``."""

    level: float
    """Natural log of the false alarms an hour from ratio -1 on."""
    power: float
    """How fast they become fewer towards 0, the best ratio there is; > 0."""

    def threshold(self, per_hour: float) -> float:
        """Return the ratio from which on there are so many false alarms an hour."""
        return -float(np.exp((np.log(per_hour) - self.level) / self.power))

    def probability(self, ratio: float) -> float:
        """Return how probable a place of this ratio is to be the keyword, by Bayes' rule."""
        short = max(-ratio, SMALLEST)
        said = SAID_AN_HOUR / TRUE_SCALE * np.exp(-short / TRUE_SCALE)
        false = self.power / short * np.exp(self.level + self.power * np.log(short))
        return float(said / (said + false))


def fit_tail(ratios: np.ndarray, hours: float) -> Tail:
    """Fit the tail to the best ratios of each stretch of sound without the keyword.

    Ratios end at 0; near such an end a tail is a power (Weibull's law of extreme values).

    Parameters
    ----------
    ratios
        (n,): the best of each stretch, in any order.
    hours
        Of sound.

    Raises OptionError where there are too few.

    Examples
    --------
    >>> shares = np.random.default_rng(0).random(3600)
    >>> tail = fit_tail(-3.0 * shares ** (1 / 6), 1.0)
    >>> 3.0 < tail.power < 12.0, -1.1 < tail.threshold(1.0) < -0.5
    (True, True)
    """
    best = np.sort(ratios[np.isfinite(ratios)])[::-1][FIRST - 1 : LAST]
    if len(best) <= LAST - FIRST:
        raise OptionError(f"too little sound: {len(ratios)} stretches, must be {LAST} or more")
    wanted = np.log(np.arange(FIRST, LAST + 1) / hours)
    short = np.log(np.maximum(-best, SMALLEST))
    spread = short - short.mean()
    power = max(float(spread @ wanted) / max(float(spread @ spread), 1e-9), 1.0)
    return Tail(float(wanted.mean() - power * short.mean()), power)


@cache
def shipped() -> np.ndarray:
    """Return the shipped log probabilities, (n_frames, n_pdfs) float32."""
    return read_background(SHIPPED)


def read_background(path: str | Path) -> np.ndarray:
    """Read log probabilities that `write_background` wrote; FormatError where they are damaged."""
    values = read_arrays(path)
    steps = values.get("steps")
    if steps is None or steps.ndim != 2 or steps.dtype != np.uint8 or len(steps) < STRETCH:
        raise FormatError("must hold steps, a table of 8-bit numbers of at least 1 s", path)
    return steps.astype(np.float32) / np.float32(-STEPS)


def write_background(path: str | Path, log_probs: np.ndarray) -> None:
    """Write log probabilities, (n_frames, n_pdfs), in steps of 1 / `STEPS`, at least `LEAST`."""
    steps = np.clip(np.rint(-STEPS * log_probs), 0, -STEPS * LEAST).astype(np.uint8)
    with open(path, "wb") as file:
        np.savez_compressed(file, steps=steps)


def tail_of(
    ratios_of: Callable[[np.ndarray, int], np.ndarray], frame_seconds: float,
    log_probs: np.ndarray | None = None,
) -> Tail:
    """Return the tail of a keyword.

    Parameters
    ----------
    ratios_of
        Takes scores of frames and the number of the first; gives the ratio at each frame.
    frame_seconds
        Seconds of a frame.
    log_probs
        (n_frames, n_pdfs) of speech and noise without the keyword; None: the shipped ones.
    """
    log_probs = shipped() if log_probs is None else log_probs
    ratios = ratios_of(log_probs - log_probs.max(axis=1, keepdims=True), 0)
    n = len(ratios) // STRETCH
    best = ratios[: n * STRETCH].reshape(n, STRETCH).max(axis=1)
    return fit_tail(best, len(ratios) * frame_seconds / 3600)
