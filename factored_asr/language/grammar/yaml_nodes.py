"""YAML read as nodes that know their line, so that errors can name it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factored_asr.errors import FormatError

if TYPE_CHECKING:
    import yaml


_BRACKETS = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML node and the file it stands in."""

    node: yaml.Node
    path: str

    @property
    def line(self) -> int:
        """Line of its first character, from 1."""
        return self.node.start_mark.line + 1

    @property
    def is_mapping(self) -> bool:
        return self.node.id == "mapping"

    def error(self, message: str) -> FormatError:
        """An error that names file and line."""
        return FormatError(message, self.path, self.line)

    def mapping(self, what: str) -> dict[str, Node]:
        """Its entries by name; an empty node has none."""
        if self.node.id == "scalar" and self.node.value == "":
            return {}
        if self.node.id != "mapping":
            raise self.error(f"{what} must be a mapping")
        entries: dict[str, Node] = {}
        for key, value in self.node.value:
            name = Node(key, self.path).text(f"a name in {what}")
            if name in entries:
                raise Node(key, self.path).error(f"{name!r} stands twice in {what}")
            entries[name] = Node(value, self.path)
        return entries

    def sequence(self, what: str) -> list[Node]:
        """Its items; an empty node has none."""
        if self.node.id == "scalar" and self.node.value == "":
            return []
        if self.node.id != "sequence":
            raise self.error(f"{what} must be a list")
        return [Node(item, self.path) for item in self.node.value]

    def text(self, what: str) -> str:
        """Its text as written: ``on`` is "on", never True."""
        if self.node.id != "scalar":
            raise self.error(f"{what} must be text")
        return str(self.node.value)

    def plain(self) -> Any:
        """Its value as Python data."""
        import yaml

        try:
            return yaml.SafeLoader("").construct_document(self.node)
        except yaml.YAMLError as error:
            raise self.error(str(error).splitlines()[0]) from None
        except (ValueError, OverflowError, RecursionError) as error:  # no such date, number
            raise self.error(f"no plain value: {error}") from None

    def plain_mapping(self, what: str) -> dict[str, Any]:
        """Its value as a dict; an empty node is an empty one."""
        self.mapping(what)
        found = self.plain() or {}
        if not isinstance(found, dict):
            raise self.error(f"{what} must be a mapping")
        return found


MAX_DEPTH = 1000  # brackets; the time of reading grows with the square of it


def _check_depth(text: str, path: str) -> None:
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, bracket.start()) + 1
            raise FormatError(f"brackets nest deeper than {MAX_DEPTH}", path, line)


def read_yaml(text: str, path: str) -> Node:
    """Read the one document of a YAML text.

    Raises
    ------
    FormatError
        For broken YAML; names file and line.
    """
    import yaml

    _check_depth(text, path)
    try:
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else min(mark.line, text.count("\n")) + 1
        raise FormatError(f"broken YAML: {error.problem}", path, line) from None
    except yaml.YAMLError as error:
        raise FormatError(f"broken YAML: {str(error).splitlines()[0]}", path) from None
    except RecursionError:
        raise FormatError("broken YAML: brackets nest too deep", path) from None
    if node is None:
        raise FormatError("the file is empty", path)
    return Node(node, path)
