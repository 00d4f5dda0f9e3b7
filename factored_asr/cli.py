"""The command line: parse, one library call, print.

Text goes to standard output, progress and faults to standard error. Exit code 0: all done; 1: some
input failed, the rest is done; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr import __version__
from factored_asr.errors import FactoredASRError, OptionError

if TYPE_CHECKING:
    from factored_asr.bundle import DecodeOptions, Progress, Recipe
    from factored_asr.recognizer import Recognizer
    from factored_asr.results import Alignment

FORMATS = ("text", "json", "ctm", "stm", "trn", "srt", "vtt", "textgrid")

EXAMPLES = """\
examples:
  factored-asr transcribe letter.wav
      dictation: any English sentence
  factored-asr transcribe --grammar lm/smart_home.yaml --format json command.wav
      commands: only the grammar's sentences, with intent and slots
  arecord -f S16_LE -r 16000 -c 1 | factored-asr transcribe --live -
      a microphone: one line for each utterance, as soon as it has ended
  factored-asr align letter.wav "dear sir or madam" --format textgrid > letter.TextGrid
      where each word and phone of a known text lies
  echo "turn on the kitchen light" | factored-asr understand --grammar lm/smart_home.yaml
      what a sentence means
  factored-asr info --cache
      which graphs are compiled, and how large they are
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # products this small only wait for each other
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return int(options.run(options))
    except OptionError as error:
        return _complain(error, 2)
    except FactoredASRError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone; nothing is left to be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: object = None, line: str | None = None,
) -> None:
    print(f"factored-asr: {message}", file=sys.stderr)


def _complain(error: Exception, code: int) -> int:
    print(f"factored-asr: {error}", file=sys.stderr)
    return code


# --- commands ----------------------------------------------------------------


def transcribe(options: argparse.Namespace) -> int:
    """Recognise each file; a broken one is named and the others still come."""
    from factored_asr.formats import write, write_file
    from factored_asr.numbers import with_digits

    several = len(options.files) > 1
    _check_format(options, several)
    recognizer = _recognizer(options)
    n_failed = 0
    for name in options.files:
        try:
            for said in _utterances(recognizer, name, options.live):
                said = with_digits(said) if options.digits else said
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
            _complain(error if name in text else FactoredASRError(f"{name}: {text}"), 1)
    if n_failed and several:
        print(f"factored-asr: {n_failed} of {len(options.files)} inputs failed", file=sys.stderr)
    return 1 if n_failed else 0


def _check_format(options: argparse.Namespace, several: bool) -> None:
    """What would not be a file of the format any more is refused before any work."""
    from factored_asr.formats import DOCUMENTS

    if options.live and (options.output or options.format not in ("text", "json")):
        raise OptionError("--live goes with --format text or json, and without --output")
    if several and not options.output and options.format in DOCUMENTS:
        raise OptionError(f"--format {options.format} of several files needs --output FOLDER")


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
    from factored_asr.alignment import Aligner, read_text

    if (options.text is None) == (options.text_file is None):
        raise OptionError("give the text that is said, or its file by --text-file")
    text = options.text if options.text_file is None else read_text(options.text_file)
    recipe = _recipe(options)
    aligner = Aligner(recipe.bundle.acoustic_model(), recipe.read_lexicon())
    return aligner.align(options.file, text)


def plot(options: argparse.Namespace) -> int:
    """Draw a sound: waveform, spectrogram, and the words and phones that were heard or given."""
    from factored_asr.plots import plot_utterance, save

    given = options.text is not None or options.text_file is not None
    said = _aligned(options) if given else _recognizer(options).transcribe(options.file)
    if said.reason and not options.quiet:
        print(f"factored-asr: {options.file}: {said.reason}", file=sys.stderr)
    save(plot_utterance(options.file, said), options.output)
    return 0


