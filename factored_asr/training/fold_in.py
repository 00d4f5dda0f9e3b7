"""The stage fold_in: some passes more, over speakers of whom a model has known only a part.

Speakers on whom the weight of the language is tuned are not trained on before that: a model fits
those it knows too well to be weighed by them. Afterwards nothing speaks against learning from them.
Contexts, features and the number of Gaussians stay; their values are those of everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions
from factored_asr.training.data import TrainingData
from factored_asr.training.em import Run, Trained, realign, train_em
from factored_asr.training.sat import estimate_transforms, with_first_pass
from factored_asr.training.schedule import Schedule
from factored_asr.training.update import UpdateOptions


@dataclass(frozen=True)
class FoldInOptions:
    """How long a model learns from everybody."""

    passes: int = 4
    """Updates of the model. On AN4 twice as many gained nothing."""
    anew: tuple[int, ...] = (1, 3)
    """Passes (from 1) before which speakers are mapped, if the model is behind maps, and the data
    aligned anew."""
    alignment: AlignmentOptions = field(default_factory=AlignmentOptions)
    """How transcripts are laid over speech."""
    update: UpdateOptions = field(default_factory=UpdateOptions)
    """Which Gaussians live."""

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise OptionError(f"passes must be at least 1, got {self.passes}")


def train_fold_in(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained | None,
    options: FoldInOptions | None = None,
    run: Run | None = None,
) -> Trained:
    """Train a model further, on data of any speakers, without making it larger.

    Parameters
    ----------
    trained
        Any model of plain mixtures; its alignments may be of other data, and are made anew. If
        it stands behind speakers' maps, those of the data's speakers are found, too.

    Raises
    ------
    OptionError
        Nothing was trained before.
    """
    options, run = options or FoldInOptions(), run or Run()
    if trained is None:
        raise OptionError("the stage fold_in needs a trained model: put another stage before it")
    behind_maps = bool(trained.transforms)
    if run.begun is None:
        own = replace(trained, model=trained.model.unadapted, transforms={})
        heard = realign(data, lexicon, own, options.alignment, jobs=run.jobs)
        trained = replace(trained, alignments=heard.alignments)

    def adapt(number: int, trained: Trained) -> Trained:
        if not behind_maps or number not in options.anew:
            return trained
        return replace(trained, transforms=estimate_transforms(data, trained, jobs=run.jobs))

    # Alignments of a model without maps are its own when the first pass begins.
    anew = tuple(number for number in options.anew if behind_maps or number > 1)
    schedule = Schedule(passes=options.passes, realign=anew, n_gaussians=1)  # none are added
    trained = train_em(
        data, lexicon, trained, "fold_in", schedule, alignment=options.alignment,
        update=options.update, run=run, before_pass=adapt,
    )  # fmt: skip
    if not behind_maps:
        return trained
    return replace(trained, model=with_first_pass(data, trained, options.update, run.jobs))
