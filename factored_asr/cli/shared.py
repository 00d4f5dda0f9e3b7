"""What commands share: options of models, graphs and search; progress; errors; output files."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.errors import OptionError

if TYPE_CHECKING:
    from factored_asr.graph.stages import Remaining
    from factored_asr.lattice import SecondPassOptions
    from factored_asr.models.recipe import Progress, Recipe
    from factored_asr.models.settings import DecodeOptions
    from factored_asr.recognizer.recognizer import Recognizer
    from factored_asr.results.subtitles import SubtitleOptions

Show = Callable[[str, float, float], None]
"""Shows a text, and how much is done of how much."""
LINE_SECONDS = 10.0  # between lines of progress where there is no terminal
FORMATS = ("text", "json", "ctm", "stm", "trn", "srt", "vtt", "textgrid")
EXAMPLES = """\
examples:
  factored-asr transcribe examples/audio/weather.wav
      dictation: any English sentence
  factored-asr transcribe --grammar lm/smart_home.yaml examples/audio/kitchen_light_on.wav
      commands: only the grammar's sentences, with intent and slots
  arecord -f S16_LE -r 16000 -c 1 | factored-asr transcribe --live -
      a microphone: one line for each utterance, as soon as it has ended
  factored-asr transcribe --confidence --format json examples/audio/weather.wav
      each word with the probability that it is right
  factored-asr transcribe --rescore-lm letters.arpa --nbest 5 letter.wav
      a language model of your own in a second pass; the five best hypotheses
  factored-asr transcribe calls/ --output-dir texts/ --jobs 4 --resume
      every sound of a folder in four processes; what was done before is left out
  factored-asr explain examples/audio/weather.wav --format html -o weather.html
      why each word was recognised: costs by factor, competitors, the result without a factor
  factored-asr align examples/audio/music_stop.wav "stop the music" --format ctm
      where each word and phone of a known text lies
  echo "turn on the kitchen light" | factored-asr understand --grammar lm/smart_home.yaml
      what a sentence means
  factored-asr train --corpus examples/words --lexicon examples/words/words.dict --output my_model
      a model of your own; then: factored-asr transcribe --model my_model --grammar words.yaml ...
  factored-asr evaluate --model my_model --corpus test/ --adapt speaker
      its word error rate, by speaker, with the alignment of every error
  factored-asr score ref.trn ours.trn theirs.trn
      errors of transcripts by kind and speaker, and whether the systems differ
  factored-asr compare speech/ ours pocketsphinx moonshine --html report.html
      recognisers side by side: accuracy, speed, latency, memory, size
  factored-asr info --cache
      which graphs are compiled, and how large they are
"""


def complain(error: Exception, code: int) -> int:
    """Print an error to standard error; return the exit code."""
    say(str(error))
    return code


def say(text: str) -> None:
    """Print a line to standard error, if that takes it."""
    with suppress(OSError):
        print(f"factored-asr: {text}", file=sys.stderr, flush=True)


@contextmanager
def writing(path: str | Path) -> Iterator[str | Path]:
    """Turn an error of the system while a file is written into an OptionError that names it."""
    try:
        yield path
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror}") from error


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the files a graph is compiled from, and the settings it is searched with."""
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.models.vocabulary import Commands, Vocabulary

    names = ("grammar", "lm", "lexicon", "words", "g2p")
    given = (getattr(options, name, None) for name in names)
    grammar, lm, lexicon, words, g2p = (None if path is None else Path(path) for path in given)
    recipe = Recipe(
        Bundle.find(options.model), grammar, lm, lexicon, words,
        guess=g2p or getattr(options, "guess", False),
        rescore_lms=tuple(map(Path, getattr(options, "rescore_lm", ()))),
        lm_weights=tuple(getattr(options, "lm_weight", ())),
        conversation=getattr(options, "conversation", False),
        graph_folder=Path(options.graph) if getattr(options, "graph", None) else None,
        lists=lists_of(options),
        hotwords=dict(getattr(options, "hotword", ())),
        vocabulary=Vocabulary(commands=tuple(Commands.of(Path(each), options.after)
                                             for each in getattr(options, "commands", ()))),
    )
    return replace(recipe, options=_settings(recipe.settings, options))