def compile_graph(options: argparse.Namespace) -> int:
    """Compile a graph into the cache, or into a file."""
    recipe = _recipe(options)
    with ExitStack() as stack:
        graph = recipe.graph(recipe.bundle.acoustic_model(), _progress(stack, options.quiet))
    if options.output is None:
        from factored_asr.cache import cache_folder

        where = str(cache_folder() / recipe.key())
    else:
        where = options.output
        try:
            (graph.write_openfst if where.endswith(".fst") else graph.write)(where)
        except OSError as error:
            raise OptionError(f"{where}: cannot be written: {error.strerror}") from error
    megabytes = graph.arcs.nbytes / 1e6
    print(f"{where}\t{graph.n_states} states, {graph.n_arcs} arcs ({megabytes:.1f} MB), "
          f"{len(graph.words) - 1} words, {len(graph.pdfs)} pdfs")
    return 0


def understand(options: argparse.Namespace) -> int:
    """Read sentences from standard input, one a line; write what each means as JSON lines."""
    from factored_asr.bundle import packaged
    from factored_asr.recognizer import read_understander

    understander = read_understander(packaged(options.grammar))
    for line in sys.stdin:
        words = line.split()
        meaning = understander.parse(words) if words else None
        print(json.dumps({
            "text": " ".join(words),
            "intent": None if meaning is None else meaning.intent,
            "slots": {} if meaning is None else dict(meaning.slots),
            "confidence": 0.0 if meaning is None else meaning.confidence,
            "acts": [], "trace": [],
        }, ensure_ascii=False), flush=True)
    return 0


def info(options: argparse.Namespace) -> int:
    """Say what a model is, or what the cache holds."""
    from factored_asr import cache

    if options.clear_cache:
        print(f"{cache.cache_folder()}: {cache.clear() / 1e6:.1f} MB removed")
        return 0
    if options.cache:
        print(cache.cache_folder())
        for entry in cache.entries():
            about = entry.about
            print(f"{entry.path.name}\t{entry.n_bytes / 1e6:.1f} MB\t{about.get('kind', '?')}\t"
                  f"{about.get('model', '?')} + {about.get('language', '?')}\t"
                  f"{about.get('arcs', '?')} arcs\t{about.get('made', '?')}")
        return 0
    from factored_asr.bundle import Bundle

    bundle = Bundle.find(options.model)
    model = bundle.acoustic_model()
    for name, value in {
        "model": bundle.name, "acoustic": bundle.acoustic, "lexicon": bundle.lexicon,
        "language": bundle.lm, "phones": len(model.phones), "pdfs": model.n_pdfs,
        "hmms": len(model.hmm_pdfs), "sample rate": f"{model.features.sample_rate} Hz",
        "features": model.features.n_features, "frame": f"{model.frame_seconds} s",
    }.items():
        print(f"{name}\t{value}")
    return 0


# --- what commands share -----------------------------------------------------


def _recipe(options: argparse.Namespace) -> Recipe:
    from factored_asr.bundle import Bundle, Recipe

    paths = [getattr(options, name, None) for name in ("grammar", "lm", "lexicon", "words")]
    grammar, lm, lexicon, words = (None if path is None else Path(path) for path in paths)
    recipe = Recipe(Bundle.find(options.model), grammar, lm, lexicon, words)
    return replace(recipe, options=_settings(recipe.settings, options))


def _settings(settings: DecodeOptions, options: argparse.Namespace) -> DecodeOptions:
    """The model's own settings, but for what the command line gives."""
    given = {name: getattr(options, name, None) for name in ("beam", "max_active", "min_active")}
    beam = replace(settings.beam, **{k: v for k, v in given.items() if v is not None})
    scale = getattr(options, "acoustic_scale", None)
    if scale is None:
        return replace(settings, beam=beam)
    return replace(settings, beam=beam, acoustic_scale=scale)


def _recognizer(options: argparse.Namespace) -> Recognizer:
    from factored_asr.recognizer import Recognizer

    with ExitStack() as stack:
        return Recognizer.from_recipe(_recipe(options), _progress(stack, options.quiet))


