"""The training of a head in torch: connectionist temporal classification on kept states.

The loss of an utterance is the negative log probability of its phones, summed over all ways to
place them in its frames (A. Graves and others, 2006). Frames and their noise are the only
regularisers besides dropout: spans of frames are blanked out (D. Park and others, "SpecAugment",
2019), and the weights of the last passes are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.network.head import BLANK, Head, Layer
from factored_asr.errors import MissingError, OptionError
from factored_asr.storage.writing import whole_file
from factored_asr.training.ctc.states import States
from factored_asr.training.ctc.variants import (
    Variants,
    greedy_phones,
    phone_errors,
    spoken_phones,
)

SPAN = 60  # frames, of which each has one span blanked out
FADE = 0.03  # of all steps: the learning rate rises, and it falls to this share


@dataclass(frozen=True)
class CtcOptions:
    """How a head is trained."""

    encoder_layers: tuple[int, ...] = (5, 6)
    """Which states of the encoder, h[0] to h[7], it sees. Those in the middle know more of phones
    than the output does."""
    hidden: int = 256
    """Values between its layers; higher: slower, and it may fit the training data only."""
    offsets: tuple[tuple[int, ...], ...] = ((-1, 0, 1), (0,))
    """For each layer the frames around that it sees."""
    passes: int = 12
    """Passes over the utterances; in each one copy of every utterance is seen."""
    realign: tuple[int, ...] = (3, 7)
    """Passes before which pronunciations are selected by the head as it is then."""
    batch_frames: int = 2000
    """Frames of one step."""
    learning_rate: float = 2e-3
    """At its highest, after the first steps; it then falls as a cosine does."""
    weight_decay: float = 1e-2
    """Decay of the weights, relative to the learning rate."""
    dropout: float = 0.2
    """Share of hidden values set to 0 in training."""
    noise: float = 0.1
    """Standard deviation of noise on the normalised states."""
    masked: int = 6
    """Longest span of frames blanked out, of each 60."""
    averaged: float = 0.2
    """Share of the last steps whose weights are averaged."""
    held: float = 0.0
    """Weight of the divergence from the outputs of the head to begin with, without distortion,
    next to the loss: what a small corpus does not show is kept (D. Yu and others, "KL-divergence
    regularized deep neural network adaptation", 2013)."""
    seed: int = 0
    """Selects first weights, order, copies and noise."""
    bfloat16: bool = False
    """True: the products of hidden layers in 16 bits, twice as fast on processors that can."""
    threads: int = 1
    """Threads of torch; results depend on it in the last bits."""

    def __post_init__(self) -> None:
        if not self.encoder_layers or not 0 <= min(self.encoder_layers) <= max(
            self.encoder_layers) <= 7:
            raise OptionError(f"encoder_layers {self.encoder_layers} must lie in 0 to 7")
        if not self.offsets or any(list(o) != sorted(set(o)) or not o for o in self.offsets):
            raise OptionError(f"offsets {self.offsets} must ascend in each layer")
        for name in ("hidden", "passes", "batch_frames", "threads"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must be at least 1")
        if not 0 <= self.held < math.inf:
            raise OptionError(f"held is {self.held}, must be at least 0")
        for name in ("dropout", "averaged"):
            if not 0 <= getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, must lie in [0, 1)")


@dataclass(frozen=True)
class HeadReport:
    """The result of one pass."""

    number: int
    """Counted from 1."""
    of: int
    loss: float
    """Negative natural log probability for each phone."""
    changed: int = 0
    """Utterances whose pronunciations were changed before the pass."""

    def __str__(self) -> str:
        changed = f", {self.changed} utterances with other pronunciations" if self.changed else ""
        return f"ctc {self.number}/{self.of}: loss {self.loss:.3f} a phone{changed}"


@dataclass
class _State:
    """Where training is; what a checkpoint holds."""

    number: int = 0
    step: int = 0
    targets: list[np.ndarray] = field(default_factory=list)
    average: dict[str, Any] | None = None
    n_averaged: int = 0


def torch_module() -> Any:
    """Import torch; MissingError says how to install it."""
    try:
        import torch
    except ImportError:
        raise MissingError(
            "training a head needs torch: pip install 'factored-asr[train]'"
        ) from None
    return torch


def train_head(
    states: States, variants: Sequence[Variants], phones: tuple[str, ...],
    options: CtcOptions | None = None, *, start: Head | None = None,
    checkpoint: str | Path | None = None, key: str = "",
    report: Callable[[HeadReport], None] | None = None,
) -> Head:
    """Train a head on the states of transcribed utterances.

    Parameters
    ----------
    states
        Of the encoder layers of the options, side by side.
    variants
        The pronunciations of each utterance's words; the first of each are the first targets, or
        with `start` those that it selects.
    phones
        Names of the outputs, without the blank.
    start
        A head of the same shape whose training goes on; None: random weights.
    checkpoint, key
        A file for the state after each pass, and what training it belongs to: where it is that of
        the same key, training resumes there. None: nothing is kept.
    report
        Progress callback; None disables it.

    Raises OptionError if there is nothing to train on, or the shapes do not fit; MissingError
    without torch.
    """
    options = options or CtcOptions()
    if not len(states) or len(states) != len(variants):
        raise OptionError(f"{len(states)} utterances and {len(variants)} texts to train a head on")
    trainer = _Trainer(states, variants, (BLANK, *phones), options, start)
    path = None if checkpoint is None else Path(checkpoint)
    if path and path.is_file():
        trainer.resume(path, key)
    while trainer.state.number < options.passes:
        done = trainer.one_pass()
        if path:
            trainer.keep(path, key)
        if report:
            report(done)
    return trainer.head()


class _Trainer:
    """A head in training: torch's tensors, and the order of the steps."""

    def __init__(
        self, states: States, variants: Sequence[Variants], phones: tuple[str, ...],
        options: CtcOptions, start: Head | None,
    ):
        self._torch = torch = torch_module()
        torch.set_num_threads(options.threads)
        self._states, self._variants, self._options = states, variants, options
        self._phones, self.state = phones, _State()
        self._random = torch.Generator().manual_seed(options.seed)
        self._mean, self._spread = _moments(states)
        self._weights = self._initial(start)
        self._held = {name: each.detach().clone() for name, each in self._weights.items()}
        self._optimiser = torch.optim.AdamW(
            self._weights.values(), lr=options.learning_rate, betas=(0.9, 0.98),
            weight_decay=options.weight_decay,
        )
        self._n_steps = options.passes * len(self._batches(np.random.default_rng(0)))
        first = [tuple(ways[:1] for ways in each) for each in variants]
        self.state.targets = self._aligned(variants if start else first)[0]

    def _initial(self, start: Head | None) -> dict[str, Any]:
        torch, options = self._torch, self._options
        widths = [self._states.n_values, *[options.hidden] * (len(options.offsets) - 1),
                  len(self._phones)]  # fmt: skip
        made = {}
        for i, offsets in enumerate(options.offsets):
            shape = len(offsets) * widths[i], widths[i + 1]
            bound = 1 / math.sqrt(shape[0])
            for name, size in ((f"weight_{i}", shape), (f"bias_{i}", shape[1:])):
                made[name] = (torch.rand(size, generator=self._random) * 2 - 1) * bound
        if start:
            for i, layer in enumerate(start.layers):
                weight, bias = layer.weight, layer.bias
                if i == 0:  # the head sees states as they are, training normalised ones
                    n = len(layer.offsets)
                    bias = bias + np.tile(self._mean, n) @ weight
                    weight = weight * np.tile(self._spread, n)[:, None]
                if made[f"weight_{i}"].shape != weight.shape or start.phones != self._phones:
                    raise OptionError("the head to begin with is of another shape than the options")
                made[f"weight_{i}"] = torch.tensor(weight, dtype=torch.float32)
                made[f"bias_{i}"] = torch.tensor(bias, dtype=torch.float32)
        return {name: each.requires_grad_() for name, each in made.items()}

    def one_pass(self) -> HeadReport:
        """Train on one copy of every utterance."""
        state, options, changed = self.state, self._options, 0
        if state.number in options.realign:
            state.targets, changed = self._aligned(self._variants)
        rng = np.random.default_rng([options.seed, state.number])
        total = n_phones = 0.0
        for batch in self._batches(rng):
            loss, n = self._step(batch, rng)
            total, n_phones = total + loss, n_phones + n
        state.number += 1
        return HeadReport(state.number, options.passes, total / max(n_phones, 1), changed)

    def _batches(self, rng: np.random.Generator) -> list[list[tuple[int, int]]]:
        """Draw a copy of each utterance, and put those of like lengths together."""
        arrays = self._states.arrays
        copies = [int(rng.integers(len(each))) for each in arrays]
        lengths = np.array([len(arrays[i][copy]) for i, copy in enumerate(copies)])
        batches, batch = [], list[tuple[int, int]]()
        for i in np.argsort(lengths + rng.uniform(0, 30, len(lengths)), kind="stable"):
            if batch and (len(batch) + 1) * lengths[i] > self._options.batch_frames:
                batches.append(batch)
                batch = []
            batch.append((int(i), copies[i]))
        batches.append(batch)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _step(self, batch: Sequence[tuple[int, int]], rng: np.random.Generator
              ) -> tuple[float, int]:  # fmt: skip
        torch, options, state = self._torch, self._options, self.state
        sounds = [self._states.arrays[i][copy] for i, copy in batch]
        lengths = [len(each) for each in sounds]
        targets = [self.state.targets[i] for i, _ in batch]
        x = np.zeros((len(batch), max(lengths), self._states.n_values), np.float32)
        for row, each in zip(x, sounds, strict=True):
            row[: len(each)] = (each - self._mean) / self._spread
        inputs = torch.from_numpy(x)
        wanted = None
        if options.held:
            with torch.no_grad():
                wanted = self._forward(inputs, training=False, weights=self._held)
        inputs += options.noise * torch.randn(inputs.shape, generator=self._random)
        for row, n in zip(inputs, lengths, strict=True):
            for first, n_masked in _spans(n, options.masked, rng):
                row[first : first + n_masked] = 0
        log_probs = self._forward(inputs, training=True)
        losses = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1), torch.from_numpy(np.concatenate(targets).astype(np.int64)),
            torch.tensor(lengths), torch.tensor([len(each) for each in targets]),
            reduction="none", zero_infinity=True,
        )
        n_phones = sum(map(len, targets))
        loss = losses.sum() / max(n_phones, 1)
        if wanted is not None:
            spoken = torch.arange(x.shape[1]) < torch.tensor(lengths)[:, None]
            apart = (wanted.exp() * (wanted - log_probs)).sum(2)[spoken].sum()
            loss = loss + options.held * apart / max(n_phones, 1)
        for group in self._optimiser.param_groups:
            group["lr"] = options.learning_rate * _rate(state.step / self._n_steps)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), 5.0)
        self._optimiser.step()
        state.step += 1
        if state.step >= (1 - options.averaged) * self._n_steps:
            self._average()
        return float(losses.detach().sum()), n_phones

    def _forward(self, x: Any, training: bool, weights: dict[str, Any] | None = None) -> Any:
        """(n, n_frames, n_values) to log probabilities, (n, n_frames, n_phones)."""
        torch, options, weights = self._torch, self._options, weights or self._weights
        last = len(options.offsets) - 1
        at = torch.arange(x.shape[1])
        for i, offsets in enumerate(options.offsets):
            around = [x if not o else x[:, (at + o).clamp(0, len(at) - 1)] for o in offsets]
            joined = around[0] if len(around) == 1 else torch.cat(around, 2)
            short = training and options.bfloat16 and i < last
            kind = torch.bfloat16 if short else torch.float32
            x = (joined.to(kind) @ weights[f"weight_{i}"].to(kind)).float() + weights[f"bias_{i}"]
            if i < last:
                x = torch.relu(x)
                if training and options.dropout:
                    kept = torch.rand(x.shape, generator=self._random) >= options.dropout
                    x = x * kept / (1 - options.dropout)
        return torch.log_softmax(x, 2)

    def _aligned(self, variants: Sequence[Variants]) -> tuple[list[np.ndarray], int]:
        """Select the pronunciations of each utterance; return phones, and how many changed."""
        targets, changed, before = [], 0, self.state.targets
        for i, each in enumerate(variants):
            only = all(len(ways) == 1 for ways in each)
            found = None if only else spoken_phones(each, self._log_probs(i))
            if found is None:
                found = np.array([phone for ways in each for phone in ways[0]], np.int32)
                found = found if not before or only else before[i]
            changed += bool(before) and not np.array_equal(found, before[i])
            targets.append(found)
        return targets, changed

    def _log_probs(self, index: int) -> np.ndarray:
        with self._torch.no_grad():
            x = (self._states.arrays[index][0] - self._mean) / self._spread
            found = self._forward(self._torch.from_numpy(x.astype(np.float32))[None], False)
            return np.asarray(found[0])

    def _average(self) -> None:
        state, now = self.state, {k: w.detach().clone() for k, w in self._weights.items()}
        state.n_averaged += 1
        state.average = now if state.average is None else {
            name: old + (now[name] - old) / state.n_averaged
            for name, old in state.average.items()
        }  # fmt: skip

    def head(self) -> Head:
        """Return the averaged weights as a head, with its prior."""
        weights = self.state.average or self._weights
        layers = []
        for i, offsets in enumerate(self._options.offsets):
            weight = np.asarray(weights[f"weight_{i}"].detach().double())
            bias = np.asarray(weights[f"bias_{i}"].detach().double())
            if i == 0:
                n = len(offsets)
                weight = weight / np.tile(self._spread, n)[:, None]
                bias = bias - np.tile(self._mean, n) @ weight
            layers.append(Layer(offsets, weight.astype(np.float32), bias.astype(np.float32)))
        head = Head(self._phones, np.zeros(len(self._phones), np.float32),
                    self._options.encoder_layers, tuple(layers))
        return replace(head, log_prior=log_prior(head, self._states))

    def keep(self, path: Path, key: str) -> None:
        """Write the state after a pass."""
        kept = {
            "key": key, "state": vars(self.state) | {"targets": [
                self._torch.from_numpy(each) for each in self.state.targets]},
            "weights": self._weights, "optimiser": self._optimiser.state_dict(),
            "random": self._random.get_state(),
        }  # fmt: skip
        with whole_file(path) as part:
            self._torch.save(kept, part)

    def resume(self, path: Path, key: str) -> None:
        """Take the state from a file; one of another training, or a damaged one, is ignored."""
        try:
            kept = self._torch.load(path, weights_only=True)
        except Exception:  # whatever unpickling a damaged file raises
            return
        if kept["key"] != key:
            return
        self.state = _State(**kept["state"])
        self.state.targets = [np.asarray(each) for each in self.state.targets]
        with self._torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(kept["weights"][name])
        self._optimiser.load_state_dict(kept["optimiser"])
        self._random.set_state(kept["random"])


