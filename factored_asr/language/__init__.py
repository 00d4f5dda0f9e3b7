"""What may be said, and how likely it is: n-gram models and grammars."""

from factored_asr.language.arpa import read_arpa, write_arpa
from factored_asr.language.backoff import NGramArcs
from factored_asr.language.columns import read_columns, write_columns
from factored_asr.language.grammar import Grammar, GrammarWarning
from factored_asr.language.ngram import NGramModel, NGramOrder
from factored_asr.language.prune import prune, prune_improbable, prune_to, restrict, truncate
from factored_asr.language.read import read_lm
from factored_asr.language.scorer import (
    KenLMScorer,
    MixedScorer,
    NGramScorer,
    WordScorer,
    is_kenlm_binary,
)
from factored_asr.language.sphinx_trie import read_sphinx_lm

__all__ = [
    "Grammar",
    "GrammarWarning",
    "KenLMScorer",
    "MixedScorer",
    "NGramArcs",
    "NGramModel",
    "NGramOrder",
    "NGramScorer",
    "WordScorer",
    "is_kenlm_binary",
    "prune",
    "prune_improbable",
    "prune_to",
    "read_arpa",
    "read_columns",
    "read_lm",
    "read_sphinx_lm",
    "restrict",
    "truncate",
    "write_arpa",
    "write_columns",
]
