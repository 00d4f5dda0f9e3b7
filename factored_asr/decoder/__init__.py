"""The Viterbi beam search, what it finds, and what can be computed from that."""

from factored_asr.decoder.confidence import (
    Calibration,
    fit_calibration,
    normalised_cross_entropy,
    reliability,
)
from factored_asr.decoder.endpoint import EndpointOptions, EndpointRule, is_endpoint
from factored_asr.decoder.lattice import Lattice
from factored_asr.decoder.paths import LatticePath, best_path, nbest, prune
from factored_asr.decoder.posteriors import arc_posteriors
from factored_asr.decoder.rescore import RescoreOptions, rescore, with_lm
from factored_asr.decoder.rival import NO_COMMAND, RivalSearch, misfit
from factored_asr.decoder.sausage import ConfusionNetwork, confusion_network
from factored_asr.decoder.search import BeamOptions, Search, decode
from factored_asr.decoder.second_pass import (
    ConfidenceOptions,
    SecondPass,
    SecondPassOptions,
    second_pass,
    word_features,
)
from factored_asr.decoder.strings import WordString, word_strings
from factored_asr.decoder.viterbi_path import Path, PhoneSegment, WordSegment

__all__ = [
    "NO_COMMAND", "BeamOptions", "Calibration", "ConfidenceOptions", "ConfusionNetwork",
    "EndpointOptions", "EndpointRule", "Lattice", "LatticePath", "Path", "PhoneSegment",
    "RescoreOptions", "RivalSearch", "Search", "SecondPass", "SecondPassOptions", "WordSegment",
    "WordString", "arc_posteriors", "best_path", "confusion_network", "decode", "fit_calibration",
    "is_endpoint", "misfit", "nbest", "normalised_cross_entropy", "prune", "reliability",
    "rescore", "second_pass", "with_lm", "word_features", "word_strings",
]  # fmt: skip