def lists_of(options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Return the entries of the lists that --list names, read from their files."""
    from factored_asr.language.grammar.lists import read_list

    lists: dict[str, dict[str, str]] = {}
    for name, path in getattr(options, "list", ()):
        lists[name] = lists.get(name, {}) | read_list(path)
    return lists


def _settings(settings: DecodeOptions, options: argparse.Namespace) -> DecodeOptions:
    """Return the model's settings with the values that the command line gives."""
    from factored_asr.graph import DENIALS, denies

    beam = replace(settings.beam, **given_values(options, dict(beam="beam", max_active="max_active",
                                           min_active="min_active")))
    graph = replace(settings.graph, **given_values(options, dict(word_penalty="word_penalty")))
    scale, lm_scale = (getattr(options, f"{of}_scale", None) for of in ("acoustic", "lm"))
    if lm_scale is not None:
        if not lm_scale > 0:
            raise OptionError(f"--lm-scale must be above 0, got {lm_scale}")
        scale = 1 / lm_scale
    tools = getattr(options, "noise", None)
    if tools:
        settings = settings.against_noise(() if tools == "none" else tools.split(","))
    prefixes = (*graph.prefixes, *getattr(options, "prefix", ()))
    denials = getattr(options, "denials", None)
    if denials:
        prefixes += tuple(each for each in DENIALS if not denies(each))
    rejection = replace(settings.rejection, **given_values(options, dict(strictness="strictness")))
    return replace(
        settings, beam=beam, rejection=rejection,
        graph=replace(graph, prefixes=prefixes, denials=denials is not False),
        acoustic_scale=settings.acoustic_scale if scale is None else scale,
        second_pass=_second_pass(settings.second_pass, options),
    )


def _second_pass(settings: SecondPassOptions, options: argparse.Namespace) -> SecondPassOptions:
    weights = replace(settings.rescore, **given_values(options, dict(lm_scale="rescore_scale",
                                                 word_insertion_penalty="rescore_penalty")))
    both = replace(settings.combine, **given_values(options, dict(weight="combine")))
    kept = [getattr(options, name, None) for name in ("nbest", "lattice_output", "lattice")]
    return replace(
        settings, rescore=weights, combine=both, keep=settings.keep or any(kept),
        confidences=settings.confidences or getattr(options, "confidence", False),
        minimise_risk=settings.minimise_risk or getattr(options, "mbr", False),
        whole_lm=settings.whole_lm and not getattr(options, "first_pass", False),
    )


def given_values(options: argparse.Namespace, names: dict[str, str]) -> dict[str, Any]:
    """Return the options that are set, under the names of the fields they replace."""
    values = {field: getattr(options, name, None) for field, name in names.items()}
    return {field: value for field, value in values.items() if value is not None}


def recognizer_of(options: argparse.Namespace) -> Recognizer:
    """Return the recogniser that the options describe; compile its graph if it is not cached."""
    from factored_asr.recognizer.recognizer import Recognizer

    with ExitStack() as stack:
        return Recognizer.from_recipe(recipe_of(options), progress(stack, options.quiet))


def show_progress(stack: ExitStack, quiet: bool) -> Show:
    """Return a callback that shows progress on standard error until the stack ends.

    That is a bar on a terminal, else a line every ten seconds, or for each text if `of` is 0.
    """
    bars: list[Any] = []
    printed = time.monotonic()

    def show(text: str, done: float, of: float) -> None:
        nonlocal printed
        if quiet:
            return
        if sys.stderr.isatty():
            if not bars:
                bars.append(stack.enter_context(_bar()))
            bars[0].update(bars[0].task_ids[0], description=text, completed=done, total=of or None)
        elif not of or time.monotonic() - printed >= LINE_SECONDS:
            printed = time.monotonic()
            say(text)

    return show


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False)
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    bar.add_task("", total=None)
    return bar


