"""The stage sat: speaker-adaptive training.

Every training speaker has an fMLLR map towards the model, and the model is trained on the mapped
frames: it learns what speakers have in common (Gales 1998; Kaldi's train_sat). New speakers are
decoded twice: with first-pass densities, which were trained on the same frames without maps, then
with a map estimated from the first hypothesis.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.fmllr import FmllrOptions, fmllr, fmllr_statistics
from factored_asr.acoustic.gmm.statistics import GaussianStatistics, accumulate
from factored_asr.acoustic.gmm.transforms import apply_affine
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import Trained
from factored_asr.training.blocks import Block, by_speaker, speech_blocks
from factored_asr.training.data import TrainingData
from factored_asr.training.em import EmOptions, Run, mixtures_of, needed, train_em
from factored_asr.training.parallel import over, summed
from factored_asr.training.schedule import TIED_SCHEDULE, Schedule
from factored_asr.training.triphone import tie_states
from factored_asr.training.tying import TreeOptions
from factored_asr.training.update import UpdateOptions, update


@dataclass(frozen=True)
class SatOptions(EmOptions):
    """How speakers are mapped, and the model behind their maps."""

    schedule: Schedule = replace(TIED_SCHEDULE, power=0.2, richness=2.0)
    """Passes and alignments as in Kaldi; twice as many Gaussians as without maps. On the tuning
    speakers of AN4 that gave fewer errors, on those of accented English no more."""
    fmllr_passes: tuple[int, ...] = (2, 4, 6, 12)
    """Passes before which the speakers' maps are estimated."""
    fmllr: FmllrOptions = field(default_factory=FmllrOptions)
    """How freely a map may move."""
    silence_weight: float = 0.0
    """Weight of frames of silence for the maps, in [0, 1]."""
    tree: TreeOptions = field(default_factory=TreeOptions)
    """How finely contexts are told apart."""

    def __post_init__(self) -> None:
        if not 0 <= self.silence_weight <= 1:
            raise OptionError(f"silence_weight is {self.silence_weight}, must lie in [0, 1]")


def train_sat(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None,
    options: SatOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train a model behind the maps of its speakers, from another's alignments.

    Return it with its first-pass densities and the maps of the training speakers.
    """
    options, run = options or SatOptions(), run or Run()
    before = needed(trained, "sat", "lda_mllt")

    def mapped(trained: Trained) -> Trained:
        return replace(trained, transforms=estimate_transforms(data, trained, options, run.jobs))

    def begin() -> Trained:
        adapted = mapped(before)
        return replace(adapted, model=tie_states(data, adapted, options.tree, jobs=run.jobs))

    def adapt(number: int, trained: Trained) -> Trained:
        return mapped(trained) if number in options.fmllr_passes else trained

    done = train_em(data, lexicon, begin, "sat", options, run, before_pass=adapt)
    return replace(done, model=with_first_pass(data, done, options.update, run.jobs))


def estimate_transforms(
    data: TrainingData, trained: Trained, options: SatOptions | None = None, jobs: int = 1
) -> dict[str, np.ndarray]:
    """Return speaker → fMLLR by the present alignments, starting from the present maps.

    A speaker without an aligned utterance has none.
    """
    options = options or SatOptions()
    groups = by_speaker(data).values()
    blocks = speech_blocks(data, trained, groups, options.silence_weight)
    maps = over(_speaker_transform, [(block, options.fmllr) for block in blocks], jobs)
    speakers = [block.data.utterances[0].speaker for block in blocks]
    return dict(zip(speakers, maps, strict=True))


def _speaker_transform(block: Block, options: FmllrOptions) -> np.ndarray:
    frames, start = block.frames(mapped=False), next(iter(block.transforms.values()), None)
    seen = frames if start is None else apply_affine(start, frames)
    statistics = fmllr_statistics(block.model.densities, frames, block.pdfs, block.weights, seen)
    return fmllr(statistics, options, start=start)


def with_first_pass(
    data: TrainingData, trained: Trained, options: UpdateOptions | None = None, jobs: int = 1
) -> GmmModel:
    """Add densities for speakers without a map: the same Gaussians, of the frames without maps.

    Posteriors are those of the model behind the maps (Kaldi's two-feature statistics), so a
    Gaussian keeps its place, and one pass suffices.
    """
    densities = mixtures_of(trained.model)
    blocks = speech_blocks(data, trained, silence_weight=1.0)
    statistics = summed(_two_feature_statistics, blocks, jobs)
    return replace(trained.model, first_pass=update(densities, statistics, options).densities)


def _two_feature_statistics(block: Block) -> GaussianStatistics:
    plain, mapped = block.frames(mapped=False), block.frames()
    return accumulate(block.model.densities, plain, block.pdfs, block.weights, mapped)
