"""Grammars of spoken commands."""

from factored_asr.language.grammar.grammar import Grammar, GrammarWarning
from factored_asr.language.grammar.network import DfaState, ListSymbol, Mark, Network
from factored_asr.language.grammar.size import GrammarSize
from factored_asr.language.grammar.spoken import Token, spoken, tokens

__all__ = [
    "DfaState",
    "Grammar",
    "GrammarSize",
    "GrammarWarning",
    "ListSymbol",
    "Mark",
    "Network",
    "Token",
    "spoken",
    "tokens",
]
