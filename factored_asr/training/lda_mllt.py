"""The stage lda_mllt: features learnt from data, in place of deltas.

Frames are spliced with their neighbours. LDA keeps the dimensions that separate the pdfs. MLLT
turns them so that diagonal covariances fit (Haeb-Umbach and Ney 1992; Gales 1999).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

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
from factored_asr.training.alignment import Trained
from factored_asr.training.blocks import Block, speech_blocks
from factored_asr.training.data import TrainingData
from factored_asr.training.em import EmOptions, Run, mixtures_of, needed, train_em
from factored_asr.training.parallel import summed
from factored_asr.training.schedule import TIED_SCHEDULE, Schedule
from factored_asr.training.triphone import tie_states
from factored_asr.training.tying import TreeOptions


@dataclass(frozen=True)
class LdaMlltOptions(EmOptions):
    """How the features are learnt, and the model over them."""

    schedule: Schedule = TIED_SCHEDULE
    """Passes, alignments and Gaussians, as in Kaldi."""
    splice: int = 4
    """Frames on each side that LDA takes. Higher: longer movements, more to estimate."""
    n_features: int = 40
    """Dimensions that LDA keeps."""
    mllt_passes: tuple[int, ...] = (2, 4, 6, 12)
    """Passes before which MLLT is estimated."""
    silence_weight: float = 0.0
    """Weight of frames of silence for LDA and MLLT, in [0, 1]."""
    tree: TreeOptions = field(default_factory=TreeOptions)
    """How finely contexts are told apart."""

    def __post_init__(self) -> None:
        if self.splice < 1 or self.n_features < 1 or not 0 <= self.silence_weight <= 1:
            raise OptionError(
                f"splice {self.splice} and n_features {self.n_features} must be at least 1, "
                f"silence_weight {self.silence_weight} in [0, 1]"
            )


def train_lda_mllt(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None,
    options: LdaMlltOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train triphones over learnt features, from the alignments of a simpler model."""
    options, run = options or LdaMlltOptions(), run or Run()
    before = needed(trained, "lda_mllt", "tri")

    def begin() -> Trained:
        features = replace(before.model.features, splice=options.splice)
        transform = estimate_lda(data, before, features, options, run.jobs)
        plain = replace(before, transforms={})
        return replace(plain, model=tie_states(
            data, plain, options.tree, features=features, transform=transform, jobs=run.jobs
        ))  # fmt: skip

    def turn(number: int, trained: Trained) -> Trained:
        if number not in options.mllt_passes:
            return trained
        return apply_mllt(trained, estimate_mllt(data, trained, options.silence_weight, run.jobs))

    return train_em(data, lexicon, begin, "lda_mllt", options, run, before_pass=turn)


def estimate_lda(
    data: TrainingData, trained: Trained, features: FeatureOptions, options: LdaMlltOptions,
    jobs: int = 1,
) -> np.ndarray:
    """Return LDA whose classes are the pdfs of the alignments, (n_features, n_spliced + 1)."""
    blocks = speech_blocks(data, trained, silence_weight=options.silence_weight)
    total = summed(_class_statistics, blocks, jobs, features)
    return lda(total, min(options.n_features, features.n_features))


def _class_statistics(block: Block, features: FeatureOptions) -> ClassStatistics:
    frames = block.frames_of(features, None, mapped=False)
    return ClassStatistics.of(frames, block.pdfs, block.model.n_pdfs, block.weights)


def estimate_mllt(
    data: TrainingData, trained: Trained, silence_weight: float = 0.0, jobs: int = 1
) -> np.ndarray:
    """Return MLLT for the model's diagonal covariances, (n_features, n_features)."""
    mixtures_of(trained.model)
    blocks = speech_blocks(data, trained, silence_weight=silence_weight)
    return mllt(summed(_mllt_statistics, blocks, jobs))


def _mllt_statistics(block: Block) -> MlltStatistics:
    frames = block.frames(mapped=False)
    return mllt_statistics(mixtures_of(block.model), frames, block.pdfs, block.weights)


def apply_mllt(trained: Trained, matrix: np.ndarray) -> Trained:
    """Turn features and means alike; variances follow with the next update."""
    model = trained.model
    affine = np.hstack([matrix, np.zeros((len(matrix), 1))])
    means = apply_affine(affine, model.densities.means)
    densities, transform = replace(model.densities, means=means), compose(affine, model.transform)
    return replace(trained, model=replace(model, densities=densities, transform=transform))
