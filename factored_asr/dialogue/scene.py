"""What is in mind while an utterance is read, and what was found in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from factored_asr.dialogue.acts import Act


@dataclass(frozen=True, slots=True)
class Scene:
    """What is still in mind: the acts of earlier turns, the latest first."""

    turns: tuple[tuple[Act, ...], ...] = ()
    names: tuple[str, ...] = ()
    """Names of things there are, to see that a word points at one of them, whichever."""

    def after(self, acts: Iterable[Act]) -> Scene:
        """The scene once these acts, too, have been said."""
        said = tuple(a for a in acts if a.reading is not None)
        return replace(self, turns=(said, *self.turns)) if said else self

    @property
    def base(self) -> Act | None:
        """The last sentence that a fragment may complete."""
        said = [a for turn in self.turns[:1] for a in turn if a.kind in ("command", "deny")]
        commands = [a for a in said if a.kind == "command"] or [a for a in said if not a.note]
        return commands[-1] if commands else None


NOTHING_SAID = Scene()


@dataclass(frozen=True, slots=True)
class Found:
    """Acts and the rules that led to them."""

    acts: tuple[Act, ...]
    trace: tuple[str, ...] = ()
    elliptical: bool = False
    """True if words were supplied by the scene."""

    @property
    def moves(self) -> bool:
        """True if something is commanded or denied."""
        return any(a.kind in ("command", "deny") for a in self.acts)
