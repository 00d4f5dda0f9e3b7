"""Reading grammars: which files, what kind, and what they have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.grammar.grammar import Grammar, Template
from factored_asr.language.grammar.normalisation import normalise_text
from factored_asr.storage.reading import read_text

_YAML, _JSGF = (".yaml", ".yml"), (".jsgf", ".gram")


def read_sources(path: str | Path, wildcard_words: Iterable[str] | Mapping[str, float]) -> Grammar:
    """Read a grammar file, or all grammar files of a folder merged in order of their names."""
    path = Path(path)
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in _YAML + _JSGF)
        if not files:
            raise MissingError(f"no grammar (*.yaml, *.jsgf) in the folder {path}")
    else:
        files = [path]
    return read_texts([(str(file), read_text(file)) for file in files], wildcard_words)


def read_texts(
    texts: Iterable[tuple[str, str]], wildcard_words: Iterable[str] | Mapping[str, float]
) -> Grammar:
    """Make one grammar of (name, text) pairs, each YAML or JSGF."""
    from factored_asr.language.grammar.home_assistant import read_home_assistant
    from factored_asr.language.grammar.jsgf import read_jsgf

    phrases = wildcard_phrases(wildcard_words)
    digest = hashlib.sha256(repr(sorted(phrases.items())).encode())
    yaml_texts, templates = [], list[Template]()
    for name, text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
        if text.lstrip().startswith("#JSGF"):
            templates += read_jsgf(name, text)
        else:
            yaml_texts.append((name, text))
    skip_words: tuple[tuple[str, ...], ...] = ()
    if yaml_texts:
        more, skip_words = read_home_assistant(yaml_texts)
        templates += more
    if not templates:
        raise FormatError("a grammar needs a sentence", yaml_texts[0][0] if yaml_texts else None)
    try:
        grammar = Grammar(tuple(templates), skip_words, phrases, digest.hexdigest())
        _ = grammar.network  # laid now, so that whatever is wrong with a template is said here
    except RecursionError:
        raise FormatError(
            "brackets and rules within rules nest too deep", templates[0].path
        ) from None
    return grammar


def wildcard_phrases(
    words: Iterable[str] | Mapping[str, float],
) -> dict[tuple[str, ...], float]:
    """The phrases for wildcards as words, each with its cost (0 where none is given)."""
    if isinstance(words, str):
        raise OptionError(f"wildcard_words are a list of words, got the string {words!r}")
    costs = dict(words) if isinstance(words, Mapping) else dict.fromkeys(words, 0.0)
    phrases = {normalise_text(phrase): float(cost) for phrase, cost in costs.items()}
    if () in phrases or any(not 0 <= cost < float("inf") for cost in phrases.values()):
        raise OptionError("wildcard_words need a word each, and finite costs >= 0")
    return phrases
