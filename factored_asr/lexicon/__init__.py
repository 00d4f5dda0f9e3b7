"""Words and their pronunciations."""

from factored_asr.lexicon.lexicon import Lexicon, LexiconWarning, Pronunciation, strip_stress

__all__ = ["Lexicon", "LexiconWarning", "Pronunciation", "strip_stress"]
