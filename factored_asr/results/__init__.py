"""Results of recognition: transcripts, words, alignments, and their formats."""

from factored_asr._deprecated import old_names
from factored_asr.results.alignment import AlignedWord, Alignment, State
from factored_asr.results.transcript import Hypothesis, Phone, Transcript, Word

__all__ = ["AlignedWord", "Alignment", "Hypothesis", "Phone", "State", "Transcript", "Word"]

__getattr__ = old_names(__name__)
