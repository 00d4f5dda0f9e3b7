"""Word lattices: N-best lists, posteriors, confusion networks, rescoring, confidence, files."""

from factored_asr.lattice.combine import CombineOptions, TwiceScored
from factored_asr.lattice.confidence import (
    Calibration,
    fit_calibration,
    normalised_cross_entropy,
    reliability,
)
from factored_asr.lattice.confusion import ConfusionNetwork, confusion_network
from factored_asr.lattice.hotwords import HotwordPass
from factored_asr.lattice.lattice import Lattice
from factored_asr.lattice.nbest import WordString, nbest, word_strings
from factored_asr.lattice.path import Path, PhoneSegment, WordSegment
from factored_asr.lattice.paths import LatticePath, best_path, prune
from factored_asr.lattice.posteriors import arc_posteriors
from factored_asr.lattice.rejection import Margin, RejectionOptions
from factored_asr.lattice.rescore import RescoreOptions, rescore, with_lm
from factored_asr.lattice.second_pass import (
    ConfidenceOptions,
    SecondPass,
    SecondPassOptions,
    second_pass,
    word_features,
)

__all__ = [
    "Calibration", "CombineOptions", "ConfidenceOptions", "ConfusionNetwork", "HotwordPass",
    "Lattice", "LatticePath", "Margin", "Path", "PhoneSegment", "RejectionOptions",
    "RescoreOptions", "SecondPass", "SecondPassOptions", "TwiceScored", "WordSegment", "WordString",
    "arc_posteriors", "best_path", "confusion_network", "fit_calibration", "nbest",
    "normalised_cross_entropy", "prune", "reliability", "rescore", "second_pass", "with_lm",
    "word_features", "word_strings",
]  # fmt: skip
