"""Factored against end-to-end: who learns more from an hour, from ten minutes, from five?

A factored recogniser is told how words are said and how they follow each other, and learns only how
phones sound. An end-to-end network is told nothing and learns everything from pairs of sound and
text. Both are trained here on the same utterances and heard on the same other speakers:

* monophones, triphones, LDA + MLLT, and speaker-adaptive training with fMLLR;
* a small bidirectional GRU with a CTC loss over letters (Graves et al. 2006), read greedily, and
  read through this library's own search with the same words and unigram as the factored system:
  the network is then an acoustic model, and takes its place at the one array where factors meet.

    python examples/09_factored_against_end_to_end.py --data DATA [--quick]

trains on DATA/an4 (42 minutes of spelled words and numbers), some hours for all sizes and seeds;
--quick: one seed, two sizes, some minutes. Needs torch (pip install 'factored-asr[e2e]'). It writes
09_factored_against_end_to_end.json beside the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawing import BLUE, GREEN, GREY, RED, figure, found_by, keep, options, output_folder, save

from factored_asr import Recognizer
from factored_asr.decoder import BeamOptions, decode
from factored_asr.evaluation.evaluate import evaluate
from factored_asr.evaluation.scoring import Scored, bootstrap, score, total
from factored_asr.graph import ARC, Graph, build_graph
from factored_asr.language import NGramModel, read_lm
from factored_asr.lexicon import Lexicon
from factored_asr.settings import DecodeOptions
from factored_asr.speaker import SpeakerOptions
from factored_asr.training.corpus import Corpus
from factored_asr.training.data import TrainingData, load_data
from factored_asr.training.run import train

STAGES = ("mono", "tri", "lda_mllt", "sat")
SYSTEMS = (*STAGES, "CTC, greedy", "CTC, words and unigram")
COLOURS = {"mono": "#9ecae1", "tri": "#6baed6", "lda_mllt": "#3182bd", "sat": BLUE,
           "CTC, greedy": RED, "CTC, words and unigram": GREEN}  # fmt: skip
MINUTES, QUICK_MINUTES = (5, 10, 20, 40), (5, 10)
N_SEEDS = 3
N_UPDATES, QUICK_UPDATES = 6000, 2000  # of the network, whatever the size of the data
SCALE = 0.08  # of log-likelihoods of Gaussians against the unigram
CTC_SCALE = 0.7  # of the network's log-probabilities against it


def main() -> None:
    """Measure if there is data, else take what was measured; then draw."""
    found = found_by(__file__, measure)
    for row in found["rows"]:
        print(f"{row['minutes']:3} min, seed {row['seed']}, {row['system']:24} "
              f"{100 * row['error_rate']:5.1f} % ({100 * row['low']:.1f} to "
              f"{100 * row['high']:.1f})  trained in {row['seconds']:.0f} s")  # fmt: skip
    draw(found)


# --- both systems on the same data ------------------------------------------------------------


def measure(data: Path) -> dict[str, Any]:
    """Train and test every system on every size; what is done is on disk after each."""
    folder = data / "an4"
    lexicon = Lexicon.read(folder / "etc" / "an4.dic", fillers=folder / "etc" / "an4.filler")
    unigram = read_lm(folder / "etc" / "an4.ug.lm")
    corpus = Corpus.read(folder)
    speakers = corpus.speakers
    test = corpus.select(speakers[4::8])
    pool = corpus.without([*speakers[4::8], *speakers[::8]])  # every eighth is kept for tuning
    found: dict[str, Any] = {"test_utterances": len(test), "test_speakers": len(test.speakers),
                             "rows": []}  # fmt: skip
    quick = options().quick
    for seed in range(1 if quick else N_SEEDS):
        for minutes in QUICK_MINUTES if quick else MINUTES:
            chosen = part_of(pool, minutes, seed)
            for system, scored, seconds in (
                *factored(chosen, test, lexicon, unigram), *end_to_end(chosen, test, unigram, seed)
            ):
                interval = bootstrap(scored)
                found["rows"].append({
                    "system": system, "minutes": minutes, "seed": seed, "seconds": seconds,
                    "error_rate": total(scored).rate, "low": interval.low, "high": interval.high,
                })  # fmt: skip
                keep(__file__, found)
    return found


def part_of(pool: Corpus, minutes: float, seed: int) -> Corpus:
    """Utterances of all speakers in turn, drawn by the seed, until there are so many minutes."""
    order = np.random.default_rng(seed).permutation(len(pool.utterances))
    kept, seconds = [], 0.0
    for i in order:
        if seconds >= 60 * minutes:
            break
        utterance = pool.utterances[i]
        kept.append(utterance)
        seconds += seconds_of(utterance.path)
    return Corpus(tuple(kept), f"{minutes} minutes")


def seconds_of(path: Path) -> float:
    """Of a file of 13 cepstra a frame, 100 frames a second, 4 bytes each after a count."""
    return (path.stat().st_size - 4) / 4 / 13 / 100


def factored(
    chosen: Corpus, test: Corpus, lexicon: Lexicon, unigram: NGramModel
) -> list[tuple[str, Sequence[Scored], float]]:
    """Every stage: its name, what was heard, and the seconds of training up to it."""
    data = load_data(chosen)
    rows = []
    for n_stages in range(1, len(STAGES) + 1):
        began = time.perf_counter()
        checkpoints = output_folder() / "09_checkpoints" / chosen.name.replace(" ", "_")
        model = train(data, lexicon, STAGES[:n_stages], checkpoints=checkpoints).trained.model
        seconds = time.perf_counter() - began + (rows[-1][2] if rows else 0.0)
        recognizer = Recognizer(model, build_graph(model, lexicon, unigram),
                                DecodeOptions(acoustic_scale=SCALE))  # fmt: skip
        adapt = SpeakerOptions() if model.first_pass is not None else None
        rows.append((STAGES[n_stages - 1], evaluate(recognizer, test, adapt=adapt).scored, seconds))
    return rows


def end_to_end(
    chosen: Corpus, test: Corpus, unigram: NGramModel, seed: int
) -> list[tuple[str, Sequence[Scored], float]]:
    """The network, read in two ways."""
    began = time.perf_counter()
    letters = sorted({letter for u in chosen.utterances for letter in " ".join(u.words)})
    network = train_ctc(load_data(chosen), ["", *letters], seed, quick=options().quick)
    seconds = time.perf_counter() - began
    data = load_data(test)
    scores = [network(data.features(i)) for i in range(len(data))]
    graph = spelling_graph(unigram, ["", *letters])
    readings: dict[str, Callable[[np.ndarray], Sequence[str]]] = {
        "CTC, greedy": lambda each: greedy(each, ["", *letters]),
        "CTC, words and unigram": lambda each: decode(
            graph, each * np.float32(CTC_SCALE), BeamOptions(beam=16, lattice_beam=0)
        ).best().words,
    }  # fmt: skip
    return [
        (name, [score(u.id, u.speaker, u.words, read(each))
                for u, each in zip(data.utterances, scores, strict=True)], seconds)
        for name, read in readings.items()
    ]  # fmt: skip


# --- the network ------------------------------------------------------------------------------


def train_ctc(
    data: TrainingData, tokens: Sequence[str], seed: int, *, quick: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """Train; returns a function from features to log-probabilities, (n_frames / 2, n_tokens)."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    number = {token: i for i, token in enumerate(tokens)}
    sounds = [in_pairs(data.features(i)) for i in range(len(data))]
    mean = np.concatenate(sounds).mean(axis=0)
    spread = np.concatenate(sounds).std(axis=0)
    inputs = [torch.tensor((sound - mean) / spread) for sound in sounds]
    targets = [torch.tensor([number[letter] for letter in " ".join(u.words)])
               for u in data.utterances]  # fmt: skip

    class Network(nn.Module):
        """Two bidirectional GRUs and a softmax."""

        def __init__(self) -> None:
            super().__init__()
            self.enter = nn.Sequential(nn.Linear(len(mean), 128), nn.ReLU(), nn.Dropout(0.2))
            self.recur = nn.GRU(128, 128, 2, batch_first=True, bidirectional=True, dropout=0.3)
            self.leave = nn.Linear(256, len(tokens))

        def forward(self, sound: Any) -> Any:
            """(batch, time, inputs) → log-probabilities, (batch, time, tokens)."""
            return self.leave(self.recur(self.enter(sound))[0]).log_softmax(-1)

    network, size = Network(), 8
    n_epochs = -(-(QUICK_UPDATES if quick else N_UPDATES) // -(-len(inputs) // size))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01)
    steps = n_epochs * -(-len(inputs) // size)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    loss_of = nn.CTCLoss(zero_infinity=True)
    draws = np.random.default_rng(seed)
    for epoch in range(n_epochs):
        sum_of = 0.0
        order = np.argsort([len(x) for x in inputs] + draws.normal(0, 30, len(inputs)))
        batches = np.array_split(order, -(-len(inputs) // size))
        for which in draws.permutation(len(batches)):
            batch = [masked(inputs[i], draws) for i in batches[which]]
            lengths = torch.tensor([len(sound) for sound in batch])
            said = [targets[i] for i in batches[which]]
            output = network(nn.utils.rnn.pad_sequence(batch, batch_first=True))
            loss = loss_of(output.transpose(0, 1), torch.cat(said), lengths,
                           torch.tensor([len(each) for each in said]))  # fmt: skip
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            rates.step()
            sum_of += float(loss.detach())
        print(f"CTC epoch {epoch + 1} of {n_epochs}: loss {sum_of / len(batches):.3f}", end="\r")
    print()
    network.eval()

    def listen(features: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            sound = torch.tensor((in_pairs(features) - mean) / spread)
            return np.ascontiguousarray(network(sound[None])[0].numpy())

    return listen


def in_pairs(features: np.ndarray) -> np.ndarray:
    """Two frames side by side: half as many steps for the network, (n_frames // 2, 2 n)."""
    return features[: len(features) // 2 * 2].reshape(len(features) // 2, -1)


def masked(sound: Any, draws: np.random.Generator) -> Any:
    """A stretch of time and some dimensions put to their mean (Park et al. 2019)."""
    sound = sound.clone()
    for _ in range(2):
        length = int(draws.integers(0, max(1, min(15, len(sound) // 4))))
        first = int(draws.integers(0, len(sound) - length))
        sound[first : first + length] = 0
    low = int(draws.integers(0, sound.shape[1] - 8))
    sound[:, low : low + int(draws.integers(0, 8))] = 0
    return sound


def greedy(scores: np.ndarray, tokens: Sequence[str]) -> Sequence[str]:
    """The likeliest token of each step; repeats are one, and blanks are nothing."""
    best = scores.argmax(axis=1)
    kept = best[np.append(True, best[1:] != best[:-1])]
    return "".join(tokens[i] for i in kept).split()


def spelling_graph(unigram: NGramModel, tokens: Sequence[str]) -> Graph:
    """Words as letters in the CTC topology: a letter lasts, blanks may stand between letters and
    must between equal ones, a space parts words; a word costs what the unigram says."""
    number = {token: i + 1 for i, token in enumerate(tokens)}  # labels, 1 is the blank
    rows: list[tuple[int, int, int, float, int]] = []  # source, label, word, cost, target
    names = [word for word in unigram.vocabulary
             if not word.startswith("<") and set(word) <= set(number)]  # fmt: skip
    start, after, n_states = 0, 1, 2  # between words; after a word's last letter
    rows += [(start, 1, 0, 0.0, start), (start, number[" "], 0, 0.0, start),
             (after, 1, 0, 0.0, after), (after, number[" "], 0, 0.0, start)]  # fmt: skip
    for word_id, word in enumerate(names, start=1):
        says, cost = word_id, -float(unigram.log_prob(word))
        came_from = [start]
        for place, letter in enumerate(word):
            label, state, blank = number[letter], n_states, n_states + 1
            n_states += 2
            rows += [(source, label, says, cost, state) for source in came_from]
            rows += [(state, label, 0, 0.0, state), (state, 1, 0, 0.0, blank),
                     (blank, 1, 0, 0.0, blank)]  # fmt: skip
            says, cost = 0, 0.0
            again = place + 1 < len(word) and word[place + 1] == letter
            came_from = [blank] if again else [state, blank]
        rows += [(source, 0, 0, 0.0, after) for source in came_from]
    arcs = np.zeros(len(rows), ARC)
    for name, column in zip(("label", "word", "cost", "target"), list(zip(*rows, strict=True))[1:],
                            strict=True):  # fmt: skip
        arcs[name] = column
    final = np.full(n_states, np.inf, np.float32)
    final[[start, after]] = 0.0
    graph = Graph.from_arcs(np.array([row[0] for row in rows]), arcs, final)
    return graph.with_words(["<eps>", *names])


# --- the picture ------------------------------------------------------------------------------


def draw(found: dict[str, Any]) -> None:
    """Learning curves, the mean over seeds and each seed; and what training cost."""
    drawing, (left, right) = figure(1, 2, width=12, height=4.8)
    sizes = sorted({row["minutes"] for row in found["rows"]})
    for system in SYSTEMS:
        rates, seconds = [], []
        for minutes in sizes:
            rows = [row for row in found["rows"]
                    if (row["system"], row["minutes"]) == (system, minutes)]  # fmt: skip
            rates.append(100 * np.mean([row["error_rate"] for row in rows]))
            seconds.append(np.mean([row["seconds"] for row in rows]))
            left.plot([minutes] * len(rows), [100 * row["error_rate"] for row in rows], ".",
                      color=COLOURS[system], alpha=0.4)  # fmt: skip
        left.plot(sizes, rates, "o-", color=COLOURS[system], label=system)
        right.plot(sizes, seconds, "o-", color=COLOURS[system], label=system)
    left.set(xlabel="minutes of training speech", ylabel="words wrong, %", xscale="log",
             yscale="log", title=f"{found['test_speakers']} unheard speakers of AN4")  # fmt: skip
    right.set(xlabel="minutes of training speech", ylabel="seconds of training", xscale="log",
              yscale="log", title="what it cost")  # fmt: skip
    for axes in (left, right):
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xticks([], minor=True)
        axes.grid(color=GREY, alpha=0.2)
    left.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    left.legend(fontsize=8)
    save(drawing, __file__)


if __name__ == "__main__":
    main()
