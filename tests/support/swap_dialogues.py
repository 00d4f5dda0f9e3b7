"""The dialogues over again with other rooms, verbs and devices: no rule may know a case.

``python tests/support/swap_dialogues.py FOLDER`` writes the swapped copies there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

DIALOGUES = Path(__file__).parents[1] / "data" / "dialogues"
# The rooms with blinds change places among themselves, and so do the others; then verbs.
WITH_BLINDS = ("bedroom", "living room", "office")
WITHOUT = ("kitchen", "hall", "porch", "bathroom")
TURN = {"turn": "switch", "turning": "switching", "turned": "switched"}
SWITCH = {"switch": "turn", "switching": "turning", "switched": "turned"}
OTHER_VERBS = {"turn": "put", "turning": "putting", "switch": "put", "switching": "putting"}
BLINDS = {"shut": "close", "close": "shut", "closing": "shutting", "raise": "open"}
DEVICES = {"light": "lamp", "lights": "lamps", "blinds": "shades"}
DOORS = {"front": "back", "back": "front"}


def swaps() -> dict[str, Mapping[str, str]]:
    """Every swap by its name; ``do`` names the words changed in the actions, too."""
    found: dict[str, Mapping[str, str]] = {"verbs": TURN | SWITCH, "blinds": BLINDS}
    found["put"], found["devices"], found["doors"] = OTHER_VERBS, DEVICES, DOORS
    for turn in range(1, 4):
        found[f"rooms {turn}"] = _turned(WITH_BLINDS, turn) | _turned(WITHOUT, turn)
    found["all"] = found["rooms 2"] | TURN | SWITCH | DEVICES | DOORS
    return found


def _turned(rooms: tuple[str, ...], turn: int) -> dict[str, str]:
    n = len(rooms)
    return {room: rooms[(i + turn) % n] for i, room in enumerate(rooms)}


def swapped(text: str, words: Mapping[str, str]) -> str:
    """A dialogue file with words exchanged: all of them in what is said; names in actions."""
    lines = []
    for line in text.splitlines():
        parts = re.split(r"(\bdo:)", line, maxsplit=1)
        said, do, actions = parts if len(parts) == 3 else (line, "", "")
        names = {k: v for k, v in words.items() if k in DOORS or k in (*WITHOUT, *WITH_BLINDS)}
        lines.append(_exchanged(said, words) + do + _sorted(_exchanged(actions, names)))
    return "\n".join(lines) + "\n"


def _exchanged(text: str, words: Mapping[str, str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile(r"\b(" + "|".join(longest_first) + r")\b")

    def exchanged(match: re.Match[str]) -> str:
        word, before = match.group(), text[: match.start()]
        door = re.search(r"\b(the|lock|unlock|not) $", before)  # and not "it back on"
        return word if word == "back" and not door else words[word]

    return pattern.sub(exchanged, text) if words else text


def _sorted(actions: str) -> str:
    """Exceptions in the order in which the house names its rooms."""
    order = ("kitchen", "bedroom", "hall", "office", "porch", "living room", "bathroom", *DOORS)

    def put_in_order(match: re.Match[str]) -> str:
        return "but " + " ".join(room for room in order if room in match.group(1))

    return re.sub(r"but ([a-z ]+)", put_in_order, actions)


def copies() -> Iterator[tuple[str, str]]:
    """(name, text) of every file under every swap."""
    for file in sorted(DIALOGUES.glob("*.yaml")):
        for name, words in swaps().items():
            yield f"{file.stem}, {name}", swapped(file.read_text(encoding="utf-8"), words)


if __name__ == "__main__":
    for name, text in copies():
        Path(sys.argv[1], f"{name.replace(', ', '-').replace(' ', '_')}.yaml").write_text(text)
