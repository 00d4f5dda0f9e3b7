"""Commands that take sound: transcribe, align, plot."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli.shared import (
    add_command,
    complain,
    factor_options,
    recipe_of,
    recognizer_of,
    search_options,
    second_pass_options,
    source_options,
)
from factored_asr.errors import FactoredASRError, OptionError

if TYPE_CHECKING:
    from factored_asr.decoder import Lattice
    from factored_asr.recognizer import Recognizer
    from factored_asr.results import Alignment, Transcript

FORMATS = ("text", "json", "ctm", "stm", "trn", "srt", "vtt", "textgrid")


def transcribe(options: argparse.Namespace) -> int:
    """Recognise each file; a broken one is named and the others still come."""
    from factored_asr.decoder.lattice_files import write_lattices
    from factored_asr.formats import write, write_file

    several = len(options.files) > 1
    _check_format(options, several)
    recognizer = recognizer_of(options)
    voices = _voices(recognizer, options) if options.adapt else {}
    n_failed = 0
    lattices: dict[str, Lattice] = {}
    for name in options.files:
        try:
            for said in _utterances(voices.get(name, recognizer), name, options.live):
                said = _refined(said, options)
                _collect(lattices, said, name)
                line = write(said, options.format, name)
                label = f"{name}\t" if several and options.format == "text" else ""
                if options.output:
                    write_file(options.output, said, options.format, name)
                elif line or options.format == "text":
                    print(label + line, flush=True)
                if said.reason and not options.quiet:
                    print(f"factored-asr: {name}: {said.reason}", file=sys.stderr)
        except FactoredASRError as error:
            n_failed += 1
            text = str(error)
            complain(error if name in text else FactoredASRError(f"{name}: {text}"), 1)
    if options.lattice_output:
        write_lattices(lattices, options.lattice_output)
    if n_failed and several:
        print(f"factored-asr: {n_failed} of {len(options.files)} inputs failed", file=sys.stderr)
    return 1 if n_failed else 0


def _refined(said: Transcript, options: argparse.Namespace) -> Transcript:
    """With an N-best list or with digits, where these were asked for."""
    from factored_asr.numbers import with_digits

    if options.nbest:
        return replace(said, alternatives=said.nbest(options.nbest))
    return with_digits(said) if options.digits else said


def _collect(lattices: dict[str, Lattice], said: Transcript, name: str) -> None:
    """Keep the lattice under the sound's name; further utterances of it are numbered."""
    from factored_asr.formats import utterance_id

    if said.lattice is not None and said.lattice.n_nodes:
        first = name = utterance_id(name)
        number = 1
        while name in lattices:
            number += 1
            name = f"{first}-{number}"
        lattices[name] = said.lattice


def _check_format(options: argparse.Namespace, several: bool) -> None:
    """What would not be a file of the format any more is refused before any work."""
    from factored_asr.formats import DOCUMENTS

    if options.live and (options.output or options.format not in ("text", "json")):
        raise OptionError("--live goes with --format text or json, and without --output")
    if options.nbest < 0 or (options.nbest and options.digits):
        raise OptionError("--nbest takes a number above 0, and does not go with --digits")
    if options.nbest and options.format not in ("text", "json"):
        raise OptionError("--nbest goes with --format text or json")
    if several and not options.output and options.format in DOCUMENTS:
        raise OptionError(f"--format {options.format} of several files needs --output FOLDER")


def _voices(recognizer: Recognizer, options: argparse.Namespace) -> dict[str, Recognizer]:
    """For each file the recogniser of its speaker; what cannot be read is told of later on."""
    if options.live or "-" in options.files:
        raise OptionError("--adapt hears everything twice: it needs files, and no --live")
    speakers: dict[str, list[str]] = {}
    for name in options.files:
        speaker = name if options.speaker_by == "file" else str(Path(name).parent)
        speakers.setdefault(speaker, []).append(name)
    voices = {}
    for names in speakers.values():
        features = []
        for name in names:
            with suppress(FactoredASRError):
                features.append(recognizer.features(name))
        voices.update(dict.fromkeys(names, recognizer.adapted(features)))
    return voices


