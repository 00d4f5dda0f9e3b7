"""The Viterbi beam search over a decoding graph, and when an utterance has ended."""

from factored_asr._deprecated import old_names
from factored_asr.decoder.endpoint import EndpointOptions, EndpointRule, is_endpoint
from factored_asr.decoder.search import BeamOptions, Search, decode

__all__ = ["BeamOptions", "EndpointOptions", "EndpointRule", "Search", "decode", "is_endpoint"]

__getattr__ = old_names(__name__)
