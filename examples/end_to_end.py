"""A small end-to-end network, for example 09: sound in, letters out, and nothing else given.

A convolution, a bidirectional LSTM and a softmax over letters, trained with the CTC loss (Graves et
al., Connectionist temporal classification, 2006). Each step says a letter, or says nothing (the
blank); the loss adds up all ways of saying the text in so many steps. It is read in two ways:
greedily, and through this library's own search, where it takes the place of an acoustic model: its
probabilities, divided by how often it says each letter, are likelihoods up to a factor (Bourlard
and Morgan, Connectionist speech recognition, 1994).

What made it learn on minutes of speech: the first round goes from short utterances to long ones
(Amodei et al., Deep Speech 2, 2016), for else it says nothing but blanks for thousands of updates;
three frames make a step; and stretches of time and some dimensions are hidden (Park et al.,
SpecAugment, 2019). An LSTM is as good here as a GRU and takes a third of its time on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from factored_asr.graph import ARC, Graph
from factored_asr.language import NGramModel
from factored_asr.training.data import TrainingData

STEP = 3  # frames
SIZE = 128  # of the convolution, and of the LSTM in each direction
BATCH = 8  # utterances
RATE = 3e-3  # of Adam at its highest: it climbs at first, and sinks in the second half
BLANK = ""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network: features in, log-probabilities of letters out."""

    letters: tuple[str, ...]
    """The blank and then all others; a space parts words."""
    mean: np.ndarray
    """(STEP * n_features,) of the steps trained on."""
    spread: np.ndarray
    """Their standard deviation."""
    log_prior: np.ndarray
    """(n_letters,): how often it says each letter in what it was trained on."""
    layers: Any

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(n_frames, n_features) → (n_frames // STEP, n_letters), log-probabilities."""
        import torch

        with torch.no_grad():
            steps = torch.tensor((in_steps(features) - self.mean) / self.spread)
            return np.asarray(self.layers(steps[None])[0].numpy())

    def likelihoods(self, features: np.ndarray) -> np.ndarray:
        """The same, as an acoustic model gives them: up to a constant of each step."""
        return self.scores(features) - self.log_prior

    def spell(self, features: np.ndarray) -> list[str]:
        """Words by the likeliest letter of each step: repeats are one letter, blanks are none."""
        best = self.scores(features).argmax(axis=1)
        kept = best[np.append(True, best[1:] != best[:-1])]
        return "".join(self.letters[i] for i in kept).split()


def train_network(data: TrainingData, n_updates: int, seed: int) -> Network:
    """Train on utterances and their letters; the same seed gives the same network."""
    import torch

    torch.manual_seed(seed)
    texts = [" ".join(utterance.words) for utterance in data.utterances]
    letters = (BLANK, *sorted(set("".join(texts))))
    targets = [torch.tensor([letters.index(letter) for letter in text]) for text in texts]
    steps = [in_steps(data.features(i)) for i in range(len(data))]
    mean, spread = np.concatenate(steps).mean(axis=0), np.concatenate(steps).std(axis=0)
    layers = make_layers(len(mean), len(letters))
    draws = np.random.default_rng(seed)
    fit(layers, [(each - mean) / spread for each in steps], targets, n_updates, draws)
    plain = Network(letters, mean, spread, np.zeros(len(letters), np.float32), layers.eval())
    said = np.concatenate([np.exp(plain.scores(data.features(i))) for i in range(len(data))])
    return replace(plain, log_prior=np.log(said.mean(axis=0)))


def fit(
    layers: Any, steps: Sequence[np.ndarray], targets: Sequence[Any], n_updates: int,
    draws: np.random.Generator,
) -> None:  # fmt: skip
    """So many updates of the layers by Adam, on the CTC loss of batches."""
    import torch
    from torch import nn

    optimiser = torch.optim.AdamW(layers.parameters(), RATE, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda n: min(1.0, (n + 1) / 100, 2 * (1 - n / n_updates))
    )
    loss_of, losses = nn.CTCLoss(zero_infinity=True), []
    for number, chosen in enumerate(batches([len(each) for each in steps], n_updates, draws)):
        sounds = [torch.tensor(hide(steps[i], draws)) for i in chosen]
        spelled = [targets[i] for i in chosen]
        by_time = layers(nn.utils.rnn.pad_sequence(sounds, batch_first=True)).transpose(0, 1)
        loss = loss_of(by_time, torch.cat(spelled), lengths(sounds), lengths(spelled))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(layers.parameters(), 5.0)
        optimiser.step()
        rates.step()
        losses.append(loss.item())
        if number % 100 == 99:
            print(f"network: {number + 1} of {n_updates} updates, loss "
                  f"{np.mean(losses[-100:]):.2f} a letter", end="\r", flush=True)  # fmt: skip
    print()


def make_layers(n_inputs: int, n_letters: int) -> Any:
    """(batch, steps, n_inputs) → (batch, steps, n_letters), log-probabilities."""
    import torch
    from torch import nn

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter = nn.Sequential(
                nn.Conv1d(n_inputs, SIZE, 5, padding=2), nn.BatchNorm1d(SIZE), nn.ReLU(),
                nn.Dropout(0.2),
            )  # fmt: skip
            self.recur = nn.LSTM(SIZE, SIZE, batch_first=True, bidirectional=True)
            self.leave = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * SIZE, n_letters))

        def forward(self, steps: torch.Tensor) -> torch.Tensor:
            entered = self.enter(steps.transpose(1, 2)).transpose(1, 2)
            scores: torch.Tensor = self.leave(self.recur(entered)[0])
            return scores.log_softmax(-1)

    return Layers()


