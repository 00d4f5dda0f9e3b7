"""A small network from sound to meaning: one answer for each slot, without words in between.

Its input are the states of the frozen encoder (layers 5 and 6, as the head for phones has them),
mean over eight frames. Behind it: a projection, two convolutions over half a second each, and for
each slot a weighted mean over time (its weights are learnt) and a linear classifier. Class 0 of a
slot is "not said".

Source: L. Lugosch et al., "Speech model pre-training for end-to-end spoken language understanding"
(Interspeech 2019), of which this is a small version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.acoustic.network.windows import WindowedFrames

LAYERS = (5, 6)
POOLED = 8  # frames of 24 ms
WIDTH = 64
KERNEL = 3  # of 192 ms each
BATCH = 16
DROPPED = 0.3
RATE = 2e-3


class _States:
    """Takes the place of a head: gives the encoder's states."""

    context = 0

    def __call__(self, hidden: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([hidden[i] for i in LAYERS], axis=1)


def states(model: NetworkModel, samples: np.ndarray) -> np.ndarray:
    """Return the input of the network, (n, 576) float16: a row for each 192 ms."""
    frames = WindowedFrames(model.encoder, _States(), model.whole)
    found = np.concatenate([*frames.accept(samples), *frames.finish()])
    found = found[: max(1, len(found) // POOLED) * POOLED]
    return found.reshape(-1, min(POOLED, len(found)), found.shape[1]).mean(axis=1).astype(
        np.float16)


def _network(n_features: int, classes: Sequence[int]) -> Any:
    import torch
    from torch import nn

    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(n_features)
            self.project = nn.Linear(n_features, WIDTH)
            self.around = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, KERNEL, padding="same")
                                        for _ in range(2))
            self.weights = nn.Linear(WIDTH, len(classes))
            self.answers = nn.ModuleList(nn.Linear(WIDTH, n) for n in classes)
            self.drop = nn.Dropout(DROPPED)

        def forward(self, values: Any, there: Any) -> list[Any]:
            seen = self.drop(torch.relu(self.project(self.norm(values))))
            for layer in self.around:
                seen = seen * there[..., None]
                seen = seen + self.drop(torch.relu(layer(seen.mT).mT))
            weights = self.weights(seen).masked_fill(~there[..., None], -1e9).softmax(dim=1)
            return [answer((weights[..., k : k + 1] * seen).sum(dim=1))
                    for k, answer in enumerate(self.answers)]

    return Direct()


class DirectNetwork:
    """The network with the names of its answers.

    `values`: slot → the values that it may have; nothing else can ever be answered.
    """

    def __init__(self, values: Mapping[str, Sequence[str]], n_features: int, seed: int):
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.values = {slot: ("", *each) for slot, each in values.items()}
        self._net = _network(n_features, [len(each) for each in self.values.values()])
        self._seed = seed

    @property
    def n_weights(self) -> int:
        """Number of trained weights."""
        return sum(each.numel() for each in self._net.parameters())

    def train(self, sounds: Sequence[np.ndarray], meanings: Sequence[Mapping[str, str]],
              n_steps: int) -> None:
        """Train on sounds (their states) and slots, for a number of batches."""
        import torch
        from torch.nn.functional import cross_entropy

        random = np.random.default_rng(self._seed)
        targets = torch.tensor([[each.index(slots.get(slot, "")) for slot, each in
                                 self.values.items()] for slots in meanings])
        optimiser = torch.optim.AdamW(self._net.parameters(), lr=RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=n_steps)
        order: list[int] = []
        self._net.train()
        for _ in range(n_steps):
            if len(order) < BATCH:
                order += random.permutation(len(sounds)).tolist()
            chosen, order = order[:BATCH], order[BATCH:]
            optimiser.zero_grad()
            answers = self._net(*self._batch([sounds[i] for i in chosen]))
            loss = sum(cross_entropy(answer, targets[chosen, k], label_smoothing=0.05)
                       for k, answer in enumerate(answers))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
            optimiser.step()
            schedule.step()

    def write(self, path: Path) -> None:
        """Write the weights."""
        import torch

        torch.save(self._net.state_dict(), path)

    def read(self, path: Path) -> None:
        """Read weights that `write` wrote, of a network of the same shape."""
        import torch

        self._net.load_state_dict(torch.load(path, weights_only=True))

    def log_probs(self, sounds: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Return for each sound and slot the log probabilities of "not said" and each value."""
        import torch

        self._net.eval()
        with torch.no_grad():
            answers = [[answer.log_softmax(dim=1)[0].numpy() for answer in
                        self._net(*self._batch([sound]))] for sound in sounds]
        return [dict(zip(self.values, each, strict=True)) for each in answers]

    def best(self, log_probs: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Return the likeliest value of each slot, each for itself."""
        found = {slot: self.values[slot][int(each.argmax())] for slot, each in log_probs.items()}
        return {slot: value for slot, value in found.items() if value}

    def best_allowed(self, log_probs: Mapping[str, np.ndarray],
                     allowed: Sequence[frozenset[str]]) -> dict[str, str]:
        """Return the likeliest slots of those sets that a grammar allows together."""
        def score(slots: frozenset[str]) -> float:
            return sum(float(each[1:].max() if slot in slots else each[0])
                       for slot, each in log_probs.items())

        slots = max(allowed, key=score)
        return {slot: self.values[slot][1 + int(log_probs[slot][1:].argmax())]
                for slot in log_probs if slot in slots}

    def _batch(self, sounds: Sequence[np.ndarray]) -> tuple[Any, Any]:
        import torch

        n_frames = max(map(len, sounds))
        values = np.zeros((len(sounds), n_frames, sounds[0].shape[1]), np.float32)
        there = np.zeros((len(sounds), n_frames), bool)
        for row, each in enumerate(sounds):
            values[row, : len(each)], there[row, : len(each)] = each, True
        return torch.from_numpy(values), torch.from_numpy(there)
