"""What commands share: options of models, graphs and search; progress; complaints."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr.errors import OptionError

if TYPE_CHECKING:
    from factored_asr.lattice import SecondPassOptions
    from factored_asr.models.bundle import DecodeOptions, Progress, Recipe
    from factored_asr.recognizer.recognizer import Recognizer

FORMATS = ("text", "json", "ctm", "stm", "trn", "srt", "vtt", "textgrid")
EXAMPLES = """\
examples:
  factored-asr transcribe letter.wav
      dictation: any English sentence
  factored-asr transcribe --grammar lm/smart_home.yaml --format json command.wav
      commands: only the grammar's sentences, with intent and slots
  arecord -f S16_LE -r 16000 -c 1 | factored-asr transcribe --live -
      a microphone: one line for each utterance, as soon as it has ended
  factored-asr transcribe --confidence --format json letter.wav
      each word with the probability that it is right
  factored-asr transcribe --rescore-lm letters.arpa --nbest 5 letter.wav
      a language model of your own in a second pass; the five best readings
  factored-asr transcribe calls/ --output-dir texts/ --jobs 4 --resume
      every sound of a folder in four processes; what was done before is left out
  factored-asr explain letter.wav --format html -o letter.html
      why each word was heard: costs by factor, rivals, what is heard without a factor
  factored-asr align letter.wav "dear sir or madam" --format textgrid > letter.TextGrid
      where each word and phone of a known text lies
  echo "turn on the kitchen light" | factored-asr understand --grammar lm/smart_home.yaml
      what a sentence means
  factored-asr train --corpus speech/ --lexicon my.dict --lm my.arpa --output my_model
      a model of your own; then: factored-asr transcribe --model my_model letter.wav
  factored-asr evaluate --model my_model --corpus test/ --adapt speaker
      its word error rate, by speaker, with the alignment of every error
  factored-asr score ref.trn ours.trn theirs.trn
      transcripts scored: errors by kind and speaker, and whether the systems differ
  factored-asr compare speech/ ours pocketsphinx moonshine --html report.html
      recognisers side by side: accuracy, speed, latency, memory, size
  factored-asr info --cache
      which graphs are compiled, and how large they are
"""


def complain(error: Exception, code: int) -> int:
    """Say on standard error what went wrong; returns the exit code."""
    print(f"factored-asr: {error}", file=sys.stderr)
    return code


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Which files the graph is compiled from, and how it is searched."""
    from factored_asr.models.bundle import Bundle, Recipe

    paths = [getattr(options, name, None) for name in ("grammar", "lm", "lexicon", "words")]
    grammar, lm, lexicon, words = (None if path is None else Path(path) for path in paths)
    second = tuple(map(Path, getattr(options, "rescore_lm", ())))
    g2p = getattr(options, "g2p", None)
    guess = Path(g2p) if g2p else bool(getattr(options, "guess", False))
    recipe = Recipe(
        Bundle.find(options.model), grammar, lm, lexicon, words, guess=guess, rescore_lms=second,
        lm_weights=tuple(getattr(options, "lm_weight", ())),
    )
    return replace(recipe, options=_settings(recipe.settings, options))


def _settings(settings: DecodeOptions, options: argparse.Namespace) -> DecodeOptions:
    """The model's own settings, but for what the command line gives."""
    from factored_asr.graph import DENIALS

    given = {name: getattr(options, name, None) for name in ("beam", "max_active", "min_active")}
    beam = replace(settings.beam, **{k: v for k, v in given.items() if v is not None})
    scale, lm_scale = (getattr(options, f"{of}_scale", None) for of in ("acoustic", "lm"))
    if lm_scale is not None:
        if not lm_scale > 0:
            raise OptionError(f"--lm-scale must be above 0, got {lm_scale}")
        scale = 1 / lm_scale
    penalty = getattr(options, "word_penalty", None)
    graph = settings.graph if penalty is None else replace(settings.graph, word_penalty=penalty)
    tools = getattr(options, "noise", None)
    if tools:
        settings = settings.against_noise(() if tools == "none" else tools.split(","))
    lead_ins = (*graph.lead_ins, *getattr(options, "lead_in", ()))
    if getattr(options, "denials", False):
        lead_ins += DENIALS
    return replace(
        settings, beam=beam, graph=replace(graph, lead_ins=lead_ins),
        acoustic_scale=settings.acoustic_scale if scale is None else scale,
        second_pass=_second_pass(settings.second_pass, options),
    )


def _second_pass(settings: SecondPassOptions, options: argparse.Namespace) -> SecondPassOptions:
    given = {
        "lm_scale": getattr(options, "rescore_scale", None),
        "word_insertion_penalty": getattr(options, "rescore_penalty", None),
    }
    weights = replace(settings.rescore, **{k: v for k, v in given.items() if v is not None})
    kept = [getattr(options, name, None) for name in ("nbest", "lattice_output", "lattice")]
    return replace(
        settings, rescore=weights, keep=settings.keep or any(kept),
        confidences=settings.confidences or getattr(options, "confidence", False),
        minimise_risk=settings.minimise_risk or getattr(options, "mbr", False),
    )


def recognizer_of(options: argparse.Namespace) -> Recognizer:
    """The recogniser that the options describe, compiled if need be."""
    from factored_asr.recognizer.recognizer import Recognizer

    with ExitStack() as stack:
        return Recognizer.from_recipe(recipe_of(options), progress(stack, options.quiet))


def progress(stack: ExitStack, quiet: bool, doing: str = "compiling") -> Progress:
    """Tells each stage of a work on standard error: a spinner on a terminal, else lines."""
    status: list[Any] = []

    def tell(stage: str) -> None:
        if quiet:
            return
        if not sys.stderr.isatty():
            print(f"factored-asr: {doing}: {stage}", file=sys.stderr, flush=True)
        elif status:
            status[0].update(stage)
        else:
            from rich.console import Console

            status.append(stack.enter_context(Console(stderr=True).status(stage)))

    return tell