def batches(sizes: Sequence[int], n: int, draws: np.random.Generator) -> Iterator[np.ndarray]:
    """So many batches of utterances about as long as each other; in the first round from short to
    long, then in any order."""
    n_a_round = -(-len(sizes) // BATCH)
    for start in range(0, n, n_a_round):
        by_length = np.argsort(sizes + draws.normal(0, 10, len(sizes)))
        cut = np.array_split(by_length, n_a_round)
        order = draws.permutation(n_a_round) if start else np.arange(n_a_round)
        yield from (cut[i] for i in order[: n - start])


def lengths(each: Sequence[Any]) -> Any:
    """How long each is, as torch wants it."""
    import torch

    return torch.tensor([len(one) for one in each])


def in_steps(features: np.ndarray) -> np.ndarray:
    """Frames side by side, (n_frames // STEP, STEP * n_features): fewer steps for the network."""
    n_steps = len(features) // STEP
    return features[: n_steps * STEP].reshape(n_steps, -1)


def hide(steps: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Two stretches of time and a band of dimensions put to their mean."""
    steps = steps.copy()
    for _ in range(2):
        length = draws.integers(0, max(1, min(10, len(steps) // 4)))
        first = draws.integers(0, len(steps) - length)
        steps[first : first + length] = 0
    low = draws.integers(0, steps.shape[1] - 8)
    steps[:, low : low + draws.integers(0, 8)] = 0
    return steps


def spelling_graph(unigram: NGramModel, letters: Sequence[str]) -> Graph:
    """Words as letters in CTC's topology: a letter lasts, blanks may stand between letters and must
    between equal ones, a space parts words; a word, and the end, cost what the unigram says."""
    label = {letter: i + 1 for i, letter in enumerate(letters)}
    rows: list[tuple[int, int, int, float, int]] = []  # source, label, word, cost, target
    words = [word for word in unigram.vocabulary
             if not word.startswith("<") and set(word) <= set(label)]  # fmt: skip
    start, after, n_states = 0, 1, 2  # between words; after a word's last letter
    for state in (start, after):
        rows.append((state, label[BLANK], 0, 0.0, state))
        if " " in label:
            rows.append((state, label[" "], 0, 0.0, start))
    for number, word in enumerate(words, start=1):
        says, cost = number, -float(unigram.log_prob(word))
        came_from = [start]
        for place, letter in enumerate(word):
            state, blank, n_states = n_states, n_states + 1, n_states + 2
            rows += [(source, label[letter], says, cost, state) for source in came_from]
            rows += [(state, label[letter], 0, 0.0, state), (state, label[BLANK], 0, 0.0, blank),
                     (blank, label[BLANK], 0, 0.0, blank)]  # fmt: skip
            says, cost = 0, 0.0
            again = word[place + 1 : place + 2] == letter
            came_from = [blank] if again else [state, blank]
        rows += [(source, 0, 0, 0.0, after) for source in came_from]
    arcs = np.zeros(len(rows), ARC)
    sources, *columns = zip(*rows, strict=True)
    for name, column in zip(("label", "word", "cost", "target"), columns, strict=True):
        arcs[name] = column
    final = np.full(n_states, np.inf, np.float32)
    final[[start, after]] = -float(unigram.log_prob("</s>"))
    return Graph.from_arcs(np.array(sources), arcs, final).with_words(["<eps>", *words])
