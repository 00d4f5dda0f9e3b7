"""The context of an utterance, and the acts found in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from factored_asr.dialogue.acts import Act


@dataclass(frozen=True, slots=True)
class Scene:
    """The acts of earlier turns to which an utterance may refer, the latest first.

    Examples
    --------
    >>> from factored_asr.dialogue.acts import act
    >>> from factored_asr.understanding import Interpretation
    >>> light = Interpretation("TurnOn", {"room": "hall"}, "turn on the hall light")
    >>> scene = Scene().after([act("command", light, light.text.split())])
    >>> scene.base.reading.intent
    'TurnOn'
    """

    turns: tuple[tuple[Act, ...], ...] = ()
    """Acts of each turn, the latest first."""
    names: tuple[str, ...] = ()
    """Names of devices, to find out that a pronoun may refer to one of them."""

    def after(self, acts: Iterable[Act]) -> Scene:
        """Return the scene after these acts."""
        known = tuple(a for a in acts if a.reading is not None)
        return replace(self, turns=(known, *self.turns)) if known else self

    @property
    def base(self) -> Act | None:
        """Return the last sentence that a fragment may change."""
        last = [a for turn in self.turns[:1] for a in turn if a.kind in ("command", "deny")]
        commands = [a for a in last if a.kind == "command"] or [a for a in last if not a.note]
        return commands[-1] if commands else None


NOTHING_SAID = Scene()


@dataclass(frozen=True, slots=True)
class Found:
    """Acts and their rules."""

    acts: tuple[Act, ...]
    trace: tuple[str, ...] = ()
    elliptical: bool = False
    """True if words come from the scene."""

    @property
    def moves(self) -> bool:
        """Return True if something is commanded or denied."""
        return any(a.kind in ("command", "deny") for a in self.acts)
