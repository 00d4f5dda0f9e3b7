"""Grammars of voice commands."""

from factored_asr._deprecated import old_names
from factored_asr.language.grammar.grammar import Grammar, GrammarWarning
from factored_asr.language.grammar.network import DfaState, ListSymbol, Mark, Network
from factored_asr.language.grammar.normalisation import Token, normalise_text, tokens
from factored_asr.language.grammar.size import GrammarSize

__all__ = ["DfaState", "Grammar", "GrammarSize", "GrammarWarning", "ListSymbol", "Mark", "Network",
           "Token", "normalise_text", "tokens"]

__getattr__ = old_names(__name__)
