"""Monophones from a flat start: the first stage, which needs nothing but words and sound.

Every state begins as the same Gaussian, that of all frames; the frames of an utterance are shared
out equally among the states of its words. From there on the model aligns the data, and the
alignment makes a better model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Run, Schedule, Trained
from factored_asr.training.statistics import UpdateOptions


@dataclass(frozen=True)
class MonoOptions:
    """Sizes and choices of monophone training."""

    schedule: Schedule = field(default_factory=Schedule)
    """Passes, alignments and Gaussians."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How transcripts are laid over speech."""
    update: UpdateOptions = field(default_factory=UpdateOptions)
    """Which Gaussians live."""
    silence: str = "SIL"
    """The phone of silence."""
    states: int = 3
    """HMM states of a phone; a phone lasts at least so many frames."""
    silence_states: int = 5
    """HMM states of silence."""
    baum_welch: bool = False
    """Count every path by its probability, where Viterbi training counts the best one alone:
    slower, and seldom better."""
    seed: int = 0
    """Of the directions in which Gaussians are split."""


def train_mono(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None = None,
    options: MonoOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """Train monophones; what was trained before, if anything, is not used."""
    raise NotImplementedError
