"""What a recognition returns: transcripts, words, alignments, and their formats."""

from factored_asr._deprecated import old_names
from factored_asr.results.transcript import (
    AlignedWord,
    Alignment,
    Hypothesis,
    Phone,
    State,
    Transcript,
    Word,
)

__all__ = ["AlignedWord", "Alignment", "Hypothesis", "Phone", "State", "Transcript", "Word"]

__getattr__ = old_names(__name__)