def _progress(stack: ExitStack, quiet: bool) -> Progress:
    """Tells each stage of compiling on standard error: a spinner on a terminal, else lines."""
    status: list[Any] = []

    def tell(stage: str) -> None:
        if quiet:
            return
        if not sys.stderr.isatty():
            print(f"factored-asr: compiling: {stage}", file=sys.stderr, flush=True)
        elif status:
            status[0].update(stage)
        else:
            from rich.console import Console

            status.append(stack.enter_context(Console(stderr=True).status(stage)))

    return tell


# --- arguments ---------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="factored-asr", description="A classic, factored speech recogniser.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"factored-asr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    factors, search = _factor_options(), _search_options()
    sources = _source_options(factors)

    command = _command(commands, "transcribe", transcribe, "sound files to text", sources, search)
    command.add_argument("files", nargs="+", metavar="FILE", help="sound file; - is standard input")
    _add_format(command, "text")
    command.add_argument("--output", metavar="FOLDER", help="write a file for each sound in here")
    command.add_argument("--digits", action="store_true", help='"twenty one" as 21')
    command.add_argument(
        "--live", action="store_true", help="decode as the sound comes, a line for each utterance"
    )
    command = _command(commands, "align", align, "where the words of a known text lie", factors)
    _add_text(command)
    _add_format(command, "ctm")

    command = _command(commands, "plot", plot, "a picture of a sound, its words and phones",
                       sources, search)
    _add_text(command)
    command.add_argument(
        "-o", "--output", required=True, metavar="IMAGE", help="write here: .png, .svg, .pdf"
    )
    command = _command(commands, "compile", compile_graph, "compile a graph ahead of time", sources)
    command.add_argument("--output", metavar="PATH", help="write here: a folder, or a file .fst")

    command = _command(commands, "understand", understand, "sentences on stdin to intents, as JSON")
    command.add_argument("--grammar", required=True, metavar="PATH", help="grammar file or folder")
    command.add_argument("--format", default="json", choices=("json",), help="JSON lines")

    command = _command(commands, "info", info, "what a model is; what the cache holds")
    command.add_argument("model", nargs="?", default="en-us", help="en-us, or a model folder")
    command.add_argument("--cache", action="store_true", help="list the compiled graphs")
    command.add_argument("--clear-cache", action="store_true", help="remove the compiled graphs")
    return parser


def _command(
    commands: Any, name: str, run: Any, summary: str, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=run.__doc__, parents=parents,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_text(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="sound file; - is standard input")
    command.add_argument("text", nargs="?", metavar="TEXT", help="the words that are said")
    command.add_argument("--text-file", metavar="PATH", help="read the words from here")


def _add_format(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--format", default=default, choices=FORMATS,
        help="text: the words (after the file's name where there are several); json: an object a "
        "line with times, pronunciations and more; ctm, stm, trn: lines for scoring tools; srt, "
        f"vtt: subtitles; textgrid: Praat's tiers of words and phones (default: {default})",
    )


def _factor_options() -> argparse.ArgumentParser:
    """Options that say with which model and lexicon."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("model and lexicon")
    group.add_argument("--model", default="en-us", help="en-us, or a Sphinx model folder")
    group.add_argument("--lexicon", metavar="DICT", help="dictionary that REPLACES the model's own")
    group.add_argument("--words", metavar="DICT", help="dictionary that EXTENDS it")
    parser.add_argument("--quiet", action="store_true", help="no progress, no reasons of silence")
    return parser


def _source_options(factors: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Options that say what a graph is compiled from."""
    parser = argparse.ArgumentParser(add_help=False, parents=[factors])
    language = parser.add_argument_group("language").add_mutually_exclusive_group()
    language.add_argument("--grammar", metavar="PATH", help="commands: a grammar file or folder")
    language.add_argument("--lm", metavar="ARPA", help="n-gram model in place of the model's own")
    return parser


def _search_options() -> argparse.ArgumentParser:
    """Options that say how the graph is searched."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("search")
    group.add_argument("--beam", type=float, help="cost kept behind the best; higher: slower")
    group.add_argument("--max-active", type=int, help="tokens a frame at most; 0: no limit")
    group.add_argument("--min-active", type=int, help="tokens a frame at least")
    group.add_argument(
        "--acoustic-scale", type=float, help="weight of the sound against the language"
    )
    return parser
