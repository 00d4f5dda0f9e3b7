"""Factored against end-to-end: which learns more from an hour, from ten minutes, from five?

A factored recogniser is given pronunciations and a language model, and learns only how phones
sound. An end-to-end network is given neither and learns everything from pairs of sound and text.
Both are trained here on the same utterances and tested on the same other speakers:

* monophones, triphones, LDA + MLLT, and speaker-adaptive training with fMLLR;
* the network of end_to_end.py, read greedily, and read through the search of this library with the
  same words and unigram as the factored system: the network then takes the place of the acoustic
  model.

Then the en-us model is compared with an end-to-end recogniser that was trained on hundreds of
thousands of hours (moonshine tiny), on open dictation and on spoken orders whose grammar is known.

    python examples/09_factored_against_end_to_end.py --data DATA [--quick]

needs torch and moonshine (pip install 'factored-asr[train,compare]'). It trains on 5, 10, 20 and 40
minutes of DATA/an4 (spelled words and numbers), twice, and on three of the four speakers of
DATA/digits for the fourth: about an hour on one core. --quick: two sizes, once, some minutes.
The figures are kept after each training in 09_factored_against_end_to_end.json next to the picture;
an interrupted run resumes from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from drawing import (
    BLUE,
    GREEN,
    GREY,
    RED,
    begun,
    figure,
    found_by,
    keep,
    options,
    read_lexicon,
    save,
)
from end_to_end import spelling_graph, train_network
from ready_made import ready_made

from factored_asr import Recognizer
from factored_asr.corpus.corpus import Corpus
from factored_asr.decoder import BeamOptions, decode
from factored_asr.evaluation.evaluate import evaluate
from factored_asr.evaluation.scoring import Scored, bootstrap, score, total
from factored_asr.features import FeatureOptions
from factored_asr.graph import build_graph
from factored_asr.language import EstimateOptions, NGramModel, estimate, read_lm
from factored_asr.lexicon import Lexicon
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.speaker import SpeakerOptions
from factored_asr.training.data import TrainingData, load_data
from factored_asr.training.run import train

STAGES = ("mono", "tri", "lda_mllt", "sat")
SYSTEMS = (*STAGES, "CTC, greedy", "CTC, words and unigram")
COLOURS = dict(zip(SYSTEMS, ("#9ecae1", "#6baed6", "#3182bd", BLUE, RED, GREEN), strict=True))
MINUTES, QUICK_MINUTES = (5, 10, 20, 40), (5, 10)
N_SEEDS = 2
N_UPDATES, QUICK_UPDATES = 3000, 1500  # of the network, whatever the size of the data
SCALE = 0.12  # of log-likelihoods of Gaussians against the unigram, and
CTC_SCALE = 2.0  # of the network's: each the best of some on AN4's speakers for tuning
TELEPHONE = FeatureOptions(sample_rate=8000, n_fft=256, n_mels=20, high_hz=3700.0)

Learned = list[tuple[str, Sequence[Scored], float]]
"""Of each system its name, its scored results, and the CPU seconds of training up to it."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is trained on, and what is tested on."""

    name: str
    seed: int
    train: TrainingData
    test: Corpus
    lexicon: Lexicon
    unigram: NGramModel
    seeded: bool = True
    """Whether the seed chose what is trained on: it always begins the network."""


def main() -> None:
    """Measure if there is data, else take what was measured; then draw."""
    found = found_by(__file__, measure)
    for row in found["trained"]:
        print(f"{row['task']:17} {row['minutes']:4.1f} min, seed {row['seed']}, "
              f"{row['system']:23} {interval_of(row)} of {row['words']} words wrong, "
              f"trained in {row['seconds']:.0f} s")  # fmt: skip
    for row in found["ready"]:
        print(f"{row['task']:17} {row['system']:10} {interval_of(row)} {row['measure']}, "
              f"{row['cpu']:.3f} x real time")  # fmt: skip
    draw(found)


def interval_of(row: dict[str, Any]) -> str:
    """A share and its 95 % interval, for people."""
    return f"{100 * row['rate']:5.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def measure(data: Path) -> dict[str, Any]:
    """Train and test both sides on every task; what is done is on disk after each."""
    quick = options().quick
    found = begun(__file__, {"quick": quick, "updates": QUICK_UPDATES if quick else N_UPDATES})
    if "ready" not in found:
        found["ready"] = ready_made(data, every=32 if quick else 8)
        keep(__file__, found)
    rows = found.setdefault("trained", [])
    done = {(row["task"], row["seed"], row["side"]) for row in rows}
    for task in tasks(data, quick):
        for side in (factored, end_to_end) if task.seeded or not task.seed else (end_to_end,):
            if (task.name, task.seed, side.__name__) not in done:
                learned = side(task, found["updates"])
                rows += [row_of(task, side.__name__, *each) for each in learned]
                keep(__file__, found)
    return found


