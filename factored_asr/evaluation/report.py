"""The report of `score`: systems against one reference, as text and as JSON.

The JSON (schema version 1)::

    {"schema": 1, "reference": "ref.trn", "rules": {"case": true, ...}, "weights": "levenshtein",
     "ignored": [],
     "systems": [{"name": "hyp.trn", "wer": 0.12, "n_words": 100, "substitutions": 8, ...,
                  "interval": {"low": 0.08, "high": 0.17, "unit": "utterances", ...},
                  "cer": 0.05, "sentences": {"n": 12, "wrong": 7},
                  "speakers": {"ann": {"wer": ..., ...}},
                  "confusions": {"substitutions": [["a", "the", 3], ...],
                                 "deletions": [["and", 2], ...], "insertions": [...]},
                  "understood": {"commands": 10, "accepted": 9, ...}, "missing": [], "extra": [],
                  "utterances": [{"id": "1", "speaker": "ann", "wer": 0.5, "n_words": 2, ...,
                                  "pairs": [["so", "so"], ["far", "four"]]}, ...]}],
     "differences": [{"first": ..., "second": ..., "difference": -0.01, "low": ..., "high": ...,
                      "p_bootstrap": ..., "n_segments": 31, "z": -1.9, "p_segments": 0.057}]}

Rates of nothing are null, and so is ``understood`` if the files hold no meanings.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from factored_asr.errors import MissingError, OptionError
from factored_asr.evaluation import scoring
from factored_asr.evaluation.meanings import Understood, understood
from factored_asr.evaluation.normalise import Rules
from factored_asr.evaluation.scoring import NOTHING, Bootstrap, Errors, Scored, Unit, Weights, total
from factored_asr.evaluation.significance import Difference, compare_errors
from factored_asr.evaluation.transcript_files import Entry, Meaning
from factored_asr.evaluation.transcripts import Transcripts, alternatives, cut

SCHEMA_VERSION = 1
SHOWN = 10  # confusion pairs in the text


@dataclass(frozen=True)
class ScoreOptions:
    """How transcripts are scored."""

    rules: Rules = field(default_factory=Rules)
    weights: Weights = "levenshtein"
    unit: Unit | None = None
    """Of the bootstrap; see `bootstrap`."""
    seed: int = 0
    speaker: str = ""
    """A regular expression whose first group, matched in the id, is the speaker; empty: the speaker
    of the reference."""


@dataclass(frozen=True)
class System:
    """One system's hypotheses, scored."""

    name: str
    scored: tuple[Scored, ...]
    """In the reference's order; missing utterances have every word deleted. Empty if the reference
    has no text."""
    interval: Bootstrap | None
    """None if the reference has no words."""
    characters: Errors
    understood: Understood | None
    missing: tuple[str, ...]
    """Utterances of the reference that the hypotheses lack."""
    extra: tuple[str, ...]
    """Utterances of the hypotheses that the reference lacks; not scored."""

    def confusions(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the pairs of confused words with their counts, the most frequent first."""
        counts = Counter(pair for each in self.scored for pair in each.confusions)
        found: dict[str, list[tuple[Any, ...]]] = {"substitutions": [], "deletions": [],
                                                   "insertions": []}
        for (reference, hypothesis), n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])):
            if reference == NOTHING:
                found["insertions"].append((hypothesis, n))
            elif hypothesis == NOTHING:
                found["deletions"].append((reference, n))
            else:
                found["substitutions"].append((reference, hypothesis, n))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "name": self.name, **_counts(total(self.scored)),
            "interval": self.interval and asdict(self.interval),
            "cer": _counts(self.characters)["wer"],
            "sentences": {"n": len(self.scored), "wrong": self._n_wrong},
            "speakers": {name: _counts(e) for name, e in scoring.by_speaker(self.scored).items()},
            "confusions": self.confusions(),
            "understood": self.understood and self.understood.to_dict(),
            "missing": self.missing, "extra": self.extra,
            "utterances": [
                {"id": s.id, "speaker": s.speaker, **_counts(s.errors), "pairs": s.pairs}
                for s in self.scored
            ],
        }

    def describe(self, alignments: bool = True) -> str:
        """Return the report as text."""
        parts = [f"== {self.name}"]
        if alignments:
            parts += [
                f"{s.id} ({s.speaker}) {s.errors.describe('words')}\n{s.describe()}\n"
                for s in self.scored if s.errors.total
            ]
        if self.scored:
            parts += [
                *self._confused(), scoring.speaker_table(self.scored),
                f"WER {total(self.scored).describe('words')}",
                *([str(self.interval)] if self.interval else []),
                f"CER {self.characters.describe('letters')}",
                f"{self._n_wrong} of {len(self.scored)} utterances with errors",
            ]
        if self.understood:
            parts.append(self.understood.describe())
        return "\n".join(parts)

    def _confused(self) -> list[str]:
        shown = []
        for kind, rows in self.confusions().items():
            if rows:
                listed = ", ".join(f"{' → '.join(words)} ({n})" for *words, n in rows[:SHOWN])
                more = f" … of {len(rows)}" if len(rows) > SHOWN else ""
                shown.append(f"{kind}: {listed}{more}")
        return [*shown, ""] if shown else []

    @property
    def _n_wrong(self) -> int:
        return sum(s.errors.total > 0 for s in self.scored)


@dataclass(frozen=True)
class Report:
    """Systems against one reference."""

    reference: str
    options: ScoreOptions
    systems: tuple[System, ...]
    differences: tuple[Difference, ...]
    """Of each pair of systems."""
    ignored: tuple[str, ...] = ()
    """Segments that the reference excludes from scoring."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values as described at the top of this module."""
        return {
            "schema": SCHEMA_VERSION, "reference": self.reference,
            "rules": self.options.rules.to_dict(), "weights": self.options.weights,
            "ignored": self.ignored, "systems": [each.to_dict() for each in self.systems],
            "differences": [asdict(each) for each in self.differences],
        }

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def describe(self, alignments: bool = True) -> str:
        """Return the report as text."""
        parts = [system.describe(alignments) for system in self.systems]
        about = f"{self.options.rules}; alignment: {self.options.weights}"
        if self.ignored:
            about += f"; {len(self.ignored)} segments of the reference are ignored, as it asks"
        return "\n\n".join([*parts, "\n".join(map(str, [*self.differences, about]))])

    @property
    def complete(self) -> bool:
        """False if a system lacks utterances or has others."""
        return not any(each.missing or each.extra for each in self.systems)


def score_files(reference: Transcripts, hypotheses: Sequence[Transcripts],
                options: ScoreOptions | None = None) -> Report:
    """Score hypotheses against a reference, and compare each pair of them.

    A missing utterance counts as an empty hypothesis. Raise MissingError if a system shares no
    utterance with the reference. Raise OptionError if the speaker's pattern is no regular
    expression with a group, or the reference needs words with times that a system lacks.
    """
    options = options or ScoreOptions()
    reference, fitted = _fit(reference, hypotheses)
    named = _with_speakers(reference, options.speaker)
    scored = {name: each for name, each in named.items() if not each.ignored}
    systems = tuple(_score(reference.name, scored, each, options) for each in fitted)
    differences = tuple(
        compare_errors((a.name, b.name), a.scored, b.scored, options.unit, seed=options.seed)
        for a, b in itertools.combinations([each for each in systems if each.interval], 2)
    )
    ignored = tuple(name for name, each in reference.entries.items() if each.ignored)
    return Report(reference.name, options, systems, differences, ignored)


def _fit(reference: Transcripts,
         hypotheses: Sequence[Transcripts]) -> tuple[Transcripts, list[Transcripts]]:
    """Return all in the same utterances: cut by the words' times, else whole recordings."""
    if not reference.segmented:
        return reference, list(hypotheses)
    untimed = [h for h in hypotheses if not h.timed]
    if any(not reference.entries.keys() & h.entries.keys() for h in untimed):
        reference = reference.joined()
    return reference, [cut(h, reference) if h.timed else h for h in hypotheses]


def _with_speakers(reference: Transcripts, pattern: str) -> dict[str, Entry]:
    if not pattern:
        return dict(reference.entries)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise OptionError(f"{pattern!r} is no regular expression: {error}") from None
    if compiled.groups < 1:
        raise OptionError(f"{pattern!r} must have a group, which is the speaker")
    matches = ((name, compiled.search(name), each) for name, each in reference.entries.items())
    return {name: replace(each, speaker=match[1] if match and match[1] else each.speaker)
            for name, match, each in matches}


def _score(where: str, reference: dict[str, Entry], hypothesis: Transcripts,
           options: ScoreOptions) -> System:
    found = hypothesis.entries
    if not reference.keys() & found.keys():
        raise MissingError(
            f"{hypothesis.name} has none of the {len(reference)} utterances of {where}: it names "
            f"{_named(found)}, the reference {_named(reference)}"
        )
    scored, meanings = [], []
    for name, entry in reference.items():
        other = found.get(name, Entry(name, ""))
        if entry.text is not None:
            words = options.rules.apply(other.text or "")
            best = _nearest(entry, words, where, options.rules)
            scored.append(scoring.score(name, entry.speaker, best, words, fold_case=False,
                                        weights=options.weights))
        if entry.meaning is not None and any(e.meaning for e in found.values()):
            meanings.append((entry.meaning, other.meaning or Meaning()))
    interval = None
    if total(scored).n_words:
        interval = scoring.bootstrap(scored, options.unit, seed=options.seed)
    return System(
        hypothesis.name, tuple(scored), interval,
        scoring.character_errors(scored), understood(meanings) if meanings else None,
        tuple(name for name in reference if name not in found),
        tuple(name for name in found if name not in reference),
    )


def _named(entries: Mapping[str, Entry]) -> str:
    """The first of some entries, with its channel, which may be what differs."""
    for name, entry in entries.items():
        return f"{name!r}" + (f" of channel {entry.channel!r}" if entry.channel else "")
    return "nothing"


def _nearest(entry: Entry, hypothesis: Sequence[str], where: str, rules: Rules) -> tuple[str, ...]:
    """Return the words of a reference; of alternatives those nearest to the hypothesis."""
    choices = [[rules.apply(text) for text in texts] for texts in alternatives(entry, where)]
    if all(len(texts) == 1 for texts in choices):
        return tuple(word for texts in choices for word in texts[0])
    return scoring.nearest(choices, hypothesis)


def _counts(errors: Errors) -> dict[str, Any]:
    return {"wer": errors.rate if errors.n_words else None, **asdict(errors)}
