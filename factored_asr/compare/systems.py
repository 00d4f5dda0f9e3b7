"""The systems to compare, as named on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from factored_asr.errors import OptionError

OPTIONS: dict[str, frozenset[str] | None] = {
    "ours": frozenset(("model", "lm", "lexicon", "guess", "beam", "max_active")),
    "pocketsphinx": None,
    "moonshine": frozenset(("model", "arch")),
    "whisper": frozenset(("model", "language")),
    "vosk": frozenset(("model",)),
    "command": frozenset(),
}
"""Kind → its options, in addition to ``name``; None: those of its own configuration."""


@dataclass(frozen=True)
class SystemSpec:
    """A recogniser and its options."""

    name: str
    """In tables."""
    kind: str
    """One of `OPTIONS`."""
    options: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    """Of kind ``command``: the command to run; ``{file}`` stands for a wav file."""

    @staticmethod
    def parse(text: str) -> SystemSpec:
        """Read ``KIND``, ``KIND:option=value,...`` or ``command:PROGRAM {file}``.

        Examples
        --------
        >>> SystemSpec.parse("ours:lm=small.arpa,name=small").name
        'small'
        """
        kind, colon, rest = text.partition(":")
        if kind not in OPTIONS:
            raise OptionError(f"system {text!r}: known are {', '.join(OPTIONS)}")
        if kind == "command":
            command = rest.strip().strip("'\"")
            if "{file}" not in command:
                raise OptionError(f"system {text!r}: a command must hold {{file}}")
            return SystemSpec(command, kind, command=command)
        pairs = [part.partition("=") for part in rest.split(",") if part.strip()]
        if colon and not all(equals and value for _, equals, value in pairs):
            raise OptionError(f"system {text!r}: options are name=value with commas between")
        options = {name.strip(): value.strip() for name, _, value in pairs}
        name = options.pop("name", text)
        allowed = OPTIONS[kind]
        if allowed is not None and (unknown := sorted(set(options) - allowed)):
            known = ", ".join(sorted(allowed)) or "none"
            raise OptionError(f"system {text!r}: no option {unknown[0]!r}, known are {known}, name")
        return SystemSpec(name, kind, options)
