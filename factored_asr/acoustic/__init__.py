"""What an acoustic model is: phones in context, their HMMs, and the densities of their states."""

from factored_asr.acoustic.gmm import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.model import AcousticModel
from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE, Triphones
from factored_asr.acoustic.tree import DecisionTree

__all__ = [
    "BEGIN",
    "END",
    "INTERNAL",
    "N_POSITIONS",
    "SINGLE",
    "AcousticModel",
    "DecisionTree",
    "DiagonalMixtures",
    "TiedMixtures",
    "Triphones",
]
