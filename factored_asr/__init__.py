"""A classic, factored speech recogniser: acoustic model, lexicon, language model, one search.

    from factored_asr import Recognizer
    recognizer = Recognizer.load("en-us")
    print(recognizer.transcribe("hello.wav").text)

Names are loaded when first used, so that importing one part does not import them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from factored_asr._deprecated import install

if TYPE_CHECKING:
    from factored_asr.recognizer.recognizer import Recognizer
    from factored_asr.recognizer.stream import Stream
    from factored_asr.results.alignment import Alignment
    from factored_asr.results.transcript import Transcript, Word
    from factored_asr.understanding import Interpretation

install()
__version__ = "0.2.0"
__all__ = ["Alignment", "Interpretation", "Recognizer", "Stream", "Transcript", "Word",
           "__version__"]

_HOME = {"Alignment": "results", "Interpretation": "understanding", "Recognizer": "recognizer",
         "Stream": "recognizer", "Transcript": "results", "Word": "results"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'factored_asr' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"factored_asr.{_HOME[name]}"), name)
