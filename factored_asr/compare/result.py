"""Results of a comparison: figures with their intervals, as a table and as JSON.

The JSON (schema version 1)::

    {"schema": 1, "measure": "accepted" | "wer", "rules": {...}, "grammar": "coffee.yaml" | null,
     "systems": [{"name": "ours", "load_seconds": 0.4, "model_bytes": 4e7, "peak_bytes": 2e8,
                  "first_word": 0.9, "answer": 0.05}, ...],
     "rows": [{"system": "ours", "condition": "6 dB", "snr": 6.0, "files": 318, "failed": 0,
               "value": 0.93, "low": 0.90, "high": 0.95, "cpu": 0.02, "wall": 0.02,
               "errors": {...} | null, "understood": {...} | null, "p": 0.01 | null}, ...],
     "utterances": [{"id": "a.wav", "said": "a latte", "asked": {...} | null,
                     "heard": [{"system": "ours", "snr": 6.0, "text": "a latte", "right": true,
                                "error": "", "pairs": [["a", "a"], ...], "meaning": {...}}, ...]}]}

Times are seconds, ``cpu`` and ``wall`` seconds for each second of sound, ``first_word`` and
``answer`` medians; ``snr`` is null for clean sound. ``p`` is of the row's system against the first
one in the same condition: exact McNemar test of commands, matched-pairs test of words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from factored_asr.compare.material import Item, condition_name
from factored_asr.compare.systems import SystemSpec
from factored_asr.errors import OptionError
from factored_asr.evaluation.meanings import Understood, accepts, understood
from factored_asr.evaluation.normalise import Rules
from factored_asr.evaluation.scoring import Errors, Scored, bootstrap, score, total
from factored_asr.evaluation.significance import compare_errors, mcnemar, wilson
from factored_asr.evaluation.transcript_files import Meaning

if TYPE_CHECKING:
    from factored_asr.dialogue import Reader

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Answer:
    """The answer of a system to one sound, and its cost."""

    system: str
    item: str
    snr: float
    text: str = ""
    understood: bool = False
    """True if the system returns the meaning itself."""
    intent: str = ""
    slots: Mapping[str, str] | None = None
    cpu: float = 0.0
    """Seconds of all threads."""
    wall: float = 0.0
    """Seconds."""
    duration: float = 0.0
    """Of the sound, seconds."""
    error: str = ""
    """Why the system failed; empty if it did not."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the journal; an SNR of infinity is null."""
        return {**asdict(self), "snr": _finite(self.snr)}

    @staticmethod
    def from_dict(row: Mapping[str, Any]) -> Answer:
        """Read what `to_dict` wrote."""
        return Answer(**{**row, "snr": math.inf if row["snr"] is None else float(row["snr"])})


@dataclass(frozen=True)
class SystemFacts:
    """Memory, size and latency of a system."""

    system: str
    load_seconds: float
    model_bytes: int | None
    """Size of the files it must be shipped with; None: unknown."""
    peak_bytes: int
    """Peak memory of its process while it transcribed whole sounds."""
    first_words: tuple[float, ...] = ()
    """Seconds from the start of each sound to the first word shown; nan: none."""
    answers: tuple[float, ...] = ()
    """Seconds from the end of each sound to the final words."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the journal."""
        return {**asdict(self), "first_words": [_finite(each) for each in self.first_words]}

    @staticmethod
    def from_dict(row: Mapping[str, Any]) -> SystemFacts:
        """Read what `to_dict` wrote."""
        firsts = tuple(math.nan if each is None else each for each in row["first_words"])
        return SystemFacts(**{**row, "first_words": firsts, "answers": tuple(row["answers"])})

    def summary(self) -> dict[str, Any]:
        """Return the figures for the result's JSON."""
        firsts = [each for each in self.first_words if not math.isnan(each)]
        return {"name": self.system, "load_seconds": self.load_seconds,
                "model_bytes": self.model_bytes, "peak_bytes": self.peak_bytes,
                "first_word": median(firsts) if firsts else None,
                "answer": median(self.answers) if self.answers else None}


