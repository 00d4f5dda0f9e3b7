"""The stage fold_in: some passes more, over more speakers than a model was trained on.

The weight of the language model is tuned on speakers that the model was not trained on. After
tuning, the model learns from them, too. Contexts, features and the number of Gaussians stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from factored_asr._deprecated import renamed_fields
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions, Trained
from factored_asr.training.data import TrainingData
from factored_asr.training.em import EmOptions, Run, needed, realign, train_em
from factored_asr.training.sat import estimate_transforms, with_first_pass
from factored_asr.training.schedule import Schedule
from factored_asr.training.update import UpdateOptions


@renamed_fields({"anew": "realign"})  # old name
@dataclass(frozen=True)
class FoldInOptions:
    """How long a model learns from all speakers."""

    passes: int = 4
    """Updates of the model. On AN4 twice as many gained nothing."""
    realign: tuple[int, ...] = (1, 3)
    """Passes (from 1) before which the data are re-aligned, and speakers' maps re-estimated if
    the model has them."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How texts are aligned with speech."""
    update: UpdateOptions = field(default_factory=UpdateOptions)
    """When Gaussians are dropped, and their lowest variance."""

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise OptionError(f"passes must be at least 1, got {self.passes}")


def train_fold_in(
    data: TrainingData, lexicon: Lexicon, trained: Trained | None,
    options: FoldInOptions | None = None, run: Run | None = None,
) -> Trained:
    """Train a model further, on data of any speakers, without making it larger.

    `trained` may be any model of plain mixtures; its alignments may be of other data. If it has
    speakers' maps, those of the data's speakers are estimated.
    """
    options, run, trained = options or FoldInOptions(), run or Run(), needed(trained, "fold_in")
    before, has_maps = trained, bool(trained.transforms)

    def begin() -> Trained:
        own = replace(before, model=before.model.unadapted, transforms={})
        found = realign(data, lexicon, own, options.alignment, jobs=run.jobs)
        return replace(before, alignments=found.alignments)

    def adapt(number: int, trained: Trained) -> Trained:
        if not has_maps or number not in options.realign:
            return trained
        return replace(trained, transforms=estimate_transforms(data, trained, jobs=run.jobs))

    # Without maps, the alignments before the first pass are the model's own.
    realigned = tuple(number for number in options.realign if has_maps or number > 1)
    schedule = Schedule(passes=options.passes, realign=realigned, n_gaussians=1)  # none are added
    passes = EmOptions(schedule, options.alignment, options.update)
    trained = train_em(data, lexicon, begin, "fold_in", passes, run, before_pass=adapt)
    if not has_maps:
        return trained
    return replace(trained, model=with_first_pass(data, trained, options.update, run.jobs))
