"""Aligned frames of training data, in blocks that processes can share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.training.alignment import StateAlignment, Trained
from factored_asr.training.data import TrainingData


@dataclass(frozen=True, eq=False)
class Block:
    """Some aligned utterances, with all that a process needs to take statistics of them."""

    data: TrainingData
    model: GmmModel
    """The model of the alignments, without its table of contexts, which may be large."""
    transforms: Mapping[str, np.ndarray]
    """Speaker → fMLLR, of the speakers that have one."""
    alignments: tuple[StateAlignment, ...]
    pdfs: np.ndarray
    """(n_frames,) of all utterances, one after the other."""
    weights: np.ndarray
    """(n_frames,) float64: 1 for speech, another weight for silence and fillers."""

    def frames(self, *, mapped: bool = True) -> np.ndarray:
        """Return the frames of all utterances as the model's densities take them.

        If `mapped`, the speakers' maps apply after the model's transform.
        """
        return self.frames_of(self.model.features, self.model.transform, mapped=mapped)

    def frames_of(
        self, features: FeatureOptions, transform: np.ndarray | None, *, mapped: bool = True
    ) -> np.ndarray:
        """Return the frames of another front end and transform, (n_frames, n_features)."""
        transforms = self.transforms if mapped else {}
        return np.concatenate([
            self.data.observed(i, features, transform, transforms) for i in range(len(self.data))
        ])


def speech_blocks(
    data: TrainingData, trained: Trained, groups: Iterable[Sequence[int]] | None = None,
    silence_weight: float = 0.0,
) -> list[Block]:
    """Return the aligned utterances in blocks: those of the data, or groups such as speakers.

    A group without an aligned utterance has no block. Raises OptionError if there is no block.
    """
    model, none = trained.model, np.zeros(0, np.int32)
    light = replace(model, triphone_contexts=none.reshape(0, 4), triphone_hmms=none, tree=None)
    fillers = np.isin(model.phones, model.fillers)
    blocks = []
    for group in data.blocks() if groups is None else groups:
        chosen = [i for i in group if trained.alignments[i] is not None]
        if chosen:
            alignments = tuple(a for i in chosen if (a := trained.alignments[i]) is not None)
            centres = np.concatenate([a.phones[a.segment, 0] for a in alignments])
            own = data.select(chosen)
            blocks.append(Block(
                own, light, {s: m for s, m in trained.transforms.items() if s in own.speakers},
                alignments, np.concatenate([a.pdfs(model) for a in alignments]),
                np.where(fillers[centres], silence_weight, 1.0),
            ))  # fmt: skip
    if not blocks:
        raise OptionError("no utterance is aligned")
    return blocks


def by_speaker(data: TrainingData) -> dict[str, list[int]]:
    """Return the utterances of each speaker, speakers sorted."""
    groups: dict[str, list[int]] = {speaker: [] for speaker in data.speakers}
    for i, utterance in enumerate(data.utterances):
        groups[utterance.speaker].append(i)
    return groups
