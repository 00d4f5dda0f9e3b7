"""Word errors: the alignment of a reference with a hypothesis, counts, and their interval.

The alignment is kaldialign's, with the fewest errors (Levenshtein). The interval is that of
M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004: units are drawn with replacement, and the error rate of each draw is taken.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.lexicon import Lexicon

NOTHING = ""
"""The other side of an inserted or deleted word in an alignment."""
FEW_SPEAKERS = 8

_Row = list[tuple[int, tuple[str, ...]]]

Unit = Literal["speakers", "utterances"]
Weights = Literal["levenshtein", "sclite"]
"""Costs of the alignment: 1 for each error; or, as in NIST's sclite, 4 for a substitution and 3 for
an insertion or deletion. The latter rarely adds an error and reads better."""


@dataclass(frozen=True)
class Errors:
    """Counts of errors, which can be added.

    Examples
    --------
    >>> errors = Errors(8, substitutions=1) + Errors(2, insertions=1)
    >>> errors.total, errors.rate
    (2, 0.2)
    """

    n_words: int = 0
    """Words of the reference."""
    substitutions: int = 0
    """Words that were taken for others."""
    deletions: int = 0
    """Words that were left out."""
    insertions: int = 0
    """Words that were added."""

    @property
    def total(self) -> int:
        """Number of all errors."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per word of the reference; may exceed 1; nan if the reference is empty."""
        return self.total / self.n_words if self.n_words else float("nan")

    def describe(self, of: str) -> str:
        """Return rate and counts as text: ``25.00 %: 1 substituted, … of 8 words``."""
        if not self.n_words:
            return f"no rate: no {of} in the reference, {self.insertions} inserted"
        return (f"{100 * self.rate:.2f} %: {self.substitutions} substituted, {self.deletions} "
                f"deleted, {self.insertions} inserted of {self.n_words} {of}")

    def __add__(self, other: Errors) -> Errors:
        return Errors(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Scored:
    """One utterance: its reference and hypothesis, aligned.

    Examples
    --------
    >>> scored = score("1", "ann", ["turn", "it", "on"], ["turn", "on"])
    >>> scored.errors.deletions, round(scored.errors.rate, 2)
    (1, 0.33)
    """

    id: str
    """Name of the utterance."""
    speaker: str
    """Who speaks."""
    pairs: tuple[tuple[str, str], ...]
    """Words of reference and hypothesis; `NOTHING` opposite an inserted or deleted word."""

    @property
    def errors(self) -> Errors:
        """Counts of this utterance."""
        kinds = Counter(_kind(*pair) for pair in self.pairs)
        return Errors(len(self.pairs) - kinds["I"], kinds["S"], kinds["D"], kinds["I"])

    @property
    def reference(self) -> str:
        """Text of the reference."""
        return " ".join(word for word, _ in self.pairs if word != NOTHING)

    @property
    def hypothesis(self) -> str:
        """Text of the hypothesis."""
        return " ".join(word for _, word in self.pairs if word != NOTHING)

    @property
    def confusions(self) -> Iterator[tuple[str, str]]:
        """The pairs that are errors."""
        return ((one, other) for one, other in self.pairs if one != other)

    def __getattr__(self, name: str) -> str:
        new = {"said": "reference", "heard": "hypothesis"}.get(name)
        if new is None:
            raise AttributeError(name)
        warnings.warn(f"Scored.{name} is deprecated, use Scored.{new}", DeprecationWarning,
                      stacklevel=2)
        return str(getattr(self, new))

    def describe(self) -> str:
        """Return three lines: reference, hypothesis, and the kind of each error.

        Examples
        --------
        >>> print(score("1", "ann", "turn it on".split(), "turn on now".split()).describe())
        ref  turn IT on  *
        hyp  turn *  on  NOW
                  D      I
        """
        lines = ["ref ", "hyp ", "    "]
        for pair in self.pairs:
            kind = _kind(*pair)
            cells = (pair[0].upper() or "*", pair[1].upper() or "*", kind) if kind else (*pair, "")
            width = max(map(len, cells))
            lines = [f"{line} {cell:{width}}" for line, cell in zip(lines, cells, strict=True)]
        return "\n".join(line.rstrip() for line in lines if line.strip())


@dataclass(frozen=True)
class Bootstrap:
    """A 95 % interval of an error rate, and how it was computed.

    Examples
    --------
    >>> Bootstrap(0.08, 0.12, "speakers", n_units=9, n_draws=10_000, seed=0).high
    0.12
    """

    low: float
    """Lower end of the interval, a share of the words."""
    high: float
    """Upper end of the interval, a share of the words."""
    unit: Unit
    """What was drawn with replacement: whole speakers, or single utterances."""
    n_units: int
    """Number of speakers or utterances."""
    n_draws: int
    """Number of random draws."""
    seed: int
    """Seed of the random numbers."""

    def __str__(self) -> str:
        return (f"95 % interval {100 * self.low:.2f} to {100 * self.high:.2f} %, by bootstrap over "
                f"{self.n_units} {self.unit} ({self.n_draws} draws, seed {self.seed})")


def score(name: str, speaker: str, reference: Sequence[str], hypothesis: Sequence[str], *,
          fold_case: bool = True, weights: Weights = "levenshtein") -> Scored:
    """Align the hypothesis of an utterance with its reference.

    Case is ignored, unless `fold_case` is False. For the costs of the alignment see `Weights`.

    Examples
    --------
    >>> score("1", "ann", ["turn", "it", "on"], ["Turn", "on"]).errors
    Errors(n_words=3, substitutions=0, deletions=1, insertions=0)
    """
    import kaldialign

    texts = [[word.lower() if fold_case else word for word in text]
             for text in (reference, hypothesis)]
    pairs = kaldialign.align(*texts, NOTHING, sclite_mode=weights == "sclite")
    return Scored(name, speaker, tuple(pairs))


def character_errors(scored: Iterable[Scored]) -> Errors:
    """Return the errors of letters; a space between words counts as one (as jiwer counts)."""
    import kaldialign

    found = Errors()
    for each in scored:
        counts = kaldialign.edit_distance(list(each.reference), list(each.hypothesis))
        found += Errors(len(each.reference), counts["sub"], counts["del"], counts["ins"])
    return found


def nearest_pronunciation(words: Sequence[str], phones: Sequence[str],
                          lexicon: Lexicon) -> tuple[str, ...]:
    """Return the pronunciation of a text that is nearest to a sequence of phones.

    Examples
    --------
    >>> from factored_asr.lexicon import Lexicon, Pronunciation
    >>> lexicon = Lexicon({"the": (Pronunciation(("DH", "AH")), Pronunciation(("DH", "IY")))})
    >>> nearest_pronunciation(["the"], ["D", "IY"], lexicon)
    ('DH', 'IY')
    """
    return nearest([[p.phones for p in lexicon.find(word)] for word in words], phones)


def nearest(choices: Iterable[Iterable[Sequence[str]]],
            hypothesis: Sequence[str]) -> tuple[str, ...]:
    """Return, of a text with alternatives at each place, the version with the fewest errors.

    Examples
    --------
    >>> nearest([[["i've"]], [["um"], ["uh"], []], [["as", "far"]]], "i've uh as fur".split())
    ("i've", 'uh', 'as', 'far')
    """
    row: _Row = [(n, ()) for n in range(len(hypothesis) + 1)]
    for alternatives in choices:
        ends = []
        for alternative in alternatives:
            end = row
            for word in alternative:
                end = _next_row(end, word, hypothesis)
            ends.append(end)
        row = [min(cells, key=lambda cell: cell[0]) for cells in zip(*ends, strict=True)]
    return row[-1][1]


def _next_row(row: _Row, word: str, hypothesis: Sequence[str]) -> _Row:
    """Return errors and reference, one word longer, for each length of the hypothesis."""
    new = [(row[0][0] + 1, (*row[0][1], word))]
    for n, other in enumerate(hypothesis, start=1):
        cost, inserted, before = min((row[n - 1][0] + (word != other), 0, row[n - 1][1]),
                                     (row[n][0] + 1, 0, row[n][1]), (new[-1][0] + 1, 1, new[-1][1]))
        new.append((cost, before if inserted else (*before, word)))
    return new


def total(scored: Iterable[Scored]) -> Errors:
    """Return the sum of all errors."""
    return sum((each.errors for each in scored), Errors())


def bootstrap(scored: Sequence[Scored], unit: Unit | None = None, n_draws: int = 10_000,
              seed: int = 0) -> Bootstrap:
    """Return the 95 % interval of the error rate on other speakers or utterances like these.

    A speaker's utterances share a voice, so drawing whole speakers gives the honest, wider interval
    if there are enough. Default of `unit`: speakers if there are 8 or more, else utterances. Raise
    OptionError if the reference is empty.

    Examples
    --------
    >>> right, wrong = (score("1", "ann", ["go"], [word]) for word in ("go", "no"))
    >>> interval = bootstrap([right] * 45 + [wrong] * 5)  # 10 % wrong
    >>> interval.unit, round(interval.low, 2), round(interval.high, 2)
    ('utterances', 0.02, 0.2)
    """
    unit = unit_of(scored, unit)
    table = error_table(scored, unit)
    low, high = np.nanquantile(drawn_rates(table, n_draws, seed), (0.025, 0.975))
    return Bootstrap(float(low), float(high), unit, len(table), n_draws, seed)


def drawn_rates(table: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Return the error rates, (n_draws,), of units drawn with replacement; nan without words."""
    if n_draws < 1:
        raise OptionError(f"n_draws is {n_draws}, must be at least 1")
    rng, n = np.random.default_rng(seed), len(table)
    errors, words = np.array([table[rng.integers(n, size=n)].sum(0) for _ in range(n_draws)]).T
    return np.divide(errors, words, out=np.full(n_draws, np.nan), where=words > 0)


def unit_of(scored: Sequence[Scored], unit: Unit | None) -> Unit:
    """Return the unit to draw: the given one, else speakers if there are enough."""
    if unit not in (None, "speakers", "utterances"):
        raise OptionError(f"unit is {unit!r}, must be speakers or utterances")
    many = len({each.speaker for each in scored}) >= FEW_SPEAKERS
    return unit or ("speakers" if many else "utterances")


def error_table(scored: Sequence[Scored], unit: Unit) -> np.ndarray:
    """Return errors and words of each unit, (n_units, 2), in the order of first appearance."""
    counts = _sums((each.speaker if unit == "speakers" else i, each)
                   for i, each in enumerate(scored))
    if not any(each.n_words for each in counts.values()):
        raise OptionError("no error rate without words in the reference")
    return np.array([(each.total, each.n_words) for each in counts.values()], np.float64)


def by_speaker(scored: Iterable[Scored]) -> dict[str, Errors]:
    """Return the errors of each speaker, sorted by name."""
    return dict(sorted(_sums((each.speaker, each) for each in scored).items()))


def _sums(keyed: Iterable[tuple[Any, Scored]]) -> dict[Any, Errors]:
    counts: dict[Any, Errors] = {}
    for key, each in keyed:
        counts[key] = counts.get(key, Errors()) + each.errors
    return counts


def speaker_table(scored: Iterable[Scored]) -> str:
    """Return the errors of each speaker as a table of text."""
    speakers = by_speaker(scored)
    width = max([9, *(len(name) + 2 for name in speakers)])
    lines = [f"{'speaker':{width}}  words  sub  del  ins   WER %"]
    lines += [f"{name:{width}}  {e.n_words:5}  {e.substitutions:3}  {e.deletions:3}  "
              f"{e.insertions:3}  {100 * e.rate:6.2f}" if e.n_words else
              f"{name:{width}}  {0:5}  {0:3}  {0:3}  {e.insertions:3}       -"
              for name, e in speakers.items()]
    return "\n".join(lines) + "\n"


def _kind(reference: str, hypothesis: str) -> str:
    if reference == hypothesis:
        return ""
    return "I" if reference == NOTHING else "D" if hypothesis == NOTHING else "S"
