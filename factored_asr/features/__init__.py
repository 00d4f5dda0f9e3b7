"""Cepstral features: the front end of Sphinx models, and MFCC in general."""

from factored_asr.features.frontend import CepstraStream, FeatureStream, FrontEnd
from factored_asr.features.normalisation import speech_frames
from factored_asr.features.options import FeatureOptions

__all__ = ["CepstraStream", "FeatureOptions", "FeatureStream", "FrontEnd", "speech_frames"]
