"""The normaliser: text as people write it, and the words that are said when it is read aloud.

Alignment, language models, scoring, corpora, grammars and prefixes all read text by these rules.
Each rule is a field of `TextRules` and can be switched off:

`typography`     curly quotes, dashes, special blanks and ligatures are read as the plain characters
`annotations`    ``[noise]``, ``(laughs)``, ``<unk>``, ``{cough}``, ``*sighs*`` are skipped
`speakers`       "SPEAKER 1:", "Anna:", ">>" at the beginning of a line are skipped
`case`           lower case
`punctuation`    punctuation is dropped
`hyphens`        hyphens, dashes, slashes and underscores separate words
`numbers`        numbers are spelled out, decimals and fractions too; if off, so are the next six
`years`          numbers from 1100 to 2099 are read as years; decades
`ordinals`       "2nd"
`money`          "£5", "$3.50", "€2 million", "50p"
`times`          "10:30", "5pm", "2024-03-01"
`units`          "50%", "5 km", "20°C" are one written word with its unit
`ranges`         "10-20" is "ten to twenty"; telephone numbers
`symbols`        "&", "@", "+" and the like, and addresses of the web are spelled out
`abbreviations`  "Mr." and the like are written out
`letters`        "U.S." and "B12" are read letter by letter

A word that the caller knows, say from a user's dictionary, is never split: "mp3", "wi-fi", "2nd".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache

from factored_asr.errors import OptionError
from factored_asr.language.written_numbers import PARTS as NUMBER_PARTS
from factored_asr.language.written_numbers import NumberReader, Ways, number_patterns
from factored_asr.language.written_words import (
    ABBREVIATIONS,
    CUBED,
    DOTTED,
    IN_LINKS,
    OTHER_WAYS,
    SOUNDS,
    SPOKEN_STARTS,
    SQUARED,
    SYMBOLS,
    TITLES,
    WITHOUT_STOP,
)

Known = Callable[[str], bool]
"""Says whether a spelling is a word; a spelling with capitals is asked for in lower case, too."""


@dataclass(frozen=True)
class TextRules:
    """Which rules of the normaliser are in use; see this module.

    Examples
    --------
    >>> spoken_words("Turn it to 21, please!", TextRules())
    ('turn', 'it', 'to', 'twenty', 'one', 'please')
    >>> spoken_words("Turn it to 21, please!", TextRules.named("case,punctuation"))
    ('turn', 'it', 'to', '21', 'please')
    """

    typography: bool = True
    annotations: bool = True
    speakers: bool = True
    case: bool = True
    punctuation: bool = True
    hyphens: bool = True
    numbers: bool = True
    years: bool = True
    ordinals: bool = True
    money: bool = True
    times: bool = True
    units: bool = True
    ranges: bool = True
    symbols: bool = True
    abbreviations: bool = True
    letters: bool = True

    @staticmethod
    def named(names: str) -> TextRules:
        """Return rules by their names, with commas between; ``-name`` leaves one out of all.

        ``all`` and ``none`` are known, too. An unknown name raises OptionError.

        >>> TextRules.named("-years").years, TextRules.named("case,numbers").punctuation
        (False, False)
        """
        known = [each.name for each in fields(TextRules)]
        given = [name.strip() for name in names.split(",") if name.strip()]
        for name in given:
            if name.removeprefix("-") not in (*known, "all", "none"):
                law = f"{name!r} is no rule of texts; there are all, none, {', '.join(known)}"
                raise OptionError(f"{law}; -NAME leaves one out")
        wanted = {name for name in given if not name.startswith("-")} - {"none"}
        if "all" in wanted or not given or all(name.startswith("-") for name in given):
            wanted = set(known)
        wanted -= {name[1:] for name in given if name.startswith("-")}
        return TextRules(**{name: name in wanted for name in known})


AS_IS = TextRules.named("none")
"""No rule: words are what stands between blanks."""
GRAMMAR_RULES = TextRules.named(
    "-annotations,-speakers,-years,-times,-units,-ranges,-abbreviations,-letters"
)
"""Of grammars, and of the sentences that are parsed by them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A written word, or what is skipped, with its place ``text[start:end]``."""

    text: str
    """As written, without punctuation around it."""
    start: int
    end: int
    words: tuple[str, ...]
    """As spoken; empty for what is skipped."""
    others: tuple[tuple[str, ...], ...] = ()
    """Other ways to say it."""

    @property
    def ways(self) -> tuple[tuple[str, ...], ...]:
        """All ways to say it, the plainest first."""
        return (self.words, *self.others)


def read_written(
    text: str, rules: TextRules | None = None, known: Known | None = None
) -> list[Piece]:
    """Return the words of a text in order, and what is skipped.

    `known` says which spellings are words, which are kept whole; None: no spelling is asked for.

    >>> [(piece.text, piece.words) for piece in read_written("[noise] Wi‑Fi’s £5 (laughs)")]
    [('[noise]', ()), ('Wi', ('wi',)), ('Fi’s', ("fi's",)), ('£5', ('five', 'pounds')), ('(laughs)', ())]
    >>> [piece.words for piece in read_written("my Wi‑Fi", known={"wi-fi"}.__contains__)]
    [('my',), ('wi-fi',)]
    """  # noqa: E501
    rules = rules or _ALL
    plain = text
    if rules.typography:
        plain = text if text.isascii() else text.translate(_TYPOGRAPHY)
        if "&" in plain:
            plain = _ENTITY.sub(lambda match: _ENTITIES[match[0]], plain)
    return list(_Text(text, plain, rules, known).pieces())


def spoken_words(
    text: str, rules: TextRules | None = None, known: Known | None = None
) -> tuple[str, ...]:
    """Return the words of a text as they are spoken; see `read_written`.

    >>> spoken_words("“Don’t!”—said Mr. Bell in 1999 at 10:30 (laughs)")
    ("don't", 'said', 'mister', 'bell', 'in', 'nineteen', 'ninety', 'nine', 'at', 'ten', 'thirty')
    """
    return tuple(word for piece in read_written(text, rules, known) for word in piece.words)


def tidy(word: str) -> str:
    """Return a word with plain apostrophes and hyphens, composed letters and nothing invisible.

    >>> tidy("don’t"), tidy("cafe\\u0301")
    ("don't", 'café')
    """
    if word.isascii():
        return word
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", word.translate(_TYPOGRAPHY)))


def lower(word: str) -> str:
    """Return a word in lower case; a letter whose small form is two characters stays."""
    if word.isascii():
        return word.lower()
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in word)


_ALL = TextRules()
_TYPOGRAPHY = str.maketrans(
    {**dict.fromkeys("’‘‛ʼʹ′`´＇ʻ", "'"), **dict.fromkeys("“”„‟«»″＂‹›", '"'),
     **dict(zip("₀₁₂₃₄₅₆₇₈₉⁰¹⁴⁵⁶⁷⁸⁹", "012345678901456789", strict=True)),
     "²": SQUARED, "³": CUBED,
     **dict.fromkeys("‐‑‒–—―−﹣－⁃", "-"), **dict.fromkeys("…·•‧", "."), "，": ",", "％": "%",
     "．": ".", "：": ":", "（": "(", "）": ")", "［": "[", "］": "]", "＆": "&", "！": "!",
     "？": "?", "⁄": "/"}
)  # fmt: skip
"""One character for one, so that places in the text stay."""
_ENTITIES = {name: sign + fill * (len(name) - len(sign)) for name, sign, fill in (
    ("&amp;", "&", " "), ("&quot;", "", " "), ("&nbsp;", "", " "), ("&lt;", "", " "),
    ("&gt;", "", " "), ("&apos;", "'", "\u200b"), ("&#39;", "'", "\u200b"),
    ("&rsquo;", "'", "\u200b"), ("&lsquo;", "'", "\u200b"), ("&ldquo;", "", " "),
    ("&rdquo;", "", " "), ("&ndash;", "-", " "), ("&mdash;", "-", " "), ("&hellip;", "", " "),
)}  # fmt: skip
"""Signs of web pages, filled up to their length."""
_ENTITY = re.compile("|".join(_ENTITIES))
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff\u202a-\u202e]+")
_MARKS = "\u00ad\u200b-\u200d\u2060\ufeff\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f" \
    "\u0900-\u0903\u093a-\u094f"
_LETTER = rf"(?:[^\W\d_]|[{_MARKS}])"
_WORD = rf"[^\W\d_]{_LETTER}*(?:'{_LETTER}+)*"
_ELIDED = r"(?<![\w'])'(?:em|til|cause|bout|tis|twas|n|round|cuz)(?![\w'])"
_PLAIN = re.compile(r"[A-Za-z\s]*")
_QUICK = re.compile(r"[\s,;!?\"]*(?<![^\s\"])([^\W\d_]+)(?=[\s,;!?\"]|\.\s|\Z)")
"""A word between blanks and usual punctuation; the abbreviations aside it is nothing else."""
_GOES_ON, _WENT_BEFORE = re.compile(r"'?[^\W_]"), re.compile(r"[^\W_]'?$")
_LETTER_AND_STOP = re.compile(r"[a-z]\.", re.I)
MAX_CHUNK = 200
"""Characters without a blank in which known words are looked for."""

_PARTS = {
    "note": r"(?m:(?:^\d+[ \t]*\n)?^[ \t]*(?:\d+:)?\d\d:\d\d[.,]\d{3}[ \t]*-->.{0,80}$)"
            r"|\[[^\[\]]{0,120}\]|<[/!|]?[a-z][\w:.|-]*(?:\s[^<>]{0,60})?/?>"
            r"|\{[^{}]{0,120}\}"
            r"|\+\+[^+\s]+\+\+|\(\([^()]{0,120}\)\)|(?<!\w)%[a-z]+\b",
    "link": r"(?:https?://|www\.)[^\s<>\"]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"
            r"|(?<![\w.-])[a-z][\w-]{0,62}(?:\.[\w-]{1,63}){0,4}\.(?:com|org|net|edu|gov|io|uk|de|eu)"
            r"\b(?:/[^\s<>\"]*)?",
    "numerals": "",
    "dotted": r"(?<!\w)(?:[^\W\d_]\.){2,}(?!\w)|(?<!\w)[^\W\d_](?:\.[^\W\d_])+\b",
    "mixed": r"(?<!\w)(?:[^\W\d_]+\d|\d+[^\W\d_])[^\W_]*",
    "short": r"(?<!\w)(?:mr|mrs|ms|dr|prof|vs|etc|jr|sr|approx|dept|ave|mt|gen|sgt|capt|lt|col"
             r"|rev|sen|gov|no(?=\.\s?\d))\b\.?",
    "word": f"{_ELIDED}|{_WORD}",
    "aside": r"\([^()\n]{1,60}\)|\*[^*\n]{1,60}\*|♪[^♪\n]{0,120}♪",
    "symbol": rf"[%°&@=÷×{SQUARED}{CUBED}]|" r"(?<!\+)\+(?!\+)|#(?=\d)",
}
"""What is read, in the order in which it is looked for."""
_SWITCHED = {"note": "annotations", "aside": "annotations", "link": "symbols", "dotted": "letters",
             "mixed": "letters", "short": "abbreviations", "symbol": "symbols"}
_SPEAKER = re.compile(
    r"^[ \t]*(?:[-*•][ \t]*)?(?:[\[(<][^\[\]()<>\n]{0,40}[\])>][ \t]*)?"
    r"(?:(?:>>+[ \t]*)?((?:[^\W_][\w.'()#-]{0,30}[ \t]+){0,3}"
    r"[^\W_][\w.'()#-]{0,30})(?:[ \t]*[(\[][^()\[\]\n]{0,40}[)\]])?[ \t]*:(?=\s|$)|(>>+)(?=\s))",
    re.MULTILINE,
)


@lru_cache(maxsize=64)
def _pattern(rules: TextRules) -> re.Pattern[str]:
    """Return what is looked for by these rules."""
    parts = dict[str, str]()
    for name, part in _PARTS.items():
        if name == "numerals" and rules.numbers:
            parts |= number_patterns(lambda switch: bool(getattr(rules, switch)))
        elif name != "numerals" and getattr(rules, _SWITCHED.get(name, "punctuation")):
            parts[name] = part
    if not rules.punctuation:
        parts = {name: part for name, part in parts.items() if name in ("note", "aside")}
        parts["chunk"] = r"\S+"
        return _joined(parts)
    if not rules.numbers:  # digits are part of words: 3.5, £1000, mp3, 2nd
        digit = rf"(?:[^\W_]|[{_MARKS}%&@#])"
        parts["word"] = (rf"{_ELIDED}|[$£€¥₹]?(?:(?<![\w.])\.(?=\d))?{digit}+"
                         rf"(?:(?:'|(?<=\d)[.:](?=\d)|(?<=\d),(?=\d{{3}}(?!\d))){digit}+)*")
        parts.pop("mixed", None)
        if not rules.letters:
            dotted = r"(?<!\w)(?:[^\W\d_]\.){2,}(?!\w)"
            parts["word"] = f"{dotted}|{parts['word']}"
    if not rules.hyphens:
        parts["word"] = rf"(?:{parts['word']})(?:[-/_](?:{parts['word']}))*"
    return _joined(parts)


def _joined(parts: dict[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{part})" for name, part in parts.items()), re.I)


class _Text:
    """One text while it is read."""

    def __init__(self, text: str, plain: str, rules: TextRules, known: Known | None) -> None:
        self.text, self.plain, self.rules = text, plain, rules
        self.known = known and (lambda word: known(word) or known(word.lower()))
        self.numbers = NumberReader(rules.years)
        self.shouts = rules.letters and not any(map(str.islower, plain))

    def pieces(self) -> Iterator[Piece]:
        """Yield the words and what is skipped."""
        if self.rules == AS_IS:
            for match in re.finditer(r"\S+", self.text):
                yield Piece(match[0], *match.span(), (match[0],))
            return
        at = 0
        fixed = sorted([*self._speakers(), *self._kept()], key=lambda piece: piece.start)
        for piece in fixed:
            if piece.start >= at:
                yield from self._between(at, piece.start)
                yield piece
                at = piece.end
        yield from self._between(at, len(self.plain))

    def _speakers(self) -> Iterator[Piece]:
        """Yield the labels of speakers."""
        if not self.rules.speakers or (":" not in self.plain and ">>" not in self.plain):
            return
        for match in _SPEAKER.finditer(self.plain):
            group = 2 if match[2] or not _is_speaker(match[1]) else 1
            if match[group]:
                start, end = match.start(group), match.end()
                yield Piece(self.text[start:end], start, end, ())

    def _kept(self) -> Iterator[Piece]:
        """Yield known words that would be split or changed."""
        if self.known is None or _PLAIN.fullmatch(self.plain):
            return
        for match in re.finditer(r"\S+", self.plain):
            if match[0].isalpha() or len(match[0]) > MAX_CHUNK:
                continue
            for first, last in self._kept_parts(match[0]):
                start, end = match.start() + first, match.start() + last
                word = _INVISIBLE.sub("", self.plain[start:end])
                yield Piece(self.text[start:end], start, end, (self._cased(word),))

    def _kept_parts(self, chunk: str) -> Iterator[tuple[int, int]]:
        """Yield the places of known words in what stands between blanks, the longest first."""
        assert self.known is not None
        runs = [match.span() for match in re.finditer(r"[^\W_]+", chunk)]
        if self.known(_INVISIBLE.sub("", chunk)):
            yield 0, len(chunk)
            return
        at = 0
        while at < len(runs):
            for last in range(len(runs) - 1, at - 1, -1):
                place = self._with_signs(chunk, runs[at][0], runs[last][1])
                if place:
                    yield place
                    at = last
                    break
            at += 1

    def _with_signs(self, chunk: str, start: int, end: int) -> tuple[int, int] | None:
        """Return where a known word with letters from here to there stands, its signs included."""
        assert self.known is not None
        before = start - len(re.search(r"\W{0,2}$", chunk[:start])[0])  # type: ignore[index]
        after = end + len(re.match(r"\W{0,2}", chunk[end:])[0])  # type: ignore[index]
        for first, last in ((f, t) for f in range(before, start + 1)
                            for t in range(after, end - 1, -1)):
            word = _INVISIBLE.sub("", chunk[first:last])
            if _GOES_ON.match(chunk, last) or _WENT_BEFORE.search(chunk[:first]):
                continue  # "wi-fi's" is not "wi-fi"
            if not word.isalpha() and not _LETTER_AND_STOP.fullmatch(word) and self.known(word):
                return first, last
        return None

    def _between(self, at: int, end: int) -> Iterator[Piece]:
        """Yield what stands between two places."""
        pattern, quick = _pattern(self.rules), self.rules.punctuation
        while True:
            while quick and (match := _QUICK.match(self.plain, at, end)):  # most words
                if match[1].lower() in ABBREVIATIONS or not match[1].isalpha():  # such as ½
                    break
                at = match.end()
                words = [tuple(way.split()) for way in self._word(match[1])]
                yield Piece(self.text[match.start(1) : at], match.start(1), at, words[0],
                            tuple(words[1:]))
            match = pattern.search(self.plain, at, end)
            if match is None:
                return
            at = match.end()
            kind = match.lastgroup or ""
            if kind == "aside" and not _is_sound(match[0]):
                at = match.start() + 1
                continue
            start, stop, ways = self._read(kind, match)
            if ways is None:
                at = match.start() + 1
            elif ways or kind in ("note", "aside"):
                words = [tuple(way.split()) for way in ways]
                at = max(at if stop == match.end() else stop, match.start() + 1)
                yield Piece(self.text[start:stop], start, stop, words[0] if words else (),
                            tuple(words[1:]))

    def _read(self, kind: str, match: re.Match[str]) -> tuple[int, int, Ways | None]:
        """Return the place of a match and the ways to say it; None: it is no such thing."""
        start, end = match.span()
        text = match[0]
        if kind in ("note", "aside"):
            return start, end, ()
        if kind == "symbol":
            return start, end, (SYMBOLS[text],)
        if kind in NUMBER_PARTS:
            return start, end, self.numbers.read(kind, match)
        if kind == "link":
            stripped = text.rstrip(".,;:!?)'")
            return start, start + len(stripped), (self._link(stripped),)
        if kind == "short":
            return start, end, self._abbreviation(text)
        if kind == "dotted":
            return start, end, self._dotted(text)
        if kind == "mixed":
            return start, end, self._mixed(text)
        return start, end, self._word(text)

    def _cased(self, word: str) -> str:
        return lower(word) if self.rules.case else word

    def _word(self, text: str) -> Ways:
        word = tidy(text) if self.rules.typography else text
        if not self.rules.numbers and self.rules.punctuation:
            word = re.sub(r"(?<=\d),(?=\d)", "", word)
            word = word.replace(".", "") if not any(map(str.isdecimal, word)) else word
        if self.known and self.rules.letters and not self.shouts and 2 <= len(word) <= 5:
            if word.isalpha() and word.isupper() and not self.known(word):
                return (" ".join(self._cased(letter) for letter in word), self._cased(word))
        return (self._cased(word),) if word else ()

    def _abbreviation(self, text: str) -> Ways:
        name, dotted = text.rstrip(".").lower(), text.endswith(".")
        plain = text.rstrip(".")
        if not dotted and (name not in WITHOUT_STOP or self.known and self.known(plain)) or (
            name in TITLES and plain.islower()
        ):
            return (self._cased(plain),)
        return (ABBREVIATIONS[name], *OTHER_WAYS.get(name, ()))

    def _dotted(self, text: str) -> Ways:
        letters = [self._cased(letter) for letter in text if letter != "."]
        plain = " ".join(letters)
        said = DOTTED.get("".join(letters).lower())
        return (said, plain) if said else (plain,)

    def _mixed(self, text: str) -> Ways | None:
        """Read letters and digits joined: "B12", "mp3", "4k"."""
        parts = re.findall(r"\d+|[^\W\d_]+", text)
        ways: list[str] = []
        for part in parts:
            if part[0].isdecimal():
                ways.append(self.numbers.whole(part)[0])
            elif (self.known(part) if self.known else not _is_initials(part)) and len(part) > 1:
                ways.append(self._cased(part))
            else:
                ways.append(" ".join(map(self._cased, part)))
        return (" ".join(ways),)

    def _link(self, text: str) -> str:
        text = re.sub(r"^https?://", "", text).rstrip("/")
        found = re.findall(r"\d+|[^\W\d_]+|[./@:_-]", text)
        said = (self.numbers.whole(x)[0] if x[0].isdecimal() else IN_LINKS.get(x, self._cased(x))
                for x in found)
        return " ".join(said)




def _is_initials(part: str) -> bool:
    return len(part) <= 3 and (part.isupper() or not set(part.lower()) & set("aeiouy"))


def _is_sound(text: str) -> bool:
    """Say whether brackets hold a description of a sound, and not words that are said."""
    words = re.findall(r"[\w']+", text.lower())
    return text[0] == "♪" or 0 < len(words) <= 5 and not SOUNDS.isdisjoint(words)


def _is_speaker(label: str) -> bool:
    """Say whether the words before a colon name a speaker."""
    words = label.split()
    if not any(map(str.isalpha, label)) or words[0].lower() in SPOKEN_STARTS:
        return False
    if re.match(r"(?:speaker|spk|person|interviewer|interviewee|host|guest|caller)\b|spk", label,
                re.I):
        return True
    return all(word[0].isupper() or word[0].isdecimal() or word[0] == "(" for word in words)


def skipped_text(pieces: Iterable[Piece]) -> tuple[str, ...]:
    """Return what was skipped, as written."""
    return tuple(piece.text for piece in pieces if not piece.words)
