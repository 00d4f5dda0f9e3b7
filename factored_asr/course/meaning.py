"""Exercises of lessons 11 and 12: what a sentence means, and how systems are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

from factored_asr.course.exercise import Exercise, Mistake
from factored_asr.evaluation.scoring import score
from factored_asr.evaluation.significance import wilson

DENIED = {
    "turn on the kitchen light": False, "don't turn on the kitchen light": True,
    "please don't turn on the hall light": True, "don't forget to turn on the porch light": False,
    "turn on every light but not the kitchen": False,
    "do not turn off the hall light": True,
}  # fmt: skip
"""Sentence: is the command denied? A dialogue with lm/house.yaml acts on those that are not."""

REPAIRS = {
    "turn on the kitchen no the hall light": "turn on the hall light",
    "turn on the kitchen light": "turn on the kitchen light",
    "close the office no the bedroom blinds": "close the bedroom blinds",
    "no the porch light": "no the porch light",
}
"""Sentence: what remains after a correction within it."""


def _words_about(text: str, *, keep_before: bool = True, keep_after: bool = True) -> str:
    before, found, after = text.partition(" no ")
    return " ".join([*[before][: int(keep_before)], *[after][: int(keep_after)]]) if found else text


MEANING = (
    Exercise(
        "is_denied",
        "is_denied(text) returns True if the sentence denies the command. \"Don't forget to\" is "
        "no denial, nor is \"not\" before a part that is only excepted.",
        lambda text: DENIED[text], [(text,) for text in DENIED],
        (
            Mistake('"Not" may deny a part only: "every light but not the kitchen" is a command.',
                    lambda text: "forget" not in text and
                    any(word in ("not", "don't") for word in text.split())),
            Mistake("\"Don't forget to …\" asks for the action.",
                    lambda text: text.removeprefix("please ").startswith(("don't", "do not"))),
            Mistake("Nothing is found to be denied: look for \"don't\" and \"do not\".",
                    lambda text: False),
        ),
    ),
    Exercise(
        "repair",
        'repair(text) returns the sentence without what was corrected. "A no B" within a sentence '
        'replaces the two words before "no" by the words after it. "Turn on the kitchen no the '
        'hall light" becomes "turn on the hall light". A sentence that begins with "no" stays.',
        lambda text: REPAIRS[text], [(text,) for text in REPAIRS],
        (
            Mistake('The beginning of the command is still valid: keep what stands before "the '
                    'kitchen".', lambda text: _words_about(text, keep_before=False)),
            Mistake("This keeps what the speaker took back.",
                    lambda text: _words_about(text, keep_after=False)),
            Mistake('Removing "no" alone keeps both places: remove the wrong one as well.',
                    _words_about),
        ),
    ),
)  # fmt: skip


# --- comparison ----------------------------------------------------------------------------------

Counts = tuple[int, int, int]
TEXTS = [
    (["turn", "on", "the", "light"], ["turn", "off", "the", "light"]),
    (["stop", "the", "music"], ["stop", "music"]),
    (["go"], ["go", "go", "now"]),
    (["a", "b", "c", "d"], ["b", "c", "d", "e"]),
]


def _errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    found = score("", "", list(reference), list(hypothesis)).errors
    return found.substitutions, found.deletions, found.insertions


def _by_place(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    wrong = sum(a != b for a, b in zip(reference, hypothesis, strict=False))
    longer = len(hypothesis) - len(reference)
    return wrong, max(0, -longer), max(0, longer)


def _by_sets(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    return 0, len(set(reference) - set(hypothesis)), len(set(hypothesis) - set(reference))


COMPARISON = (
    Exercise(
        "word_errors",
        "word_errors(reference, hypothesis) returns (substitutions, deletions, insertions) of the "
        "alignment with the fewest errors. Both are lists of words.",
        _errors, TEXTS,
        (
            Mistake("Words must be aligned before they are compared: after a deletion all others "
                    "move by one.", _by_place),
            Mistake("Order and repetitions matter: a set forgets them.", _by_sets),
            Mistake("Deletions and insertions are exchanged: a deletion is a word of the reference "
                    "that is missing.",
                    lambda r, h: (_errors(r, h)[0], _errors(r, h)[2], _errors(r, h)[1])),
        ),
    ),
    Exercise(
        "interval",
        "interval(n_right, n) returns (low, high), Wilson's 95 % interval of a share, with z = "
        "1.959963984540054.",
        lambda n_right, n: tuple(map(float, wilson(n_right, n))), [(38, 40), (40, 40), (3, 7)],
        (
            Mistake("This is the normal approximation, which leaves 0 to 1 for shares near the "
                    "ends. Use Wilson's formula.", lambda k, n: _normal(k / n, n)),
            Mistake("A 95 % interval takes z = 1.96, not 1.645: 2.5 % lie on each side.",
                    lambda k, n: _wilson(k / n, n, 1.6448536269514722)),
            Mistake("Wilson's interval has its centre nearer to one half than the share.",
                    lambda k, n: _wilson_around(k / n, n)),
        ),
    ),
)  # fmt: skip

Z = 1.959963984540054


def _normal(share: float, n: int) -> tuple[float, float]:
    half = Z * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


def _half(share: float, n: int, z: float) -> float:
    return z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)


def _wilson(share: float, n: int, z: float) -> tuple[float, float]:
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    return centre - _half(share, n, z), centre + _half(share, n, z)


def _wilson_around(share: float, n: int) -> tuple[float, float]:
    return share - _half(share, n, Z), share + _half(share, n, Z)
