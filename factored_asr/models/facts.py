"""Facts of an acoustic model in its manifest: each is checked where it is read.

All functions raise ValueError if a fact is missing or of another type; it names fact and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def record(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a JSON object."""
    return dict(_typed(facts, name, Mapping, "a JSON object"))


def names(facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts."""
    found = _typed(facts, name, (list, tuple), "a list of texts")
    if not all(isinstance(each, str) for each in found):
        raise ValueError(f"{name} must be a list of texts, is {_short(found)}")
    return tuple(found)


def text(facts: Mapping[str, Any], name: str) -> str:
    """Return a text."""
    return str(_typed(facts, name, str, "a text"))


def whole(facts: Mapping[str, Any], name: str) -> int:
    """Return an integer from 1."""
    found = _typed(facts, name, int, "an integer from 1")
    if isinstance(found, bool) or found < 1:
        raise ValueError(f"{name} must be an integer from 1, is {_short(found)}")
    return int(found)


def _typed(facts: Mapping[str, Any], name: str, kind: Any, law: str) -> Any:
    if name not in facts:
        raise ValueError(f"{name} is missing, must be {law}")
    if not isinstance(facts[name], kind):
        raise ValueError(f"{name} must be {law}, is {_short(facts[name])}")
    return facts[name]


def _short(value: object) -> str:
    return repr(value)[:80]
