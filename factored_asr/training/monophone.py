"""Monophones from a flat start: the first stage, which needs nothing but words and sound.

Every state begins as the same Gaussian, that of all frames; the frames of an utterance are shared
out equally among the states of its words. From there on the model aligns the data, and the
alignment makes a better model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.errors import FormatError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions, align_equally, sentences_of
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Run, Trained, train_em
from factored_asr.training.schedule import Schedule
from factored_asr.training.update import UpdateOptions

FIRST_LOOP = 0.75  # probability of staying in a state, until it is counted


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
    silence_states: int = 3
    """HMM states of silence: more model it finer, and forbid short pauses."""
    soft_passes: int = 0
    """How many passes, from the first on, count every path by its probability (Baum–Welch), where
    Viterbi training counts the best one alone. Slower; a flat start needs the hedging most, later
    passes hardly."""
    seed: int = 0
    """Of the directions in which Gaussians are split."""


def train_mono(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None = None,
    options: MonoOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """Train monophones.

    Parameters
    ----------
    trained
        What was trained before, if anything, is not used.

    Raises
    ------
    MissingError
        A word has no pronunciation.
    FormatError
        No utterance is long enough for its words.
    """
    options, run = options or MonoOptions(), run or Run()
    model = flat_model(data, lexicon, options)
    sentences = sentences_of(data, lexicon, model, options.alignment)
    alignments = align_equally(data, sentences, model)
    if not any(alignments):
        raise FormatError("no utterance of the corpus is long enough for its words")
    return train_em(
        data, lexicon, Trained(model, alignments), "mono", options.schedule,
        alignment=options.alignment, update=options.update, run=run,
        soft_passes=options.soft_passes, seed=options.seed,
    )  # fmt: skip


def flat_model(data: TrainingData, lexicon: Lexicon, options: MonoOptions) -> GmmModel:
    """A model that knows nothing: the same Gaussian, that of all frames, for every state."""
    phones = tuple(sorted({*lexicon.phones, options.silence}))
    fillers = sorted({p for said in lexicon.fillers.values() for each in said for p in each.phones})
    n_states = np.where(np.array(phones) == options.silence, options.silence_states, options.states)
    shape = len(phones), int(n_states.max())
    real = np.arange(shape[1]) < n_states[:, None]
    pdfs = np.full(shape, -1, np.int32)
    n_pdfs = int(n_states.sum())
    pdfs[real] = np.arange(n_pdfs)
    mean, variance = _moments(data)
    densities = DiagonalMixtures(
        np.tile(mean, (n_pdfs, 1)), np.tile(variance, (n_pdfs, 1)), np.ones(n_pdfs),
        np.arange(n_pdfs + 1),
    )  # fmt: skip
    return GmmModel(
        phones=phones, silence=options.silence,
        fillers=tuple(dict.fromkeys((options.silence, *fillers))), features=data.options,
        densities=densities, hmm_pdfs=pdfs, hmm_phone=np.arange(len(phones)),
        hmm_loop_log_probs=np.full(shape, np.log(FIRST_LOOP)),
        hmm_exit_log_probs=np.full(shape, np.log1p(-FIRST_LOOP)),
        triphone_contexts=np.zeros((0, 4)), triphone_hmms=np.zeros(0),
    )  # fmt: skip


def _moments(data: TrainingData) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of all features, (n_features,) float64 each."""
    n = 0
    total: np.ndarray = np.zeros(1)
    squares = total
    for i in range(len(data)):
        features = data.features(i).astype(np.float64)
        n += len(features)
        total, squares = total + features.sum(axis=0), squares + np.square(features).sum(axis=0)
    mean = total / max(n, 1)
    return mean, np.maximum(squares / max(n, 1) - mean**2, 1e-8)
