"""The command transcribe: files, or a microphone."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared
from factored_asr.cli.batch_progress import Shown, say_end
from factored_asr.errors import FactoredASRError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from factored_asr.batch import BatchOptions, BatchReport, Input
    from factored_asr.batch.work import Outcome
    from factored_asr.lattice import Lattice
    from factored_asr.recognizer.recognizer import Recognizer
    from factored_asr.results.transcript import Transcript


def transcribe(options: argparse.Namespace) -> int:
    """Recognise each sound; a failed one is reported and the others are transcribed."""
    if options.live:
        return _live(options)
    from factored_asr.batch import find_inputs, transcribe_files

    batch = _batch_options(options)
    skipped: list[FactoredASRError] = []
    sounds = find_inputs(options.files, channels=options.channels, skipped=skipped.append)
    _check(options, sounds)
    for error in skipped:
        shared.complain(error, 1)
    with ExitStack() as stack:
        one_file = len(options.files) == len(sounds) == 1 and (
            str(Path(options.files[0])) == sounds[0].name  # which need not be printed
        )
        printer = _Printer(options, labels=not one_file)
        show = shared.show_progress(stack, options.quiet)
        shown = Shown(show, options.quiet or len(sounds) == 1, bool(options.output_dir))
        try:
            if options.adapt:
                report = _adapted(options, sounds, batch, printer, shown)
            else:
                report = transcribe_files(
                    sounds, shared.recipe_of(options), batch, output_dir=options.output_dir,
                    jobs=options.jobs, resume=options.resume, cluster=options.cluster, each=printer,
                    report=shown, compiling=lambda stage: show(f"compiling: {stage}", 0, 0),
                )
        except KeyboardInterrupt as stopped:
            stack.close()
            return shown.say_stopped(stopped, bool(options.output_dir))
    if options.lattice_output:
        from factored_asr.lattice.files import write_lattices

        write_lattices(printer.lattices, options.lattice_output)
    return say_end(report, options.quiet, bool(options.output_dir)) or int(bool(skipped))


class _Printer:
    """Prints each outcome: text to standard output, errors to standard error."""

    def __init__(self, options: argparse.Namespace, labels: bool):
        self._options = options
        self._labels = labels and options.format == "text"
        self.lattices: dict[str, Lattice] = {}

    def __call__(self, sound: Input, outcome: Outcome) -> None:
        options = self._options
        for notice in outcome.notices:
            shared.say(notice)
        if outcome.error:
            shared.complain(FactoredASRError(outcome.error), 1)
            return
        if not options.output_dir and (outcome.text or options.format == "text"):
            label = f"{sound.label}\t" if self._labels else ""
            print(label + outcome.text, flush=True)
        if outcome.reason and not options.quiet:
            shared.say(f"{sound.label}: {outcome.reason}")
        for lattice in outcome.lattices:
            self._collect(lattice, sound)

    def _collect(self, lattice: Lattice, sound: Input) -> None:
        """Keep the lattice under the sound's name; number further ones of that name."""
        from factored_asr.results.formats import utterance_id

        first = sound.id or utterance_id(sound.output)
        names = chain([first], (f"{first}-{number}" for number in count(2)))
        self.lattices[next(name for name in names if name not in self.lattices)] = lattice


def _batch_options(options: argparse.Namespace) -> BatchOptions:
    from factored_asr.batch import BatchOptions
    from factored_asr.batch.work import cut_for

    cut = None
    if options.cut is not None:
        cut = replace(cut_for(shared.recipe_of(options)), longer_than=options.cut)
    return BatchOptions(options.format, options.digits, options.nbest,
                        bool(options.lattice_output), cut=cut, raw_rate=options.raw,
                        subtitles=shared.subtitles_of(options))


def _check(options: argparse.Namespace, sounds: Sequence[Input]) -> None:
    """Reject options that contradict each other before any work."""
    from factored_asr.results.formats import DOCUMENTS

    if len(sounds) > 1 and not options.output_dir and options.format in DOCUMENTS:
        raise OptionError(f"--format {options.format} of several files needs --output-dir FOLDER")
    if options.resume and (not options.output_dir or options.lattice_output):
        raise OptionError("--resume needs --output-dir, and does not go with --lattice-output")
    if options.adapt and (options.jobs > 1 or options.cluster):
        raise OptionError("--adapt decodes twice in one process: no --jobs, no --cluster")


def _adapted(options: argparse.Namespace, sounds: Sequence[Input], batch: BatchOptions,
             printer: _Printer, shown: Shown) -> BatchReport:
    """Run with a recogniser for each speaker, in this process."""
    from factored_asr.batch.pool import in_this_process
    from factored_asr.batch.run import run_batch
    from factored_asr.batch.work import Job

    recognizer = shared.recognizer_of(options)
    voices = _voices(recognizer, options, sounds)
    job = Job.of(shared.recipe_of(options), replace(batch, adapted=options.speaker_by))
    workers = partial(in_this_process, lambda sound: voices[sound.name], job.options)
    return run_batch(sounds, workers, job, output_dir=options.output_dir, resume=options.resume,
                     each=printer, report=shown)