def row_of(
    task: Task, side: str, system: str, scored: Sequence[Scored], seconds: float
) -> dict[str, Any]:
    """What is written down of a system on a task."""
    interval, errors = bootstrap(scored), total(scored)
    return {
        "task": task.name, "seed": task.seed, "side": side, "system": system,
        "minutes": task.train.n_frames * 0.01 / 60, "seconds": seconds,
        "words": errors.n_words, "errors": errors.total, "rate": errors.rate,
        "low": interval.low, "high": interval.high,
    }  # fmt: skip


# --- the tasks ----------------------------------------------------------------------------------


def tasks(data: Path, quick: bool) -> Iterator[Task]:
    """AN4 in every size, seed after seed; digits with each speaker left out in turn."""
    yield from an4(data / "an4", QUICK_MINUTES if quick else MINUTES, 0)
    if not quick:
        yield from digits(Corpus.read(data / "digits"))
        for seed in range(1, N_SEEDS):
            yield from an4(data / "an4", MINUTES, seed)


def an4(folder: Path, sizes: Sequence[int], seed: int) -> Iterator[Task]:
    """Of the sorted speakers every eighth is kept for tuning, every eighth from the fifth for the
    test; of what the others say the seed draws so many minutes."""
    lexicon = Lexicon.read(folder / "etc" / "an4.dic", fillers=folder / "etc" / "an4.filler")
    unigram = read_lm(folder / "etc" / "an4.ug.lm")
    corpus = Corpus.read(folder)
    tuning, test = corpus.speakers[::8], corpus.speakers[4::8]
    pool = load_data(corpus.without([*tuning, *test]))
    for minutes in sizes:
        part = part_of(pool, minutes, seed)
        yield Task(f"an4, {minutes} min", seed, part, corpus.select(test), lexicon, unigram,
                   seeded=len(part) < len(pool))  # fmt: skip


def digits(corpus: Corpus) -> Iterator[Task]:
    """Every fourth recording of three speakers teaches, every second of the other one is the test.
    A mean over one digit would take half of it away: it is taken over each speaker here."""
    lexicon = read_lexicon().restrict(corpus.words)
    for speaker in corpus.speakers:
        others = Corpus(corpus.without([speaker]).utterances[::4])
        other = Corpus(corpus.select([speaker]).utterances[::2])
        unigram = estimate((u.words for u in others), EstimateOptions(order=1, unknown=False))
        train = load_data(others, TELEPHONE, mean_over="speaker")
        yield Task(f"digits, {speaker}", 0, train, other, lexicon, unigram)


def part_of(pool: TrainingData, minutes: float, seed: int) -> TrainingData:
    """Utterances drawn by the seed until there are so many minutes, or all there are."""
    drawn = np.random.default_rng(seed).permutation(len(pool))
    frames = np.cumsum([len(pool.cepstra[i]) for i in drawn])
    return pool.select(np.sort(drawn[: 1 + np.searchsorted(frames, 6000 * minutes)]))


# --- both sides ---------------------------------------------------------------------------------


def factored(task: Task, _: int) -> Learned:
    """Every stage of training, and a graph of each stage's model."""
    rows: Learned = []
    with TemporaryDirectory() as checkpoints:
        for n_stages, name in enumerate(STAGES, start=1):
            began = time.process_time()
            done = train(task.train, task.lexicon, STAGES[:n_stages], checkpoints=checkpoints)
            model, seconds = done.trained.model, time.process_time() - began
            recognizer = Recognizer(model, build_graph(model, task.lexicon, task.unigram),
                                    DecodeOptions(acoustic_scale=SCALE))  # fmt: skip
            adapt = SpeakerOptions() if model.first_pass is not None else None
            result = evaluate(recognizer, task.test, adapt=adapt, mean_over=task.train.mean_over)
            rows.append((name, result.scored, seconds + (rows[-1][2] if rows else 0.0)))
    return rows


