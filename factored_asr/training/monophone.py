"""The stage mono: monophones from a flat start, which needs words and sound alone.

All states begin with the same Gaussian, that of all frames, and the frames of an utterance are
distributed equally over the states of its words. Then re-alignments and updates take turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.errors import FormatError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import Trained, align_equally, sentences_of
from factored_asr.training.data import TrainingData
from factored_asr.training.em import EmOptions, Run, train_em

FIRST_LOOP = 0.75  # probability of staying in a state, until it is counted


@dataclass(frozen=True)
class MonoOptions(EmOptions):
    """How monophones are trained."""

    silence: str = "SIL"
    """The phone of silence."""
    states: int = 3
    """HMM states of a phone, and the fewest frames it lasts."""
    silence_states: int = 3
    """HMM states of silence. Higher: a finer model, which forbids short pauses."""
    soft_passes: int = 0
    """First passes that count every path by its probability (Baum–Welch) instead of the best path
    alone. Slower; it helps most after a flat start."""


def train_mono(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None = None,
    options: MonoOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train monophones; `trained` is not used.

    Raises MissingError if a word has no pronunciation, FormatError if no utterance is long enough
    for its words.
    """
    options, run = options or MonoOptions(), run or Run()
    model = flat_model(data, lexicon, options)
    sentences = sentences_of(data, lexicon, model, options.alignment)
    alignments = align_equally(data, sentences, model)
    if not any(alignments):
        raise FormatError("no utterance of the corpus is long enough for its words")
    begin = Trained(model, alignments)
    return train_em(data, lexicon, begin, "mono", options, run, soft_passes=options.soft_passes)


def flat_model(data: TrainingData, lexicon: Lexicon, options: MonoOptions) -> GmmModel:
    """Return a model whose states all have the same Gaussian, that of all frames."""
    phones = tuple(sorted({*lexicon.phones, options.silence}))
    sounds = [each for ways in lexicon.fillers.values() for each in ways]
    fillers = sorted({phone for each in sounds for phone in each.phones})
    n_states = np.where(np.array(phones) == options.silence, options.silence_states, options.states)
    shape, n_pdfs = (len(phones), int(n_states.max())), int(n_states.sum())
    pdfs = np.full(shape, -1, np.int32)
    pdfs[np.arange(shape[1]) < n_states[:, None]] = np.arange(n_pdfs)
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
    """Return mean and variance of all features, (n_features,) float64 each."""
    n = data.options.n_features
    one = DiagonalMixtures(np.zeros((1, n)), np.ones((1, n)), np.ones(1), np.arange(2))
    total = GaussianStatistics.zeros(one)
    for i in range(len(data)):
        frames = data.features(i)
        total += accumulate(one, frames, np.zeros(len(frames), int))
    first, second = (sums[0] / max(total.frames, 1) for sums in (total.first, total.second))
    return first, np.maximum(second - first**2, 1e-8)