def _voices(recognizer: Recognizer, options: argparse.Namespace,
            sounds: Sequence[Input]) -> dict[str, Recognizer]:
    """Return the recogniser of each file's speaker; unreadable files are reported later."""
    names = list(dict.fromkeys(sound.name for sound in sounds))
    if "-" in names:
        raise OptionError("--adapt decodes twice: it needs files, and no --live")
    speakers: dict[str, list[str]] = {}
    for name in names:
        speaker = name if options.speaker_by == "file" else str(Path(name).parent)
        speakers.setdefault(speaker, []).append(name)
    voices = {}
    for of_speaker in speakers.values():
        readable = []
        for name in of_speaker:
            with suppress(FactoredASRError):
                rate = shared.raw_rate(options, name)
                readable.append(recognizer.read(name, sample_rate=rate))
        adapted = recognizer.adapted(readable, sample_rate=recognizer.model.sample_rate)
        voices.update(dict.fromkeys(of_speaker, adapted))
    return voices


def _live(options: argparse.Namespace) -> int:
    """Decode as the sound arrives; print each utterance when it has ended."""
    from factored_asr.batch.work import BatchOptions, refined
    from factored_asr.results.formats import write

    _check_live(options)
    batch = BatchOptions(options.format, options.digits, options.nbest)
    recognizer = shared.recognizer_of(options)
    several, n_failed = len(options.files) > 1, 0
    for name in options.files:
        try:
            for found in _utterances(recognizer, name, shared.raw_rate(options, name)):
                label = f"{name}\t" if several and options.format == "text" else ""
                print(label + write(refined(found, batch), options.format, name), flush=True)
        except FactoredASRError as error:
            n_failed += 1
            text = str(error)
            shared.complain(error if name in text else FactoredASRError(f"{name}: {text}"), 1)
    return 1 if n_failed else 0


def _check_live(options: argparse.Namespace) -> None:
    bulk = (options.output_dir, options.resume, options.cluster, options.lattice_output,
            options.jobs > 1, options.cut is not None, options.channels != "mix")
    if any(bulk) or options.format not in ("text", "json"):
        raise OptionError(
            "--live goes with --format text or json, and with none of the options of many sounds"
        )
    if options.adapt:
        raise OptionError("--adapt decodes twice: it needs files, and no --live")


def _utterances(
    recognizer: Recognizer, name: str, array_rate: int | None
) -> Iterator[Transcript]:
    """Yield a transcript for each utterance with words."""
    from factored_asr.audio.reading import read_blocks

    stream = recognizer.stream(redecode=True)
    rate = recognizer.model.sample_rate
    for block in read_blocks(name, sample_rate=rate, array_rate=array_rate):
        if stream.accept(block) and (found := stream.finish()):
            yield found
    if found := stream.finish():
        yield found


def add(commands: Any) -> None:
    """Add the command to the program."""
    parser = shared.add_command(
        commands, "transcribe", transcribe, "sound files to text",
        shared.source_options(), shared.search_options(), shared.second_pass_options(),
    )
    parser.add_argument("files", nargs="+", metavar="SOUND", help="sound file; folder (searched "
                        "recursively); pattern in quotes; table .tsv with a column path and "
                        "optional id, start, end; @FILE, a list of such names (@-: on standard "
                        "input); - is the sound on standard input")
    shared.add_format(parser, "text")
    shared.add_raw(parser)
    parser.add_argument("--nbest", type=int, default=0, metavar="N",
                        help="the N best word strings of each sound")
    parser.add_argument("--lattice-output", metavar="FILE", help="write the lattices here: .slf "
                        "(HTK) or .dot (Graphviz) for one sound, any other end for Kaldi's text "
                        "format")
    parser.add_argument("--digits", action="store_true", help='"twenty one" as 21')
    parser.add_argument("--live", action="store_true",
                        help="decode as the sound arrives, a line per utterance")
    parser.add_argument("--adapt", choices=("speaker",), help="decode twice: adapt to each speaker "
                        "after the first pass; best with a model of the stage sat")
    parser.add_argument("--speaker-by", default="folder", choices=("folder", "file"),
                        help="with --adapt: files of one folder have the same speaker, or each "
                        "file has its own (default: folder)")
    _add_bulk(parser)


def _add_bulk(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many sounds")
    group.add_argument("--output-dir", metavar="FOLDER", help="write a file for each sound here; "
                       "subfolders of a given folder are kept")
    group.add_argument("--jobs", type=int, default=1, metavar="N",
                       help="worker processes (default: 1); they share one graph, each needs some "
                       "100 MB of its own")
    group.add_argument("--resume", action="store_true", help="leave out what an earlier run into "
                       "the same --output-dir did with the same options and unchanged sounds")
    group.add_argument("--channels", default="mix", choices=("mix", "separate"),
                       help="mix: the mean of a file's channels (default); separate: each on its "
                       "own, with outputs NAME-1, NAME-2, …")
    group.add_argument("--cut", type=float, metavar="SECONDS", help="cut longer recordings at "
                       "silences, and join the transcripts of the pieces (default: 60; 0: all; "
                       "inf: none)")
    group.add_argument("--cluster", metavar="ADDRESS", help="do the work on the Dask cluster of "
                       "this scheduler; its workers read the sounds under the same names")