@dataclass(frozen=True)
class Row:
    """One system in one condition."""

    system: str
    snr: float
    answers: tuple[Answer, ...]
    scored: tuple[Scored, ...] = ()
    """Scores of words; empty if meanings are scored."""
    meanings: tuple[tuple[Meaning, Meaning], ...] = ()
    """Meanings asked for and done; empty if words are scored."""
    low: float = 0.0
    high: float = 1.0
    p: float | None = None
    """p against the first system; None for the first system."""

    @property
    def value(self) -> float:
        """Share of commands accepted, or word error rate."""
        return self.understood.acceptance if self.understood else self.errors.rate

    @cached_property
    def errors(self) -> Errors:
        """Word errors."""
        return total(self.scored)

    @cached_property
    def understood(self) -> Understood | None:
        """Counts of commands."""
        return understood(self.meanings) if self.meanings else None

    @cached_property
    def right(self) -> list[bool]:
        """For each sound, whether it was accepted, or transcribed without an error."""
        if self.meanings:
            return [accepts(asked, done) for asked, done in self.meanings]
        return [not each.errors.total for each in self.scored]

    @property
    def failed(self) -> int:
        """Sounds on which the system failed."""
        return sum(bool(each.error) for each in self.answers)

    def factor(self, of: str) -> float:
        """Return seconds of ``cpu`` or ``wall`` per second of sound, without failures."""
        good = [each for each in self.answers if not each.error]
        seconds = sum(each.duration for each in good)
        return sum(getattr(each, of) for each in good) / seconds if seconds else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "system": self.system, "condition": condition_name(self.snr), "snr": _finite(self.snr),
            "files": len(self.answers), "failed": self.failed, "value": _finite(self.value),
            "low": self.low, "high": self.high, "cpu": _finite(self.factor("cpu")),
            "wall": _finite(self.factor("wall")), "p": self.p,
            "errors": asdict(self.errors) if self.scored else None,
            "understood": self.understood and self.understood.to_dict(),
        }


