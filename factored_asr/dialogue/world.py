"""Devices, their actions, and which actions need care.

A world is described in the YAML of the grammar, under ``world:``::

    world:
      light: {places: [kitchen, hall], acts: {TurnOn: "on", TurnOff: "off"}, start: "off"}
      door: {places: [front], acts: {Lock: lock, Unlock: unlock}, careful: [unlock]}
      heating: {acts: {SetHeating: set}, value: degrees, start: 18}

A reading names a kind of device in its slot ``kind``, or by an intent that only one kind has. The
slot ``place`` names the place, ``which: all`` all places. A step is in ``change`` (1 or -1) and
``by``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from factored_asr.errors import FormatError, MissingError
from factored_asr.storage.reading import files_in, read_text
from factored_asr.understanding.interpretation import Interpretation

State: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of device.

    Examples
    --------
    >>> light = Kind("light", {"TurnOn": "on", "TurnOff": "off"}, places=("hall", "porch"))
    >>> light.devices, light.opposite("on")
    (('hall light', 'porch light'), 'off')
    """

    name: str
    """As in a slot ``kind``."""
    acts: Mapping[str, str]
    """What an intent does to it."""
    places: tuple[str, ...] = ()
    """Where there is one; none: there is one only."""
    start: State = None
    """Its state at the beginning; None: not known."""
    careful: frozenset[str] = frozenset()
    """Acts that are done only when they are asked for by name."""
    value: str | None = None
    """The slot that says to what it is set."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of all of this kind."""
        return tuple(f"{place} {self.name}" for place in self.places) or (self.name,)

    @property
    def plural(self) -> str:
        """Return the name of several devices of this kind."""
        return self.name if self.name.endswith("s") else f"{self.name}s"

    def opposite(self, act: str) -> str | None:
        """The act that undoes an act, where there are just two."""
        acts = set(self.acts.values())
        return (acts - {act}).pop() if len(acts) == 2 and act in acts else None


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to one device.

    Examples
    --------
    >>> Deed("heating", "set", 20.0).result, Deed("hall light", "on").result
    (20.0, 'on')
    """

    device: str
    """Name of the device."""
    act: str
    """What is done to it, as ``on``."""
    value: State = None
    """To what it is set; None for acts without a value."""

    @property
    def result(self) -> State:
        """The state of the device afterwards."""
        return self.act if self.value is None else self.value

    def __str__(self) -> str:
        return f"{self.act} {self.device}" + ("" if self.value is None else f" {self.value}")


@dataclass(frozen=True, slots=True)
class Order:
    """Deeds that are ordered together."""

    deeds: tuple[Deed, ...] = ()
    whole: bool = False
    """All of a kind were meant, but for exceptions."""
    inferred: bool = False
    """Taken back, not commanded: needless where a command of the same turn follows."""
    unclear: str = ""
    """What must be asked before anything is done."""


@dataclass(frozen=True)
class World:
    """All kinds of devices.

    Examples
    --------
    >>> world = World.from_data({"light": {"places": ["hall", "porch"], "acts": {"On": "on"}}})
    >>> reading = Interpretation("On", {"kind": "light", "which": "all"}, "turn on all lights")
    >>> world.describe(world.order(reading, {}, ()))
    ['on all lights']
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Each kind of device, by its name."""

    @staticmethod
    def read(path: str | Path) -> World:
        """Read the ``world`` of a grammar file, or of the files of a folder.

        MissingError: none of them describes a world; FormatError: one describes it wrongly.
        """
        from factored_asr.language.grammar.yaml_nodes import read_yaml

        path = Path(path)
        files = files_in(path, "*.y*ml") if path.is_dir() else [path]
        found: dict[str, Any] = {}
        for file in files:
            if file.suffix.lower() in (".yaml", ".yml"):
                parts = read_yaml(read_text(file), str(file)).mapping("a file")
                if "world" in parts:
                    found |= parts["world"].plain_mapping("world")
        if not found:
            raise MissingError(f"{path} has no 'world': what its intents do, and to what")
        return World.from_data(found, str(path))

    @staticmethod
    def from_data(data: Mapping[str, Any], path: str | None = None) -> World:
        """Make a world of plain data; ``path`` stands in errors."""
        kinds = {}
        for name, entry in data.items():
            if not isinstance(entry, Mapping) or not isinstance(entry.get("acts"), Mapping):
                raise FormatError(f"'acts' of {name} must map intents to what they do", path)
            lists = [entry.get(key, []) for key in ("places", "careful")]
            if not all(isinstance(each, list | tuple | set | frozenset) for each in lists):
                raise FormatError(f"'places' and 'careful' of {name} must be lists", path)
            acts = {str(intent): _word(act) for intent, act in entry["acts"].items()}
            careful = frozenset(map(_word, entry.get("careful", ())))
            if unknown := careful - set(acts.values()):
                raise FormatError(f"{name}: no intent does {min(unknown)!r}", path)
            start = entry.get("start")
            kinds[str(name)] = Kind(
                str(name), acts, tuple(map(str, entry.get("places", ()))),
                _word(start) if isinstance(start, bool) else start, careful, entry.get("value"),
            )
        return World(kinds)

    def start(self) -> dict[str, State]:
        """The state of every device at the beginning."""
        return {device: kind.start for kind in self.kinds.values() for device in kind.devices}

    def kind_of(self, device: str) -> Kind:
        """The kind of a device."""
        for kind in self.kinds.values():
            if device in kind.devices:
                return kind
        raise MissingError(f"there is no {device!r}")

    def order(
        self, reading: Interpretation, states: Mapping[str, State], recent: Sequence[str]
    ) -> Order:
        """What a reading orders, given the states and the devices lately acted on, latest first."""
        kind = self._kind(reading)
        if kind is None:
            return Order()
        act = kind.acts[reading.intent]
        devices, whole, unclear = _devices(kind, reading.slots, act, states, recent)
        deeds = [Deed(d, act) for d in devices]
        if kind.value is not None:
            values = [_value(kind.value, reading.slots, states.get(d)) for d in devices]
            deeds = [Deed(d, act, v) for d, v in zip(devices, values, strict=True) if v is not None]
        return Order(tuple(deeds), whole, unclear=unclear)

    def _kind(self, reading: Interpretation) -> Kind | None:
        named = self.kinds.get(str(reading.slots.get("kind")))
        kinds = [named] if named else self.kinds.values()
        able = [kind for kind in kinds if reading.intent in kind.acts]
        return able[0] if len(able) == 1 else None

    def reversal(self, deed: Deed, before: State) -> Deed | None:
        """What takes a deed back: its opposite, or the former value; None if there is neither."""
        if (opposite := self.kind_of(deed.device).opposite(deed.act)) is not None:
            return Deed(deed.device, opposite)
        return None if before is None else Deed(deed.device, deed.act, before)

    def wants_care(self, deed: Deed) -> bool:
        """True for what is never done unless it is asked for by name."""
        return deed.act in self.kind_of(deed.device).careful

    def describe(self, order: Order) -> list[str]:
        """The deeds in words; all of a kind together: ``on all lights but kitchen hall``."""
        deeds = order.deeds
        if order.whole and deeds:
            kind, done = self.kind_of(deeds[0].device), {deed.device for deed in deeds}
            spared = [p for p, d in zip(kind.places, kind.devices, strict=True) if d not in done]
            if not order.inferred or 2 * len(spared) < len(kind.places):
                but = f" but {' '.join(spared)}" if spared else ""
                return [f"{deeds[0].act} all {kind.plural}{but}"]
        return [str(deed) for deed in deeds]


def _word(value: object) -> str:
    """YAML reads a bare ``on`` as true."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _devices(
    kind: Kind, slots: Mapping[str, object], act: str, states: Mapping[str, State],
    recent: Sequence[str],
) -> tuple[Sequence[str], bool, str]:
    """The devices that slots speak of, whether all, and what is unclear."""
    if not kind.places:
        return kind.devices, False, ""
    if slots.get("which") == "all":
        return kind.devices, True, ""
    if "place" in slots:
        place = slots["place"]
        return ([f"{place} {kind.name}"] if place in kind.places else []), False, ""
    if known := [device for device in recent if device in kind.devices]:
        return known[:1], False, ""
    for place in kind.places:
        if recent and recent[0].startswith(f"{place} "):  # the blinds where the light is
            return [f"{place} {kind.name}"], False, ""
    if kind.name == kind.plural:  # "the blinds": no one of them
        return kind.devices, True, ""
    undone = [device for device in kind.devices if states.get(device) != act]
    return (undone, False, "") if len(undone) == 1 else ((), False, f"which {kind.name}")


def _value(slot: str, slots: Mapping[str, Any], now: State) -> State:
    if slot in slots:
        return slots[slot]
    if "change" in slots and isinstance(now, int | float):
        return now + slots["change"] * slots.get("by", 1)
    return None
