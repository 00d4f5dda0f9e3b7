"""What the network of the stage tdnn or chain is trained on: frames, maps, and graphs of what was
said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import Trained, sentences_of
from factored_asr.training.chain.copies import speed_copies
from factored_asr.training.chain.graphs import (
    Path,
    denominator_graph,
    estimate_phones,
    numerator_graph,
    paths_of,
)
from factored_asr.training.chain.mmi import ChainGraph
from factored_asr.training.chain.options import TdnnOptions
from factored_asr.training.chain.states import STEP, entered, make_states, output_pdfs
from factored_asr.training.data import TrainingData, over_blocks
from factored_asr.training.em import realign
from factored_asr.training.sat import estimate_transforms


@dataclass(frozen=True, eq=False)
class Example:
    """One copy of an utterance."""

    frames: np.ndarray
    """(n_frames of the input, n_values) float32, behind the model's transform."""
    own_map: np.ndarray | None
    """The map of its speaker, (n_values, n_values + 1); None where there is none."""
    louder: np.ndarray
    """(n_values,) float32: how frames change where the first cepstrum rises by 1."""
    pdfs: np.ndarray
    """(n_frames of the output,) int32: of the alignment."""
    said: ChainGraph | None
    """The numerator; None where the step is 1."""

    def observed(self, *, mapped: bool, volume: float) -> np.ndarray:
        """Return the frames at another volume, behind the speaker's map if `mapped`."""
        frames = self.frames + np.float32(volume) * self.louder
        return frames if self.own_map is None or not mapped else apply_affine(self.own_map, frames)


@dataclass(frozen=True, eq=False)
class Examples:
    """All examples, and the graphs and states that they share."""

    utterances: tuple[tuple[Example, ...], ...]
    """By utterance: its copies."""
    states: GmmModel
    """Tree and Gaussians: those of the model before, or of a chain model; see `make_states`."""
    all_phones: ChainGraph | None
    """The denominator; None where the step is 1."""
    failed: int
    """Utterances left out: their texts fit no copy."""


def make_examples(
    data: TrainingData, lexicon: Lexicon, trained: Trained, options: TdnnOptions, jobs: int = 1
) -> Examples:
    """Prepare the training of a network on the alignments of a GMM.

    Copies at other speeds are aligned by the GMM, and their speakers have maps of their own. Raises
    OptionError if no utterance fits its text.
    """
    copies = [
        (copy, _aligned(copy, data, lexicon, trained, options, jobs))
        for copy in speed_copies(data, options.speeds)
    ]
    if options.step == 1:
        found = [[None if each is None else _example(copy, own, i, each.pdfs(own.model), own.model)
                  for i, each in enumerate(own.alignments)] for copy, own in copies]
        return _gathered(found, trained.model, None)
    states = make_states(data, trained, options.tree, options.n_gaussians, jobs)
    sentences = sentences_of(data, lexicon, trained.model, options.alignment)
    paths = [
        [path for block in over_blocks(_paths, copy, sentences, jobs, own, options)
         for path in block] for copy, own in copies
    ]
    silence = states.phones.index(states.silence)
    phones = estimate_phones(
        (each for _, own in copies for each in own.alignments if each is not None),
        (path for each in paths for path in each if path is not None), silence)
    found = []
    for (copy, own), said in zip(copies, paths, strict=True):
        examples: list[Example | None] = []
        for i, (alignment, path) in enumerate(zip(own.alignments, said, strict=True)):
            if alignment is None or path is None:
                examples.append(None)
                continue
            pdfs = output_pdfs(entered(alignment), states)
            graph = numerator_graph(path, phones, states, len(pdfs), options.tolerance)
            examples.append(_example(copy, own, i, pdfs, states, graph))
        found.append(examples)
    return _gathered(found, states, denominator_graph(phones, states))


def _example(
    copy: TrainingData, own: Trained, index: int, pdfs: np.ndarray, states: GmmModel,
    said: ChainGraph | None = None,
) -> Example:
    own_map = own.transforms.get(copy.utterances[index].speaker)
    frames = copy.observed(index, states.features, states.transform, {})
    return Example(frames, own_map, _louder(states), pdfs, said)


def _gathered(
    copies: Sequence[Sequence[Example | None]], states: GmmModel, all_phones: ChainGraph | None
) -> Examples:
    """Put the copies of each utterance together."""
    found = [tuple(each for each in same if each is not None)
             for same in zip(*copies, strict=True)]
    kept = tuple(each for each in found if each)
    if not kept:
        raise OptionError("no utterance is aligned")
    return Examples(kept, states, all_phones, len(found) - len(kept))


def _aligned(
    copy: TrainingData, data: TrainingData, lexicon: Lexicon, trained: Trained,
    options: TdnnOptions, jobs: int,
) -> Trained:
    """Return the GMM with alignments and maps of a copy of the data."""
    if copy is data:
        return trained
    same = {of.speaker: was.speaker for of, was in zip(copy.utterances, data.utterances,
                                                       strict=True)}
    maps = {name: trained.transforms[was] for name, was in same.items()
            if was in trained.transforms}
    own = realign(copy, lexicon, replace(trained, transforms=maps), options.alignment, jobs=jobs)
    if maps:
        own = replace(own, transforms=estimate_transforms(copy, own, jobs=jobs))
    return own


def _paths(
    data: TrainingData, sentences: Sequence, trained: Trained, options: TdnnOptions
) -> list[Path | None]:
    return paths_of(data, sentences, trained, options.alignment)


def _louder(model: GmmModel) -> np.ndarray:
    """Return how a frame before the speaker's map changes where the first cepstrum rises by 1."""
    flat = np.zeros((1 + 2 * STEP, model.features.n_cepstra), np.float32)
    flat[:, 0] = 1
    moved = model.front_end.dynamic(flat)[STEP]
    return moved if model.transform is None else model.transform[:, :-1] @ moved