def progress(stack: ExitStack, quiet: bool, doing: str = "compiling") -> Progress:
    """Return a callback that shows each stage on standard error, and how long it will take."""
    show = show_progress(stack, quiet)
    remaining: list[Remaining] = []

    def tell(stage: str) -> None:
        if not remaining:
            from factored_asr.graph.stages import Remaining

            remaining.append(Remaining())
        left = remaining[0](stage)
        more = "" if left is None else f"; about {max(1, round(left))} s left"
        show(f"{doing}: {stage}{more}", 0, 0)

    return tell


def progress_bar(stack: ExitStack, title: str, quiet: bool) -> Callable[[int, int], None]:
    """Return a callback that shows on standard error how much is done."""
    show = show_progress(stack, quiet)
    return lambda done, of: show(f"{title}: {done} of {of}", done, of)


def add_command(commands: Any, name: str, run: Any, summary: str, *parents: argparse.ArgumentParser,
                examples: str = EXAMPLES) -> argparse.ArgumentParser:
    """Add a command that runs `run`, whose docstring is the description in ``--help``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=inspect.cleandoc(run.__doc__), parents=parents,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.epilog = examples_of(parser.prog, examples)
    parser.set_defaults(run=run)
    return parser


def examples_of(program: str, examples: str) -> str:
    """Return the examples of one command, and what stands before the examples.

    >>> text = "examples:\\n  asr info\\n      a model\\n  asr lm mix a b\\n      a mixture\\n"
    >>> examples_of("asr lm", text)
    'examples:\\n  asr lm mix a b\\n      a mixture\\n'
    """
    before, head, rest = examples.rpartition("examples:\n")
    each = re.split(r"^(?=  \S)", rest, flags=re.M)
    name = re.compile(rf".*(?<!\S){re.escape(program)}(?!\S)")
    own = [text for text in each if name.match(text)]
    return before + head + "".join(own) if own else before


def add_group(commands: Any, name: str, summary: str, description: str, examples: str) -> Any:
    """Add a command with subcommands; return the object to add these to."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(required=True, metavar="COMMAND")


