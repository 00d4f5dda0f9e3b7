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
    from factored_asr.detectors import Detection, Detector, FrameStream, KeywordDetector
    from factored_asr.models.bundle import Bundle

EXAMPLES = """\
examples:
  factored-asr detect --wake computer --wake "hey jarvis" kitchen.wav
      where these words are said: start and end in seconds, and the probability
  arecord -f S16_LE -r 16000 -c 1 | factored-asr detect --wake computer --events --format json -
      a microphone: one line of JSON for each detection, as it happens
  factored-asr detect --wake alexa --enrol recordings_of_alexa/ kitchen.wav
      recordings of the word teach the detector what else to look at
  factored-asr detect --wake alexa --enrol recordings_of_alexa/ -o alexa.npz
      keep what they teach; later --enrol alexa.npz takes their place
  factored-asr detect --whisper --events recordings/*.wav
      whispered and voiced speech, and everyday sounds
  factored-asr detect --directed lm/smart_home.yaml living_room.wav
      which speech is a command to the device
  factored-asr detect --wake computer --whisper --plot kitchen.png kitchen.wav
      a timeline of them
  factored-asr detect --events --jobs 4 --format json recordings/*.wav
      four files at once
  factored-asr detect --train sounds/ -o my_events.npz
      learn sound events from a folder with one folder of examples for each class
  factored-asr detect --events my_events.npz doorbell.wav
      listen for them
"""
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def detect(options: argparse.Namespace) -> int:
    """Listen for wake words, sound events and whispers; all share one stream of frames, which the
    network of en-us-network computes. A line says kind, name, start, end and probability."""
    if options.train:
        return _train(options)
    if options.events and not options.events.lower().endswith(".npz"):  # the first of the sounds
        options.files, options.events = [options.events, *options.files], ""
    if options.enrol and options.output:
        return _keep(options)
    wanted = options.wake, options.enrol, options.whisper, options.directed
    if not any(wanted) and options.events is None:
        raise OptionError("say what to listen for: --wake WORD, --enrol FILE, --events, --whisper, "
                          "--directed GRAMMAR")
    if not options.files:
        raise OptionError("give the sounds to listen to; - is standard input")
    if options.plot and len(options.files) > 1:
        raise OptionError("--plot draws one sound: give one FILE")
    if options.plot and "-" in options.files:
        raise OptionError("--plot needs a file: standard input is gone once it was listened to")
    if options.jobs < 1:
        raise OptionError(f"--jobs must be at least 1, got {options.jobs}")
    if options.jobs > 1 and len(options.files) > 1:
        return int(any([not _told(options, *each) for each in _in_processes(options)]))
    work = _Work(options)
    return int(any([not _listen(work, file) for file in options.files]))


class _Work:
    """The model and the detectors of the options."""

    def __init__(self, options: argparse.Namespace):
        from factored_asr.models.bundle import Bundle

        bundle = Bundle.find(options.model)
        self.options = options
        self.model: Any = bundle.acoustic_model()
        self.detectors = _detectors(options, bundle)

    def found(self, file: str) -> Iterator[Detection]:
        """Yield what is found in a file, as it happens."""
        from factored_asr.detectors import detect as detections_of

        return detections_of(self.model, self.detectors, file,
                             sample_rate=shared.raw_rate(self.options, file))


def _listen(work: _Work, file: str) -> bool:
    """Print what is found in a file as it happens, and draw it; False where it failed."""
    found = []
    try:
        for each in work.found(file):
            found.append(each)
            _print(work.options, file, each)
        if work.options.plot:
            _draw(work.options, file, found)
    except FactoredASRError as error:
        shared.say(str(error))
        return False
    return True


def _draw(options: argparse.Namespace, file: str, found: list[Detection]) -> None:
    from factored_asr.plots import plot_timeline, save

    save(plot_timeline(file, found, sample_rate=shared.raw_rate(options, file)), options.plot)


def _print(options: argparse.Namespace, file: str, found: Detection) -> None:
    several = len(options.files) > 1
    if options.format == "json":
        named = {"file": file} if several else {}
        line = json.dumps({**named, **found.to_dict()}, ensure_ascii=False)
    else:
        line = f"{file}: {found}" if several else str(found)
    print(line, flush=True)


_of_process: list[_Work] = []  # of a process of --jobs: one


