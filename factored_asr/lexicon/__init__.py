"""Words and their pronunciations."""

from factored_asr.lexicon.dictionary import Pronunciation, strip_stress
from factored_asr.lexicon.lexicon import Lexicon

__all__ = ["Lexicon", "Pronunciation", "strip_stress"]
