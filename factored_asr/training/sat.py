"""The stage sat: speaker-adaptive training.

Every training speaker has an fMLLR map towards the model, and the model is trained on what the
maps make of the speech: it learns what speakers have in common (Gales 1998; Kaldi's train_sat).
A speaker not met before is decoded twice: with first-pass densities, which were trained on the
same frames without maps, then with a map estimated from what the first pass heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

import numpy as np

from factored_asr.acoustic import DiagonalMixtures, GmmModel
from factored_asr.acoustic.gmm.fmllr import FmllrOptions, fmllr, fmllr_statistics
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Run, Trained, train_em
from factored_asr.training.parallel import over
from factored_asr.training.schedule import TIED_SCHEDULE, Schedule
from factored_asr.training.speech import Block, by_speaker, speech_blocks
from factored_asr.training.triphone import tie_states
from factored_asr.training.tying import TreeOptions
from factored_asr.training.update import UpdateOptions, update


@dataclass(frozen=True)
class SatOptions:
    """How speakers are mapped, and the model behind their maps. The schedule is Kaldi's."""

    fmllr_passes: tuple[int, ...] = (2, 4, 6, 12)
    """Passes before which the speakers' maps are estimated anew."""
    fmllr: FmllrOptions = field(default_factory=FmllrOptions)
    """How freely a map may move."""
    silence_weight: float = 0.0
    """How much frames of silence count for the maps, in [0, 1]."""
    tree: TreeOptions = field(default_factory=TreeOptions)
    """How finely contexts are told apart."""
    schedule: Schedule = replace(TIED_SCHEDULE, power=0.2, richness=2.0)
    """Passes, alignments and Gaussians: twice as many as of speakers as they are. On the tuning
    speakers of AN4 that erred less, on those of accented English no more."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How transcripts are laid over speech."""
    update: UpdateOptions = field(default_factory=UpdateOptions)
    """Which Gaussians live."""
    seed: int = 0
    """Of the directions in which Gaussians are split."""

    def __post_init__(self) -> None:
        if not 0 <= self.silence_weight <= 1:
            raise OptionError(f"silence_weight is {self.silence_weight}, must lie in [0, 1]")


def train_sat(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None,
    options: SatOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """Train a model behind the maps of its speakers, from another's alignments.

    Returns
    -------
    The model with its first-pass densities, and the maps of the training speakers.

    Raises
    ------
    OptionError
        Nothing was trained before, or nothing is aligned.
    """
    options, run = options or SatOptions(), run or Run()
    if trained is None:
        raise OptionError("the stage sat needs alignments: train lda_mllt or triphones first")
    if run.begun:
        _, trained = run.begun
    else:
        trained = replace(
            trained, transforms=estimate_transforms(data, trained, options, run.jobs)
        )
        trained = replace(trained, model=tie_states(data, trained, options.tree, jobs=run.jobs))

    def adapt(number: int, trained: Trained) -> Trained:
        if number not in options.fmllr_passes:
            return trained
        return replace(trained, transforms=estimate_transforms(data, trained, options, run.jobs))

    trained = train_em(
        data, lexicon, trained, "sat", options.schedule, alignment=options.alignment,
        update=options.update, run=run, before_pass=adapt, seed=options.seed,
    )  # fmt: skip
    return replace(trained, model=with_first_pass(data, trained, options.update, run.jobs))


def estimate_transforms(
    data: TrainingData, trained: Trained, options: SatOptions | None = None, jobs: int = 1
) -> dict[str, np.ndarray]:
    """Speaker → fMLLR by the alignments there are, from the maps found so far on.

    A speaker none of whose utterances is aligned has none.
    """
    options = options or SatOptions()
    groups = by_speaker(data)
    blocks = speech_blocks(data, trained, groups.values(), options.silence_weight)
    tasks = []
    for block in blocks:
        speaker = block.data.utterances[0].speaker
        start = trained.transforms.get(speaker)
        model = trained.model
        tasks.append(
            (block, model.densities, model.features, model.transform, start, options.fmllr)
        )
    maps = over(_speaker_transform, tasks, jobs)
    return {
        block.data.utterances[0].speaker: affine
        for block, affine in zip(blocks, maps, strict=True)
    }


def _speaker_transform(
    block: Block, densities: DiagonalMixtures, features: FeatureOptions,
    transform: np.ndarray | None, start: np.ndarray | None, options: FmllrOptions,
) -> np.ndarray:
    frames = block.features(features, transform)
    heard = frames if start is None else apply_affine(start, frames)
    statistics = fmllr_statistics(densities, frames, block.pdfs, block.weights, heard)
    return fmllr(statistics, options, start=start)


def with_first_pass(
    data: TrainingData, trained: Trained, options: UpdateOptions | None = None, jobs: int = 1
) -> GmmModel:
    """Add densities for speakers without a map: the same Gaussians, of the frames as they are.

    Posteriors are those of the model behind the maps (Kaldi's two-feature statistics), so a
    Gaussian keeps its place, and one pass suffices.
    """
    model = trained.model
    if not isinstance(model.densities, DiagonalMixtures):
        raise OptionError("first-pass densities are for plain mixtures, not for tied ones")
    tasks = [
        (block, model.densities, model.features, model.transform, dict(trained.transforms))
        for block in speech_blocks(data, trained, silence_weight=1.0)
    ]
    total = reduce(add, over(_two_feature_statistics, tasks, jobs))
    return replace(model, first_pass=update(model.densities, total, options).densities)


def _two_feature_statistics(
    block: Block, densities: DiagonalMixtures, features: FeatureOptions,
    transform: np.ndarray | None, transforms: Mapping[str, np.ndarray],
) -> GaussianStatistics:
    frames = block.features(features, transform)
    heard = block.features(features, transform, transforms)
    return accumulate(densities, frames, block.pdfs, block.weights, heard)
