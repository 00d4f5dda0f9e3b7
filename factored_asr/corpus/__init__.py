"""Transcribed speech on disk: utterances, their layouts, and checks."""

from factored_asr.corpus.corpus import Corpus
from factored_asr.corpus.utterance import Utterance

__all__ = ["Corpus", "Utterance"]
