"""Word errors: the alignment of what was said with what was heard, counts, and their interval.

The alignment is the one of fewest errors (Levenshtein), made by kaldialign. The interval is that of
M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004: units are drawn with replacement, and the error rate is taken of each draw.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon

NOTHING = ""
"""Stands in an alignment across from an inserted or deleted word."""
FEW_SPEAKERS = 8

Unit = Literal["speakers", "utterances"]
Weights = Literal["levenshtein", "sclite"]
"""What errors cost in the alignment: 1 each; or, as in NIST's sclite, a substitution 4, an
insertion or deletion 3, which now and then makes an error more, and reads better."""


@dataclass(frozen=True)
class Errors:
    """Counts that add up.

    Examples
    --------
    >>> errors = Errors(8, substitutions=1) + Errors(2, insertions=1)
    >>> errors.total, errors.rate
    (2, 0.2)
    """

    n_words: int = 0
    """Words that were said."""
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def total(self) -> int:
        """All errors."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors a word that was said: may exceed 1; nan where nothing was said."""
        return self.total / self.n_words if self.n_words else float("nan")

    def describe(self, of: str) -> str:
        """Rate and counts, for people.

        Examples
        --------
        >>> Errors(8, substitutions=1, deletions=1).describe("words")
        '25.00 %: 1 substituted, 1 deleted, 0 inserted of 8 words'
        """
        return (
            f"{100 * self.rate:.2f} %: {self.substitutions} substituted, {self.deletions} deleted, "
            f"{self.insertions} inserted of {self.n_words} {of}"
        )

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.n_words + other.n_words, self.substitutions + other.substitutions,
            self.deletions + other.deletions, self.insertions + other.insertions,
        )


@dataclass(frozen=True)
class Scored:
    """One utterance: what was said and heard, word across from word."""

    id: str
    speaker: str
    pairs: tuple[tuple[str, str], ...]
    """Said and heard; `NOTHING` across from a word that was inserted or deleted."""

    @property
    def errors(self) -> Errors:
        """Counts of this utterance."""
        kinds = [_kind(said, heard) for said, heard in self.pairs]
        n_words = len(kinds) - kinds.count("I")
        return Errors(n_words, kinds.count("S"), kinds.count("D"), kinds.count("I"))

    @property
    def said(self) -> str:
        """The reference."""
        return " ".join(said for said, _ in self.pairs if said != NOTHING)

    @property
    def heard(self) -> str:
        """What the recogniser made of it."""
        return " ".join(heard for _, heard in self.pairs if heard != NOTHING)

    @property
    def confusions(self) -> Iterator[tuple[str, str]]:
        """The pairs that are errors."""
        return ((said, heard) for said, heard in self.pairs if said != heard)

    def describe(self) -> str:
        """Three lines: said, heard, and the kind of each error below it.

        Examples
        --------
        >>> print(score("1", "ann", "turn it on".split(), "turn on now".split()).describe())
        said   turn IT on  *
        heard  turn *  on  NOW
                    D      I
        """
        lines = ["said  ", "heard ", "      "]
        for said, heard in self.pairs:
            kind = _kind(said, heard)
            shown = (said.upper() or "*", heard.upper() or "*") if kind else (said, heard)
            width = max(map(len, shown))
            lines = [f"{line} {cell:{width}}"
                     for line, cell in zip(lines, (*shown, kind), strict=True)]
        return "\n".join(line.rstrip() for line in lines if line.strip())


@dataclass(frozen=True)
class Bootstrap:
    """A 95 % interval of an error rate, and how it came about."""

    low: float
    high: float
    unit: Unit
    """What was drawn with replacement: whole speakers, or single utterances."""
    n_units: int
    n_draws: int
    seed: int

    def __str__(self) -> str:
        return (
            f"95 % interval {100 * self.low:.2f} to {100 * self.high:.2f} %, by bootstrap over "
            f"{self.n_units} {self.unit} ({self.n_draws} draws, seed {self.seed})"
        )


def score(
    name: str, speaker: str, said: Sequence[str], heard: Sequence[str], *, fold_case: bool = True,
    weights: Weights = "levenshtein",
) -> Scored:
    """Lay what was heard across from what was said, with as few errors as can be.

    Words are the same whatever their case, unless ``fold_case`` is False.

    Examples
    --------
    >>> score("1", "ann", ["turn", "it", "on"], ["Turn", "on"]).errors
    Errors(n_words=3, substitutions=0, deletions=1, insertions=0)
    """
    import kaldialign

    if fold_case:
        said, heard = ([word.lower() for word in words] for words in (said, heard))
    pairs = kaldialign.align(list(said), list(heard), NOTHING, sclite_mode=weights == "sclite")
    return Scored(name, speaker, tuple(pairs))


def character_errors(scored: Iterable[Scored]) -> Errors:
    """Errors of letters, the blank between two words being one (as jiwer counts).

    Examples
    --------
    >>> character_errors([score("1", "ann", ["so", "far"], ["so", "four"])])
    Errors(n_words=6, substitutions=1, deletions=0, insertions=1)
    """
    import kaldialign

    found = Errors()
    for each in scored:
        counts = kaldialign.edit_distance(list(each.said), list(each.heard))
        found += Errors(len(each.said), counts["sub"], counts["del"], counts["ins"])
    return found


