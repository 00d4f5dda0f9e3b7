"""Pronunciations of English words that are other spellings or forms of words in a dictionary.

"Favourable" sounds like "favorable", and "waistcoat's" adds one phone to "waistcoat". Where such a
rule holds it is right more often than grapheme-to-phoneme conversion, which knows letters only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from factored_asr.lexicon.lexicon import Lexicon

Phones = tuple[str, ...]

SPELLINGS = (
    ("our", "or"), ("(?<=...)ise(?=[drs]?$)", "ize"), ("(?<=...)ising", "izing"),
    ("(?<=...)isation", "ization"), ("yse", "yze"), ("ysi", "yzi"),
    ("ll(?=ed$|er|ing|ous)", "l"), ("tre$", "ter"), ("bre$", "ber"), ("tres$", "ters"),
    ("ence", "ense"), ("ogue", "og"), ("^enqu", "inqu"),
    ("^despatch", "dispatch"), ("xion", "ction"), ("mme$", "m"), ("lful", "llful"),
    ("gement", "gment"), ("eing$", "ing"),
)
"""British and older spellings, as regular expressions, and what the dictionary may have instead."""

SIBILANTS = frozenset("S Z SH ZH CH JH".split())
VOICELESS = frozenset("P T K F TH".split()) | SIBILANTS - {"Z", "ZH", "JH"}
CONSONANTS = re.compile(r"[^aeiouy]")

ENDINGS: dict[str, Phones] = {
    "ing": ("IH", "NG"), "ness": ("N", "AH", "S"), "less": ("L", "AH", "S"), "ly": ("L", "IY"),
    "er": ("ER",), "ers": ("ER", "Z"), "est": ("AH", "S", "T"), "eth": ("IH", "TH"),
    "ful": ("F", "AH", "L"), "fully": ("F", "AH", "L", "IY"), "ship": ("SH", "IH", "P"),
    "ings": ("IH", "NG", "Z"), "able": ("AH", "B", "AH", "L"), "like": ("L", "AY", "K"),
    "man": ("M", "AH", "N"), "men": ("M", "IH", "N"), "edly": ("IH", "D", "L", "IY"),
    "most": ("M", "OW", "S", "T"),
}
"""Endings that sound the same after every word."""
WITH_VOWEL = ("ing", "ings", "er", "ers", "est", "eth", "able", "ed", "edly")
"""Endings before which a word loses its e or doubles its last letter."""
BEGINNINGS: dict[str, Phones] = {"un": ("AH", "N")}
SHORTEST = 3  # letters that an ending may be taken off to


def derive(word: str, lexicon: Lexicon, depth: int = 2) -> tuple[Phones, ...]:
    """Return the pronunciations of a word that follow from those of other words; () if none do.

    At most `depth` rules are applied one after the other: "honours" is "honour" and s, and
    "honour" another spelling of "honor".

    >>> from factored_asr.lexicon import Pronunciation
    >>> known = {"honor": "AA N ER", "stop": "S T AA P"}
    >>> lexicon = Lexicon({word: (Pronunciation(tuple(phones.split())),)
    ...                    for word, phones in known.items()})
    >>> derive("honours", lexicon)
    (('AA', 'N', 'ER', 'Z'),)
    >>> derive("stopped", lexicon), derive("zebra", lexicon)
    ((('S', 'T', 'AA', 'P', 'T'),), ())
    """
    if depth < 1:
        return ()
    for other in _other_spellings(word):
        if other in lexicon:
            return _known(other, lexicon)
    for base, ending in _splits(word):
        if found := _known(base, lexicon) or derive(base, lexicon, depth - 1):
            return tuple(dict.fromkeys(joined(phones, ending) for phones in found))
    for start, phones in BEGINNINGS.items():
        rest = word.removeprefix(start)
        if rest != word and len(rest) > SHORTEST and rest in lexicon:
            return tuple(phones + each for each in _known(rest, lexicon))
    return ()


def joined(phones: Phones, ending: str) -> Phones:
    """Return the phones of a word with an ending; ``s`` and ``ed`` sound as its last phone asks.

    >>> joined(("K", "AE", "T"), "s"), joined(("D", "AO", "G"), "s")
    (('K', 'AE', 'T', 'S'), ('D', 'AO', 'G', 'Z'))
    """
    last = phones[-1]
    if not ending:
        return phones
    if ending == "s":
        return phones + (("IH", "Z") if last in SIBILANTS else ("S",) if last in VOICELESS
                         else ("Z",))
    if ending == "ed":
        return phones + (("IH", "D") if last in ("T", "D") else ("T",) if last in VOICELESS
                         else ("D",))
    if ending == "in'":
        return (*phones[:-1], "N")
    added = ENDINGS[ending]
    if last == "IY" and ending in ("ly", "ful", "fully"):
        phones = (*phones[:-1], "AH")  # "busy", "busily"
    return phones + (added[1:] if added[0] == last == "L" else added)


def _known(word: str, lexicon: Lexicon) -> tuple[Phones, ...]:
    return tuple(each.phones for each in lexicon.find(word)) if word in lexicon else ()


def _other_spellings(word: str) -> Iterator[str]:
    for old, new in SPELLINGS:
        other = re.sub(old, new, word)
        if other != word:
            yield other


def _splits(word: str) -> Iterator[tuple[str, str]]:
    """Iterate over the words that a word may be a form of, and the ending."""
    if word.endswith("'s"):
        yield word[:-2], "s"
        return
    if word.endswith(("s'", "in'")):
        yield (word[:-1], "") if word.endswith("s'") else (word[:-1] + "g", "in'")
        return
    for ending in ("s", "ed", *sorted(ENDINGS, key=len, reverse=True)):
        base = word.removesuffix(ending)
        if base == word or len(base) < SHORTEST or "'" in word:
            continue
        yield from ((each, ending) for each in _bases(base, ending))


def _bases(base: str, ending: str) -> Iterator[str]:
    """Iterate over the spellings that a word may have had before an ending."""
    if base.endswith("i") and ending != "ing":
        yield base[:-1] + "y"
    if ending == "s":
        if base.endswith("ie"):
            yield base[:-2] + "y"
        if base.endswith(("she", "che", "xe", "sse", "oe")):
            yield base[:-1]
        if not base.endswith(("s", "u", "i")):
            yield base
        return
    if ending in WITH_VOWEL:
        if len(base) > SHORTEST and base[-1] == base[-2] and CONSONANTS.match(base[-1]):
            if base[-1] in "fslz":  # "passing" is "pass", but "panelling" is "panel"
                yield base
            yield base[:-1]
        if base[-1] != "e":
            yield base + "e" if _wants_e(base) else base
            yield base if _wants_e(base) else base + "e"
            return
    yield base


def _wants_e(base: str) -> bool:
    """Whether a short vowel letter and one consonant end a base: "hop" in "hoping" is "hope"."""
    return bool(re.search(r"(?:^|[^aeiou])[aeiouy][^aeiouywxrl]$|[vcgz]$|[^aeiou]l$", base))
