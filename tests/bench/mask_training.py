"""Training of a mask of speech with torch (extra ``train``); the package only applies masks.

Speech and noise are mixed here, so the share of the power that each has in every mel band is known;
the network of factored_asr/features/mask.py learns to tell it from their sum alone (cross-entropy
against the shares, Adam). Each frame is used once: where the noise of every sound is drawn at
random, no example is seen twice, and the running loss is that of unseen sounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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

WARM_UP = 0.1  # share of all frames during which the step grows
LEAST_DEVIATION = 0.1
POWER_FLOOR = 1e-3  # added to the powers of speech and of noise: 0 / 0 is no share


@dataclass(frozen=True)
class MaskOptions:
    """Sizes and steps of the training of a mask."""

    frames: int = 14_000_000
    """Frames to train on; more is better and takes longer in proportion."""
    hidden: int = 320
    """Units of each of the two hidden layers; more is slower to run."""
    step: float = 2e-3
    """Largest step of Adam; it falls to zero along a cosine."""
    batch: int = 512
    """Frames in one step."""
    shard: int = 200_000
    """Frames that are held in memory and shuffled at once."""
    seed: int = 0
    """Of the first weights and the order of the frames."""

    def __post_init__(self) -> None:
        for name in ("frames", "hidden", "batch", "shard"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must be at least 1")
        if not 0 < self.step < np.inf:
            raise OptionError(f"step is {self.step}, must be above 0 and finite")


def train_mask(
    sounds: Iterable[tuple[np.ndarray, np.ndarray]], options: MaskOptions | None = None,
    features: FeatureOptions | None = None, progress: Callable[[int, float], None] | None = None,
) -> SpeechMask:  # fmt: skip
    """Train a mask.

    Parameters
    ----------
    sounds
        Speech and noise of the same length, (n_samples,) float in [-1, 1], at the levels at which
        they are added. May be endless.
    features
        The front end whose bands are masked; default: that of the en-us model.
    progress
        Called after each shard with the number of frames so far and the mean cross-entropy of the
        shard's frames before they were trained on, in nats a band.
    """
    import torch

    options, front_end = options or MaskOptions(), FrontEnd(features)
    rng, n_mels = np.random.default_rng(options.seed), front_end.options.n_mels
    torch.manual_seed(options.seed)
    network = new_network(n_mels, options.hidden)
    adam = torch.optim.Adam(network.parameters(), lr=options.step)
    cross_entropy = torch.nn.BCEWithLogitsLoss()
    deviation, done = np.zeros(0, np.float32), 0
    for rows, shares, first in shards(sounds, front_end, options):
        if not len(deviation):
            deviation = deviation_of(rows)
        order, losses = rng.permutation(first), []
        for at in range(0, len(order), options.batch):
            some = order[at : at + options.batch]
            for group in adam.param_groups:
                group["lr"] = options.step * step_share(done / options.frames)
            logits = network(torch.from_numpy(windows(rows, some, n_mels, deviation)))
            loss = cross_entropy(logits, torch.from_numpy(shares[some + AROUND]))
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
            done += len(some)
        if progress is not None:
            progress(done, float(np.mean(losses)))
    if not done:
        raise OptionError("there is no sound to train a mask on")
    return exported([each.detach().numpy() for each in network.parameters()], deviation)


def new_network(n_mels: int, hidden: int) -> Any:
    """Return the network of `SpeechMask` in torch, without the sigmoid at its end."""
    from torch import nn

    n_harmonics = HARMONICS.stop - HARMONICS.start
    n_inputs = n_mels * (2 * AROUND + 1) + n_harmonics * (2 * HARMONIC_AROUND + 1)
    return nn.Sequential(
        nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, n_mels),
    )  # fmt: skip


def exported(parameters: Sequence[np.ndarray], deviation: np.ndarray) -> SpeechMask:
    """Return the mask of a trained network.

    Parameters
    ----------
    parameters
        Weight (n_outputs, n_inputs) and bias (n_outputs,) of each linear layer in turn, as
        ``network.parameters()`` gives them.
    deviation
        As in `SpeechMask`.
    """
    layers = tuple(
        (np.ascontiguousarray(weight.T, np.float32), np.asarray(bias, np.float32))
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True)
    )
    return SpeechMask(layers, np.asarray(deviation, np.float32))


def step_share(done: float) -> float:
    """Return the share of the largest step after this share of the training."""
    return float(min(done / WARM_UP, 1.0) * 0.5 * (1 + np.cos(np.pi * min(done, 1.0))))


def shards(
    sounds: Iterable[tuple[np.ndarray, np.ndarray]], front_end: FrontEnd, options: MaskOptions
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield inputs of many sounds, the speech's shares, and the first row of every window."""
    rows, shares, first, held, drawn = [], [], [], 0, 0
    for speech, noise in sounds:
        if len(speech) != len(noise):
            raise OptionError(f"speech of {len(speech)} samples in noise of {len(noise)}")
        row, share = example(speech, noise, front_end)
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


def example(
    speech: np.ndarray, noise: np.ndarray, front_end: FrontEnd
) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets of a mixture, float32, with AROUND frames more on each side."""
    spectra, powers = front_end.powers(speech + noise)
    of_speech, of_noise = (front_end.powers(part)[1] + POWER_FLOOR for part in (speech, noise))
    wide = ((AROUND, AROUND), (0, 0))
    rows = np.pad(RunningLogs()(spectra, powers), wide, mode="edge")
    shares = np.pad(of_speech / (of_speech + of_noise), wide, mode="edge")
    return rows.astype(np.float32), shares.astype(np.float32)


def deviation_of(rows: np.ndarray) -> np.ndarray:
    """Return the standard deviations of the logarithms about their running mean."""
    n_logs = rows.shape[1] // 2
    return np.maximum((rows[:, :n_logs] - rows[:, n_logs:]).std(axis=0), LEAST_DEVIATION)
