"""What comes out of `explain`: the parts of the path, their rivals, the decodes with muted factors.

The JSON of an explanation (schema version 1)::

    {"schema": 1, "text": "turn on the light", "reason": "", "refused": false,
     "nearest": "turn on the light", "duration": 1.92, "cost": 312.4502,
     "background": {"words": ["turn", "<background>", "light"], "cost": 321.7, "margin": 9.2498},
     "acoustic_scale": 0.2, "language": "grammar", "frame_seconds": 0.03,
     "factors": ["acoustic", "pronunciation", "language", "penalty", "transitions", "silence",
                 "remainder"],
     "costs": {"acoustic": 290.1, ..., "remainder": 0.0, "total": 312.4502},
     "parts": [{"kind": "word", "word": "turn", "start": 0.31, "end": 0.52,
                "phones": [{"phone": "T", "start": 0.31, "end": 0.38}, ...],
                "costs": {"acoustic": 41.2, ..., "total": 44.0}, "free": 39.9,
                "rival": {"words": ["term"], "instead_of": ["turn"], "start": 0.31, "end": 0.55,
                          "cost": 318.1, "margin": 5.65, "decided": "acoustic",
                          "costs": {...}, "difference": {"acoustic": -4.1, ...}},
                "background": {"words": ["turn"], "cost": 47.9, "acoustic": 41.0, "graph": 6.9,
                               "margin": 3.9}}, ...],
     "states": [{"phone": "T", "state": 0, "pdf": 12, "start": 0.31, "end": 0.34}, ...],
     "muted": [{"name": "language", "label": "LM scale 0: ...", "text": "turn on a light",
                "same": false, "cost": 280.2, "compile_seconds": 3.1, "compiled": true,
                "note": ""}, ...],
     "interpretation": {"text": "turn on the light", "intent": "TurnOn", "slots": {...},
                        "confidence": 0.97, "trace": ["grammar: ...", ...],
                        "costs": {"acoustic": 290.1, "language": 22.3, "channel": 0.0},
                        "alternatives": [{"intent": "TurnOff", "slots": {...},
                                          "text": "turn off the light", "confidence": 0.02}]}}

Times are seconds from the start of the sound, costs -log, acoustics scaled by `acoustic_scale`.
`costs` is the sum of those of all parts and `cost` what the search had: they agree to 1e-3. Kinds
of parts are ``word``, ``pause``, ``fragment`` (phones of a word broken off) and ``end``, the last,
of no length. `free` is the acoustic cost of the best phones out of context: acoustic costs have no
zero of their own, and what a word costs above it tells how well it fits. A rival is null where the
lattice holds none; its `difference` is the cost of what was heard less that of the rival, over
whole paths: a negative number speaks for what was heard. `refused` is true where the grammar's
nearest sentence (`nearest`) is what is explained, but not taken for what was said: `text` is empty
then, and `reason` says why. `background` is what the grammar was searched beside, null where it was
not: its best path, and of it what lies in the time of each part, ``<background>`` for a phone of no
word that it knows; `margin` is its cost less the command's, in all and in each part.
`interpretation` is null without a grammar, or where nothing was meant. Within a version fields may
be added, none renamed or taken away.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from factored_asr.explain.ablation import Muted
from factored_asr.explain.background import Beside
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.path_costs import Part
from factored_asr.explain.rivals import Rival
from factored_asr.lattice import Lattice, Path
from factored_asr.results.alignment import State
from factored_asr.results.transcript import Transcript
from factored_asr.understanding import Interpretation

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Explained:
    """A part of the path, and what else might have been heard there."""

    part: Part
    rival: Rival | None = None
    background: Beside | None = None
    """What a grammar's background heard in its time."""

    @property
    def word(self) -> str:
        """Empty for a pause, a fragment and the end."""
        return self.part.word

    @property
    def costs(self) -> Costs:
        return self.part.costs


