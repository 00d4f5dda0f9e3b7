"""Words and their pronunciations."""

from factored_asr.lexicon.lexicon import Lexicon, Pronunciation, strip_stress

__all__ = ["Lexicon", "Pronunciation", "strip_stress"]
