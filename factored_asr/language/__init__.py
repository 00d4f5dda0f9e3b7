"""Language models: n-gram models and grammars."""

from factored_asr.language.arpa import common_log, read_arpa, write_arpa
from factored_asr.language.columns import read_columns, write_columns
from factored_asr.language.estimate import EstimateOptions, estimate
from factored_asr.language.grammar import Grammar, GrammarWarning
from factored_asr.language.hotwords import Hotwords, HotwordScorer, checked_hotwords
from factored_asr.language.interpolate import interpolate, mixture_weights
from factored_asr.language.ngram import NGramArcs, NGramModel, NGramOrder, with_words
from factored_asr.language.packed import read_packed, write_packed
from factored_asr.language.perplexity import TextScore, WordScore, score_text, score_words
from factored_asr.language.prune import (
    normalise,
    prune,
    prune_improbable,
    prune_to,
    restrict,
    truncate,
)
from factored_asr.language.read import is_kenlm_binary, read_lm
from factored_asr.language.scorer import (
    ExtendedScorer,
    KenLMScorer,
    MixedScorer,
    NGramScorer,
    WordScorer,
)
from factored_asr.language.sphinx_trie import read_sphinx_lm
from factored_asr.language.text import read_sentences, read_vocabulary

__all__ = [
    "EstimateOptions", "ExtendedScorer", "Grammar", "GrammarWarning", "HotwordScorer",
    "Hotwords", "KenLMScorer", "MixedScorer", "NGramArcs", "NGramModel", "NGramOrder",
    "NGramScorer", "TextScore", "WordScore", "WordScorer", "checked_hotwords", "common_log",
    "estimate", "interpolate", "is_kenlm_binary", "mixture_weights", "normalise", "prune",
    "prune_improbable", "prune_to", "read_arpa", "read_columns", "read_lm", "read_packed",
    "read_sentences", "read_sphinx_lm", "read_vocabulary", "restrict", "score_text",
    "score_words", "truncate", "with_words", "write_arpa", "write_columns", "write_packed",
]
