"""Triphones: a state's pdf depends on the phones next to it, as far as the data tell them apart.

From the alignments of a simpler model follow the statistics of every context, from these the
tree, and from the leaves single Gaussians that the usual passes grow into mixtures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

import numpy as np

from factored_asr.acoustic import DecisionTree, DiagonalMixtures, GmmModel
from factored_asr.acoustic.gmm.transforms import apply_affine, compose
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions, StateAlignment
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Run, Trained, train_em
from factored_asr.training.parallel import over
from factored_asr.training.schedule import TIED_SCHEDULE, Schedule
from factored_asr.training.tying import (
    ContextStatistics,
    TreeOptions,
    context_statistics,
    grow_tree,
    variances,
)
from factored_asr.training.update import UpdateOptions


@dataclass(frozen=True)
class TriphoneOptions:
    """How triphones are trained."""

    tree: TreeOptions = field(default_factory=TreeOptions)
    """How finely contexts are told apart."""
    schedule: Schedule = TIED_SCHEDULE
    """The passes, as in Kaldi's train_deltas."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    update: UpdateOptions = field(default_factory=UpdateOptions)
    seed: int = 0
    """Of the directions in which Gaussians are split."""


def train_triphones(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None,
    options: TriphoneOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """The stage ``tri``: states tied by decision trees, then mixtures.

    Parameters
    ----------
    trained
        A model with alignments of the data, such as monophones.

    Raises
    ------
    OptionError
        There is no model, or nothing is aligned.
    """
    options, run = options or TriphoneOptions(), run or Run()
    if trained is None:
        raise OptionError("triphones need alignments: put another stage, such as mono, before them")
    if run.begun:
        _, trained = run.begun
    else:
        model = tie_states(data, trained, options.tree, jobs=run.jobs)
        trained = replace(trained, model=model)
    return train_em(
        data, lexicon, trained, "tri", options.schedule, alignment=options.alignment,
        update=options.update, run=run, seed=options.seed,
    )  # fmt: skip


def tie_states(
    data: TrainingData,
    trained: Trained,
    options: TreeOptions | None = None,
    *,
    features: FeatureOptions | None = None,
    transform: np.ndarray | None = None,
    jobs: int = 1,
) -> GmmModel:
    """A model of one Gaussian a pdf, its pdfs the leaves of a tree grown on aligned data.

    Parameters
    ----------
    trained
        Alignments, and the model that gives phones and transitions; speakers' transforms are
        applied where there are any.
    features, transform
        Another front end and another affine map of its features than the model has; given
        together or not at all.
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
    loop, leave = (
        table[:n_phones][tied.hmm_phone] for table in (old.hmm_loop_log_probs,
                                                       old.hmm_exit_log_probs)
    )  # fmt: skip
    return GmmModel(
        old.phones, old.silence, old.fillers, features, densities, tied.hmm_pdfs, tied.hmm_phone,
        loop, leave, tied.triphone_contexts, tied.triphone_hmms, transform, tree,
    )  # fmt: skip


def gather_contexts(
    data: TrainingData,
    trained: Trained,
    features: FeatureOptions,
    transform: np.ndarray | None,
    jobs: int = 1,
) -> ContextStatistics:
    """Statistics of the states of all phones in context, by the alignments there are.

    Raises
    ------
    OptionError
        Nothing is aligned.
    """
    heard_as = np.arange(len(trained.model.phones))
    fillers = _places(trained.model, trained.model.fillers)
    heard_as[list(fillers)] = trained.model.phones.index(trained.model.silence)
    tasks = []
    for block in data.blocks():
        aligned = [i for i in block if trained.alignments[i] is not None]
        if aligned:
            alignments = [trained.alignments[i] for i in aligned]
            tasks.append((data.select(aligned), alignments, features, transform,
                          trained.transforms, heard_as))  # fmt: skip
    if not tasks:
        raise OptionError("no utterance is aligned: there is nothing to grow a tree on")
    return reduce(add, over(_of_block, tasks, jobs))


def _of_block(
    data: TrainingData, alignments: list[StateAlignment], features: FeatureOptions,
    transform: np.ndarray | None, transforms: Mapping[str, np.ndarray], heard_as: np.ndarray,
) -> ContextStatistics:
    frames, contexts = [], []
    for i, alignment in enumerate(alignments):
        own = transforms.get(data.utterances[i].speaker)
        affine = transform if own is None else compose(own, transform)
        x = data.features(i, features)
        frames.append(x if affine is None else apply_affine(affine, x))
        phones = alignment.phones.copy()
        phones[:, 1:3] = heard_as[phones[:, 1:3]]
        contexts.append(np.column_stack([phones[alignment.segment], alignment.state]))
    return context_statistics(np.concatenate(frames), np.concatenate(contexts))


def single_gaussians(
    tree: DecisionTree, statistics: ContextStatistics, floor: float
) -> DiagonalMixtures:
    """One Gaussian for each pdf; a pdf that no frame belongs to has that of all frames."""
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
