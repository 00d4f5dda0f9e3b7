"""Chain models: a time-delay network over HMMs, as Kaldi trains and Vosk distributes them.

`layers.py`, `network.py` and `forward.py` are the forward pass, `features.py` and `ivector.py` its
inputs.
"""

from factored_asr.acoustic.nnet3.features import KaldiFeatures
from factored_asr.acoustic.nnet3.ivector import IvectorExtractor
from factored_asr.acoustic.nnet3.layers import Layer
from factored_asr.acoustic.nnet3.model import ChainModel
from factored_asr.acoustic.nnet3.network import Network

__all__ = ["ChainModel", "IvectorExtractor", "KaldiFeatures", "Layer", "Network"]
