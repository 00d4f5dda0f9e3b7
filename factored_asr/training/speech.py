"""Training frames with the pdfs they are aligned to, in blocks that processes can share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.acoustic.gmm.transforms import apply_affine, compose
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Trained


@dataclass(frozen=True, eq=False)
class Block:
    """Some utterances, with what a worker needs to know of their alignments."""

    data: TrainingData
    pdfs: np.ndarray
    """(n_frames,) of all utterances, one after the other."""
    weights: np.ndarray
    """(n_frames,) float64: 1 for speech, less for silence and fillers."""

    def features(
        self,
        options: FeatureOptions,
        transform: np.ndarray | None = None,
        transforms: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Frames of all utterances, (n_frames, n_features), behind the transform of the model and
        those of their speakers."""
        frames = []
        for i, utterance in enumerate(self.data.utterances):
            own = None if transforms is None else transforms.get(utterance.speaker)
            affine = transform if own is None else compose(own, transform)
            x = self.data.features(i, options)
            frames.append(x if affine is None else apply_affine(affine, x))
        return np.concatenate(frames)


def speech_blocks(
    data: TrainingData,
    trained: Trained,
    groups: Iterable[Sequence[int]] | None = None,
    silence_weight: float = 0.0,
) -> list[Block]:
    """The aligned utterances in blocks: those of the data, or groups such as speakers.

    A group none of whose utterances is aligned has no block.

    Raises
    ------
    OptionError
        Nothing at all is aligned.
    """
    model = trained.model
    fillers = np.isin(np.arange(len(model.phones)), [model.phones.index(p) for p in model.fillers])
    blocks = []
    for group in data.blocks() if groups is None else groups:
        chosen = [i for i in group if trained.alignments[i] is not None]
        pdfs, weights = [], []
        for i in chosen:
            alignment = trained.alignments[i]
            assert alignment is not None
            pdfs.append(alignment.pdfs(model))
            silent = fillers[alignment.phones[alignment.segment, 0]]
            weights.append(np.where(silent, silence_weight, 1.0))
        if chosen:
            blocks.append(Block(data.select(chosen), np.concatenate(pdfs), np.concatenate(weights)))
    if not blocks:
        raise OptionError("no utterance is aligned")
    return blocks


def by_speaker(data: TrainingData) -> dict[str, list[int]]:
    """The utterances of each speaker, speakers sorted."""
    groups: dict[str, list[int]] = {speaker: [] for speaker in data.speakers}
    for i, utterance in enumerate(data.utterances):
        groups[utterance.speaker].append(i)
    return groups
