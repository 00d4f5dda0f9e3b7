"""What the normaliser knows of single words and signs: how they are said, and what they tell."""

from __future__ import annotations

SQUARED, CUBED = "\ue002", "\ue003"
"""Stand for raised digits, which are no letters."""
SYMBOLS = {"%": "percent", "°": "degrees", "&": "and", "@": "at", "+": "plus", "=": "equals",
            "#": "number", SQUARED: "squared", CUBED: "cubed", "÷": "divided by", "×": "times"}
IN_LINKS = {".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", ":": "colon"}
ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "ms", "dr": "doctor", "prof": "professor",
    "vs": "versus", "etc": "et cetera", "jr": "junior", "sr": "senior", "approx": "approximately",
    "dept": "department", "ave": "avenue", "mt": "mount", "gen": "general", "sgt": "sergeant",
    "capt": "captain", "lt": "lieutenant", "col": "colonel", "rev": "reverend", "sen": "senator",
    "gov": "governor", "no": "number",
}
DOTTED = {"eg": "for example", "ie": "that is"}
SOUNDS = frozenset((
    "noise noises laugh laughs laughing laughter chuckle chuckles chuckling giggle giggles cough "
    "coughs coughing sigh sighs sighing sneeze sneezes sniff sniffs breath breathes breathing "
    "inhale inhales exhale exhales gasp gasps music musical applause applauds clapping cheering "
    "cheers silence pause pauses beat inaudible unintelligible indistinct incomprehensible "
    "crosstalk overlapping unclear unk unknown static beep beeps bleep background whispers "
    "whispering whispered shouts shouting crying cries sobs sobbing groans groaning moans mumbles "
    "mumbling mutters yawns yawning hums humming snorts clears lipsmack smack click clicks ringing "
    "rings knocking knocks barking barks foreign sic redacted censored phonetic blank_audio"
).split())  # fmt: skip
"""Words of annotations in round brackets or between stars, which may be speech as well."""
SPOKEN_STARTS = frozenset((
    "note warning remember example question answer tip today tomorrow yesterday first second third "
    "finally yes no well ok okay so but and please listen look important reminder update caution "
    "attention wait result conclusion summary next then also however therefore alternatively "
    "chapter step part section figure page time date place dear subject location address phone "
    "number total day week rule item option lesson unit scene act recipe ingredients agenda topic "
    "monday tuesday wednesday thursday friday saturday sunday once now here there "
    "this that what why how when where who is are do don't not sorry thanks"
).split())  # fmt: skip
"""Words before a colon at the beginning of a line that are no speaker."""
WITHOUT_STOP = frozenset("mr mrs dr prof vs etc".split())
"""Abbreviations that are written without a full stop, too."""
TITLES = frozenset("ms ave mt gen sgt capt lt col rev sen gov".split())
"""Abbreviations that begin with a capital; else they are words."""
OTHER_WAYS = {"mrs": ("misses",), "ms": ("miss",), "dr": ("drive",), "etc": ("etcetera",)}