@dataclass(frozen=True)
class Comparison:
    """All systems in all conditions."""

    items: tuple[Item, ...]
    rows: tuple[Row, ...]
    facts: tuple[SystemFacts, ...]
    rules: Rules
    grammar: Path | None = None

    @staticmethod
    def of(
        items: Sequence[Item], systems: Sequence[SystemSpec], snrs: Sequence[float],
        answers: Mapping[tuple[str, float, str], Answer], facts: Mapping[str, SystemFacts],
        rules: Rules, grammar: Path | None = None, seed: int = 0,
    ) -> Comparison:
        """Score answers; OptionError if a text is a command but there is no grammar to read it."""
        read = _reader(grammar)
        rows = []
        for snr in snrs:
            first, *others = (
                _row(items, tuple(answers[spec.name, snr, item.name] for item in items), rules,
                     read, seed) for spec in systems
            )
            rows += [first, *(replace(row, p=_p(first, row, seed)) for row in others)]
        about = tuple(facts[spec.name] for spec in systems)
        return Comparison(tuple(items), tuple(rows), about, rules, grammar)

    @property
    def measure(self) -> str:
        """``accepted``: share of commands; ``wer``: word error rate."""
        return "accepted" if self.rows[0].meanings else "wer"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values as described at the top of this module."""
        return {
            "schema": SCHEMA_VERSION, "measure": self.measure, "rules": self.rules.to_dict(),
            "grammar": self.grammar and self.grammar.name,
            "systems": [each.summary() for each in self.facts],
            "rows": [row.to_dict() for row in self.rows],
            "utterances": [self._utterance(i, item) for i, item in enumerate(self.items)],
        }

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def _utterance(self, i: int, item: Item) -> dict[str, Any]:
        return {
            "id": item.name, "said": item.text, "asked": item.meaning and asdict(item.meaning),
            "heard": [
                {"system": row.system, "snr": _finite(row.snr), "text": row.answers[i].text,
                 "right": row.right[i], "error": row.answers[i].error,
                 "pairs": row.scored[i].pairs if row.scored else [],
                 "meaning": asdict(row.meanings[i][1]) if row.meanings else None}
                for row in self.rows
            ],
        }

    def describe(self) -> str:
        """Return two tables as text."""
        return "\n".join([
            *_columns([self._line(row) for row in self.rows], [
                "condition", "system", "accepted" if self.measure == "accepted" else "WER",
                "95 %", "p", "failed", "CPU x real time", "wall x real time",
                *(["false actions"] if self._n_others else []),
            ]), "",
            *_columns([_fact(each.summary()) for each in self.facts], [
                "system", "first word s", "answer s", "peak MB", "model MB", "load s",
            ]), "",
            "p: against the first system, "
            + ("exact McNemar test" if self.measure == "accepted" else "matched-pairs test"),
            f"{self.rules}; one thread and one core each, in turn, sound by sound",
        ])

    def _line(self, row: Row) -> list[str]:
        counts = row.understood
        words = row.errors
        n, of = (counts.accepted, counts.n_commands) if counts else (words.total, words.n_words)
        return [
            condition_name(row.snr), row.system, f"{n}/{of} = {100 * row.value:.1f} %",
            f"{100 * row.low:.1f} to {100 * row.high:.1f}", "" if row.p is None else f"{row.p:.2g}",
            str(row.failed), f"{row.factor('cpu'):.3f}", f"{row.factor('wall'):.3f}",
            *([f"{counts.false_actions}/{counts.n_others}"] if counts and self._n_others else []),
        ]

    @property
    def _n_others(self) -> int:
        """Number of sounds without a command."""
        return self.rows[0].understood.n_others if self.rows[0].understood else 0


def _reader(grammar: Path | None) -> Reader | None:
    """Return a reader of texts by the grammar and its rules of speech."""
    if grammar is None:
        return None
    from factored_asr.dialogue import Reader
    from factored_asr.models.grammars import read_understander

    return Reader(read_understander(grammar))


def _row(items: Sequence[Item], answers: tuple[Answer, ...], rules: Rules, read: Reader | None,
         seed: int) -> Row:
    row = Row(answers[0].system, answers[0].snr, answers)
    pairs = list(zip(items, answers, strict=True))
    if items[0].meaning is None:
        scored = tuple(
            score(item.name, item.utterance.speaker, rules.apply(item.text),
                  rules.apply(each.text), fold_case=False) for item, each in pairs
        )
        interval = bootstrap(scored, seed=seed)
        return replace(row, scored=scored, low=interval.low, high=interval.high)
    meanings = tuple((item.meaning or Meaning(), _meaning(each, rules, read))
                     for item, each in pairs)
    counts = understood(meanings)
    low, high = wilson(counts.accepted, counts.n_commands)
    return replace(row, meanings=meanings, low=low, high=high)


def _meaning(answer: Answer, rules: Rules, read: Reader | None) -> Meaning:
    """Return the meaning that a system returns, or else that of its text."""
    if answer.understood:
        return Meaning(answer.intent, answer.slots or {})
    if read is None:
        raise OptionError(f"{answer.system} writes text: commands need a grammar to read it by")
    words = replace(rules, digits=False).apply(answer.text)  # grammars spell numbers
    found = read.read(" ".join(words)).interpretation
    if found is None:
        return Meaning()
    return Meaning(found.intent, {name: str(value) for name, value in found.slots.items()})


def _p(first: Row, row: Row, seed: int) -> float:
    if row.scored:
        names = first.system, row.system
        return compare_errors(names, first.scored, row.scored, n_draws=1, seed=seed).p_segments
    pairs = list(zip(first.right, row.right, strict=True))
    return mcnemar(pairs.count((True, False)), pairs.count((False, True)))


def _fact(each: Mapping[str, Any]) -> list[str]:
    figures = (("first_word", ".2f", 1.0), ("answer", ".2f", 1.0), ("peak_bytes", ".0f", 1e6),
               ("model_bytes", ".1f", 1e6), ("load_seconds", ".2f", 1.0))
    return [each["name"], *("-" if each[name] is None else format(each[name] / unit, form)
                            for name, form, unit in figures)]


def _columns(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
