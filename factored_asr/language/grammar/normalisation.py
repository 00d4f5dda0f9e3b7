"""Text normalisation: the spoken form that grammars, parsers and recognisers share.

``"Set it to 21.5°!"`` and ``"set it to twenty one point five degrees"`` are the same words to
everything in this package: text is lower-cased, punctuation dropped, apostrophes inside words
kept, hyphens read as blanks, and digits and ``% ° &`` spelled out (English).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_SYMBOLS = {"%": "percent", "°": "degrees", "&": "and", "½": "half", "1/2": "half"}
_LARGEST = 10**12  # numbers beyond are read digit by digit

_TOKEN = re.compile(
    r"(?P<half>(?<![\d/])1/2(?![\d/])|½)"
    r"|(?P<minus>(?<![\w)])-(?=\d))?(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?P<decimals>\.\d+)?"
    r"|(?P<symbol>[%°&])"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the spoken form and the characters ``text[start:end]`` that it was read from."""

    word: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the words of the spoken form of ``text``, each with its place in the text.

    >>> [token.word for token in tokens("What's 2,700 K in the living-room?")]
    ["what's", 'two', 'thousand', 'seven', 'hundred', 'k', 'in', 'the', 'living', 'room']
    """
    text = text.replace("’", "'")
    if text.isascii():
        text = text.lower()
    else:  # lower-casing must not move characters: places are reported in the text given
        text = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if match.lastgroup == "word":
            found.append(Token(unicodedata.normalize("NFC", match.group()), start, end))
        else:
            found.extend(Token(word, start, end) for word in _spell_match(match))
    return found


@lru_cache(maxsize=65536)
def normalise_text(text: str) -> tuple[str, ...]:
    """Return the words of the spoken form of ``text``.

    >>> normalise_text("I'd like it at 50%, please!")
    ("i'd", 'like', 'it', 'at', 'fifty', 'percent', 'please')
    """
    return tuple(token.word for token in tokens(text))


def _spell_match(match: re.Match[str]) -> list[str]:
    number = match.group("number")
    if number is None:
        return [_SYMBOLS[match.group()]]
    words = ["minus"] if match.group("minus") else []
    digits = number.replace(",", "")
    if len(digits) > 1 and digits[0] == "0" or len(digits) >= len(str(_LARGEST)):
        words += [_ONES[int(d)] for d in digits]
    else:
        words += spell_number(int(digits)).split()
    if match.group("decimals"):
        words += ["point", *(_ONES[int(d)] for d in match.group("decimals")[1:])]
    return words


def spell_number(number: int | float) -> str:
    """Return a number in words, as :func:`normalise_text` writes digits.

    >>> spell_number(2705), spell_number(-21), spell_number(0.5)
    ('two thousand seven hundred five', 'minus twenty one', 'zero point five')
    """
    if number < 0:
        return "minus " + spell_number(-number)
    whole, dot, decimals = format(number, ".10f").rstrip("0").partition(".")
    words = _cardinal(int(whole))
    if decimals:
        words += " point " + " ".join(_ONES[int(d)] for d in decimals)
    return words


@lru_cache(maxsize=65536)
def number_forms(number: int | float) -> tuple[str, ...]:
    """Return all spoken forms of a number, the plainest first.

    >>> number_forms(105)
    ('one hundred five', 'one hundred and five', 'a hundred five', 'a hundred and five')
    >>> number_forms(1700), number_forms(2.5)[1]
    (('one thousand seven hundred', 'a thousand seven hundred', 'seventeen hundred'), 'two and a half')
    """  # noqa: E501
    if number < 0:
        positive = number_forms(-number)
        return tuple(f"{sign} {form}" for sign in ("minus", "negative") for form in positive)
    plain = spell_number(number)
    forms = [plain]
    whole = int(number)
    if number == whole:
        if whole % 100 and " hundred " in plain:
            head, _, tail = plain.rpartition(" hundred ")
            forms.append(f"{head} hundred and {tail}")
        elif 0 < whole % 1000 < 100 and " thousand " in plain:
            forms.append(plain.replace(" thousand ", " thousand and "))
    elif number - whole == 0.5:
        forms += [f"{form} and a half" for form in (number_forms(whole) if whole else ())]
        forms += ["a half", "half"] if whole == 0 else []
    forms += ["a" + form[3:] for form in forms if form.startswith(("one hundred", "one thousand"))]
    if number == whole and 1000 < whole < 10_000 and whole % 100 == 0 and whole % 1000:
        forms.append(f"{_cardinal(whole // 100)} hundred")
    return tuple(dict.fromkeys(forms))


@lru_cache(maxsize=65536)
def _cardinal(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
    for scale, name in _SCALES:
        if number >= scale:
            count, rest = divmod(number, scale)
            return f"{_cardinal(count)} {name}" + (f" {_cardinal(rest)}" if rest else "")
    raise AssertionError("unreachable: the scales end at a hundred")
