"""Commands on one sound: align, plot."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared
from factored_asr.errors import FactoredASRError, OptionError

if TYPE_CHECKING:
    from factored_asr.audio.reading import Source
    from factored_asr.results.alignment import Alignment
    from factored_asr.results.transcript import Transcript


EXAMPLES = """\
examples:
  factored-asr plot --grammar lm/smart_home.yaml command.wav -o command.png
      waveform, spectrogram, the recognised words and their phones
  factored-asr plot letter.wav "dear sir or madam" -o letter.svg
      the same with a known text
"""


def align(options: argparse.Namespace) -> int:
    """Find the times of each word, phone and state of a known text in a sound."""
    from factored_asr.results.formats import write_alignment

    subtitles = shared.subtitles_of(options)
    aligned = _aligned(options, options.file, shared.raw_rate(options, options.file))
    if aligned or options.format == "json":
        print(write_alignment(aligned, options.format, options.file, subtitles))
    if aligned.skipped and not options.quiet:
        shared.say(f"skipped, because it is not said: {', '.join(aligned.skipped)}")
    if aligned.reason and not options.quiet:
        shared.say(f"{options.file}: {aligned.reason}")
    return 0 if aligned else 1


def _aligned(options: argparse.Namespace, sound: Source, sample_rate: int | None) -> Alignment:
    from factored_asr.language.written import TextRules
    from factored_asr.recognizer.alignment import AlignOptions, aligner_of
    from factored_asr.storage.reading import read_text

    if (options.text is None) == (options.text_file is None):
        raise OptionError("give the spoken text, or its file by --text-file")
    text = options.text if options.text_file is None else read_text(options.text_file)
    rules = replace(TextRules.named(options.rules), case=False)
    aligner = aligner_of(shared.recipe_of(options), options=AlignOptions(rules=rules))
    return aligner.align(sound, text, sample_rate=sample_rate)


def plot(options: argparse.Namespace) -> int:
    """Draw a sound: waveform, spectrogram, words and phones; or its word lattice."""
    from factored_asr.audio.reading import read_audio
    from factored_asr.plots import plot_lattice, plot_utterance, save

    raw = shared.raw_rate(options, options.file)
    given = options.text is not None or options.text_file is not None
    if options.lattice:
        if given:
            raise OptionError("--lattice draws the recognised words: give no text")
        recognizer = shared.recognizer_of(options)
        lattice = recognizer.transcribe(options.file, sample_rate=raw).lattice
        if lattice is None or not lattice.n_nodes:
            raise FactoredASRError(f"{options.file}: no speech, no lattice")
        save(plot_lattice(lattice), options.output)
        return 0
    sound, rate = read_audio(options.file, array_rate=raw)  # once: it may be a pipe
    found: Alignment | Transcript
    if given:
        found = _aligned(options, sound, rate)
    else:
        found = shared.recognizer_of(options).transcribe(sound, sample_rate=rate)
    if found.reason and not options.quiet:
        shared.say(f"{options.file}: {found.reason}")
    save(plot_utterance(sound, found, sample_rate=rate), options.output)
    return 0


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = shared.add_command(commands, "align", align, "times of the words of a known text",
                                shared.factor_options())
    _add_text(parser)
    shared.add_format(parser, "ctm")
    shared.add_raw(parser)

    parser = shared.add_command(commands, "plot", plot,
                                "a picture of a sound, its words and phones",
                                shared.source_options(), shared.search_options(),
                                examples=EXAMPLES)
    _add_text(parser)
    shared.add_raw(parser)
    parser.add_argument("--lattice", action="store_true", help="draw the word lattice")
    parser.add_argument("-o", "--output", required=True, metavar="IMAGE",
                        help="write here: .png, .svg, .pdf")


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="sound file; - is standard input")
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the spoken words")
    parser.add_argument("--text-file", metavar="PATH", help="read the words from here")
    shared.add_rules(parser)
