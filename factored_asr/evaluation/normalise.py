"""Rules that make texts comparable. They decide what counts as an error, so results show them.

They are applied in this order, to references and hypotheses alike, by the normaliser of
`language.written`:

`case`          lower case
`fillers`       remove hesitations, and annotations of sounds: ``[noise]``, ``(laughs)``, ``<unk>``
`punctuation`   remove punctuation; typographic signs as plain ones; hyphens, dashes and slashes
                separate words; apostrophes inside words and decimal points stay
`numbers`       spell out numbers, sums, times and abbreviations: "21" → "twenty one"
replacements    replace sequences of words, as a file says
`digits`        write numbers as digits: "twenty one" → "21"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from factored_asr.errors import FormatError, OptionError
from factored_asr.language.written import TextRules, read_written, skipped_text, spoken_words
from factored_asr.results.numbers import read_number
from factored_asr.storage.reading import lines_with_text

SWITCHES = ("case", "fillers", "punctuation", "numbers", "digits")
FILLERS = frozenset("uh um er erm eh ah hm hmm mm mhm %hesitation".split())
"""Hesitations; annotations are fillers, too."""

SIGNS = ".,;:!?…\"“”„«»()"
"""Punctuation around words; brackets of annotations and apostrophes are none."""
_RULE = re.compile(r"\s*(?P<old>.+?)\s*=>\s*(?P<new>.*?)\s*(?:/\s*\[\s*\]\s*_+\s*\[\s*\])?\s*$")


@dataclass(frozen=True)
class Rules:
    """The rules in use.

    Examples
    --------
    >>> Rules.named("case,punctuation,digits").apply("Twenty-one, please!")
    ('21', 'please')
    >>> Rules().apply("Uh, no")
    ('uh,', 'no')
    """

    case: bool = True
    fillers: bool = False
    punctuation: bool = False
    digits: bool = False
    replacements: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    """Words → words; the longest match is replaced first, results are not replaced further."""
    source: str = ""
    """The file of the replacements."""
    numbers: bool = False

    @staticmethod
    def named(names: str, replacements: str | Path | None = None) -> Rules:
        """Return rules by their names, separated by commas; or ``all`` or ``none``.

        An unknown name raises OptionError; for the replacements see `read_replacements`.
        """
        chosen = {name.strip() for name in names.split(",")} - {"", "none"}
        if "all" in chosen:
            chosen = set(SWITCHES)
        if unknown := sorted(chosen.difference(SWITCHES)):
            known = ", ".join(SWITCHES)
            raise OptionError(f"{unknown[0]!r} is no rule; there are all, none, {known}")
        case, fillers, punctuation, numbers, digits = (name in chosen for name in SWITCHES)
        rules = Rules(case, fillers, punctuation, digits, numbers=numbers)
        if replacements is None:
            return rules
        read = read_replacements(replacements)
        folded = {rules._before(" ".join(old)): new for old, new in read.items()}
        return replace(rules, replacements=folded, source=str(replacements))

    def apply(self, text: str) -> tuple[str, ...]:
        """Return the words of a text, ready to be compared."""
        words = self._before(text)
        if self.replacements:
            words = tuple(self._replaced(words))
        return tuple(_digits(words)) if self.digits else words

    def skipped(self, text: str) -> tuple[str, ...]:
        """Return the annotations of a text that `apply` leaves out, as written.

        >>> Rules.named("fillers").skipped("no [noise] uh (laughs)")
        ('[noise]', '(laughs)')
        """
        if not self.fillers:
            return ()
        return skipped_text(read_written(unicodedata.normalize("NFC", text), self._written))

    def punctuated(self, text: str) -> tuple[str, ...]:
        """Return the words of a text with punctuation around them that `apply` leaves there.

        >>> Rules().punctuated("Stop, please!"), Rules.named("punctuation").punctuated("Stop!")
        (('Stop,', 'please!'), ())
        """
        words = () if self.punctuation else text.split()
        return tuple(word for word in words if word.strip(SIGNS) not in ("", word))

    def _before(self, text: str) -> tuple[str, ...]:
        """Apply the rules that come before the replacements."""
        text = unicodedata.normalize("NFC", text)
        words = spoken_words(text, self._written)
        fillers = FILLERS if self.fillers else ()
        return tuple(w for w in words if w.strip(".,;:!?").lower() not in fillers)

    @property
    def _written(self) -> TextRules:
        """The rules of the normaliser."""
        spelled = ("numbers", "years", "ordinals", "money", "times", "units", "ranges", "symbols",
                   "abbreviations", "letters")  # fmt: skip
        plain = {"case": self.case, "annotations": self.fillers,
                 **dict.fromkeys(("typography", "punctuation", "hyphens"), self.punctuation)}
        return TextRules(**plain, **dict.fromkeys(spelled, self.numbers), speakers=False)

    def _replaced(self, words: Sequence[str]) -> Iterator[str]:
        longest = max(map(len, self.replacements))
        at = 0
        while at < len(words):
            for length in range(min(longest, len(words) - at), 0, -1):
                new = self.replacements.get(tuple(words[at : at + length]))
                if new is not None:
                    yield from new
                    at += length
                    break
            else:
                yield words[at]
                at += 1

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**{name: getattr(self, name) for name in SWITCHES},
                "replacements": len(self.replacements), "replacements_file": self.source or None}

    def __str__(self) -> str:
        on = [name for name in SWITCHES if getattr(self, name)]
        off = [name for name in SWITCHES if not getattr(self, name)]
        if self.replacements:
            on.append(f"{len(self.replacements)} replacements of {self.source}")
        return f"rules: {', '.join(on) or 'none'}" + (f" (not {', '.join(off)})" if off else "")


def read_replacements(path: str | Path) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Read replacements of words, ``old words => new words`` a line.

    This is the plain part of NIST's GLM files: square brackets around both sides and an empty
    context ``/ [ ] __ [ ]`` are accepted. Lines that begin with ``;;``, ``#`` or ``*`` are
    comments. An empty right side deletes the words. Anything else raises FormatError with the line.
    """
    file = Path(path)
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, line in lines_with_text(file):
        if line.lstrip().startswith((";;", "#", "*")):
            continue
        match = _RULE.match(line)
        if not match:
            raise FormatError("must be: old words => new words", file, number)
        old, new = (tuple(re.sub(r"^\[(.*)\]$", r"\1", match[side].strip()).split())
                    for side in ("old", "new"))
        if "/" in new or "{" in "".join((*old, *new)):
            raise FormatError("contexts and alternatives are not known", file, number)
        if not old or old in found:
            raise FormatError(f"{' '.join(old)!r} is there already, or empty", file, number)
        found[old] = new
    return found


def _digits(words: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(words):
        value, end = read_number(words, at)
        yield str(value) if end > at else words[at]
        at = max(end, at + 1)
