"""Convert a grammar of sentence templates to JSGF, for recognisers that read only that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from factored_asr.errors import FormatError
from factored_asr.storage.reading import read_text

_SLOT = re.compile(r"\{([\w.]+)(?::\w+)?\}")
_UNKNOWN = re.compile(r"[;{}]")


def as_jsgf(path: str | Path) -> str:
    """Return a grammar file as JSGF, and a file of JSGF as it is.

    Brackets, bars and rules mean the same in both formats; lists of plain texts become rules. What
    JSGF lacks (ranges, wildcards, permutations) raises FormatError.
    """
    import yaml

    file = Path(path)
    text = read_text(file)
    if text.lstrip().startswith("#JSGF"):
        return text
    content = yaml.safe_load(text)
    sentences = [sentence for intent in content["intents"].values()
                 for data in intent["data"] for sentence in data["sentences"]]
    lines = ["#JSGF V1.0;", "grammar commands;", _rule("sentence", sentences, file, public=True)]
    for name, body in content.get("expansion_rules", {}).items():
        lines.append(_rule(name, [body], file))
    for name, values in content.get("lists", {}).items():
        lines.append(_rule(name, _values(name, values, file), file))
    return "\n".join(lines) + "\n"


def _values(name: str, values: Any, file: Path) -> list[str]:
    found = values.get("values") if isinstance(values, dict) else None
    if not isinstance(found, list):
        raise FormatError(f"list {name!r} has no values that JSGF can express", file)
    return [str(each["in"] if isinstance(each, dict) else each) for each in found]


def _rule(name: str, bodies: Iterable[str], file: Path, public: bool = False) -> str:
    written = " | ".join(_SLOT.sub(r"<\1>", body).lower() for body in bodies)
    if _UNKNOWN.search(written):
        raise FormatError(f"rule {name!r} has something that JSGF lacks: {written!r}", file)
    return f"{'public ' if public else ''}<{name.lower()}> = {written};"
