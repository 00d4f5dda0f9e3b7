"""What a client asks a recogniser to expect: words, hotwords, lists, a prompt.

The fields are the same in every protocol::

    add_words   {"zigbee": null, "wyoming": "W AY OW M IH NG"}, or a list of words to guess
    hotwords    {"home assistant": 3}, or a list of phrases
    lists       {"contact": ["Anna Miller"]}
    prompt      a text whose words are expected
    commands    ["smart_home"]: grammars of the server, whose sentences dictation finds, too
    after       "computer": the words before each of these sentences
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from factored_asr.language import Grammar
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.server.options import Limits, RefusedError


@dataclass(frozen=True)
class Asked:
    """Checked, and hashable: equal ones have one recogniser."""

    add_words: str = ""
    hotwords: str = ""
    lists: str = ""
    prompt: str = ""
    commands: str = ""
    after: str = ""

    @staticmethod
    def of(given: Mapping[str, Any], limits: Limits, before: Asked | None = None) -> Asked:
        """Read the fields of a request, JSON or the text of it; RefusedError for a wrong one.

        Examples
        --------
        >>> Asked.of({"hotwords": ["home assistant"]}, Limits()).hotwords
        '{"home assistant": null}'
        """
        found = {each.name: getattr(before, each.name) if before else "" for each in fields(Asked)}
        for name in found.keys() & given.keys():
            found[name] = _READ[name](name, given[name], limits)
        return Asked(**found)

    @property
    def names(self) -> str:
        """The fields that ask for something."""
        return ", ".join(each.name for each in fields(self) if getattr(self, each.name))

    def __bool__(self) -> bool:
        return self != Asked(after=self.after)  # which alone changes nothing

    def of_recognizer(self, recognizer: Recognizer,
                      grammars: Mapping[str, Path | Grammar] | None = None) -> Recognizer:
        """Return a recogniser that expects this; errors as of its methods.

        `grammars`: those that `commands` may name.
        """
        if self.add_words:
            recognizer = recognizer.with_words(json.loads(self.add_words))
        for name in json.loads(self.commands or "{}"):
            if name not in (grammars or {}):
                known = ", ".join(grammars or {}) or "none"
                raise RefusedError(400, "model_not_found", f"commands: there is no grammar "
                                   f"{name!r:.40}: there are {known}", "commands")
            recognizer = recognizer.with_commands((grammars or {})[name], after=self.after)
        if self.lists:
            recognizer = recognizer.with_lists(json.loads(self.lists))
        if self.prompt:
            recognizer = recognizer.with_prompt(self.prompt)
        if self.hotwords:
            recognizer = recognizer.with_hotwords(json.loads(self.hotwords))
        return recognizer


def _content(name: str, value: Any) -> Any:
    """A value, or what a text holds of it in JSON; a mapping of a list's texts to None."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return dict.fromkeys(value)
    if not isinstance(value, dict):
        raise RefusedError(400, "invalid", f"{name} must be a JSON object, or a list of "
                           "texts", name)
    return value


def _limited(name: str, value: Any, most: int) -> str:
    text = json.dumps(value, ensure_ascii=False) if value else ""
    size = sum(map(_size, value.values()))
    if size > most:
        raise RefusedError(400, "limit", f"{name} has {size:,} entries, may have {most:,}", name)
    return text


def _size(value: Any) -> int:
    return len(value) if isinstance(value, dict | list) else 1


def _words(name: str, value: Any, limits: Limits) -> str:
    content = _content(name, value)
    for word, spoken in content.items():
        if not (spoken is None or isinstance(spoken, str) or isinstance(spoken, list)
                and all(isinstance(each, str) for each in spoken)):
            raise RefusedError(400, "invalid", f"{name}: phones of {word!r} must be text", name)
    return _limited(name, content, limits.phrases)


def _hotwords(name: str, value: Any, limits: Limits) -> str:
    return _limited(name, _content(name, value), limits.phrases)


def _lists(name: str, value: Any, limits: Limits) -> str:
    content = _content(name, value)
    for which, entries in content.items():
        if not isinstance(entries, dict | list):
            raise RefusedError(400, "invalid", f"{name}: entries of {which!r} must be a list of "
                               "texts, or an object", name)
    return _limited(name, content, limits.list_entries)


def _commands(name: str, value: Any, limits: Limits) -> str:
    if isinstance(value, str):
        names = [value] if value.strip() else []
        with suppress(ValueError, RecursionError):
            names = json.loads(value)
    else:
        names = value
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise RefusedError(400, "invalid", f"{name} must be the name of a grammar, or a list of "
                           "names", name)
    return _limited(name, dict.fromkeys(names), limits.phrases)


def _text(name: str, value: Any, limits: Limits) -> str:
    if not isinstance(value, str):
        raise RefusedError(400, "invalid", f"{name} must be text", name)
    if len(value) > limits.phrase_letters:
        raise RefusedError(400, "limit", f"{name} is longer than {limits.phrase_letters:,} letters",
                           name)
    return " ".join(value.split())


_READ = {"add_words": _words, "hotwords": _hotwords, "lists": _lists, "prompt": _text,
         "commands": _commands, "after": _text}
