"""One trunk with four heads, or four networks: what sharing saves, and what it costs.

A device listens for several things at once: speech, whispers, everyday sounds, its wake words. Each
task can have a network of its own, or all share a trunk and have a small head each. Three systems
learn from the same clips by the same number of steps, and see the same log-mel frames:

* shared: one trunk, four heads, trained jointly,
* separate, same size: four networks that have as many weights together,
* separate, full size: four networks, each with a trunk as large as the shared one.

Speakers, folds of sounds and recordings of testing are not those of training. Torch trains; the
layers of the library, `factored_asr.acoustic.network.head.Layer`, run what was learnt.

    python examples/14_shared_or_separate.py --data DATA

measures on DATA (real recordings, not part of the project) in some minutes, and writes its
figures to 14_shared_or_separate.json next to the picture, 14_shared_or_separate.png. Without --data
the figures of an earlier run, committed in examples/results/, are drawn. --quick learns from a
quarter of the clips for a tenth of the steps.
"""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from drawing import BLUE, GREEN, GREY, figure, found_by, options, save

from factored_asr.acoustic.network.head import Layer
from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.mixing import add_noise
from factored_asr.audio.reading import read_audio
from factored_asr.corpus.whisper import whispered
from factored_asr.features import FeatureOptions, FrontEnd

RATE, SECONDS = 16_000, 3.0
MERGED = 3  # frames of 10 ms that make one
N_FRAMES = 99  # of a clip
N_MELS = 40
SNRS = (5.0, 20.0)  # decibels
SPEECH_DB = 30.0  # below the loudest frame of the clean speech: no speech
WORDS = ("alexa", "jarvis")
TASKS = {"speech": 1, "whisper": 1, "event": 10, "wake word": 2}
"""Outputs of each head."""
OFFSETS = ((-1, 0, 1), (-2, 0, 2), (-4, 0, 4), (-8, 0, 8))
"""Frames that each layer of the trunk looks at."""
WIDTH, SMALL = 96, 44
"""Outputs of a layer: of a full trunk, and of one of four that are as large together."""
N_STEPS, BATCH, LEARNING_RATE = 240, 24, 3e-3
SEEDS = (0, 1, 2)
Clips = tuple[np.ndarray, np.ndarray]  # frames (n, N_FRAMES, N_MELS), targets


def main() -> None:
    """Measure if there is data, else take what was measured; then draw."""
    found = found_by(__file__, measure)
    for name, each in found["systems"].items():
        errors = ", ".join(f"{task} {100 * np.mean(rates):.1f} %"
                           for task, rates in each["errors"].items())
        print(f"{name:20} {each['weights'] / 1000:4.0f} thousand weights, "
              f"{1000 * each['cpu']:.2f} ms CPU a second of sound; errors: {errors}")
    draw(found)


# --- clips ----------------------------------------------------------------------------------------


def clips_of(data: Path, testing: bool) -> dict[str, Clips]:
    """The clips of each task, of training or of testing."""
    rng, front_end = np.random.default_rng(int(testing)), FrontEnd(mels())
    noise = noise_of(data, testing)
    few = 4 if options().quick else 1
    speech = [samples for samples in speech_of(data, testing)][::few]
    made: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {task: ([], []) for task in TASKS}

    def add(task: str, clean: np.ndarray, target: Any, noisy: bool = True) -> None:
        sound = in_noise(clean, noise, rng) if noisy else clean
        made[task][0].append(log_mels(front_end, sound))
        made[task][1].append(np.asarray(target, np.float32))

    for number, clean in enumerate(speech):
        padded = placed(clean, rng)
        level = log_mels(front_end, padded).mean(axis=1)
        add("speech", padded, level > level.max() - SPEECH_DB * np.log(10) / 10)
        spoken = whispered(padded, number) if number % 2 else padded
        add("whisper", spoken, [number % 2])
        if number % 2 == 0:
            add("wake word", padded, np.zeros(len(WORDS)))
    for which, word in enumerate(WORDS):
        files = sorted((data / "wake_words" / word).glob("*.flac"))
        kept = files[3::4] if testing else [each for i, each in enumerate(files) if i % 4 != 3]
        for file in kept[::few]:
            add("wake word", placed(read(file), rng), np.eye(len(WORDS))[which])
    classes = sorted(each for each in (data / "events").iterdir() if each.is_dir())
    for which, folder in enumerate(classes):
        for file in sorted(folder.glob("*.ogg"))[::few]:
            if file.name.startswith("4") == testing:
                for _ in range(1 if testing else 3):
                    add("event", placed(read(file), rng), which, noisy=False)
    return {task: (np.array(frames), np.array(targets)) for task, (frames, targets) in made.items()}


def mels() -> FeatureOptions:
    """The front end."""
    return FeatureOptions(n_mels=N_MELS, mel="htk", low_hz=60.0, high_hz=7600.0,
                          normalisation="none")


