"""A folder with the model of tones on disk, its language model, a grammar and sounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from factored_asr.decoder import BeamOptions
from factored_asr.graph import BackgroundOptions
from factored_asr.lattice import SecondPassOptions
from factored_asr.models.folder import About, write_model
from factored_asr.models.kinds import KINDS
from factored_asr.models.settings import DecodeOptions
from support.ctc_model import CtcModel
from support.tones import LEXICON, RATE, say, speak

GRAMMAR = """
intents:
  Say:
    data:
      - sentences: ["(bad|dad|ace|bee) (bad|dad|ace|bee|a) [deed]"]
"""
TEXTS = ["bad ace", "dad dad", "ace a deed", "bee bad", "bad a"]
DOUBTFUL = speak(["", "B", "A", "D", "", "A", "C", ""])
DOUBTFUL[3200:6400] = 0.52 * speak(["D"]) + 0.48 * DOUBTFUL[3200:6400]  # between B and D
"""Between "bad ace" and "dad ace"."""
SETTINGS = DecodeOptions(
    acoustic_scale=1.0, beam=BeamOptions(lattice_beam=8.0),
    second_pass=SecondPassOptions(confidences=True),
)
COMMANDS = replace(SETTINGS, background=BackgroundOptions())
ARPA = """\\data\\
ngram 1=8
ngram 2=4

\\1-grams:
-99 <s> -0.3
-0.9 </s>
-0.9 a -0.3
-0.9 ace -0.3
-0.9 bad -0.3
-0.9 bee -0.3
-0.9 dad -0.3
-0.9 deed -0.3

\\2-grams:
-0.3 <s> bad
-0.3 bad a
-0.3 bad ace
-0.3 ace </s>

\\end\\
"""


@contextmanager
def written_home(folder: Path) -> Iterator[Path]:
    """Fill a folder; within the block models of this kind can be read."""
    (folder / "grammar.yaml").write_text(GRAMMAR)
    (folder / "lm.arpa").write_text(ARPA)
    for text in TEXTS:
        soundfile.write(folder / f"{text.replace(' ', '_')}.wav", say(text, gap=0.06), RATE)
    about = About(settings={"dictation": SETTINGS.to_dict(), "commands": COMMANDS.to_dict()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "ctc", "support.ctc_model")
        write_model(
            folder / "model", CtcModel(), lexicon=LEXICON, lm=folder / "lm.arpa", about=about
        )
        yield folder
