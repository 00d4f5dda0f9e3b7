"""Triphones: the pdf of a state depends on the neighbour phones, as far as the data show.

The alignments of a simpler model give the statistics of every context, these the tree. Its leaves
begin as single Gaussians, which the usual passes grow into mixtures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic import DecisionTree, DiagonalMixtures, GmmModel
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import Trained
from factored_asr.training.blocks import Block, speech_blocks
from factored_asr.training.data import TrainingData
from factored_asr.training.em import EmOptions, Run, needed, train_em
from factored_asr.training.parallel import summed
from factored_asr.training.schedule import TIED_SCHEDULE, Schedule
from factored_asr.training.tying import (
    ContextStatistics,
    TreeOptions,
    context_statistics,
    grow_tree,
    variances,
)


@dataclass(frozen=True)
class TriphoneOptions(EmOptions):
    """How triphones are trained."""

    schedule: Schedule = TIED_SCHEDULE
    """The passes, as in Kaldi's train_deltas."""
    tree: TreeOptions = field(default_factory=TreeOptions)
    """How finely contexts are told apart."""


def train_triphones(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None,
    options: TriphoneOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train the stage ``tri``: states tied by decision trees, then mixtures.

    `trained` is a model with alignments of the data, such as monophones.
    """
    options, run, before = options or TriphoneOptions(), run or Run(), needed(trained, "tri")

    def begin() -> Trained:
        return replace(before, model=tie_states(data, before, options.tree, jobs=run.jobs))

    return train_em(data, lexicon, begin, "tri", options, run)


def tie_states(
    data: TrainingData, trained: Trained, options: TreeOptions | None = None, *,
    features: FeatureOptions | None = None, transform: np.ndarray | None = None, jobs: int = 1,
) -> GmmModel:
    """Return a model of one Gaussian per pdf; the pdfs are leaves of a tree grown on the data.

    `trained` gives alignments, phones and transitions, and speakers' transforms if there are any;
    `features` and `transform` are another front end than its model's.
    """
    options, old = options or TreeOptions(), trained.model
    if features is None:
        features, transform = old.features, old.transform
    statistics = gather_contexts(data, trained, features, transform, jobs)
    silence, fillers = _places(old, (old.silence,)), _places(old, old.fillers)
    n_phones = len(old.phones)
    n_states = (old.hmm_pdfs[:n_phones] >= 0).sum(axis=1)
    whole = tuple(sorted({*silence, *fillers}))
    tree = grow_tree(statistics, old.phones, n_states, options, whole)
    tied = tree.tied_hmms(silence[0], fillers)
    densities = single_gaussians(tree, statistics, options.variance_floor)
    return GmmModel(
        old.phones, old.silence, old.fillers, features, densities, **tied._asdict(),
        hmm_loop_log_probs=old.hmm_loop_log_probs[tied.hmm_phone],
        hmm_exit_log_probs=old.hmm_exit_log_probs[tied.hmm_phone], transform=transform, tree=tree,
    )  # fmt: skip


def gather_contexts(
    data: TrainingData, trained: Trained, features: FeatureOptions, transform: np.ndarray | None,
    jobs: int = 1,
) -> ContextStatistics:
    """Take statistics of the states of all phones in context, by the alignments."""
    blocks = speech_blocks(data, trained, silence_weight=1.0)
    return summed(_of_block, blocks, jobs, features, transform)


def _of_block(
    block: Block, features: FeatureOptions, transform: np.ndarray | None
) -> ContextStatistics:
    counts_as = np.arange(len(block.model.phones))  # as a neighbour, a filler counts as silence
    silence, *fillers = _places(block.model, (block.model.silence, *block.model.fillers))
    counts_as[fillers] = silence
    contexts = []
    for alignment in block.alignments:
        phones = alignment.phones.copy()
        phones[:, 1:3] = counts_as[phones[:, 1:3]]
        contexts.append(np.column_stack([phones[alignment.segment], alignment.state]))
    return context_statistics(block.frames_of(features, transform), np.concatenate(contexts))


def single_gaussians(
    tree: DecisionTree, statistics: ContextStatistics, floor: float
) -> DiagonalMixtures:
    """Return one Gaussian for each pdf; a pdf without frames has that of all frames."""
    pdf = tree.pdfs(*statistics.contexts.T)
    pooled = np.zeros((tree.n_pdfs, statistics.statistics.shape[1]))
    np.add.at(pooled, pdf, statistics.statistics)
    pooled[pooled[:, 0] == 0] = statistics.statistics.sum(axis=0)
    n = pooled.shape[1] // 2
    means = pooled[:, 1 : n + 1] / pooled[:, :1]
    variance = np.maximum(variances(pooled), statistics.floor(floor))
    return DiagonalMixtures(means, variance, np.ones(len(pooled)), np.arange(len(pooled) + 1))


def _places(model: GmmModel, phones: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(model.phones.index(phone) for phone in phones)
