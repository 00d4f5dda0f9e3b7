"""The stages of training by name, in the order in which they build on one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from factored_asr.training.alignment import Trained
from factored_asr.training.fold_in import FoldInOptions, train_fold_in
from factored_asr.training.lda_mllt import LdaMlltOptions, train_lda_mllt
from factored_asr.training.mmi import MmiOptions, train_mmi
from factored_asr.training.monophone import MonoOptions, train_mono
from factored_asr.training.sat import SatOptions, train_sat
from factored_asr.training.triphone import TriphoneOptions, train_triphones

StageFunction = Callable[..., Trained]
"""``(data, lexicon, trained: Trained | None, options, run: Run) → Trained``."""


@dataclass(frozen=True)
class Stage:
    """A stage of training: its function and its default options."""

    train: StageFunction
    options: Any
    """A frozen dataclass: the defaults."""


STAGES: dict[str, Stage] = {
    "mono": Stage(train_mono, MonoOptions()),
    "tri": Stage(train_triphones, TriphoneOptions()),
    "lda_mllt": Stage(train_lda_mllt, LdaMlltOptions()),
    "sat": Stage(train_sat, SatOptions()),
    "fold_in": Stage(train_fold_in, FoldInOptions()),
    "mmi": Stage(train_mmi, MmiOptions()),
}
"""Each module of a stage imports from `em`, `statistics` and `alignment`; its line here makes it
known to `train` and to the command line."""
