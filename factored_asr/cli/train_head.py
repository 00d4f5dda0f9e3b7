"""The stage ctc of the command train."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from factored_asr.cli.corpora import corpus_of, names
from factored_asr.cli.shared import progress_bar, say
from factored_asr.errors import OptionError

if TYPE_CHECKING:
    import numpy as np

    from factored_asr.lexicon import Lexicon
    from factored_asr.training.ctc.make import HeadListener, HeadOptions
    from factored_asr.training.ctc.teacher import Teacher


def train_head(options: argparse.Namespace, lexicon: Lexicon) -> int:
    """Train a network's head on a corpus, write the model, and print its phone errors."""
    from factored_asr.training.ctc.make import make_head_model
    from factored_asr.training.make import hold_out

    if names(options.stages) != ["ctc"]:
        raise OptionError(f"--stages {options.stages}: ctc stands alone, it needs no other stage")
    if bool(options.teacher) != bool(options.untranscribed):
        raise OptionError("--teacher and --untranscribed belong together, only one is given")
    corpus, n_left_out = corpus_of(options, lexicon)
    held_out = None
    if options.tune_speakers:
        corpus, held_out = hold_out(corpus, names(options.tune_speakers))
    sounds = _sounds(options.untranscribed)
    with ExitStack() as stack:
        done = make_head_model(
            corpus, lexicon, options.output, held_out=held_out, untranscribed=sounds,
            teacher=_teacher(options.teacher) if options.teacher else None,
            noises=_noises(options.mix), lm=options.lm, options=_options(options),
            checkpoints=options.checkpoints, listener=_listener(stack, options.quiet),
        )
    of_teacher = f", {done.taught} with the teacher's words" if options.teacher else ""
    rate = "" if done.phone_errors is None else f", {done.phone_errors:.1f} % phone errors"
    print(f"{done.folder}\t{done.utterances} utterances{of_teacher}{rate}")
    return 1 if n_left_out else 0


def _options(options: argparse.Namespace) -> HeadOptions:
    from factored_asr.training.ctc.make import HeadOptions
    from factored_asr.training.ctc.network import CtcOptions
    from factored_asr.training.ctc.states import CopyOptions

    ctc = CtcOptions(seed=options.seed)
    if options.passes is not None:
        ctc = CtcOptions(seed=options.seed, passes=options.passes)
    copies = CopyOptions() if options.copies is None else CopyOptions(options.copies)
    return HeadOptions(
        ctc, copies, jobs=options.jobs, origin=options.origin or "",
        licences={"corpus": options.licence} if options.licence else {},
    )


def _listener(stack: ExitStack, quiet: bool) -> HeadListener:
    from factored_asr.training.ctc.make import HeadListener

    if quiet:
        return HeadListener()
    return HeadListener(
        progress_bar(stack, "encoding", quiet), lambda done: say(str(done)),
        lambda line: say(f"left out: {line}"),
    )


def _sounds(patterns: list[str]) -> list[Path]:
    """Return the untranscribed sounds; parts of files are refused."""
    from factored_asr.audio.reading import Part
    from factored_asr.batch.inputs import find_inputs

    sounds = find_inputs(patterns) if patterns else []
    if stretches := [each.label for each in sounds if each.part != Part()]:
        raise OptionError(f"{stretches[0]} is a part of a file: --untranscribed takes whole ones")
    return [Path(each.name) for each in sounds]


def _noises(patterns: list[str]) -> list[np.ndarray]:
    from factored_asr.acoustic.network.encoder import SAMPLE_RATE
    from factored_asr.audio.reading import read_audio

    return [read_audio(path, sample_rate=SAMPLE_RATE)[0] for path in _sounds(patterns)]


def _teacher(text: str) -> Teacher:
    """Return a recogniser of `compare` as a function from samples to text."""
    from factored_asr.compare.adapters import open_system
    from factored_asr.compare.systems import SystemSpec

    system = open_system(SystemSpec.parse(text), None)
    return lambda samples: system.transcribe(samples).text


def add_head_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that only the stage ctc reads."""
    group = parser.add_argument_group("stage ctc")
    group.add_argument("--passes", type=int, metavar="N", help="passes over the corpus "
                       "(default: 12)")
    group.add_argument("--copies", type=int, metavar="N", help="distorted copies of each "
                       "utterance: speed, noise, rooms, microphones (default: 4)")
    group.add_argument("--mix", action="append", default=[], metavar="PATH",
                       help="noises for the copies: files or folders; without, noises are computed")
    group.add_argument("--untranscribed", action="append", default=[], metavar="PATH",
                       help="sounds without words, for --teacher: files or folders")
    group.add_argument("--teacher", metavar="SYSTEM",
                       help="recogniser that gives them words, as of compare: moonshine")
