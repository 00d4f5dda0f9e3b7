"""The command detect."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.cli import shared
from factored_asr.errors import FactoredASRError, OptionError

if TYPE_CHECKING:
    from factored_asr.acoustic.network.model import NetworkModel
    from factored_asr.detectors import Detector, FrameStream
    from factored_asr.models.bundle import Bundle

EXAMPLES = """\
examples:
  factored-asr detect --wake computer --wake "hey jarvis" kitchen.wav
      where these words are said: start and end in seconds, and the probability
  arecord -f S16_LE -r 16000 -c 1 | factored-asr detect --wake computer --events --format json -
      a microphone: one line of JSON for each detection, as it happens
  factored-asr detect --whisper --events recordings/*.wav
      whispered and voiced speech, and everyday sounds
  factored-asr detect --train sounds/ -o my_events.npz
      learn sound events from a folder with one folder of examples for each class
  factored-asr detect --events my_events.npz doorbell.wav
      listen for them
"""
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def detect(options: argparse.Namespace) -> int:
    """Listen for wake words, sound events and whispers; all share one stream of frames, which the
    network of en-us-network computes. A line says kind, name, start, end and probability."""
    from factored_asr.models.bundle import Bundle

    if options.train:
        return _train(options)
    if not (options.wake or options.events is not None or options.whisper):
        raise OptionError("say what to listen for: --wake WORD, --events, --whisper")
    if not options.files:
        raise OptionError("give the sounds to listen to; - is standard input")
    bundle = Bundle.find(options.model)
    model: Any = bundle.acoustic_model()
    detectors = _detectors(options, bundle)
    failed = False
    for file in options.files:
        try:
            _listen(options, model, detectors, file)
        except FactoredASRError as error:
            shared.say(str(error))
            failed = True
    return int(failed)


def _listen(options: argparse.Namespace, model: NetworkModel, detectors: list[Detector],
            file: str) -> None:
    from factored_asr.detectors import detect as detections_of

    several = len(options.files) > 1
    for found in detections_of(model, detectors, file,
                               sample_rate=shared.raw_rate(options, file)):
        if options.format == "json":
            named = {"file": file} if several else {}
            line = json.dumps({**named, **found.to_dict()}, ensure_ascii=False)
        else:
            line = f"{file}: {found}" if several else str(found)
        print(line, flush=True)


def _detectors(options: argparse.Namespace, bundle: Bundle) -> list[Detector]:
    from factored_asr.detectors import (
        Classifier,
        EventDetector,
        EventOptions,
        KeywordDetector,
        KeywordOptions,
        VoicingDetector,
    )
    from factored_asr.detectors.keywords import pronunciations_of
    from factored_asr.models.recipe import Recipe

    made: list[Detector] = []
    if options.wake:
        words = Path(options.words) if options.words else None
        recipe = Recipe(bundle, words=words, guess=True)
        given = shared.given_values(options, dict(threshold="threshold"))
        made.append(KeywordDetector(pronunciations_of(options.wake, recipe),
                                    KeywordOptions(**given)))
    if options.events is not None:
        classifier = Classifier.read(options.events) if options.events else None
        made.append(EventDetector(classifier, EventOptions()))
    if options.whisper:
        made.append(VoicingDetector())
    return made


def _train(options: argparse.Namespace) -> int:
    from factored_asr.audio.reading import read_audio
    from factored_asr.detectors import FrameStream, train_events
    from factored_asr.detectors.events import LEARNING, classes_of
    from factored_asr.models.bundle import Bundle

    if not options.output:
        raise OptionError("--train needs -o FILE.npz, where the classifier is written")
    folder = Path(options.train)
    classes = classes_of(folder, _sounds(folder))
    if len(classes) < 2:
        raise OptionError(f"{folder}: must hold at least two folders of sounds, one for each class")
    model: Any = Bundle.find(options.model).acoustic_model()

    def stream() -> FrameStream:
        return FrameStream(model, LEARNING)

    with ExitStack() as stack:
        made = train_events(
            classes, stream, lambda path: read_audio(path, sample_rate=model.sample_rate)[0],
            progress=shared.progress(stack, options.quiet, "learning"),
        )
    made.write(options.output)
    if not options.quiet:
        shared.say(f"written to {options.output}: {', '.join(made.names)}")
    return 0


def _sounds(folder: Path) -> Iterator[Path]:
    from factored_asr.storage.reading import files_in

    if not folder.is_dir():
        raise OptionError(f"{folder}: is no folder")
    return (path for path in files_in(folder, "*/**/*") if path.suffix.lower() in SUFFIXES)


def add(commands: Any) -> None:
    """Add the command of this module."""
    parser = shared.add_command(
        commands, "detect", detect, "wake words, sound events and whispers in a sound",
        examples=EXAMPLES,
    )
    parser.add_argument("files", metavar="FILE", nargs="*", help="sound files; - is standard input")
    parser.add_argument("--model", default="en-us-network",
                        help="a network (default: en-us-network)")
    parser.add_argument("--wake", metavar="PHRASE", action="append", default=[],
                        help="a word or phrase to listen for; may be repeated")
    parser.add_argument("--words", metavar="DICT", help="dictionary of pronunciations of its "
                        "words; words without one are guessed")
    parser.add_argument("--threshold", type=float, metavar="X", help="log-likelihood ratio per "
                        "phone from which on a phrase counts, 0 at most; higher: fewer false "
                        "alarms, more misses")
    parser.add_argument("--events", nargs="?", const="", metavar="CLASSES.npz",
                        help="report sound events: ten everyday classes, or those of --train")
    parser.add_argument("--whisper", action="store_true",
                        help="report each stretch of speech as voiced or whispered")
    parser.add_argument("--train", metavar="FOLDER", help="learn sound events: one folder of "
                        "sounds for each class, 'other' for what is none")
    parser.add_argument("-o", "--output", metavar="FILE", help="where --train writes")
    parser.add_argument("--format", default="text", choices=("text", "json"),
                        help="text: a table; json: an object a line (default: text)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    shared.add_raw(parser)
