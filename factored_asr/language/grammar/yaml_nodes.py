"""YAML nodes with their lines, so that errors can name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factored_asr.errors import FormatError

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 1000  # brackets; the time of reading grows with the square of it
_BRACKETS = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML node and its file."""

    node: yaml.Node
    path: str

    @property
    def line(self) -> int:
        """Line of its first character, from 1."""
        return self.node.start_mark.line + 1

    def error(self, message: str) -> FormatError:
        """Return an error that names file and line."""
        return FormatError(message, self.path, self.line)

    def mapping(self, what: str) -> dict[str, Node]:
        """Return its entries by name; an empty node has none."""
        entries: dict[str, Node] = {}
        for key, value in self._parts("mapping", f"{what} must be a mapping"):
            name = Node(key, self.path).text(f"a name in {what}")
            if name in entries:
                raise Node(key, self.path).error(f"{name!r} stands twice in {what}")
            entries[name] = Node(value, self.path)
        return entries

    def sequence(self, what: str) -> list[Node]:
        """Return its items; an empty node has none."""
        items = self._parts("sequence", f"{what} must be a list")
        return [Node(item, self.path) for item in items]

    def _parts(self, kind: str, law: str) -> list[Any]:
        if self.node.id not in (kind, "scalar") or self.node.id == "scalar" and self.node.value:
            raise self.error(law)
        return self.node.value or []

    def text(self, what: str) -> str:
        """Return its text as written: ``on`` is "on", never True."""
        if self.node.id != "scalar":
            raise self.error(f"{what} must be text")
        return str(self.node.value)

    def plain(self) -> Any:
        """Return its value as Python data."""
        import yaml

        try:
            return yaml.SafeLoader("").construct_document(self.node)
        except yaml.YAMLError as error:
            raise self.error(str(error).splitlines()[0]) from None
        except (ValueError, OverflowError, RecursionError) as error:  # no such date, number
            raise self.error(f"no plain value: {error}") from None

    def plain_mapping(self, what: str) -> dict[str, Any]:
        """Return its value as a dict; an empty node is an empty one."""
        self.mapping(what)
        found = self.plain() or {}
        if not isinstance(found, dict):
            raise self.error(f"{what} must be a mapping")
        return found


def read_yaml(text: str, path: str) -> Node:
    """Read the one document of a YAML text; FormatError, with file and line, if it is broken."""
    import yaml

    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, bracket.start()) + 1
            raise FormatError(f"brackets nest deeper than {MAX_DEPTH}", path, line)
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines = text.split("\n")
        at = None if mark is None else min(mark.line, len(lines) - 1) + 1
        law = f"broken YAML: {error.problem}"
        if at and lines[at - 1].lstrip(" ").startswith("\t"):
            law = "broken YAML: a tab begins the line, which must be indented by blanks"
        raise FormatError(law, path, at) from None
    except yaml.YAMLError as error:
        raise FormatError(f"broken YAML: {str(error).splitlines()[0]}", path) from None
    except RecursionError:
        raise FormatError("broken YAML: brackets nest too deep", path) from None
    if node is None:
        raise FormatError("the file is empty", path)
    return Node(node, path)
