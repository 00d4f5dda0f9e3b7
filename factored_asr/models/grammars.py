"""Grammars for parsing, compiled once and kept in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import VERSION, CompiledGrammar, write_compiled
from factored_asr.language.grammar.lists import check_names
from factored_asr.language.grammar.templates import ValueList
from factored_asr.storage.cache import cached, content_key
from factored_asr.storage.reading import files_in, read_bytes

if TYPE_CHECKING:
    from factored_asr.understanding import Understander


def cached_grammar(path: str | Path) -> Grammar | CompiledGrammar:
    """Return a grammar for parsing; compile it first if its files are new or changed."""
    path = Path(path)
    if not path.exists():
        return Grammar.read(path)  # says what is missing
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    key = content_key("grammar", VERSION, *map(str, files), *(f for f in files if f.is_file()))
    return cached(f"grammars/{key}.json", lambda: Grammar.read(path), write_compiled,
                  CompiledGrammar.read)


def read_parsed(grammar: str | Path | Grammar) -> Grammar | CompiledGrammar:
    """Return a grammar for parsing; that of a file is kept in the cache."""
    return grammar if isinstance(grammar, Grammar) else cached_grammar(grammar)


def has_dictation(grammar: Path | Grammar) -> bool:
    """Return whether a grammar has a list whose words a language model gives."""
    if isinstance(grammar, Grammar):
        return bool(grammar.dictated)
    files = files_in(grammar) if grammar.is_dir() else [grammar]
    if not any(b"dictation" in read_bytes(file) for file in files):  # it need not be parsed
        return False
    return any(each.list.is_dictation for each in read_parsed(grammar).network.places.values())


def read_understander(
    grammar: str | Path | Grammar, lists: Mapping[str, ValueList] | None = None
) -> Understander:
    """Return a grammar as a parser of sentences, with other values of its replaceable lists."""
    from factored_asr.understanding import Understander

    read = read_parsed(grammar)
    if lists:
        check_names(lists, (symbol.list.name for symbol in read.network.places.values()
                            if not symbol.list.is_dictation))
        read = read.with_lists(lists)
    return Understander(read)


def conversation_key() -> tuple[object, ...]:
    """Return what the sentences of conversations depend on, besides their grammar."""
    from factored_asr.dialogue.conversation import PATTERNS, VERSION
    from factored_asr.dialogue.frames import RULES

    return "conversation", VERSION, PATTERNS, RULES