def end_to_end(task: Task, n_updates: int) -> Learned:
    """The network, read in two ways."""
    began = time.process_time()
    network = train_network(task.train, n_updates, task.seed)
    seconds = time.process_time() - began
    data = load_data(task.test, task.train.options, mean_over=task.train.mean_over)
    graph = spelling_graph(task.unigram, network.letters)

    def search(features: np.ndarray) -> Sequence[str]:
        scores = network.likelihoods(features) * np.float32(CTC_SCALE)
        return decode(graph, scores, BeamOptions(beam=30, lattice_beam=0)).best().words

    readings: dict[str, Callable[[np.ndarray], Sequence[str]]] = {
        "CTC, greedy": network.spell, "CTC, words and unigram": search,
    }  # fmt: skip
    return [
        (name, [score(u.id, u.speaker, u.words, read(data.features(i)))
                for i, u in enumerate(data.utterances)], seconds)
        for name, read in readings.items()
    ]  # fmt: skip


# --- the picture --------------------------------------------------------------------------------


def draw(found: dict[str, Any]) -> None:
    """Learning curves, each seed and the mean; what training cost; digits; the ready-made."""
    drawing, ((curves, cost), (spoken, ready)) = figure(2, 2, width=12, height=9)
    rows = found["trained"]
    an4 = [row for row in rows if row["task"].startswith("an4")]
    draw_curves(curves, an4, "rate", 100)
    draw_curves(cost, an4, "seconds", 1)
    curves.set(ylabel="words wrong, %", title="AN4: speakers who were not trained on")
    curves.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    curves.legend(fontsize=8)
    cost.set(ylabel="CPU seconds of training", title="what it cost")
    draw_bars(spoken, [row for row in rows if row["task"].startswith("digits")], SYSTEMS)
    spoken.set_visible(not found["quick"])
    spoken.set(ylabel="digits wrong, %", title="digits: the speaker who was left out")
    draw_bars(ready, [as_errors(row) for row in found["ready"]], ("ours", "moonshine"))
    spoken.set_ylim(0, 82)  # room for the legend
    ready.set(ylabel="wrong, %", title="ready-made: words of dictation, whole orders")
    save(drawing, __file__)


def as_errors(row: dict[str, Any]) -> dict[str, Any]:
    """What was not understood, where a row says what was."""
    if row["measure"].startswith("of words"):
        return row
    return {**row, "rate": 1 - row["rate"], "low": 1 - row["high"], "high": 1 - row["low"]}


def draw_curves(axes: Any, rows: list[dict[str, Any]], key: str, unit: float) -> None:
    """One line a system over minutes of training."""
    minutes = {row["task"]: row["minutes"] for row in rows if not row["seed"]}
    for system in SYSTEMS:
        own = [row for row in rows if row["system"] == system]
        axes.plot([minutes[row["task"]] for row in own], [unit * row[key] for row in own], ".",
                  color=COLOURS[system], alpha=0.4)  # fmt: skip
        means = [np.mean([unit * row[key] for row in own if row["task"] == task])
                 for task in minutes]  # fmt: skip
        axes.plot(list(minutes.values()), means, color=COLOURS[system], label=system)
    axes.set(xlabel="minutes of training speech", xscale="log", yscale="log")
    axes.set_xticks(list(minutes.values()), [f"{each:.0f}" for each in minutes.values()])
    axes.set_xticks([], minor=True)
    axes.grid(color=GREY, alpha=0.2)


def draw_bars(axes: Any, rows: list[dict[str, Any]], systems: Sequence[str]) -> None:
    """Bars with their intervals, a group a task."""
    names = list(dict.fromkeys(row["task"] for row in rows))
    for i, system in enumerate(systems):
        own = {row["task"]: row for row in rows if row["system"] == system}
        rates = np.array([[own[name][key] for name in own] for key in ("rate", "low", "high")])
        places = [names.index(name) + (i - len(systems) / 2) * 0.8 / len(systems) for name in own]
        axes.bar(places, 100 * rates[0], 0.75 / len(systems), align="edge",
                 label={"ours": "en-us"}.get(system, system),
                 color=COLOURS.get(system, BLUE if i == 0 else RED),
                 yerr=100 * np.abs(rates[1:] - rates[0]), error_kw={"lw": 0.8})  # fmt: skip
    axes.set_xticks(range(len(names)), [name.removeprefix("digits, ") for name in names])
    axes.legend(fontsize=8)


if __name__ == "__main__":
    main()
