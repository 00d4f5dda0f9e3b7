"""The command explain."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from factored_asr.cli import shared
from factored_asr.storage.writing import ESCAPE

ABLATIONS = ("language", "background", "weights", "pronunciation", "variants", "transitions")
DEFAULT_WITHOUT = "language,background,weights,pronunciation"
EXAMPLES = """\
examples:
  factored-asr explain --grammar lm/smart_home.yaml command.wav
      the cost of each word, its competitors, and the factor that decided
  factored-asr explain letter.wav --format html -o letter.html
      a page to look at and listen to in a browser
  factored-asr explain letter.wav --without variants,transitions --other-lm news.arpa
      the results with one pronunciation a word, without transition costs, and with another
      language model
  factored-asr explain --grammar lm/smart_home.yaml command.wav --expected "stop the music"
      why the result is not what was said
  factored-asr explain --grammar examples/tokens.yaml examples/audio/kitchen_light_on.wav \
        --animate tokens.html
      a page on which tokens spread over the graph, frame by frame, with sliders
"""


def explain(options: argparse.Namespace) -> int:
    """Explain a recognition result: the cost of each word by factor (acoustics, pronunciations,
    language, transitions), its competitors, the factor that decided, and the results without each
    factor. These need graphs of their own, which are compiled once: seconds for a grammar, minutes
    for a large vocabulary. --without none skips them."""
    from factored_asr.explain import ExplainOptions
    from factored_asr.explain.html import as_html
    from factored_asr.explain.text import as_text
    from factored_asr.recognizer.recognizer import Recognizer

    asked = ExplainOptions(lattice_beam=options.lattice_beam, without=_names(options.without),
                           other_lm=options.other_lm, other_lexicon=options.other_lexicon,
                           expected=options.expected)
    if options.animate:
        return _animate(options)
    with ExitStack() as stack:
        tell = shared.progress(stack, options.quiet)
        recognizer = Recognizer.from_recipe(shared.recipe_of(options), tell)
        explanation = recognizer.explain(options.file, options=asked, progress=tell,
                                         sample_rate=shared.raw_rate(options, options.file))
    if options.format == "html":
        written = as_html(explanation, title=Path(options.file).name)
    else:
        written = explanation.to_json() if options.format == "json" else as_text(explanation)
    if not options.output:
        print(written)
        return 0
    return _write(written + "\n", options.output, options.quiet)


def _animate(options: argparse.Namespace) -> int:
    """Write the page of moving tokens."""
    from factored_asr.explain.animation import animate
    from factored_asr.explain.animation_page import animation_page

    found = animate(shared.recipe_of(options), options.file,
                    sample_rate=shared.raw_rate(options, options.file))
    page = animation_page(found, title=Path(options.file).name)
    return _write(page, options.animate, options.quiet)


def _write(text: str, path: str, quiet: bool) -> int:
    with shared.writing(path):
        Path(path).write_text(text, encoding="utf-8", errors=ESCAPE)
    if not quiet:
        shared.say(f"written to {path}")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(name for name in text.split(",") if name)


def add(commands: Any) -> None:
    """Add the command of this module."""
    parser = shared.add_command(
        commands, "explain", explain, "why the words were recognised, factor by factor",
        shared.source_options(), shared.search_options(), examples=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="sound file; - is standard input")
    shared.add_raw(parser)
    parser.add_argument("--format", default="text", choices=("text", "json", "html"),
                        help="text; json: everything, see factored_asr.explain.explanation; html: "
                        "a page with spectrogram, states, lattice and sound (default: text)")
    parser.add_argument("-o", "--output", metavar="PATH", help="write to this file")
    parser.add_argument("--animate", metavar="FILE.html",
                        help="write a page on which tokens spread over the graph of a small "
                        "grammar, with sliders for beam, LM weight and acoustic scale, and no "
                        "explanation")
    without = parser.add_argument(
        "--without", default=DEFAULT_WITHOUT, metavar="NAMES",
        help=f"factors to leave out one by one: {', '.join(ABLATIONS)}, with commas; or none "
        f"(default: {DEFAULT_WITHOUT})",
    )
    shared.add_old_name(parser, "--mute", without)
    parser.add_argument("--expected", default="", metavar="TEXT",
                        help="what was said in fact: these words next to the result, and the "
                        "factor that lost them")
    parser.add_argument("--other-lm", metavar="LM", help="also decode with this language model")
    parser.add_argument("--other-lexicon", metavar="DICT", help="also decode with this dictionary")
    parser.add_argument("--lattice-beam", type=float, metavar="COST",
                        help="costs above the best that competitors may have; higher: more of "
                        "them, slower (default: the acoustic scale times 200 with a grammar, else "
                        "90)")
