"""The command align."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared
from factored_asr.errors import OptionError

if TYPE_CHECKING:
    from factored_asr.audio.reading import Source
    from factored_asr.results.alignment import Alignment


def align(options: argparse.Namespace) -> int:
    """Find the times of each word, phone and state of a known text in a sound."""
    from factored_asr.results.formats import write_alignment

    subtitles = shared.subtitles_of(options)
    found = aligned(options, options.file, shared.raw_rate(options, options.file))
    if found or options.format == "json":
        print(write_alignment(found, options.format, options.file, subtitles))
    if found.skipped and not options.quiet:
        shared.say(f"skipped, because it is not said: {', '.join(found.skipped)}")
    if found.reason and not options.quiet:
        shared.say(f"{options.file}: {found.reason}")
    return 0 if found else 1


def aligned(options: argparse.Namespace, sound: Source, sample_rate: int | None) -> Alignment:
    """Return the alignment of the text that the options give."""
    from factored_asr.language.written import TextRules
    from factored_asr.recognizer.alignment import AlignOptions, aligner_of
    from factored_asr.storage.reading import is_file, read_text

    if (options.text is None) == (options.text_file is None):
        raise OptionError("give the spoken text, or its file by --text-file")
    if options.text is not None and is_file(options.text):
        raise OptionError(f"{options.text} is a file, not the spoken text: give it by --text-file")
    text = options.text if options.text_file is None else read_text(options.text_file)
    rules = replace(TextRules.named(options.rules), case=False)
    aligner = aligner_of(shared.recipe_of(options), options=AlignOptions(rules=rules))
    return aligner.align(sound, text, sample_rate=sample_rate)


def add(commands: Any) -> None:
    """Add the command of this module."""
    parser = shared.add_command(commands, "align", align, "times of the words of a known text",
                                shared.factor_options())
    add_text(parser)
    shared.add_format(parser, "ctm")
    shared.add_raw(parser)


def add_text(parser: argparse.ArgumentParser, needs_file: bool = True) -> None:
    """Add the sound and the text that is said in it."""
    parser.add_argument("file", metavar="FILE", nargs=None if needs_file else "?",
                        help="sound file; - is standard input")
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the spoken words")
    parser.add_argument("--text-file", metavar="PATH", help="read the words from here")
    shared.add_rules(parser)