def log_mels(front_end: FrontEnd, samples: np.ndarray) -> np.ndarray:
    """Log mel powers of a clip, the mean of three frames each, (N_FRAMES, N_MELS)."""
    powers = front_end.powers(samples)[1][: MERGED * N_FRAMES]
    powers = np.pad(powers, ((0, MERGED * N_FRAMES - len(powers)), (0, 0)), mode="edge")
    return np.log(powers.reshape(N_FRAMES, MERGED, -1).mean(axis=1) + 1.0).astype(np.float32)


def read(path: Path) -> np.ndarray:
    """Samples of a file at 16 kHz."""
    return read_audio(path, sample_rate=RATE)[0]


def speech_of(data: Path, testing: bool) -> Iterator[np.ndarray]:
    """Sentences of accented speakers: each third speaker is of testing."""
    folder = data / "accented_english"
    with open(folder / "utterances.tsv", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    speakers = sorted({row["speaker"] for row in rows})
    wanted = {each for i, each in enumerate(speakers) if (i % 3 == 2) == testing}
    for row in [row for row in rows if row["speaker"] in wanted][::2]:
        yield read(folder / row["path"])


def noise_of(data: Path, testing: bool) -> np.ndarray:
    """A kitchen: its first half is of training, its second of testing."""
    noise = read(data / "coffee_commands" / "kitchen_noise.flac")
    half = len(noise) // 2
    return noise[half:] if testing else noise[:half]


def placed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three seconds with a sound somewhere in them, or three seconds of it."""
    n = round(SECONDS * RATE)
    room = n - len(samples)
    if room < 0:
        begin = int(rng.integers(0, -room))
        return samples[begin : begin + n]
    before = int(rng.integers(0, room + 1))
    return np.pad(samples, (before, room - before)).astype(np.float32)


def in_noise(samples: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sound in a piece of noise."""
    begin = int(rng.integers(0, len(noise) - len(samples)))
    return add_noise(samples, noise[begin : begin + len(samples)], float(rng.uniform(*SNRS)))


# --- networks -------------------------------------------------------------------------------------


def train(clips: dict[str, Clips], width: int, seed: int) -> dict[str, list[Layer]]:
    """Train one trunk with a head for each task of the clips; return the layers of each task."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    sizes = [N_MELS, *[width] * len(OFFSETS)]
    trunk = nn.ModuleList([
        nn.Conv1d(before, after, 3, dilation=offsets[2], padding=offsets[2],
                  padding_mode="replicate")
        for before, after, offsets in zip(sizes, sizes[1:], OFFSETS, strict=False)
    ])
    heads = nn.ModuleDict({task: nn.Conv1d(width, TASKS[task], 1) for task in clips})
    steps = N_STEPS // 10 if options().quick else N_STEPS
    adam = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, LEARNING_RATE, total_steps=steps)
    rng = np.random.default_rng(seed)
    tensors = {task: (torch.tensor(standard(x)).transpose(1, 2), torch.tensor(y))
               for task, (x, y) in clips.items()}
    for _ in range(steps):
        adam.zero_grad()
        loss = torch.zeros(())
        for task, (frames, targets) in tensors.items():
            chosen = torch.tensor(rng.integers(0, len(frames), BATCH))
            x = frames[chosen] + 0.5 * torch.randn(BATCH, 1, 1)  # louder or quieter
            for layer in trunk:
                x = torch.relu(layer(x))
            loss = loss + loss_of(task, heads[task](x), targets[chosen])
        loss.backward()
        adam.step()
        schedule.step()

    def as_layer(layer: Any, offsets: tuple[int, ...]) -> Layer:
        weight = layer.weight.detach().numpy().transpose(2, 1, 0)
        return Layer(offsets, np.ascontiguousarray(weight.reshape(-1, weight.shape[2])),
                     layer.bias.detach().numpy())

    shared = [as_layer(*each) for each in zip(trunk, OFFSETS, strict=True)]
    return {task: [*shared, as_layer(heads[task], (0,))] for task in clips}


def standard(frames: np.ndarray) -> np.ndarray:
    """Log mel powers of about mean 0 and variance 1."""
    return (frames - np.float32(17.0)) / np.float32(4.0)


def loss_of(task: str, outputs: Any, targets: Any) -> Any:
    """The loss of (n, n_outputs, N_FRAMES): of frames, or of clips by the mean or by the best."""
    from torch.nn import functional

    if task == "speech":
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], targets)
    if task == "event":
        return functional.cross_entropy(outputs.mean(dim=2), targets.long())
    pooled = outputs.mean(dim=2) if task == "whisper" else outputs.logsumexp(dim=2)
    return functional.binary_cross_entropy_with_logits(pooled, targets)


def outputs_of(layers: dict[str, list[Layer]], frames: np.ndarray) -> dict[str, np.ndarray]:
    """What the library computes for one clip; a layer that tasks share is computed once."""
    known: dict[int, np.ndarray] = {}
    found = {}
    for task, each in layers.items():
        x = standard(frames)
        for number, layer in enumerate(each):
            last = number == len(each) - 1
            if id(layer) not in known:
                known[id(layer)] = layer(x, "" if last else "relu")
            x = known[id(layer)]
        found[task] = x
    return found


# --- measuring ------------------------------------------------------------------------------------


def measure(data: Path) -> dict[str, Any]:
    """Errors of each task, weights and CPU time of each system."""
    learnt, tested = clips_of(data, False), clips_of(data, True)
    print({task: (len(learnt[task][0]), len(tested[task][0])) for task in TASKS}, flush=True)
    found: dict[str, Any] = {}
    for name, width, joint in (("shared", WIDTH, True), ("separate, same size", SMALL, False),
                               ("separate, full size", WIDTH, False)):
        errors: dict[str, list[float]] = {task: [] for task in TASKS}
        for seed in SEEDS[: 1 if options().quick else None]:
            groups = [learnt] if joint else [{task: learnt[task]} for task in TASKS]
            layers = {}
            for group in groups:
                layers.update(train(group, width, seed))
            for task in TASKS:
                errors[task].append(error_of(task, layers, tested[task]))
            print(name, seed, {task: round(rates[-1], 3) for task, rates in errors.items()},
                  flush=True)
        unique = {id(layer): layer for each in layers.values() for layer in each}
        found[name] = {
            "errors": errors, "cpu": seconds_of(layers, tested["speech"][0][:40]),
            "weights": sum(each.weight.size + each.bias.size for each in unique.values()),
        }
    return {"tested": {task: len(tested[task][0]) for task in TASKS}, "systems": found}


def error_of(task: str, layers: dict[str, list[Layer]], clips: Clips) -> float:
    """The share of sounds in the wrong class, or the equal error rate."""
    frames, targets = clips
    outputs = [outputs_of({task: layers[task]}, each)[task] for each in frames]
    if task == "speech":
        return equal_error_rate(np.concatenate(outputs)[:, 0], np.concatenate(targets) > 0)
    if task == "event":
        return float(np.mean([each.mean(axis=0).argmax() for each in outputs] != targets))
    if task == "whisper":
        return equal_error_rate(np.array([each.mean() for each in outputs]), targets[:, 0] > 0)
    pooled = np.array([np.log(np.exp(each).sum(axis=0)) for each in outputs])
    return float(np.mean([equal_error_rate(pooled[:, i], targets[:, i] > 0)
                          for i in range(len(WORDS))]))


def equal_error_rate(scores: np.ndarray, wanted: np.ndarray) -> float:
    """The rate of errors where misses are as frequent as false alarms."""
    ordered = wanted[np.argsort(scores)]
    misses = np.cumsum(ordered) / ordered.sum()
    alarms = 1 - np.cumsum(~ordered) / (~ordered).sum()
    at = int(np.argmin(np.abs(misses - alarms)))
    return float(misses[at] + alarms[at]) / 2


def seconds_of(layers: dict[str, list[Layer]], clips: np.ndarray) -> float:
    """CPU seconds for a second of sound, all tasks, without the front end; the best of five."""
    taken = []
    with blas_threads(1):
        for _ in range(5):
            begin = time.process_time()
            for each in clips:
                outputs_of(layers, each)
            taken.append(time.process_time() - begin)
    return min(taken) / (len(clips) * N_FRAMES * MERGED / 100)


def draw(found: dict[str, Any]) -> None:
    """Errors of each task, and what each system costs."""
    drawing, (left, right) = figure(1, 2, width=9.5, height=3.8)
    colours = (BLUE, GREY, GREEN)
    for k, (name, each) in enumerate(found["systems"].items()):
        rates = [100 * np.array(each["errors"][task]) for task in TASKS]
        places = np.arange(len(TASKS)) + 0.26 * (k - 1)
        means = [rate.mean() for rate in rates]
        spread = [[mean - rate.min() for mean, rate in zip(means, rates, strict=True)],
                  [rate.max() - mean for mean, rate in zip(means, rates, strict=True)]]
        left.bar(places, means, 0.25, yerr=spread, color=colours[k], label=name, capsize=2)
        right.plot(each["weights"] / 1000, 1000 * each["cpu"], "o", color=colours[k], markersize=10)
        right.annotate(name, (each["weights"] / 1000, 1000 * each["cpu"]), fontsize=9,
                       xytext=(0, 9), textcoords="offset points", ha="center")
    left.set_xticks(range(len(TASKS)), list(TASKS))
    left.set(ylabel="errors, % (mean, least and most of the seeds)")
    left.legend(fontsize=8)
    right.set(xlabel="thousand weights", ylabel="ms CPU for a second of sound", ylim=(0, None))
    right.margins(x=0.3, y=0.3)
    right.set_ylim(bottom=0)
    save(drawing, __file__)


if __name__ == "__main__":
    main()
