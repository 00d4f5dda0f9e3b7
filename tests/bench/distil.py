"""The encoder of en-us-network taught to see in noise what it sees without: commands use it.

    pip install '.[train]'
    python tests/bench/distil.py --steps 2400 --seed 1 --output one.npz
    python tests/bench/distil.py --steps 2200 --seed 3 --start one.npz --clean 0.3 --rate 0.0012 \\
        --output two.npz
    python tests/bench/distil.py --head one.npz two.npz --output both.npz
    python tests/bench/distil.py --steps 1800 --seed 7 --start both.npz --clean 0.2 --rate 0.0012 \\
        --output three.npz
    python tests/bench/distil.py --head one.npz two.npz three.npz --ship

The states and outputs that the network has of clean speech are the targets for the same speech in
noise, frame by frame (J. Li and others, "Large-scale domain adaptation via teacher-student
learning", 2017). So no transcripts are needed, and frames cannot move. What moves are low-rank
changes of the encoder's matrices (E. Hu and others, "LoRA", 2021), and the head. Speech is that of
train_head.py; noises are household noise that speech_mask.py computes, babble, and the folds 1 to 3
of events: no order, no kitchen. Each step draws speech, speed, room, noises and their ratio.

Heads of which one started from the other are averaged weight by weight (M. Wortsman and others,
"Model soups", 2022): ``--head`` takes them, and ``--ship`` writes the average into the package.
Training resumes where it was broken off. The table counts coffee orders understood among every
fourth from the first and from the second, on which other settings were chosen, too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coffee import CLEAN, Heard, read_orders
from common import SAMPLE_RATE, parser, read_samples, report
from other_speech import accented_readers, at_loudness, babble
from speech_mask import household_noise
from torch.nn import functional
from train_head import ESPEAK, MEASURED_FOLD, VOICES, sentences, spoken_by, training_sets

from factored_asr import Recognizer
from factored_asr.acoustic.network import NetworkModel, read_head, write_head
from factored_asr.acoustic.network.changes import MATRICES, Changes
from factored_asr.acoustic.network.encoder import FIELD, HOP, N_HEADS, ROTATED, Encoder
from factored_asr.acoustic.network.head import Head
from factored_asr.acoustic.network.memory import STRIDES, WIDTH
from factored_asr.acoustic.network.windows import BEFORE
from factored_asr.audio.mixing import add_noise, mix
from factored_asr.corpus.augment import cut_from
from factored_asr.corpus.distort import Distortion, distorted
from factored_asr.corpus.utterance import Utterance
from factored_asr.corpus.utterance import read_samples as read_utterance
from factored_asr.models.bundle import Bundle
from factored_asr.models.en_us_network import FOLDER
from factored_asr.models.folder import About, write_model
from factored_asr.models.recipe import Recipe

MATCHED = (4, 5, 6)
"""Of h[0] to h[7], those that are to be as they are without noise."""
SHORTEST, LONGEST = 0.6, 12.0  # seconds of an utterance
N_HOUSEHOLD, HOUSEHOLD_SHARE = 80, 0.65
PAIRS, SPREAD = 0.35, 12.0  # share of sounds with two noises, and dB between these at most
RATIOS = (0.0, 18.0)  # dB of the loudest blocks
KL_WEIGHT = 4.0  # of the outputs next to the states
VOICE = Distortion(speed=(0.9, 1.1), speed_share=0.6, noise_share=0.0, room_share=0.3,
                   band_share=0.0)  # fmt: skip
AVERAGED = 0.2  # share of the last steps whose weights are averaged


class Student:
    """The encoder and the head in torch, with and without the changes."""

    def __init__(self, encoder: Encoder, head: Head, rank: int, first: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self.head = head
        self.fixed = {name: _tensor(getattr(encoder, name)) for name in (
            "conv1", "group_norm", "conv2", "conv2_bias", "conv3", "conv3_bias", "frequencies")}
        self.kernel = self.fixed["conv1"].T.reshape(WIDTH, 1, -1).contiguous()
        self.blocks = [{name: _tensor(getattr(block, name)) for name in (
            *MATRICES, "attention_norm", "mlp_norm", "wide_bias", "narrow_bias")}
            for block in encoder.blocks]  # fmt: skip
        self.clean_head = {
            f"{kind}_{i}": _tensor(getattr(layer, kind))
            for i, layer in enumerate(head.layers) for kind in ("weight", "bias")
        }
        shapes = {f"{i}_{name}": self.blocks[i][name].shape
                  for i in range(first, len(self.blocks)) for name in MATRICES}  # fmt: skip
        if not first:
            shapes |= {name: self.fixed[name].shape for name in ("conv2", "conv3")}
        self.changes: dict[str, Any] = {}
        for name, (n_inputs, n_outputs) in shapes.items():
            drawn = torch.randn((n_inputs, rank), generator=generator) / n_inputs**0.5
            self.changes |= {f"down_{name}": drawn, f"up_{name}": torch.zeros((rank, n_outputs))}
        if not first:
            self.changes["group_norm"] = self.fixed["group_norm"].clone()
        self.taught_head = {name: each.clone() for name, each in self.clean_head.items()}
        for each in (*self.changes.values(), *self.taught_head.values()):
            each.requires_grad_()

    def start_from(self, head: Head) -> None:
        """Take the layers and the changes of a head that was taught before."""
        given, weights = arrays(head), self.changes | self.taught_head
        if given.keys() != weights.keys():
            raise ValueError(f"{head.description}: other changes than those that are trained")
        with torch.no_grad():
            for name, each in weights.items():
                each.copy_(_tensor(given[name]))

    def __call__(self, samples: Any, changed: bool) -> tuple[list[Any], Any]:
        """Return h[0] to h[6] and the log probabilities of sounds, (n, n_samples)."""
        x = torch.tanh(functional.conv1d(samples[:, None], self.kernel, stride=STRIDES[0]))
        x = x.transpose(1, 2)
        mean, square = x.mean((1, 2), keepdim=True), (x * x).mean((1, 2), keepdim=True)
        weight, bias = (self.changes if changed else self.fixed).get(
            "group_norm", self.fixed["group_norm"])
        x = (x - mean) / torch.sqrt(square - mean * mean + 1e-5) * weight + bias
        for name, stride in (("conv2", STRIDES[1]), ("conv3", STRIDES[2])):
            matrix, n_inputs = self.fixed[name], x.shape[2]
            rows = x.unfold(1, len(matrix) // n_inputs, stride).transpose(2, 3).flatten(2)
            x = functional.gelu(self._product(rows, matrix, name, changed)
                                + self.fixed[f"{name}_bias"])  # fmt: skip
        angles = torch.arange(x.shape[1])[:, None] * self.fixed["frequencies"]
        hidden, turns = [x], (angles.cos(), angles.sin())
        for number, block in enumerate(self.blocks):
            hidden.append(self._block(hidden[-1], number, block, turns, changed))
        weights = self.taught_head if changed else self.clean_head
        x = torch.cat([hidden[layer] for layer in self.head.encoder_layers], 2)
        at = torch.arange(x.shape[1])
        for i, layer in enumerate(self.head.layers):
            around = [x[:, (at + offset).clamp(0, len(at) - 1)] for offset in layer.offsets]
            x = torch.cat(around, 2) @ weights[f"weight_{i}"] + weights[f"bias_{i}"]
            if i < len(self.head.layers) - 1:
                x = torch.relu(x)
        return hidden, torch.log_softmax(x, 2)

    def _product(self, x: Any, matrix: Any, name: str, changed: bool) -> Any:
        x = x.bfloat16()
        y = x @ matrix.bfloat16()
        if changed and f"down_{name}" in self.changes:
            down, up = (self.changes[f"{part}_{name}"].bfloat16() for part in ("down", "up"))
            y = y + x @ down @ up
        return y.float()

    def _block(self, x: Any, number: int, block: Mapping[str, Any], turns: tuple[Any, Any],
               changed: bool) -> Any:  # fmt: skip
        shape = x.shape

        def product(values: Any, name: str) -> Any:
            return self._product(values, block[name], f"{number}_{name}", changed)

        y = functional.layer_norm(x, (WIDTH,), block["attention_norm"])
        query, key, value = (
            part.view(shape[0], shape[1], N_HEADS, WIDTH // N_HEADS).transpose(1, 2)
            for part in product(y, "query_key_value").split(WIDTH, 2)
        )
        y = functional.scaled_dot_product_attention(
            _turned(query, *turns), _turned(key, *turns), value, scale=1.0)
        x = x + product(y.transpose(1, 2).reshape(shape), "out")
        y = functional.layer_norm(x, (WIDTH,), block["mlp_norm"])
        y = functional.gelu(product(y, "wide") + block["wide_bias"])
        return x + product(y, "narrow") + block["narrow_bias"]


def _tensor(values: np.ndarray) -> Any:
    return torch.from_numpy(np.array(values))


def _turned(x: Any, cos: Any, sin: Any) -> Any:
    """Turn pairs of values, as `acoustic.network.encoder.rotated` does."""
    one, other = x[..., :ROTATED:2], x[..., 1:ROTATED:2]
    pairs = torch.stack((one * cos - other * sin, one * sin + other * cos), -1)
    return torch.cat((pairs.flatten(-2), x[..., ROTATED:]), -1)


class Sounds:
    """Clean and noisy sounds without end."""

    def __init__(self, data: Path, work: Path, n_samples: int, clean_share: float):
        self.speech, self._n_samples = list(speech(data, work)), n_samples
        self._clean_share = clean_share
        self._lengths = np.array([len(each) for each in self.speech])
        self._household = [household_noise(number, 20) for number in range(100, 100 + N_HOUSEHOLD)]
        readers = [each.path for each in accented_readers(data)]
        self._others = [babble(readers, n, 60) for n in (2, 3, 5, 7)]
        for folder in sorted((data / "events").glob("*/")):
            clips = [read_samples(path) for path in sorted(folder.glob("*.ogg"))
                     if path.name[0] != MEASURED_FOLD]  # fmt: skip
            self._others.append(np.concatenate(
                [at_loudness(np.trim_zeros(each)) for each in clips if np.any(each)]))

    def batch(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """Return sounds of like lengths without and with noise, (n, n_samples) each."""
        around = np.abs(self._lengths - self._lengths[rng.integers(len(self.speech))])
        near = np.argsort(around, kind="stable")
        count = max(2, self._n_samples // max(int(self._lengths[near[0]]), SAMPLE_RATE))
        chosen = rng.choice(near[: 4 * count], count, replace=False)
        clean = [
            distorted(self.speech[i].astype(np.float32) / 32768, SAMPLE_RATE, VOICE, name=str(i),
                      number=int(rng.integers(2**31))) for i in chosen
        ]  # fmt: skip
        n = min(map(len, clean)) // HOP * HOP
        clean = [cut_from(each, n, rng) for each in clean]
        clean = [each if np.any(each) else rng.normal(0, 1e-3, n) for each in clean]
        noisy = [self._in_noise(each, rng) for each in clean]
        return tuple(  # type: ignore[return-value]
            torch.from_numpy(np.pad(np.stack(each).astype(np.float32),
                                    ((0, 0), (BEFORE, FIELD - HOP - BEFORE))))
            for each in (clean, noisy)
        )

    def _in_noise(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sound = clean
        if rng.random() >= self._clean_share:
            noise = self._piece(len(clean), rng)
            if rng.random() < PAIRS:
                louder = 10 ** (rng.uniform(-SPREAD, SPREAD) / 20)
                other = self._piece(len(clean), rng)
                noise = noise / max(noise.std(), 1e-6) + louder * other / max(other.std(), 1e-6)
            if np.any(noise):
                sound = add_noise(clean, noise, rng.uniform(*RATIOS))
        return sound / max(np.abs(sound).max(), 1e-4) * 10 ** (rng.uniform(-20, -1) / 20)

    def _piece(self, n: int, rng: np.random.Generator) -> np.ndarray:
        kind = self._household if rng.random() < HOUSEHOLD_SHARE else self._others
        return cut_from(kind[rng.integers(len(kind))], n, rng)


def speech(data: Path, work: Path) -> list[np.ndarray]:
    """Return the speech of train_head.py, (n_samples,) int16 each."""
    lines = sentences(data, Recipe(Bundle.find("en-us")).read_lexicon().strip_stress())
    spoken = (spoken_by(lines, work, "flite", VOICES),
              spoken_by(lines[sum(VOICES.values()) :], work, "espeak-ng", ESPEAK))  # fmt: skip
    parts: Sequence[Sequence[Utterance]] = [*training_sets(data), *spoken]
    found = [read_utterance(each, SAMPLE_RATE) for part in parts for each in part]
    return [np.round(each * (29_000 / max(np.abs(each).max(), 1e-3))).astype(np.int16)
            for each in found if SHORTEST < len(each) / SAMPLE_RATE < LONGEST]  # fmt: skip


def train(student: Student, sounds: Sounds, n_steps: int, rate: float, seed: int, place: Path
          ) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the averaged changes and head after so many steps; `place` keeps the state."""
    weights = student.changes | student.taught_head
    optimiser = torch.optim.AdamW(
        [{"params": list(student.changes.values()), "highest": rate},
         {"params": list(student.taught_head.values()), "highest": 0.15 * rate}],
        betas=(0.9, 0.98), weight_decay=1e-3)  # fmt: skip
    rng, done, average, n_averaged, spreads = np.random.default_rng(seed), 0, None, 0, None
    if place.is_file():
        done, average, n_averaged, spreads, rng, state, kept = torch.load(place, weights_only=False)
        optimiser.load_state_dict(state)
        with torch.no_grad():
            for name, each in kept.items():
                weights[name].copy_(each)
    losses, began = list[tuple[float, float]](), time.process_time()
    while done < n_steps:
        clean, noisy = sounds.batch(rng)
        with torch.no_grad():
            wanted, outputs = student(clean, changed=False)
        spreads = spreads or [wanted[layer].std((0, 1)) + 1e-2 for layer in MATCHED]
        found, log_probs = student(noisy, changed=True)
        states = sum((((found[layer] - wanted[layer]) / spread) ** 2).mean()
                     for layer, spread in zip(MATCHED, spreads, strict=True)) / len(MATCHED)
        divergence = (outputs.exp() * (outputs - log_probs)).sum(2).mean()
        at = done / n_steps
        share = min(1.0, at / 0.03 + 0.01) * (0.03 + 0.485 * (1 + np.cos(np.pi * at)))
        for group in optimiser.param_groups:
            group["lr"] = share * group["highest"]
        optimiser.zero_grad()
        (states + KL_WEIGHT * divergence).backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 5.0)
        optimiser.step()
        done += 1
        losses.append((float(states.detach()), float(divergence.detach())))
        if done >= (1 - AVERAGED) * n_steps:
            n_averaged += 1
            now = {name: each.detach().clone() for name, each in weights.items()}
            average = now if average is None else {
                name: old + (now[name] - old) / n_averaged for name, old in average.items()}
        if done % 50 == 0 or done == n_steps:
            state = optimiser.state_dict()
            torch.save((done, average, n_averaged, spreads, rng, state,
                        {name: each.detach() for name, each in weights.items()}), place)
            error, bits = np.mean(losses[-50:], axis=0)
            print(f"{done}/{n_steps}: states {error:.3f}, outputs {bits:.3f}, "
                  f"{time.process_time() - began:.0f} CPU s", flush=True)
    return {name: np.asarray(each) for name, each in (average or weights).items()}


