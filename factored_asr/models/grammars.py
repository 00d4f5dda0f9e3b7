"""Grammars for parsing, compiled once and kept in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from factored_asr.language.grammar import Grammar
from factored_asr.language.grammar.compiled import VERSION, CompiledGrammar, write_compiled
from factored_asr.storage.cache import cached, content_key

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


def read_understander(grammar: str | Path | Grammar) -> Understander:
    """Return a grammar as a parser of sentences; that of a file is kept in the cache."""
    from factored_asr.understanding import Understander

    read = grammar if isinstance(grammar, Grammar) else cached_grammar(grammar)
    return Understander(read)
