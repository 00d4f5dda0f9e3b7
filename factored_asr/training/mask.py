"""Learning which share of a mel band's power is speech, from speech and noise known apart.

Speech and noise are mixed here, so the share that each has of every band is known; the network of
features/mask.py learns to tell it from their sum alone (cross-entropy against the shares, Adam:
D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015). Every sound is drawn
once: with noise drawn anew each time, none is seen twice, and the running loss is of unseen sounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions, FrontEnd
from factored_asr.features.mask import (
    AROUND,
    HARMONIC_AROUND,
    HARMONICS,
    RunningLogs,
    SpeechMask,
    windows,
)

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
MOMENTS, TINY = (0.9, 0.999), 1e-8  # Adam's
WARM_UP = 0.1  # share of all frames until which the step grows
LEAST_DEVIATION = 0.1


@dataclass(frozen=True)
class MaskOptions:
    """How a mask is learnt."""

    frames: int = 14_000_000
    """Frames to learn from; more is better and takes longer in proportion."""
    hidden: int = 320
    """Units of each of the two hidden layers; more tell more apart, and cost more to run."""
    step: float = 2e-3
    """Adam's, at its largest; it falls to nothing along a cosine."""
    batch: int = 512
    """Frames that one step is made of."""
    shard: int = 200_000
    """Frames that are held, and shuffled, at once."""
    seed: int = 0
    """Of the first weights, and of the order of the frames."""

    def __post_init__(self) -> None:
        for name in ("frames", "hidden", "batch", "shard"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must be at least 1")
        if not 0 < self.step < np.inf:
            raise OptionError(f"step is {self.step}, must be above 0 and finite")


def learn_mask(
    sounds: Iterable[Pair],
    options: MaskOptions | None = None,
    features: FeatureOptions | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> SpeechMask:
    """Learn a mask.

    Parameters
    ----------
    sounds
        Speech and noise of the same length, (n_samples,) float in [-1, 1], at the level that they
        are added at. May be endless.
    features
        The front end whose bands are masked; that of the en-us model where None.
    progress
        Is told the frames learnt from so far, and the mean cross-entropy, in nats a band, of the
        last ones before they were learnt from.

    Raises
    ------
    OptionError
        There is no sound, or a speech and its noise have different lengths.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> tone = np.sin(np.arange(32000) / 5).astype(np.float32)
    >>> sounds = [(0.3 * tone, 0.1 * rng.normal(size=32000).astype(np.float32))] * 5
    >>> learn_mask(sounds, MaskOptions(frames=1000, hidden=8, batch=50)).layers[1][0].shape
    (8, 8)
    """
    options, front_end = options or MaskOptions(), FrontEnd(features)
    rng, n_mels = np.random.default_rng(options.seed), front_end.options.n_mels
    learner, done = None, 0
    for rows, shares, first in _shards(sounds, front_end, options):
        if learner is None:
            learner = _Learner(_deviation(rows), n_mels, options, rng)
        losses = []
        order = rng.permutation(first)
        for at in range(0, len(order), options.batch):
            some = order[at : at + options.batch]
            inputs = windows(rows, some, n_mels, learner.deviation)
            losses.append(learner.learn(inputs, shares[some + AROUND], done / options.frames))
            done += len(some)
        if progress is not None:
            progress(done, float(np.mean(losses)))
    if learner is None:
        raise OptionError("there is no sound to learn a mask from")
    return SpeechMask(learner.layers, learner.deviation)


def _shards(
    sounds: Iterable[Pair], front_end: FrontEnd, options: MaskOptions
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]]:
    """Rows of many sounds, the speech's shares, and where windows begin; until all is drawn."""
    rows, shares, first, held, drawn = [], [], [], 0, 0
    for speech, noise in sounds:
        if len(speech) != len(noise):
            raise OptionError(f"speech of {len(speech)} samples in noise of {len(noise)}")
        row, share = _rows(speech, noise, front_end)
        first.append(held + np.arange(len(row) - 2 * AROUND))
        rows.append(row)
        shares.append(share)
        held += len(row)
        drawn += len(row) - 2 * AROUND
        if held >= options.shard or drawn >= options.frames:
            yield np.concatenate(rows), np.concatenate(shares), np.concatenate(first)
            rows, shares, first, held = [], [], [], 0
        if drawn >= options.frames:
            return
    if rows:
        yield np.concatenate(rows), np.concatenate(shares), np.concatenate(first)


def _rows(
    speech: NDArray[np.float32], noise: NDArray[np.float32], front_end: FrontEnd
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a mask is told of a mixture, and what it should say; AROUND frames more on each side."""
    spectra, powers = front_end.powers(speech + noise)
    of_speech, of_noise = (front_end.powers(part)[1] + 1e-3 for part in (speech, noise))
    wide = ((AROUND, AROUND), (0, 0))
    rows = np.pad(RunningLogs()(spectra, powers), wide, mode="edge")
    shares = np.pad(of_speech / (of_speech + of_noise), wide, mode="edge")
    return rows.astype(np.float32), shares.astype(np.float32)


def _deviation(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    n_logs = rows.shape[1] // 2
    return np.maximum((rows[:, :n_logs] - rows[:, n_logs:]).std(axis=0), LEAST_DEVIATION)


class _Learner:
    """The layers, and Adam's moments of their slopes."""

    def __init__(
        self, deviation: NDArray[np.float32], n_mels: int, options: MaskOptions,
        rng: np.random.Generator,
    ):  # fmt: skip
        self.deviation, self._options = deviation, options
        n_harmonics = HARMONICS.stop - HARMONICS.start
        n_inputs = n_mels * (2 * AROUND + 1) + n_harmonics * (2 * HARMONIC_AROUND + 1)
        sizes = (n_inputs, options.hidden, options.hidden, n_mels)
        self._values = [
            array.astype(np.float32)
            for before, after in zip(sizes, sizes[1:], strict=False)
            for array in (rng.uniform(-1, 1, (before, after)) / np.sqrt(before), np.zeros(after))
        ]
        self._means = [np.zeros_like(value) for value in self._values]
        self._squares = [np.zeros_like(value) for value in self._values]
        self._n_steps = 0

    @property
    def layers(self) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]:
        """Matrices and what is added, as a mask holds them."""
        return tuple(zip(self._values[::2], self._values[1::2], strict=True))

    def learn(
        self, inputs: NDArray[np.float32], shares: NDArray[np.float32], done: float
    ) -> float:
        """One step; gives the mean cross-entropy before it. `done`: share of the learning."""
        (first, a), (second, b), (third, c) = self.layers
        one = np.maximum(inputs @ first + a, 0)
        two = np.maximum(one @ second + b, 0)
        logits = two @ third + c
        off = (1 / (1 + np.exp(-logits)) - shares) / shares.size
        loss = float(np.mean(np.logaddexp(0, logits) - shares * logits))
        back_two = (off @ third.T) * (two > 0)
        back_one = (back_two @ second.T) * (one > 0)
        slopes = [
            slope
            for held, back in ((inputs, back_one), (one, back_two), (two, off))
            for slope in (held.T @ back, back.sum(axis=0))
        ]
        self._step(slopes, done)
        return loss

    def _step(self, slopes: list[NDArray[np.float32]], done: float) -> None:
        self._n_steps += 1
        cosine = 0.5 * (1 + np.cos(np.pi * min(done, 1.0)))
        size = np.float32(self._options.step * min(done / WARM_UP, 1.0) * cosine)
        slow, slower = MOMENTS
        steady = 1 - slow**self._n_steps, 1 - slower**self._n_steps
        for value, slope, mean, square in zip(
            self._values, slopes, self._means, self._squares, strict=True
        ):
            mean += (1 - slow) * (slope - mean)
            square += (1 - slower) * (slope * slope - square)
            value -= size * (mean / steady[0]) / (np.sqrt(square / steady[1]) + TINY)