def average(heads: Sequence[Head]) -> Head:
    """Return the mean of heads with changes, weight by weight."""
    every = [arrays(head) for head in heads]
    return with_weights(heads[0], {name: np.mean([each[name] for each in every], axis=0)
                                   for name in every[0]})  # fmt: skip


def arrays(head: Head) -> dict[str, np.ndarray]:
    """Return the layers and the changes of a head by the names of `Student`'s weights."""
    found = {} if head.changes is None else dict(head.changes.to_arrays())
    for i, layer in enumerate(head.layers):
        found |= {f"weight_{i}": layer.weight, f"bias_{i}": layer.bias}
    return found


def with_weights(head: Head, weights: Mapping[str, np.ndarray]) -> Head:
    """Return a head with these layers and these changes of the encoder."""
    layers = tuple(replace(layer, weight=weights[f"weight_{i}"], bias=weights[f"bias_{i}"])
                   for i, layer in enumerate(head.layers))
    return replace(head, layers=layers, changes=Changes.from_arrays(weights))


def understood(
    recognizer: Recognizer, data: Path, condition: str, draw: int, limit: int
) -> tuple[int, int]:
    """Count the orders understood, and all; each draw puts them elsewhere in the noise."""
    folder, right = data / "coffee_commands", 0
    noise, everything = read_samples(folder / "kitchen_noise.flac"), read_orders(folder)
    orders = (everything[::4] + everything[1::4])[: limit or None]
    for order in orders:
        sound = read_samples(order.path)
        if condition != CLEAN:
            name = order.name + (f" draw {draw}" if draw else "")
            sound = mix(sound, noise, float(condition), name)
        said = recognizer.transcribe(sound, sample_rate=SAMPLE_RATE)
        meaning = said.interpretation
        right += meaning is not None and Heard(
            said.text, meaning.intent, {k: str(v) for k, v in meaning.slots.items()}
        ).accepts(order)
    return right, len(orders)