@dataclass(frozen=True)
class Explanation:
    """Why this was heard: `to_dict`, `text.as_text` and `html.as_html` write it out."""

    said: Transcript
    """The words and what they mean, as `Recognizer.transcribe` gives them."""
    meaning: Interpretation | None = None
    """The meaning of the words, with its probability and the alternatives in the lattice."""
    parts: tuple[Explained, ...] = ()
    """All of the path in its order, the end of the sentence last."""
    cost: float = float("inf")
    """What the search paid for the path; inf where none survived."""
    states: tuple[State, ...] = ()
    """The path state by state."""
    muted: tuple[Muted, ...] = ()
    """The decodes with a factor muted or swapped."""
    lattice: Lattice | None = field(default=None, repr=False, compare=False)
    """The competing words, from a search with wider beams over the same scores."""
    background: Path | None = field(default=None, repr=False, compare=False)
    """The best path of a grammar's background model; None where there is none."""
    needed: float = 0.0
    """Cost by which the command must be below the background's."""
    is_refused: bool = False
    """True where the parts are those of a command that was rejected."""
    is_grammar: bool = False
    """True where the language factor is a grammar."""
    acoustic_scale: float = 1.0
    frame_seconds: float = 1.0
    """Seconds from one frame to the next."""
    samples: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.float32), repr=False, compare=False
    )
    """(n_samples,) float32: the sound, to be seen and heard."""
    sample_rate: int = 16000

    @property
    def text(self) -> str:
        """What was heard."""
        return self.said.text

    @property
    def word_ids(self) -> tuple[int, ...]:
        """The words that are explained, by their ids in the lattice."""
        number = {word: i for i, word in enumerate(self.lattice.words if self.lattice else ())}
        return tuple(number[each.word] for each in self.words)

    @property
    def nearest(self) -> str:
        """The words that are explained, refused or not."""
        return " ".join(each.word for each in self.words)

    @property
    def margin(self) -> float | None:
        """By how much the command beat its background; below 0 where it lost."""
        return None if self.background is None else self.background.cost - self.cost

    @property
    def words(self) -> tuple[Explained, ...]:
        """The parts that are words."""
        return tuple(each for each in self.parts if each.part.kind == "word")

    @property
    def costs(self) -> Costs:
        """The sum of all parts: in all, the path's cost."""
        return reduce(add, (each.costs for each in self.parts), Costs())

    def seconds(self, frame: int) -> float:
        """When a frame begins."""
        return frame * self.frame_seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, as described at the top of this module."""
        return {
            "schema": SCHEMA_VERSION, "text": self.text, "reason": self.said.reason,
            "refused": self.is_refused, "nearest": self.nearest,
            "background": self._background(), "duration": round(self.said.duration, 3),
            "cost": round(self.cost, 4) if self.parts else None,
            "acoustic_scale": self.acoustic_scale,
            "language": "grammar" if self.is_grammar else "ngram",
            "frame_seconds": self.frame_seconds, "factors": list(FACTORS),
            "costs": self.costs.to_dict(),
            "parts": [self._part(each) for each in self.parts],
            "states": [
                {"phone": each.phone, "state": each.state, "pdf": each.pdf,
                 "start": round(each.start, 3), "end": round(each.end, 3)}
                for each in self.states
            ],
            "muted": [
                {"name": each.name, "label": each.label, "text": each.text,
                 "same": each.text == self.text,
                 "cost": round(each.cost, 4) if each.cost < float("inf") else None,
                 "compile_seconds": round(each.compile_seconds, 2), "compiled": each.compiled,
                 "note": each.note}
                for each in self.muted
            ],
            "interpretation": self._meaning(),
        }

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def _part(self, each: Explained) -> dict[str, Any]:
        part, rival, other = each.part, each.rival, each.background
        return {
            "kind": part.kind, "word": part.word, "start": self._rounded(part.start),
            "end": self._rounded(part.end),
            "phones": [
                {"phone": phone.phone, "start": self._rounded(phone.start),
                 "end": self._rounded(phone.end)}
                for phone in part.phones
            ],
            "costs": part.costs.to_dict(), "free": round(part.free, 4),
            "rival": None if rival is None else {
                "words": list(rival.words), "instead_of": list(rival.instead_of),
                "start": self._rounded(rival.start), "end": self._rounded(rival.end),
                "cost": round(rival.cost, 4), "margin": round(rival.margin, 4),
                "decided": rival.decided, "costs": rival.costs.to_dict(),
                "difference": rival.difference.to_dict(),
            },
            "background": None if other is None else {
                "words": list(other.words), "cost": round(other.cost, 4),
                "acoustic": round(other.acoustic, 4), "graph": round(other.graph, 4),
                "margin": round(other.cost - part.costs.total, 4),
            },
        }

    def _background(self) -> dict[str, Any] | None:
        if self.background is None or self.margin is None:
            return None
        return {
            "words": list(self.background.words), "cost": round(self.background.cost, 4),
            "margin": round(self.margin, 4),
        }

    def _rounded(self, frame: int) -> float:
        return round(self.seconds(frame), 3)

    def _meaning(self) -> dict[str, Any] | None:
        meaning = self.meaning
        if meaning is None:
            return None
        plain = replace(meaning, confidence=round(meaning.confidence, 4))
        costs = {name: round(value, 4) for name, value in asdict(meaning.costs).items()}
        return {
            **plain.to_dict(), "trace": list(meaning.trace), "costs": costs,
            "alternatives": [
                {"intent": each.intent, "slots": dict(each.slots), "text": each.text,
                 "confidence": round(each.confidence, 4)}
                for each in meaning.alternatives
            ],
        }
