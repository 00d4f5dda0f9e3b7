"""Understanding: the sentences of a grammar, parsed from text or from a lattice."""

from factored_asr._deprecated import old_names
from factored_asr.understanding.interpretation import Interpretation, Slot
from factored_asr.understanding.parse import Understander, parse

__all__ = ["Interpretation", "Slot", "Understander", "parse"]

__getattr__ = old_names(__name__)
