"""The Viterbi beam search, what it finds, and what can be computed from that."""

from factored_asr.decoder.confidence import (
    Calibration,
    fit_calibration,
    normalised_cross_entropy,
    reliability,
)
from factored_asr.decoder.endpoint import EndpointOptions, EndpointRule, is_endpoint
from factored_asr.decoder.lattice import Lattice, Path, PhoneSegment, WordSegment
from factored_asr.decoder.lm_states import MixedScorer, NGramScorer
from factored_asr.decoder.paths import best_path, nbest, prune
from factored_asr.decoder.posteriors import arc_posteriors
from factored_asr.decoder.rescore import RescoreOptions, rescore
from factored_asr.decoder.sausage import confusion_network
from factored_asr.decoder.search import BeamOptions, Search, decode
from factored_asr.decoder.strings import WordString, word_strings

__all__ = [
    "BeamOptions", "Calibration", "EndpointOptions", "EndpointRule", "Lattice", "MixedScorer",
    "NGramScorer", "Path", "PhoneSegment", "RescoreOptions", "Search", "WordSegment",
    "WordString", "arc_posteriors", "best_path", "confusion_network", "decode", "fit_calibration",
    "is_endpoint", "nbest", "normalised_cross_entropy", "prune", "reliability", "rescore",
    "word_strings",
]  # fmt: skip
