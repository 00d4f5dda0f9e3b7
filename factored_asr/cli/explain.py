"""The command that takes a decode apart."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from factored_asr.cli.shared import (
    add_command,
    factor_options,
    progress,
    recipe_of,
    search_options,
    source_options,
)
from factored_asr.errors import OptionError

MUTABLE = ("language", "background", "weights", "pronunciation", "variants", "transitions")
DEFAULT_MUTE = "language,background,weights,pronunciation"
EXAMPLES = """\
examples:
  factored-asr explain --grammar lm/smart_home.yaml command.wav
      what each word cost, who else competed, and which factor decided
  factored-asr explain letter.wav --format html -o letter.html
      a page to look at and to listen to; it needs nothing but a browser
  factored-asr explain letter.wav --mute variants,transitions --other-lm news.arpa
      what would be heard with one pronunciation a word, without costs of transitions, and with
      another language model
"""


def explain(options: argparse.Namespace) -> int:
    """Show why a sound is heard as it is: what each factor (acoustics, pronunciations, language,
    transitions) charged for each word, what else competed and which factor decided, and what would
    have been heard without a factor. For that, graphs are compiled, once: of a grammar in seconds,
    of a large vocabulary in minutes; --mute none spares them."""
    from factored_asr.explain import ExplainOptions
    from factored_asr.explain.html import as_html
    from factored_asr.explain.text import as_text
    from factored_asr.recognizer.recognizer import Recognizer

    asked = ExplainOptions(
        lattice_beam=options.lattice_beam, mute=_names(options.mute),
        other_lm=options.other_lm, other_lexicon=options.other_lexicon,
    )
    with ExitStack() as stack:
        tell = progress(stack, options.quiet)
        recognizer = Recognizer.from_recipe(recipe_of(options), tell)
        explanation = recognizer.explain(options.file, options=asked, progress=tell)
    if options.format == "html":
        written = as_html(explanation, title=Path(options.file).name)
    else:
        written = explanation.to_json() if options.format == "json" else as_text(explanation)
    if not options.output:
        print(written)
        return 0
    try:
        Path(options.output).write_text(written + "\n", encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{options.output}: cannot be written: {error.strerror}") from error
    if not options.quiet:
        print(f"factored-asr: written to {options.output}", file=sys.stderr)
    return 0


def _names(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(name for name in text.split(",") if name)


def add(commands: Any) -> None:
    """Add the command of this module."""
    parser = add_command(
        commands, "explain", explain, "why a sound is heard as it is, factor by factor",
        source_options(factor_options()), search_options(), examples=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="sound file; - is standard input")
    parser.add_argument(
        "--format", default="text", choices=("text", "json", "html"),
        help="text: to be read; json: all of it, see factored_asr.explain.explanation; html: a "
        "page of its own with spectrogram, states, lattice and sound (default: text)",
    )
    parser.add_argument("-o", "--output", metavar="PATH", help="write to this file")
    parser.add_argument(
        "--mute", default=DEFAULT_MUTE, metavar="NAMES",
        help=f"factors muted one by one: any of {', '.join(MUTABLE)}, with commas between; none "
        f"(default: {DEFAULT_MUTE})",
    )
    parser.add_argument("--other-lm", metavar="LM", help="also hear with this language model")
    parser.add_argument("--other-lexicon", metavar="DICT", help="also hear with this dictionary")
    parser.add_argument(
        "--lattice-beam", type=float, metavar="COST",
        help="cost by which rivals may lie behind; higher: more of them, slower (default: the "
        "acoustic scale times 200 with a grammar, else 90)",
    )