def nearest_pronunciation(
    words: Sequence[str], heard: Sequence[str], lexicon: Lexicon
) -> tuple[str, ...]:
    """The phones of a text: of several pronunciations of its words those nearest to what was heard.

    The alignment of fewest errors runs over all pronunciations of a word side by side.

    Examples
    --------
    >>> from factored_asr.lexicon import Lexicon, Pronunciation
    >>> lexicon = Lexicon({"the": (Pronunciation(("DH", "AH")), Pronunciation(("DH", "IY")))})
    >>> nearest_pronunciation(["the"], ["D", "IY"], lexicon)
    ('DH', 'IY')
    """
    return nearest([[p.phones for p in lexicon.find(word)] for word in words], heard)


def nearest(
    choices: Iterable[Iterable[Sequence[str]]], heard: Sequence[str]
) -> tuple[str, ...]:
    """Of texts with alternatives the one of fewest errors.

    Parameters
    ----------
    choices
        One after the other, what may stand there; an empty sequence where nothing need be said.

    Examples
    --------
    >>> nearest([[["i've"]], [["um"], ["uh"], []], [["as", "far"]]], "i've uh as fur".split())
    ("i've", 'uh', 'as', 'far')
    """
    row: list[tuple[int, tuple[str, ...]]] = [(n, ()) for n in range(len(heard) + 1)]
    for alternatives in choices:
        ends = []
        for alternative in alternatives:
            end = row
            for word in alternative:
                end = _next_row(end, word, heard)
            ends.append(end)
        row = [min(cells, key=lambda cell: cell[0]) for cells in zip(*ends, strict=True)]
    return row[-1][1]


def _next_row(
    row: list[tuple[int, tuple[str, ...]]], word: str, heard: Sequence[str]
) -> list[tuple[int, tuple[str, ...]]]:
    """Errors, and what was said, up to one word more, for every number of words heard."""
    new = [(row[0][0] + 1, (*row[0][1], word))]
    for n, other in enumerate(heard, start=1):
        cost, said, before = min(
            (row[n - 1][0] + (word != other), 0, row[n - 1][1]),
            (row[n][0] + 1, 0, row[n][1]), (new[-1][0] + 1, 1, new[-1][1]),
        )
        new.append((cost, before if said else (*before, word)))
    return new


def total(scored: Iterable[Scored]) -> Errors:
    """All errors together."""
    return sum((each.errors for each in scored), Errors())


def bootstrap(
    scored: Sequence[Scored], unit: Unit | None = None, n_draws: int = 10_000, seed: int = 0
) -> Bootstrap:
    """The interval in which the error rate of other speakers or utterances like these would lie.

    Parameters
    ----------
    unit
        What is drawn. A speaker's utterances share the speaker's voice, so whole speakers give the
        honest, wider interval, if there are enough; None: speakers from 8 on, else utterances.
    n_draws, seed
        How often and from which beginning; the same seed gives the same interval.

    Raises
    ------
    OptionError
        Nothing to draw from, or no word was said.
    """
    unit = unit_of(scored, unit)
    if n_draws < 1:
        raise OptionError(f"n_draws is {n_draws}, must be at least 1")
    counts = units(scored, unit)
    if not sum(c.n_words for c in counts):
        raise OptionError("no interval of an error rate where no word was said")
    table = np.array([(c.total, c.n_words) for c in counts], np.float64)
    rng = np.random.default_rng(seed)
    rates = np.empty(n_draws)
    for draw in range(n_draws):  # one at a time: memory stays small whatever the corpus
        errors, words = table[rng.integers(len(table), size=len(table))].sum(axis=0)
        rates[draw] = errors / words if words else np.nan
    low, high = np.nanquantile(rates, (0.025, 0.975))
    return Bootstrap(float(low), float(high), unit, len(table), n_draws, seed)


def unit_of(scored: Sequence[Scored], unit: Unit | None) -> Unit:
    """What to draw: what is asked for, else speakers if there are enough."""
    if unit not in (None, "speakers", "utterances"):
        raise OptionError(f"unit is {unit!r}, must be speakers or utterances")
    many = len({each.speaker for each in scored}) >= FEW_SPEAKERS
    return unit or ("speakers" if many else "utterances")


def units(scored: Sequence[Scored], unit: Unit) -> list[Errors]:
    """Errors of each unit that is drawn, in the order of their first utterance."""
    counts: dict[Hashable, Errors] = {}
    for i, each in enumerate(scored):
        key = each.speaker if unit == "speakers" else i
        counts[key] = counts.get(key, Errors()) + each.errors
    return list(counts.values())


def by_speaker(scored: Iterable[Scored]) -> dict[str, Errors]:
    """Errors of each speaker, sorted by name."""
    counts: dict[str, Errors] = {}
    for each in scored:
        counts[each.speaker] = counts.get(each.speaker, Errors()) + each.errors
    return dict(sorted(counts.items()))


def speaker_table(scored: Iterable[Scored]) -> str:
    """Errors of each speaker, for people."""
    speakers = by_speaker(scored)
    width = max(9, *(len(name) + 2 for name in speakers)) if speakers else 9
    lines = [f"{'speaker':{width}}  words  sub  del  ins   WER %"]
    for name, e in speakers.items():
        lines.append(
            f"{name:{width}}  {e.n_words:5}  {e.substitutions:3}  {e.deletions:3}  "
            f"{e.insertions:3}  {100 * e.rate:6.2f}"
        )
    return "\n".join(lines) + "\n"


def _kind(said: str, heard: str) -> str:
    if said == heard:
        return ""
    return "I" if said == NOTHING else "D" if heard == NOTHING else "S"