def progress_bar(stack: ExitStack, title: str, quiet: bool) -> Callable[[int, int], None]:
    """Tells how much is done on standard error: a bar on a terminal, else a line each tenth."""
    if quiet:
        return lambda done, of: None
    if not sys.stderr.isatty():
        def tell(done: int, of: int) -> None:
            if done * 10 // of != (done - 1) * 10 // of:
                print(f"factored-asr: {title}: {done} of {of}", file=sys.stderr, flush=True)

        return tell
    from rich.console import Console
    from rich.progress import Progress as Bar

    bar = stack.enter_context(Bar(console=Console(stderr=True), transient=True))
    task = bar.add_task(title, total=None)
    return lambda done, of: bar.update(task, completed=done, total=of)


def add_command(
    commands: Any, name: str, run: Any, summary: str, *parents: argparse.ArgumentParser,
    examples: str = EXAMPLES,
) -> argparse.ArgumentParser:
    """Add a command that runs `run`; its docstring is what ``--help`` says first."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=inspect.cleandoc(run.__doc__), parents=parents,
        epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_group(commands: Any, name: str, summary: str, description: str, examples: str) -> Any:
    """Add a command that has commands of its own; returns what these are added to."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(required=True, metavar="COMMAND")


def factor_options() -> argparse.ArgumentParser:
    """Options that say with which model and lexicon."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("model and lexicon")
    group.add_argument("--model", default="en-us", help="en-us, or a folder of train, or of Sphinx")
    group.add_argument("--lexicon", metavar="DICT", help="dictionary that REPLACES the model's own")
    group.add_argument("--words", metavar="DICT", help="dictionary that EXTENDS it")
    group.add_argument(
        "--guess", action="store_true",
        help="guess how words are said that no dictionary has; each guess is told on standard "
        "error, once, when the graph is compiled. The first time, this learns from the dictionary "
        "for some seconds",
    )
    group.add_argument("--g2p", metavar="MODEL", help="guess by this model: see lexicon g2p train")
    parser.add_argument("--quiet", action="store_true", help="no progress, no reasons of silence")
    return parser


def source_options(factors: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Options that say what a graph is compiled from."""
    parser = argparse.ArgumentParser(add_help=False, parents=[factors])
    language = parser.add_argument_group("language").add_mutually_exclusive_group()
    language.add_argument("--grammar", metavar="PATH", help="commands: a grammar file or folder")
    language.add_argument("--lm", metavar="ARPA", help="n-gram model in place of the model's own")
    before = parser.add_argument_group("before a command")
    before.add_argument(
        "--denials", action="store_true",
        help='also hear "no", "don\'t", "please" and the like before a sentence of the grammar',
    )
    before.add_argument(
        "--lead-in", metavar="WORDS", action="append", default=[],
        help="also hear these words before it, say a wake word; may be given several times",
    )
    return parser


def search_options() -> argparse.ArgumentParser:
    """Options that say how the graph is searched."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("search")
    group.add_argument("--beam", type=float, help="cost kept behind the best; higher: slower")
    group.add_argument("--max-active", type=int, help="tokens a frame at most; 0: no limit")
    group.add_argument("--min-active", type=int, help="tokens a frame at least")
    weight = group.add_mutually_exclusive_group()
    weight.add_argument(
        "--acoustic-scale", type=float, help="weight of the sound against the language"
    )
    weight.add_argument(
        "--lm-scale", type=float, help="weight of the language against the sound: its inverse"
    )
    group.add_argument(
        "--word-penalty", type=float, help="cost of every word; higher: fewer words (recompiles)"
    )
    group.add_argument(
        "--noise", metavar="TOOLS",
        help="none, or tools against noise with commas between, in place of the model's own "
             "(commands of en-us: mask,vts): mask takes off what a network says is no speech; vts "
             "moves the model to the noise of each file, scale lowers the weight of the sound with "
             "its signal-to-noise ratio (streams: both at their second look); no-removal leaves "
             "out the removal that the model was trained with",
    )
    return parser


def second_pass_options() -> argparse.ArgumentParser:
    """Options of what follows the search."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("second pass")
    group.add_argument(
        "--rescore-lm", action="append", default=[], metavar="LM", help="language model (ARPA, "
        "Sphinx trie, KenLM binary) that weighs what was found anew; given several times, the "
        "models are interpolated",
    )
    group.add_argument(
        "--lm-weight", action="append", default=[], type=float, metavar="W",
        help="weight of each --rescore-lm, in the same order, of sum 1; default: equal",
    )
    group.add_argument(
        "--rescore-scale", type=float, metavar="SCALE", help="weight of the language in the second "
        "pass against that in the first; above 1: trust it more",
    )
    group.add_argument(
        "--rescore-penalty", type=float, metavar="COST", help="further cost of each word in the "
        "second pass; higher: fewer words",
    )
    group.add_argument(
        "--mbr", action="store_true", help="the words of least expected errors (minimum Bayes risk)"
    )
    group.add_argument(
        "--confidence", action="store_true", help="the probability that each word is right: in "
        "json and ctm",
    )
    return parser


def add_format(parser: argparse.ArgumentParser, default: str) -> None:
    """The option of how a transcript or an alignment is written."""
    parser.add_argument(
        "--format", default=default, choices=FORMATS,
        help="text: the words (after the file's name where there are several); json: an object a "
        "line with times, pronunciations and more; ctm, stm, trn: lines for scoring tools; srt, "
        f"vtt: subtitles; textgrid: Praat's tiers of words and phones (default: {default})",
    )
