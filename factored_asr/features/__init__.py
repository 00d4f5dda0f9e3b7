"""Cepstral features: the front end of Sphinx models, and MFCC in general."""

from factored_asr.features.frontend import FeatureStream, FrontEnd
from factored_asr.features.normalisation import speech_frames
from factored_asr.features.options import FeatureOptions

__all__ = ["FeatureOptions", "FeatureStream", "FrontEnd", "speech_frames"]
