"""The stage lda_mllt: features learnt from data, in place of deltas.

Frames are spliced with their neighbours; LDA keeps of them what tells the pdfs apart; MLLT turns
what is kept so that diagonal covariances fit it (Haeb-Umbach and Ney 1992; Gales 1999).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

import numpy as np

from factored_asr.acoustic import DiagonalMixtures
from factored_asr.acoustic.gmm.statistics import mllt_statistics
from factored_asr.acoustic.gmm.transforms import (
    ClassStatistics,
    MlltStatistics,
    apply_affine,
    compose,
    lda,
    mllt,
)
from factored_asr.errors import OptionError
from factored_asr.features import FeatureOptions
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Run, Trained, train_em
from factored_asr.training.parallel import over
from factored_asr.training.schedule import TIED_SCHEDULE, Schedule
from factored_asr.training.speech import Block, speech_blocks
from factored_asr.training.triphone import tie_states
from factored_asr.training.tying import TreeOptions
from factored_asr.training.update import UpdateOptions


@dataclass(frozen=True)
class LdaMlltOptions:
    """How the features are learnt, and the model over them. The schedule is Kaldi's."""

    splice: int = 4
    """Frames to each side that LDA sees. More: longer movements, more to estimate."""
    n_features: int = 40
    """Dimensions that LDA keeps."""
    mllt_passes: tuple[int, ...] = (2, 4, 6, 12)
    """Passes before which the features are turned."""
    silence_weight: float = 0.0
    """How much frames of silence count for LDA and MLLT, in [0, 1]."""
    tree: TreeOptions = field(default_factory=TreeOptions)
    """How finely contexts are told apart."""
    schedule: Schedule = TIED_SCHEDULE
    """Passes, alignments and Gaussians."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How transcripts are laid over speech."""
    update: UpdateOptions = field(default_factory=UpdateOptions)
    """Which Gaussians live."""
    seed: int = 0
    """Of the directions in which Gaussians are split."""

    def __post_init__(self) -> None:
        if self.splice < 1 or self.n_features < 1 or not 0 <= self.silence_weight <= 1:
            raise OptionError(
                f"splice {self.splice} and n_features {self.n_features} must be at least 1, "
                f"silence_weight {self.silence_weight} in [0, 1]"
            )


def train_lda_mllt(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None,
    options: LdaMlltOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """Train triphones over learnt features, from the alignments of a simpler model.

    Raises
    ------
    OptionError
        Nothing was trained before, or nothing is aligned.
    """
    options, run = options or LdaMlltOptions(), run or Run()
    if trained is None:
        raise OptionError("the stage lda_mllt needs alignments: train triphones first")
    if run.begun:
        _, trained = run.begun
    else:
        features = replace(trained.model.features, splice=options.splice)
        transform = estimate_lda(data, trained, features, options, run.jobs)
        plain = replace(trained, transforms={})
        model = tie_states(
            data, plain, options.tree, features=features, transform=transform, jobs=run.jobs
        )
        trained = replace(plain, model=model)

    def turn(number: int, trained: Trained) -> Trained:
        if number not in options.mllt_passes:
            return trained
        return apply_mllt(trained, estimate_mllt(data, trained, options.silence_weight, run.jobs))

    return train_em(
        data, lexicon, trained, "lda_mllt", options.schedule, alignment=options.alignment,
        update=options.update, run=run, before_pass=turn, seed=options.seed,
    )  # fmt: skip


def estimate_lda(
    data: TrainingData,
    trained: Trained,
    features: FeatureOptions,
    options: LdaMlltOptions,
    jobs: int = 1,
) -> np.ndarray:
    """(n_features, n_spliced + 1): LDA whose classes are the pdfs that frames are aligned to."""
    n_pdfs = trained.model.n_pdfs
    blocks = speech_blocks(data, trained, silence_weight=options.silence_weight)
    tasks = [(block, features, n_pdfs) for block in blocks]
    total = reduce(add, over(_class_statistics, tasks, jobs))
    return lda(total, min(options.n_features, features.n_features))


def _class_statistics(block: Block, features: FeatureOptions, n_pdfs: int) -> ClassStatistics:
    frames = block.features(features)
    return ClassStatistics.of(frames, block.pdfs, n_pdfs, block.weights)


def estimate_mllt(
    data: TrainingData, trained: Trained, silence_weight: float = 0.0, jobs: int = 1
) -> np.ndarray:
    """(n_features, n_features): how to turn the features for the model's diagonal covariances."""
    model = trained.model
    if not isinstance(model.densities, DiagonalMixtures):
        raise OptionError("MLLT is for plain mixtures, not for tied ones")
    tasks = [
        (block, model.densities, model.features, model.transform)
        for block in speech_blocks(data, trained, silence_weight=silence_weight)
    ]
    return mllt(reduce(add, over(_mllt_statistics, tasks, jobs)))


def _mllt_statistics(
    block: Block,
    densities: DiagonalMixtures,
    features: FeatureOptions,
    transform: np.ndarray | None,
) -> MlltStatistics:
    frames = block.features(features, transform)
    return mllt_statistics(densities, frames, block.pdfs, block.weights)


def apply_mllt(trained: Trained, matrix: np.ndarray) -> Trained:
    """Turn features and means alike; variances follow with the next update."""
    model = trained.model
    affine = np.hstack([matrix, np.zeros((len(matrix), 1))])
    means = apply_affine(affine, model.densities.means)
    turned = replace(
        model, densities=replace(model.densities, means=means),
        transform=compose(affine, model.transform),
    )  # fmt: skip
    return replace(trained, model=turned)
