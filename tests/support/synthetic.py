"""A tiny language spoken by hidden Markov models whose every number is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon, Pronunciation
from factored_asr.training.data import TrainingData

PHONES = ("A", "B", "SIL")
STATES = 2
FEATURES = FeatureOptions(n_cepstra=2, streams="1s_c", normalisation="none")
MEANS = {  # of each state of each phone
    "A": ((4.0, 0.0), (4.0, 4.0)),
    "B": ((-4.0, 0.0), (-4.0, 4.0)),
    "SIL": ((0.0, -5.0), (0.0, -5.0)),
}
LEAVE = {"A": 0.3, "B": 0.2, "SIL": 0.2}  # probability of going on, a frame


@dataclass(frozen=True)
class Said:
    """An utterance, as far as training asks for it."""

    id: str
    speaker: str
    words: tuple[str, ...]


def lexicon() -> Lexicon:
    """Three words; the last has two pronunciations."""
    return Lexicon(
        {
            "ab": (Pronunciation(("A", "B")),),
            "b": (Pronunciation(("B",)),),
            "baa": (Pronunciation(("B", "A", "A")), Pronunciation(("A", "A", "B"))),
        },
        {"<sil>": (Pronunciation(("SIL",)),)},
    )


@dataclass(frozen=True)
class Corpus:
    """The data, and what was really said in each frame."""

    data: TrainingData
    truth: tuple[tuple[tuple[str, int], ...], ...]
    """By utterance and frame: the phone and its state."""


def speak(n_utterances: int = 40, seed: int = 0, n_words: int = 3) -> Corpus:
    """Sample utterances of a few words, with silence around them and now and then between."""
    rng = np.random.default_rng(seed)
    said, cepstra, truth = [], [], []
    spoken = lexicon()
    for i in range(n_utterances):
        words = tuple(rng.choice(sorted(spoken), n_words).tolist())
        phones = ["SIL"]
        for word in words:
            phones += rng.choice(np.array([each.phones for each in spoken[word]])).tolist()
            phones += ["SIL"] if rng.random() < 0.3 else []
        phones += ["SIL"] if phones[-1] != "SIL" else []
        frames = [
            (phone, state)
            for phone in phones
            for state in range(STATES)
            for _ in range(rng.geometric(LEAVE[phone]))
        ]
        means = np.array([MEANS[phone][state] for phone, state in frames])
        cepstra.append((means + rng.standard_normal(means.shape)).astype(np.float32))
        said.append(Said(f"u{i:03}", f"s{i % 4}", words))
        truth.append(tuple(frames))
    return Corpus(TrainingData(tuple(said), tuple(cepstra), FEATURES), tuple(truth))
