"""What an acoustic model is: phones in context, their HMMs, and the densities of their states."""

from factored_asr._deprecated import old_names
from factored_asr.acoustic.gmm.mixtures import DiagonalMixtures, TiedMixtures
from factored_asr.acoustic.gmm.model import GmmModel
from factored_asr.acoustic.gmm.tree import DecisionTree
from factored_asr.acoustic.gmm.triphones import Triphones
from factored_asr.acoustic.topology import BEGIN, END, INTERNAL, N_POSITIONS, SINGLE, Topology

__all__ = ["BEGIN", "END", "INTERNAL", "N_POSITIONS", "SINGLE", "GmmModel", "DecisionTree",
           "DiagonalMixtures", "TiedMixtures", "Topology", "Triphones"]

__getattr__ = old_names(__name__)
