"""Expectation and maximisation: the loop that every stage of Gaussian training goes through.

    align (now and then) → statistics → update → split, pass after pass

A stage is a function ``(data, lexicon, trained, options, run) → Trained``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from factored_asr.acoustic import AcousticModel
from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon
from factored_asr.training.alignment import AlignmentOptions, StateAlignment
from factored_asr.training.data import TrainingData
from factored_asr.training.statistics import UpdateOptions


@dataclass(frozen=True, eq=False)
class Trained:
    """What a stage hands to the next one."""

    model: AcousticModel
    """As far as it has come."""
    alignments: tuple[StateAlignment | None, ...]
    """For each utterance the last one made of it; None where the words did not fit."""
    transforms: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Speaker → (n_features, n_features + 1) float32: the speaker's fMLLR, composed after the
    model's own transform. Empty where the model is not speaker-adaptive."""


@dataclass(frozen=True)
class PassReport:
    """What one pass over the data came to."""

    stage: str
    number: int
    """Counted from 1."""
    of: int
    """Passes of the stage."""
    n_frames: int
    """Frames that were aligned."""
    log_likelihood: float
    """Natural log-likelihood a frame, of the model that went into the pass."""
    n_pdfs: int
    n_gaussians: int
    """Of the model that came out of it."""
    failed: int
    """Utterances that could not be aligned."""
    notes: tuple[str, ...] = ()
    """What else one should know: Gaussians dropped, pdfs without data."""


class Report(Protocol):
    """Is told of every pass once it is done."""

    def __call__(self, done: PassReport, /) -> None: ...


class Keep(Protocol):
    """Keeps what a stage has come to: pass `number` (0: none yet) is done."""

    def __call__(self, number: int, trained: Trained, /) -> None: ...


@dataclass(frozen=True)
class Run:
    """How a stage is run, which never changes what comes out of it."""

    jobs: int = 1
    """Processes that share the work; as many as there are cores is fastest."""
    report: Report | None = None
    """Is told of every pass."""
    keep: Keep | None = None
    """Is handed the state after every pass; writes it as often as it likes."""
    begun: tuple[int, Trained] | None = None
    """A pass and the state after it, from `keep`, to go on from after a kill."""


@dataclass(frozen=True)
class Schedule:
    """When what happens in a stage. The defaults are those of Kaldi's monophones."""

    passes: int = 40
    """Updates of the model. More fits the training data better, up to a point."""
    realign: tuple[int, ...] = (*range(2, 12), *range(13, 40, 2))
    """Passes (from 1) before whose statistics the data are aligned anew."""
    n_gaussians: int = 1000
    """Gaussians in the end, over all pdfs. More model finer what there is data for."""
    grow_until: int = 31
    """The pass at which that number is reached."""
    power: float = 0.25
    """A pdf's share of Gaussians goes with its frames to this power, in [0, 1]: 0 gives all the
    same, 1 in proportion."""

    def __post_init__(self) -> None:
        if self.passes < 1 or self.n_gaussians < 1 or self.grow_until < 1:
            raise OptionError(
                f"passes {self.passes}, n_gaussians {self.n_gaussians} and grow_until "
                f"{self.grow_until} must be at least 1"
            )
        if not 0 <= self.power <= 1:
            raise OptionError(f"power must lie in [0, 1], got {self.power}")


BeforePass = Callable[[int, Trained], Trained]
"""A stage's own work before the statistics of a pass (numbered from 1) are taken: it may change
the model's transform or the speakers' (MLLT, fMLLR). It must depend on its arguments alone."""


def train_em(
    data: TrainingData,
    lexicon: Lexicon,
    trained: Trained,
    stage: str,
    schedule: Schedule,
    *,
    alignment: AlignmentOptions | None = None,
    update: UpdateOptions | None = None,
    run: Run | None = None,
    before_pass: BeforePass | None = None,
    baum_welch: bool = False,
    seed: int = 0,
) -> Trained:
    """Run the passes of a stage, from a model and alignments on.

    Parameters
    ----------
    trained
        The model to begin with (its tree and transform are kept, its mixtures grow) and alignments
        for the first pass, or as many None to align at once.
    stage
        Its name, for reports.
    """
    raise NotImplementedError
