"""The Viterbi beam search and what it finds."""

from factored_asr.decoder.endpoint import EndpointOptions, EndpointRule, is_endpoint
from factored_asr.decoder.lattice import Lattice, Path, PhoneSegment, WordSegment
from factored_asr.decoder.search import BeamOptions, Search, decode

__all__ = [
    "BeamOptions", "EndpointOptions", "EndpointRule", "Lattice", "Path", "PhoneSegment", "Search",
    "WordSegment", "decode", "is_endpoint",
]
