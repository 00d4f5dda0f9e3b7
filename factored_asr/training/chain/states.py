"""The states of a chain model, from the alignments of a GMM.

A chain model has one state a phone, and looks at every third frame. The frame that enters the
state has a pdf of its own. So a phone has two pdfs here, and a tree ties each of them over
contexts. A GMM of two states a phone, entry and rest, holds the tree. Its Gaussians estimate
speakers' maps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.training.alignment import StateAlignment, Trained
from factored_asr.training.chain.options import STEP
from factored_asr.training.data import TrainingData
from factored_asr.training.em import collect, improve
from factored_asr.training.triphone import tie_states
from factored_asr.training.tying import TreeOptions

PASSES = 5
"""Updates of the Gaussians, which double in number until enough."""


def entered(alignment: StateAlignment) -> StateAlignment:
    """Return the alignment with states 0, entry, and 1, rest.

    A phone is entered at its first frame whose number is a multiple of `STEP`, and the frame after
    belongs to it. A phone without such a frame has the state 0 alone.

    Examples
    --------
    >>> phones = np.int32([[0, 2, 1, 0], [1, 0, 2, 1]])
    >>> given = StateAlignment(phones, np.int32([0, 0, 0, 0, 0, 0, 0, 1, 1, 1]), np.zeros(10, int))
    >>> entered(given).state.tolist()
    [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    """
    segment = alignment.segment
    begin = np.searchsorted(segment, np.arange(len(alignment.phones)))
    first = -(-begin // STEP) * STEP
    late = np.arange(len(segment)) > first[segment] + 1
    return replace(alignment, state=late.astype(np.int32))


def output_pdfs(alignment: StateAlignment, model: GmmModel) -> np.ndarray:
    """Return the pdf of each frame of the output, (ceil(n_frames / 3),) int32.

    `alignment` is one of `entered`. The first frame of a phone has its entry pdf, even where the
    phone is that of the frame before.
    """
    frames = np.arange(0, len(alignment.segment), STEP)
    segment = alignment.segment[frames]
    rest = (np.diff(segment, prepend=-1) == 0).astype(np.int32)
    hmm = model.hmm_index(*alignment.phones.T)
    return model.hmm_pdfs[hmm[segment], rest]


def make_states(
    data: TrainingData, trained: Trained, tree: TreeOptions, n_gaussians: int, jobs: int = 1
) -> GmmModel:
    """Grow the tree of a chain model, and the Gaussians of its pdfs behind the speakers' maps.

    `trained` gives alignments, the front end and the maps; its own pdfs do not count.
    """
    own = replace(trained, model=_two_states(trained.model), alignments=tuple(
        None if each is None else entered(each) for each in trained.alignments))
    own = replace(own, model=tie_states(data, own, tree, jobs=jobs))
    n_pdfs = own.model.n_pdfs
    for number in range(1, PASSES + 1):
        target = min(n_gaussians, n_pdfs << number) if number < PASSES else 0
        model, _ = improve(own.model, collect(data, own, jobs), None, target, 0.25, number)
        own = replace(own, model=model)
    return own.model


def _two_states(model: GmmModel) -> GmmModel:
    """Return a model of two states a phone, without contexts; its Gaussians are of no use."""
    n, d = len(model.phones), model.densities.n_features
    half = np.full((n, 2), np.log(0.5), np.float32)
    densities = DiagonalMixtures(np.zeros((2 * n, d), np.float32), np.ones((2 * n, d), np.float32),
                                 np.ones(2 * n, np.float32), np.arange(2 * n + 1))
    return GmmModel(
        model.phones, model.silence, model.fillers, model.features, densities,
        np.arange(2 * n).reshape(n, 2), np.arange(n), half, half, np.zeros((0, 4), np.int32),
        np.zeros(0, np.int32), model.transform,
    )