def trained(options: argparse.Namespace, model: NetworkModel) -> Head:
    """Return the head that the options of the command line make."""
    work = options.work / "distil"
    work.mkdir(parents=True, exist_ok=True)
    student = Student(model.encoder, model.head, options.rank, options.first_block, options.seed)
    if options.start:
        student.start_from(read_head(options.start))
    sounds = Sounds(options.data, work, int(options.seconds * SAMPLE_RATE), options.clean)
    name = "-".join(map(str, (options.rank, options.first_block, options.seconds, options.rate,
                              options.steps, options.seed, options.clean,
                              options.start.stem if options.start else "")))  # fmt: skip
    weights = train(student, sounds, options.steps, options.rate, options.seed,
                    work / f"{name}.pt")  # fmt: skip
    description = f"{model.head.description}; taught in noise by tests/bench/distil.py"
    return with_weights(replace(model.head, description=description), weights)


def main() -> None:
    """Train, count, print."""
    made = parser(__doc__)
    made.add_argument("--steps", type=int, default=600, help="of training")
    made.add_argument("--rank", type=int, default=16, help="of the changes")
    made.add_argument("--first-block", type=int, default=0,
                      help="blocks below stay as they are; 0: the convolutions change, too")
    made.add_argument("--seconds", type=float, default=40.0, help="of speech in a step")
    made.add_argument("--rate", type=float, default=2e-3, help="of learning, at its highest")
    made.add_argument("--clean", type=float, default=0.08, help="share of sounds without noise")
    made.add_argument("--start", type=Path, help="go on from a head that was taught before")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--snr", default="clean,6", help="of the orders: clean and decibels")
    made.add_argument("--draws", type=int, default=2, help="of the noise of each order")
    made.add_argument("--head", type=Path, nargs="+", help="no training: heads to be averaged")
    made.add_argument("--output", type=Path, help="keep the head and the changes in this file")
    made.add_argument("--ship", action="store_true", help="put it into the package")
    options = made.parse_args()
    torch.set_num_threads(1)
    grammar = options.data / "coffee_commands/grammar.yaml"
    shipped = Recognizer.load("en-us-network", grammar=grammar)
    bundle = Bundle.find("en-us-network")
    model = bundle.acoustic_model()
    assert isinstance(model, NetworkModel)
    head = average([*map(read_head, options.head)]) if options.head else trained(options, model)
    model = replace(model, taught_head=head)
    if options.output:
        write_head(options.output, head)
    if options.ship:
        write_model(FOLDER, model, about=bundle.folder.about if bundle.folder else About())
    plain, other = (
        Recognizer(model, shipped.graph, replace(shipped.options, taught=each), grammar,
                   shipped.recipe, shipped.background) for each in (False, True)
    )  # fmt: skip
    rows = []
    for label, recognizer in (("as trained", plain), ("taught in noise", other)):
        row = [label]
        for condition in options.snr.split(","):
            draws = range(1 if condition == CLEAN else options.draws)
            counts = [understood(recognizer, options.data, condition, draw, options.limit)
                      for draw in draws]
            right, n = (sum(each) for each in zip(*counts, strict=True))
            row.append(f"{right}/{n} = {100 * right / n:.1f} %")
        rows.append(row)
    report(options, "Orders understood by a network taught in noise", rows,
           ["network", *(each if each == CLEAN else f"{each} dB"
                         for each in options.snr.split(","))])  # fmt: skip


if __name__ == "__main__":
    main()