def add_old_name(group: Any, old: str, option: argparse.Action) -> None:
    """Accept the old name of an option for one release; it warns and is hidden from ``--help``."""
    new = option.option_strings[0]

    class OldName(argparse.Action):
        def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                     values: Any, option_string: str | None = None) -> None:
            warnings.warn(f"{old} is deprecated, use {new}", DeprecationWarning, stacklevel=1)
            option(parser, namespace, values, option_string)

    group.add_argument(old, action=OldName, dest=option.dest, nargs=option.nargs,
                       default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def factor_options() -> argparse.ArgumentParser:
    """Return the options of the model and the lexicon."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("model and lexicon")
    group.add_argument("--model", help="en-us-network, en-us, or a folder of ours or of Sphinx "
                       "(default: the best English model that is installed)")
    group.add_argument("--lexicon", metavar="DICT", help="dictionary that REPLACES the model's own")
    group.add_argument("--words", metavar="DICT", help="dictionary that EXTENDS it; the "
                       "model's own graph for dictation is not compiled again for its words")
    group.add_argument("--guess", action="store_true", help="guess pronunciations of words that no "
                       "dictionary has; each guess is printed to standard error when the graph is "
                       "compiled. The first use trains on the dictionary for some seconds")
    group.add_argument("--g2p", metavar="MODEL", help="guess with it: see lexicon g2p train")
    parser.add_argument("--quiet", action="store_true",
                        help="no progress, no reasons for empty results")
    return parser


def add_raw(parser: argparse.ArgumentParser) -> None:
    """Add the option of bare samples."""
    parser.add_argument("--raw", type=_hertz, metavar="RATE", help="bare samples (16-bit little-"
                        "endian, mono, no header) of this many a second on standard input, and in "
                        "files named .raw or .pcm (there by default: 16000)")


def _hertz(text: str) -> int:
    """The value of --raw; the range of `audio.opening`, which is not loaded for a command line."""
    if not text.isascii() or not text.isdigit() or not 1000 <= int(text[:9]) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} must be a rate in Hz, 1000 to 10000000")
    return int(text)


def _hotword(text: str) -> tuple[str, float | None]:
    """The value of --hotword."""
    phrase, is_there, bonus = text.partition("=")
    try:
        return phrase, float(bonus) if is_there else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a phrase, or a phrase and a number: \"home assistant=3\"") from None


def _list(text: str) -> tuple[str, Path]:
    """The value of --list."""
    name, is_there, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"{text!r} must be a name and a file: contact=names.txt")
    return name, Path(path)


def add_commands(parser: Any) -> None:
    """Add the options of commands in dictation."""
    parser.add_argument("--commands", metavar="PATH", action="append", default=[],
                        help="in dictation: find and understand the sentences of this grammar, "
                        "too; may be repeated; nothing is compiled again")
    parser.add_argument("--after", metavar="WORDS", default="", help="the carrier phrase before "
                        'each sentence of --commands, such as "computer"')


def add_list(parser: Any) -> None:
    """Add the option of lists."""
    parser.add_argument("--list", metavar="NAME=FILE", action="append", default=[], type=_list,
                        help="entries of a list of the grammar that is \"replaceable: true\", or "
                        "of a class {NAME} of the language model: one a line, after a tab what "
                        "fills the slot; may be repeated; nothing is compiled again")


def raw_rate(options: argparse.Namespace, name: str) -> int | None:
    """Return the rate of bare samples for a source that may hold these."""
    from factored_asr.audio.opening import is_bare

    rate: int | None = options.raw
    return rate if is_bare(name) else None


def source_options() -> argparse.ArgumentParser:
    """Return the options of what a graph is compiled from, those of the model included."""
    parser = argparse.ArgumentParser(add_help=False, parents=[factor_options()])
    language = parser.add_argument_group("language").add_mutually_exclusive_group()
    language.add_argument("--grammar", metavar="PATH", help="commands: a grammar file or folder")
    language.add_argument("--lm", metavar="ARPA", help="n-gram model in place of the model's own")
    parser.add_argument("--graph", metavar="FOLDER", help="a graph of the same model, dictionary, "
                        "language model and options that `compile --output` wrote, here or on "
                        "another machine, in place of compiling it")
    parser.add_argument("--hotword", metavar="PHRASE[=BONUS]", action="append", default=[],
                        type=_hotword, help="find this phrase more often, as if its probability "
                        "were exp(BONUS) times as high: \"home assistant=3\"; without a bonus by "
                        "how rare its words are; may be repeated")
    add_commands(parser)
    add_list(parser)
    parser.add_argument("--conversation", action="store_true", help="recognise also what a "
                        'dialogue makes of the grammar: "no the hall", "undo that"')
    before = parser.add_argument_group("before a command")
    before.add_argument("--denials", action="store_true", default=None,
                        help='accept "no", "please" and the like before a sentence of the grammar, '
                        'too, not only "don\'t" and what denies it')
    before.add_argument("--no-denials", action="store_false", dest="denials",
                        help="do not recognise denied sentences: a denied command may be taken "
                        "for the command")
    prefix = before.add_argument("--prefix", metavar="WORDS", action="append", default=[],
                                 help="accept these words before a sentence, such as a wake word; "
                                 "may be repeated")
    add_old_name(before, "--lead-in", prefix)  # old name
    return parser


def search_options() -> argparse.ArgumentParser:
    """Return the options of the search."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("search")
    group.add_argument("--strictness", type=float, metavar="X",
                       help="how readily a command is rejected; 0: rarely, 1: default, 2: strict")
    group.add_argument("--beam", type=float, help="cost kept above the best; higher: slower")
    group.add_argument("--max-active", type=int, help="most tokens a frame; 0: no limit")
    group.add_argument("--min-active", type=int, help="fewest tokens a frame")
    weight = group.add_mutually_exclusive_group()
    weight.add_argument("--acoustic-scale", type=float,
                        help="weight of the acoustic scores; lower: more language")
    weight.add_argument("--lm-scale", type=float,
                        help="weight of the language model: 1 / acoustic scale")
    group.add_argument("--word-penalty", type=float,
                       help="cost of every word; higher: fewer words (recompiles)")
    group.add_argument("--combine", type=float, metavar="WEIGHT",
                       help="add WEIGHT times the costs of en-us to those of a network, for its "
                       "best word strings; higher: en-us counts more")
    group.add_argument("--noise", metavar="TOOLS", help="noise compensation in place of the "
                       "model's own (commands of en-us: mask,vts): none, or with commas: mask "
                       "attenuates what a network takes for noise; vts adapts the model to the "
                       "noise of each file; scale lowers the acoustic scale with the "
                       "signal-to-noise ratio (streams use vts and scale when they re-decode at "
                       "the end); no-removal leaves out the removal that the model was trained "
                       "with")
    return parser


def second_pass_options() -> argparse.ArgumentParser:
    """Return the options of the second pass."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("second pass")
    group.add_argument("--rescore-lm", action="append", default=[], metavar="LM",
                       help="language model (ARPA, Sphinx trie, KenLM binary) that rescores the "
                       "lattice; several are interpolated")
    group.add_argument("--lm-weight", action="append", default=[], type=float, metavar="W",
                       help="weight of each --rescore-lm, in the same order, of sum 1; default: "
                       "equal")
    group.add_argument("--first-pass", action="store_true", help="no second pass with the whole "
                       "language model, where the model's settings have one")
    group.add_argument("--rescore-scale", type=float, metavar="SCALE",
                       help="weight of the language model in the second pass, relative to the "
                       "first; higher: more weight")
    group.add_argument("--rescore-penalty", type=float, metavar="COST",
                       help="additional cost of each word in the second pass; higher: fewer words")
    group.add_argument("--mbr", action="store_true",
                       help="minimum Bayes risk: the words with the fewest expected errors")
    group.add_argument("--confidence", action="store_true",
                       help="the probability that each word is right, written by json and ctm")
    return parser


def report_options() -> argparse.ArgumentParser:
    """Return the options of a report on errors."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--format", default="text", choices=("text", "json"),
                        help="text, or json: one object with every alignment (default: text)")
    parser.add_argument("--brief", action="store_true", help="no alignments")
    parser.add_argument("--interval-over", choices=("speakers", "utterances"),
                        help="what the bootstrap draws (default: speakers if there are 8 or more)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    return parser


def add_normalise(parser: argparse.ArgumentParser) -> None:
    """Add the options of the rules that make texts comparable."""
    parser.add_argument("--normalise", default="case", metavar="RULES",
                        help="of case, fillers, punctuation, numbers, digits, with commas between; "
                        "all; none (default: case)")
    parser.add_argument("--replace", metavar="FILE", help='lines "old words => new words", as in '
                        "the plain part of NIST's GLM files")


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the option of the rules by which text is read."""
    parser.add_argument(
        "--rules", default="all", metavar="LIST", help="rules by which the text is read, with "
        "commas between: typography, annotations, speakers, case, punctuation, hyphens, numbers, "
        "years, ordinals, money, times, units, ranges, symbols, abbreviations, letters; all; none; "
        "-NAME leaves one out, as in --rules=-years (default: all)",
    )


def add_format(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option of the output format."""
    parser.add_argument(
        "--format", default=default, choices=FORMATS,
        help="text: the words (after the file's name where there are several); json: an object a "
        "line with times, pronunciations and more; ctm, stm, trn: lines for scoring tools; srt, "
        f"vtt: subtitles; textgrid: Praat's tiers of words and phones (default: {default})",
    )
    group = parser.add_argument_group("subtitles (srt, vtt)")
    group.add_argument("--max-line", type=int, metavar="N", help="characters a line (default: 42)")
    group.add_argument("--max-lines", type=int, metavar="N", help="lines a cue (default: 2)")
    group.add_argument("--max-cue", type=float, metavar="SECONDS",
                       help="longest cue (default: 7)")


def subtitles_of(options: argparse.Namespace) -> SubtitleOptions | None:
    """Return the limits of subtitles that the options name; None without any."""
    from factored_asr.results.subtitles import SubtitleOptions

    names = ("max_line", "max_lines", "max_cue")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if given and options.format not in ("srt", "vtt"):
        shown = "--" + next(iter(given)).replace("_", "-")
        raise OptionError(f"{shown} goes with --format srt or vtt, not {options.format}")
    return SubtitleOptions(**given) if given else None