def _in_processes(options: argparse.Namespace) -> Iterator[tuple[str, list[Detection], str]]:
    """Yield each file, what is found in it and why it failed, in order."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    plain = argparse.Namespace(**{**vars(options), "run": None})
    n_workers = min(options.jobs, len(options.files))
    with ProcessPoolExecutor(n_workers, get_context("spawn"), _begin, (plain,)) as pool:
        yield from pool.map(_found_in, options.files)


def _begin(options: argparse.Namespace) -> None:
    _of_process.append(_Work(options))


def _found_in(file: str) -> tuple[str, list[Detection], str]:
    found: list[Detection] = []
    try:
        found.extend(_of_process[0].found(file))
    except FactoredASRError as error:
        return file, found, str(error)
    return file, found, ""


def _told(options: argparse.Namespace, file: str, found: list[Detection], error: str) -> bool:
    for each in found:
        _print(options, file, each)
    if error:
        shared.say(error)
    return not error


def _detectors(options: argparse.Namespace, bundle: Bundle) -> list[Detector]:
    from factored_asr.detectors import (
        Classifier,
        DirectednessDetector,
        EventDetector,
        EventOptions,
        KeywordDetector,
        KeywordOptions,
        VoicingDetector,
    )
    from factored_asr.detectors.keywords import pronunciations_of
    from factored_asr.models.recipe import Recipe
    from factored_asr.recognizer.recognizer import Recognizer

    made: list[Detector] = []
    words = Path(options.words) if options.words else None
    limits = KeywordOptions(**shared.given_values(options, dict(threshold="threshold")))
    kept = Path(options.enrol or "").suffix == ".npz"
    if kept:
        made.append(KeywordDetector.read(options.enrol, limits))
    if options.wake:
        recipe = Recipe(bundle, words=words, guess=True)
        keywords = KeywordDetector(pronunciations_of(options.wake, recipe), limits)
        made.append(keywords if kept or not options.enrol else
                    _enrolled(keywords, options, bundle))
    if options.events is not None:
        classifier = Classifier.read(options.events) if options.events else None
        made.append(EventDetector(classifier, EventOptions()))
    if options.whisper:
        made.append(VoicingDetector())
    if options.directed:
        recipe = Recipe(bundle, Path(options.directed), words=words, guess=True)
        made.append(DirectednessDetector(Recognizer.from_recipe(recipe)))
    return made


def _keep(options: argparse.Namespace) -> int:
    """Write what the recordings of a phrase teach."""
    from factored_asr.detectors import KeywordDetector
    from factored_asr.models.bundle import Bundle

    (detector,) = _detectors(argparse.Namespace(**{
        **vars(options), "events": None, "whisper": False, "directed": ""}),
        Bundle.find(options.model))
    assert isinstance(detector, KeywordDetector)
    detector.write(options.output)
    if not options.quiet:
        shared.say(f"written to {options.output}: {', '.join(detector.keywords)}")
    return 0


def _enrolled(detector: KeywordDetector, options: argparse.Namespace,
              bundle: Bundle) -> KeywordDetector:
    """Enrol the one phrase of --wake from the recordings of a folder."""
    from factored_asr.audio.reading import read_audio

    if len(options.wake) != 1:
        raise OptionError("--enrol is for one phrase: give --wake once")
    folder = Path(options.enrol)
    model: Any = bundle.acoustic_model()
    files = sorted(path for path in folder.glob("**/*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise OptionError(f"{folder}: must hold recordings of '{options.wake[0]}' "
                          f"({', '.join(SUFFIXES)})")
    recordings = [read_audio(path, sample_rate=model.sample_rate)[0] for path in files]
    return detector.enrol(options.wake[0], recordings, model)


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
    parser.add_argument("--enrol", metavar="FOLDER", help="recordings of the phrase of --wake, "
                        "20 to 50 are good, by others or by you: fewer misses in noise; or the "
                        "FILE.npz that -o wrote of them")
    parser.add_argument("--words", metavar="DICT", help="dictionary of pronunciations of its "
                        "words; words without one are guessed")
    parser.add_argument("--threshold", type=float, metavar="X", help="log-likelihood ratio per "
                        "phone from which on a phrase counts, 0 at most, or log-odds of an "
                        "enrolled one; higher: fewer false alarms, more misses")
    parser.add_argument("--events", nargs="?", const="", metavar="CLASSES.npz",
                        help="report sound events: ten everyday classes, or those of --train")
    parser.add_argument("--whisper", action="store_true",
                        help="report each stretch of speech as voiced or whispered")
    parser.add_argument("--directed", metavar="GRAMMAR", help="report each stretch of speech as a "
                        "command to the device, of this grammar, or as other speech")
    parser.add_argument("--train", metavar="FOLDER", help="learn sound events: one folder of "
                        "sounds for each class, 'other' for what is none")
    parser.add_argument("-o", "--output", metavar="FILE", help="where --train writes, or --enrol "
                        "what the recordings teach")
    parser.add_argument("--format", default="text", choices=("text", "json"),
                        help="text: a table; json: an object a line (default: text)")
    parser.add_argument("--plot", metavar="PICTURE", help="also draw a timeline of the sound and "
                        "what was found, as .png, .svg or .pdf (needs the extra plot)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="files at once, in processes (default: 1)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    shared.add_raw(parser)
