"""The result of `explain`: the parts of the path, their competitors, the results without factors.

The JSON of an explanation (schema version 1)::

    {"schema": 1, "text": "turn on the light", "reason": "", "refused": false,
     "nearest": "turn on the light", "duration": 1.92, "cost": 312.4502,
     "background": {"words": ["turn", "<background>", "light"], "cost": 321.7, "margin": 9.2498},
     "acoustic_scale": 0.2, "language": "grammar", "frame_seconds": 0.03,
     "models": {"acoustic": "en-us-network", "pronunciation": "cmudict-en-us.dict",
                "language": "smart_home.yaml", "times": "en-us"}, "second_pass": "",
     "strings": [{"words": ["turn", "on", "the", "light"], "cost": 312.4, "acoustic": 290.1,
                  "other": 6120.5, "total": 373.6, "weight": 0.01}, ...],
     "factors": ["acoustic", "pronunciation", "language", "penalty", "transitions", "silence",
                 "hotword", "remainder"],
     "costs": {"acoustic": 290.1, ..., "remainder": 0.0, "total": 312.4502},
     "parts": [{"kind": "word", "word": "turn", "start": 0.31, "end": 0.52,
                "phones": [{"phone": "T", "start": 0.31, "end": 0.38}, ...],
                "costs": {"acoustic": 41.2, ..., "total": 44.0}, "free": 39.9,
                "rival": {                                    # old name of the competitor
                          "words": ["term"], "instead_of": ["turn"], "start": 0.31, "end": 0.55,
                          "cost": 318.1, "margin": 5.65, "decided": "acoustic",
                          "costs": {...}, "difference": {"acoustic": -4.1, ...}},
                "background": {"words": ["turn"], "cost": 47.9, "acoustic": 41.0, "graph": 6.9,
                               "margin": 3.9}}, ...],
     "states": [{"phone": "T", "state": 0, "pdf": 12, "start": 0.31, "end": 0.34}, ...],
     "muted": [                                               # old name of the ablations
               {"name": "language", "label": "LM scale 0: ...", "text": "turn on a light",
                "same": false, "cost": 280.2, "compile_seconds": 3.1, "compiled": true,
                "note": ""}, ...],
     "interpretation": {"text": "turn on the light", "intent": "TurnOn", "slots": {...},
                        "confidence": 0.97, "trace": ["grammar: ...", ...],
                        "costs": {"acoustic": 290.1, "language": 22.3, "channel": 0.0},
                        "alternatives": [{"intent": "TurnOff", "slots": {...},
                                          "text": "turn off the light", "confidence": 0.02}]},
     "expected": {"text": "turn up the light", "lost_by": "acoustic", "reason": "they cost ...",
                  "words": [{"expected": "up", "recognised": "on", "start": 0.5, "end": 0.7}, ...],
                  "costs": {...}, "difference": {"acoustic": 12.1, ...}}}

Times are seconds from the start of the sound, costs -log, acoustics times `acoustic_scale`. `costs`
is the sum of those of all parts and `cost` what the search paid: they agree to 1e-3. Kinds of parts
are ``word``, ``pause``, ``fragment`` (phones of an unfinished word) and ``end``, the last, of no
length. `free` is the acoustic cost of the best phones out of context: acoustic costs have no
absolute zero, and a word's cost above it tells how well it fits. A competitor is null if the
lattice has none; its `difference` is the cost of the hypothesis less that of the competitor, over
whole paths. Below 0 it favours the hypothesis. If the command was rejected, `refused` is true,
`text` empty, `reason` says why, and the parts are those of the grammar's best sentence, `nearest`.
`background` is the background model's best path, null without one, and its share in the time of
each part (``<background>`` for a phone outside of known words). `margin` is its cost less the
command's, in all and in each part. `interpretation` is null without a grammar or a meaning.
`models` names what gave each factor's costs, and which model's alignment gave the words of the
transcript their times. Times of `parts` and `states` are those of the acoustic model's frames.
`second_pass` has the words that `transcribe` gives where a second pass chooses other ones.
`strings` is empty unless the model of the times scores the best word strings, too. Its `acoustic`
is the first model's part of `cost`, its `other` the second's, and `total` is `cost` + `weight` ×
`other`. `expected` is null unless expected words were given; its `difference` is their cost less
that of the result, and its costs are null where they have no path (see `explain.expected`). The
keys of a version stay as they are, also where the Python names have changed; keys may be added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from factored_asr._deprecated import renamed_fields
from factored_asr.explain.ablation import Ablation
from factored_asr.explain.background import BackgroundShare
from factored_asr.explain.competitors import Competitor
from factored_asr.explain.expected import Expected
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.path_costs import Part
from factored_asr.lattice import Lattice, Path, PhoneSegment, TwiceScored
from factored_asr.results.alignment import State
from factored_asr.results.transcript import Transcript
from factored_asr.understanding import Interpretation

SCHEMA_VERSION = 1


@renamed_fields({"rival": "competitor"})  # old name
@dataclass(frozen=True)
class Explained:
    """A part of the path, its competitor, and the background model's share.

    Examples
    --------
    >>> from factored_asr.explain.factors import Costs
    >>> Explained(Part("word", "on", 10, 40, (), Costs(acoustic=90.0, language=2.0))).costs.total
    92.0
    """

    part: Part
    """The stretch of the path."""
    competitor: Competitor | None = None
    """The best path with another word there; None if there is none."""
    background: BackgroundShare | None = None
    """What the background model has there; None without one."""

    @property
    def word(self) -> str:
        """Return the word; empty for a pause, a fragment and the end."""
        return self.part.word

    @property
    def costs(self) -> Costs:
        """Return the costs of the part, by factor."""
        return self.part.costs


@renamed_fields({
    "said": "transcript", "muted": "ablations", "is_refused": "is_rejected",  # old names
})  # fmt: skip
@dataclass(frozen=True)
class Explanation:
    """Why these words: `to_dict`, `text.as_text` and `html.as_html` write it.

    Examples
    --------
    >>> nothing = Explanation(Transcript(reason="no speech"))
    >>> nothing.text, nothing.words, nothing.cost
    ('', (), inf)
    """

    transcript: Transcript
    """The words and what they mean, as `Recognizer.transcribe` gives them."""
    meaning: Interpretation | None = None
    """The meaning of the words, with its probability and the alternatives in the lattice."""
    parts: tuple[Explained, ...] = ()
    """The whole path in order, the end of the sentence last."""
    cost: float = float("inf")
    """Cost of the path in the search; inf if none survived."""
    states: tuple[State, ...] = ()
    """The path state by state."""
    ablations: tuple[Ablation, ...] = ()
    """The results without a factor, or with another one."""
    expected: Expected | None = None
    """Why the expected words are not the result; None if none were given."""
    lattice: Lattice | None = field(default=None, repr=False, compare=False)
    """The competing words, from a search with wider beams over the same scores."""
    background: Path | None = field(default=None, repr=False, compare=False)
    """The best path of a grammar's background model; None where there is none."""
    needed: float = 0.0
    """Cost by which the command must be below the background's."""
    is_rejected: bool = False
    """True where the parts are those of a command that was rejected."""
    is_grammar: bool = False
    """True where the language factor is a grammar."""
    acoustic_scale: float = 1.0
    """Weight of the acoustic scores in the costs."""
    models: Mapping[str, str] = field(default_factory=dict)
    """What gave the costs: factor → model or file; ``times``: the times of the transcript."""
    second_pass: str = ""
    """The words of `Recognizer.transcribe`, where its second pass chooses other ones."""
    strings: tuple[TwiceScored, ...] = ()
    """The word strings that the model of the times scored, too; empty where it did not."""
    frame_seconds: float = 1.0
    """Seconds from one frame to the next."""
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), repr=False,
                                compare=False)
    """(n_samples,) float32: the sound."""
    sample_rate: int = 16000
    """Hz, of `samples`."""

    @property
    def text(self) -> str:
        """Return the hypothesis; empty if it was rejected."""
        return self.transcript.text

    @property
    def word_ids(self) -> tuple[int, ...]:
        """Return the ids of the explained words in the lattice."""
        number = {word: i for i, word in enumerate(self.lattice.words if self.lattice else ())}
        return tuple(number[each.word] for each in self.words)

    @property
    def nearest(self) -> str:
        """Return the explained words, rejected or not."""
        return " ".join(each.word for each in self.words)

    @property
    def margin(self) -> float | None:
        """By how much the command beat its background; below 0 where it lost."""
        return None if self.background is None else self.background.cost - self.cost

    @property
    def words(self) -> tuple[Explained, ...]:
        """Return the parts that are words."""
        return tuple(each for each in self.parts if each.part.kind == "word")

    @property
    def costs(self) -> Costs:
        """Return the sum over all parts, whose total is the path's cost."""
        return reduce(add, (each.costs for each in self.parts), Costs())

    def seconds(self, frame: int) -> float:
        """Return the time at which a frame begins."""
        return frame * self.frame_seconds

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, as described at the top of this module.

        The keys are those of the file format, which keeps old names.
        """
        return {
            "schema": SCHEMA_VERSION, "text": self.text, "reason": self.transcript.reason,
            "refused": self.is_rejected, "nearest": self.nearest,
            "background": None if self.background is None or self.margin is None else {
                "words": list(self.background.words),
                **_rounded(cost=self.background.cost, margin=self.margin),
            },
            "duration": round(self.transcript.duration, 3),
            "cost": round(self.cost, 4) if self.parts else None,
            "acoustic_scale": self.acoustic_scale, "models": dict(self.models),
            "second_pass": self.second_pass, "strings": [_twice(each) for each in self.strings],
            "language": "grammar" if self.is_grammar else "ngram",
            "frame_seconds": self.frame_seconds, "factors": list(FACTORS),
            "costs": self.costs.to_dict(),
            "parts": [self._part(each) for each in self.parts],
            "states": [
                {**asdict(each), "start": round(each.start, 3), "end": round(each.end, 3)}
                for each in self.states
            ],
            "muted": [  # old name
                {**asdict(each), "same": each.text == self.text,
                 "cost": round(each.cost, 4) if each.cost < float("inf") else None,
                 "compile_seconds": round(each.compile_seconds, 2)}
                for each in self.ablations
            ],
            "interpretation": self._meaning(),
            "expected": None if self.expected is None else self.expected.to_dict(),
        }  # fmt: skip

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def _part(self, each: Explained) -> dict[str, Any]:
        part, other, share = each.part, each.competitor, each.background
        return {
            "kind": part.kind, "word": part.word, **self._times(part),
            "phones": [{"phone": phone.phone, **self._times(phone)} for phone in part.phones],
            "costs": part.costs.to_dict(), "free": round(part.free, 4),
            "rival": None if other is None else {  # old name
                "words": list(other.words), "instead_of": list(other.instead_of),
                **self._times(other), **_rounded(cost=other.cost, margin=other.margin),
                "decided": other.decided, "costs": other.costs.to_dict(),
                "difference": other.difference.to_dict(),
            },
            "background": None if share is None else {
                "words": list(share.words), **_rounded(
                    cost=share.cost, acoustic=share.acoustic, graph=share.graph,
                    margin=share.cost - part.costs.total,
                ),
            },
        }  # fmt: skip

    def _times(self, part: Part | PhoneSegment | Competitor) -> dict[str, float]:
        return {name: round(self.seconds(getattr(part, name)), 3) for name in ("start", "end")}

    def _meaning(self) -> dict[str, Any] | None:
        meaning = self.meaning
        if meaning is None:
            return None
        return {
            **meaning.to_dict(), "confidence": round(meaning.confidence, 4),
            "trace": list(meaning.trace), "costs": _rounded(**asdict(meaning.costs)),
            "alternatives": [
                {"intent": each.intent, "slots": dict(each.slots), "text": each.text,
                 "confidence": round(each.confidence, 4)}
                for each in meaning.alternatives
            ],
        }


def _twice(each: TwiceScored) -> dict[str, Any]:
    costs = {"cost": each.cost, "acoustic": each.acoustic, "other": each.other,
             "total": each.total}  # fmt: skip
    return {"words": list(each.words), **_rounded(**costs), "weight": each.weight}


def _rounded(**costs: float) -> dict[str, float]:
    return {name: round(cost, 4) for name, cost in costs.items()}