def _moments(states: States) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the states, of every seventh frame."""
    some = np.concatenate([each[0][::7] for each in states.arrays]).astype(np.float64)
    spread = some.std(axis=0) + 1e-3
    return some.mean(axis=0).astype(np.float32), spread.astype(np.float32)


def _rate(done: float) -> float:
    """The learning rate relative to its highest, when this share of the steps is done."""
    return min(1.0, done / FADE + 0.05) * ((1 - FADE) * 0.5 * (1 + math.cos(math.pi * done)) + FADE)


def _spans(n_frames: int, longest: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    for _ in range(max(1, n_frames // SPAN)):
        length = int(rng.integers(0, longest + 1))
        yield int(rng.integers(0, max(1, n_frames - length))), length


def log_prior(head: Head, states: States) -> np.ndarray:
    """Return the log of the mean probability of each output over the states, float32."""
    total, n_frames = np.zeros(len(head.phones)), 0
    for each in states.arrays:
        for array in each:
            total += np.exp(log_probs_of(head, array)).sum(axis=0)
            n_frames += len(array)
    return np.log(np.maximum(total / max(n_frames, 1), 1e-8)).astype(np.float32)


def log_probs_of(head: Head, states: np.ndarray) -> np.ndarray:
    """Return a head's log probabilities of kept states, (n_frames, n_phones)."""
    hidden: list[np.ndarray] = [np.zeros((0, 0), np.float32)] * 8
    parts = np.split(states.astype(np.float32), len(head.encoder_layers), axis=1)
    for layer, part in zip(head.encoder_layers, parts, strict=True):
        hidden[layer] = part
    return head(hidden)


def phone_error_rate(head: Head, states: States, variants: Sequence[Variants]) -> float:
    """Return phone errors of the utterances themselves, per cent, against the nearest
    pronunciations: the best output of each frame, without lexicon and language model."""
    errors = n_phones = 0
    for each, ways in zip(states.arrays, variants, strict=True):
        heard = log_probs_of(head, each[0])
        spoken = spoken_phones(ways, heard)
        if spoken is None:
            spoken = np.array([phone for word in ways for phone in word[0]], np.int32)
        errors += phone_errors(spoken, greedy_phones(heard))
        n_phones += len(spoken)
    return 100 * errors / max(n_phones, 1)
