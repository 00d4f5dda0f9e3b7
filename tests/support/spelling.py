"""Words whose spelling says how they sound."""

from __future__ import annotations

from factored_asr.lexicon import Lexicon, Pronunciation

WORDS = {
    "tea": "T IY", "seat": "S IY T", "sea": "S IY", "set": "S EH T", "test": "T EH S T",
    "axe": "AE K S", "tax": "T AE K S", "exit": "EH G Z IH T", "taste": "T EY S T", "at": "AE T",
    "sat": "S AE T", "ate": "EY T", "state": "S T EY T", "six": "S IH K S", "sit": "S IH T",
}


def lexicon_of(words: dict[str, str]) -> Lexicon:
    return Lexicon({w: (Pronunciation(tuple(p.split())),) for w, p in words.items()})


LEXICON = lexicon_of(WORDS)
