"""Tests of whether the difference of two systems may be chance.

* Paired bootstrap: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR
  performance evaluation", ICASSP 2004. The same units are drawn for both systems.
* Matched-pairs sentence-segment word error test: L. Gillick and S. Cox, "Some statistical issues in
  the comparison of speech recognition algorithms", ICASSP 1989. Errors depend on their neighbours,
  so texts are cut where both systems have two words right in a row, as NIST's sc_stats does. The
  difference in errors of whole segments is tested against a mean of 0.
* Wilson's interval of a share (E. B. Wilson, JASA 22, 1927) and McNemar's exact test
  (Q. McNemar, Psychometrika 12, 1947): scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from factored_asr.errors import OptionError
from factored_asr.evaluation import scoring
from factored_asr.evaluation.scoring import NOTHING, Scored, Unit, drawn_rates, total

GOOD_WORDS = 2  # right in a row, by both systems, separate two segments


@dataclass(frozen=True)
class Difference:
    """Error rate of the first system minus that of the second; below 0, the first is better."""

    first: str
    second: str
    difference: float
    low: float
    """Of the 95 % interval by paired bootstrap."""
    high: float
    p_bootstrap: float
    """Two-sided: twice the smaller share of draws on one side of 0."""
    unit: Unit
    """What was drawn."""
    n_segments: int
    """Sentence segments in which at least one system has an error."""
    z: float
    """Mean difference of a segment's errors divided by its standard error; 0 if all are equal."""
    p_segments: float
    """Two-sided, of the matched-pairs test. It assumes a normal distribution, which needs about 50
    segments or more."""

    def __str__(self) -> str:
        return (f"{self.first} against {self.second}: {100 * self.difference:+.2f} points of WER, "
                f"95 % interval {100 * self.low:+.2f} to {100 * self.high:+.2f}, p = "
                f"{self.p_bootstrap:.4f} (paired bootstrap over {self.unit}); p = "
                f"{self.p_segments:.4f} (matched pairs, {self.n_segments} segments, "
                f"z = {self.z:+.2f})")


def compare_errors(names: tuple[str, str], first: Sequence[Scored], second: Sequence[Scored],
                   unit: Unit | None = None, n_draws: int = 10_000, seed: int = 0) -> Difference:
    """Compare two systems on the same utterances in the same order; for the rest see `bootstrap`.

    Raise OptionError if the utterances differ, or the reference is empty.
    """
    if [s.id for s in first] != [s.id for s in second]:
        raise OptionError(f"{names[0]} and {names[1]} were not scored on the same utterances")
    unit = scoring.unit_of(first, unit)
    one, two = (scoring.error_table(scored, unit) for scored in (first, second))
    drawn = np.nan_to_num(drawn_rates(one, n_draws, seed) - drawn_rates(two, n_draws, seed))
    sides = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    low, high = np.quantile(drawn, (0.025, 0.975))
    pairs = [pair for a, b in zip(first, second, strict=True) for pair in segments(a, b)]
    n_segments, z, p = segment_test(pairs)
    return Difference(*names, total(first).rate - total(second).rate, float(low), float(high),
                      min(1.0, 2 * (sides + 1) / (n_draws + 1)), unit, n_segments, z, p)


def segments(first: Scored, second: Scored, n_good: int = GOOD_WORDS) -> list[tuple[int, int]]:
    """Return the errors of both systems in each segment of an utterance that has any.

    A segment ends where both systems have `n_good` words of the reference right in a row, with
    nothing inserted between them.

    Examples
    --------
    >>> from factored_asr.evaluation.scoring import score
    >>> text = "so far this year the industry slide".split()
    >>> one = score("1", "ann", text, "so four this year the industry lied".split())
    >>> two = score("1", "ann", text, "so far this year the industry".split())
    >>> segments(one, two)
    [(1, 0), (1, 1)]
    """
    found, errors, good = [], (0, 0), 0
    for one, two in zip(_by_word(first), _by_word(second), strict=True):
        if one[0] or two[0]:
            good = 0  # something inserted
        good = 0 if one[1] or two[1] else good + 1
        errors = (errors[0] + sum(one), errors[1] + sum(two))
        if good >= n_good and any(errors):
            found.append(errors)
            errors = (0, 0)
    return [*found, errors] if any(errors) else found


def segment_test(pairs: Sequence[tuple[int, int]]) -> tuple[int, float, float]:
    """Return the number of segments, z, and the two-sided p of their mean difference in errors.

    Examples
    --------
    >>> n, z, p = segment_test([(2, 0), (0, 1), (1, 2), (1, 0)])
    >>> n, round(z, 3), round(p, 3)
    (4, 0.333, 0.739)
    """
    differences = np.array([one - two for one, two in pairs], np.float64)
    n = len(differences)
    if n < 2 or not differences.any():
        return n, 0.0, 1.0
    # If all segments differ by the same number, use their spread around 0 in place of the mean.
    spread = differences.std(ddof=1) or abs(differences.mean())
    z = float(differences.mean() / (spread / math.sqrt(n)))
    return n, z, math.erfc(abs(z) / math.sqrt(2))


def wilson(n_right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) if `n` is 0."""
    from scipy.stats import binomtest

    if not n:
        return 0.0, 1.0
    interval = binomtest(n_right, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p of McNemar's exact test from the items that only one system has right.

    Examples
    --------
    >>> round(mcnemar(8, 1), 4), mcnemar(3, 3)
    (0.0391, 1.0)
    """
    from scipy.stats import binomtest

    n = only_first + only_second
    return float(binomtest(only_first, n).pvalue) if n else 1.0


def _by_word(scored: Scored) -> Iterator[tuple[int, int]]:
    """Yield, for each word of the reference, the words inserted before it and whether it is wrong;
    then the words inserted at the end."""
    inserted = 0
    for reference, hypothesis in scored.pairs:
        if reference == NOTHING:
            inserted += 1
        else:
            yield inserted, int(reference != hypothesis)
            inserted = 0
    yield inserted, 0