def _utterances(recognizer: Recognizer, name: str, live: bool) -> Any:
    """The whole sound as one transcript, or live, one for each utterance that holds words."""
    if not live:
        yield recognizer.transcribe(name)
        return
    from factored_asr.audio import read_blocks

    stream = recognizer.stream(second_look=True)
    for block in read_blocks(name, sample_rate=recognizer.model.features.sample_rate):
        if stream.accept(block) and (said := stream.finish()):
            yield said
    if said := stream.finish():
        yield said


def align(options: argparse.Namespace) -> int:
    """Find where each word, phone and state of a known text lies in a sound."""
    from factored_asr.formats import write_alignment

    aligned = _aligned(options)
    if aligned or options.format == "json":
        print(write_alignment(aligned, options.format, options.file))
    if aligned.reason and not options.quiet:
        print(f"factored-asr: {options.file}: {aligned.reason}", file=sys.stderr)
    return 0 if aligned else 1


def _aligned(options: argparse.Namespace) -> Alignment:
    from factored_asr.files import read_text

    if (options.text is None) == (options.text_file is None):
        raise OptionError("give the text that is said, or its file by --text-file")
    text = options.text if options.text_file is None else read_text(options.text_file)
    recipe = recipe_of(options)
    return recipe.aligner(recipe.bundle.acoustic_model()).align(options.file, text)


def plot(options: argparse.Namespace) -> int:
    """Draw a sound: waveform, spectrogram, words and phones; or the lattice of its words."""
    from factored_asr.plots import plot_lattice, plot_utterance, save

    given = options.text is not None or options.text_file is not None
    if options.lattice:
        if given:
            raise OptionError("--lattice draws what was heard: give no text")
        lattice = recognizer_of(options).transcribe(options.file).lattice
        if lattice is None or not lattice.n_nodes:
            raise FactoredASRError(f"{options.file}: no speech, no lattice")
        save(plot_lattice(lattice), options.output)
        return 0
    said = _aligned(options) if given else recognizer_of(options).transcribe(options.file)
    if said.reason and not options.quiet:
        print(f"factored-asr: {options.file}: {said.reason}", file=sys.stderr)
    save(plot_utterance(options.file, said), options.output)
    return 0


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    factors, search = factor_options(), search_options()
    sources = source_options(factors)

    parser = add_command(
        commands, "transcribe", transcribe, "sound files to text", sources, search,
        second_pass_options(),
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="sound file; - is standard input")
    _add_format(parser, "text")
    parser.add_argument("--output", metavar="FOLDER", help="write a file for each sound in here")
    parser.add_argument(
        "--nbest", type=int, default=0, metavar="N", help="the N best word strings of each sound"
    )
    parser.add_argument(
        "--lattice-output", metavar="FILE", help="write the lattices here: .slf (HTK) or .dot "
        "(Graphviz) for one sound, any other end for Kaldi's text format",
    )
    parser.add_argument("--digits", action="store_true", help='"twenty one" as 21')
    parser.add_argument(
        "--live", action="store_true", help="decode as the sound comes, a line for each utterance"
    )
    parser.add_argument("--adapt", choices=("speaker",),
                        help="decode twice: what the first pass hears adapts the second to the "
                        "speaker's voice; best with a model of the stage sat")
    parser.add_argument("--speaker-by", default="folder", choices=("folder", "file"),
                        help="with --adapt, whose voice a file holds: that of its folder, or one "
                        "of its own (default: folder)")
    parser = add_command(commands, "align", align, "where the words of a known text lie", factors)
    _add_text(parser)
    _add_format(parser, "ctm")

    parser = add_command(commands, "plot", plot, "a picture of a sound, its words and phones",
                       sources, search)
    _add_text(parser)
    parser.add_argument("--lattice", action="store_true", help="draw the words that competed")
    parser.add_argument(
        "-o", "--output", required=True, metavar="IMAGE", help="write here: .png, .svg, .pdf"
    )


def _add_text(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="sound file; - is standard input")
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the words that are said")
    parser.add_argument("--text-file", metavar="PATH", help="read the words from here")


def _add_format(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--format", default=default, choices=FORMATS,
        help="text: the words (after the file's name where there are several); json: an object a "
        "line with times, pronunciations and more; ctm, stm, trn: lines for scoring tools; srt, "
        f"vtt: subtitles; textgrid: Praat's tiers of words and phones (default: {default})",
    )


