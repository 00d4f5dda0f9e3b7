"""What commands share: options of models, graphs and search; progress; complaints."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from factored_asr.bundle import DecodeOptions, Progress, Recipe
    from factored_asr.decoder import SecondPassOptions
    from factored_asr.recognizer import Recognizer

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
  factored-asr align letter.wav "dear sir or madam" --format textgrid > letter.TextGrid
      where each word and phone of a known text lies
  echo "turn on the kitchen light" | factored-asr understand --grammar lm/smart_home.yaml
      what a sentence means
  factored-asr info --cache
      which graphs are compiled, and how large they are
"""


def complain(error: Exception, code: int) -> int:
    """Say on standard error what went wrong; returns the exit code."""
    print(f"factored-asr: {error}", file=sys.stderr)
    return code


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Which files the graph is compiled from, and how it is searched."""
    from factored_asr.bundle import Bundle, Recipe

    paths = [getattr(options, name, None) for name in ("grammar", "lm", "lexicon", "words")]
    grammar, lm, lexicon, words = (None if path is None else Path(path) for path in paths)
    second = tuple(map(Path, getattr(options, "rescore_lm", ())))
    recipe = Recipe(
        Bundle.find(options.model), grammar, lm, lexicon, words, rescore_lms=second,
        lm_weights=tuple(getattr(options, "lm_weight", ())),
    )
    return replace(recipe, options=_settings(recipe.settings, options))


def _settings(settings: DecodeOptions, options: argparse.Namespace) -> DecodeOptions:
    """The model's own settings, but for what the command line gives."""
    given = {name: getattr(options, name, None) for name in ("beam", "max_active", "min_active")}
    beam = replace(settings.beam, **{k: v for k, v in given.items() if v is not None})
    scale = getattr(options, "acoustic_scale", None)
    return replace(
        settings, beam=beam, acoustic_scale=settings.acoustic_scale if scale is None else scale,
        second_pass=_second_pass(settings.second_pass, options),
    )


def _second_pass(settings: SecondPassOptions, options: argparse.Namespace) -> SecondPassOptions:
    given = {
        "lm_scale": getattr(options, "lm_scale", None),
        "word_insertion_penalty": getattr(options, "word_penalty", None),
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
    from factored_asr.recognizer import Recognizer

    with ExitStack() as stack:
        return Recognizer.from_recipe(recipe_of(options), progress(stack, options.quiet))


def progress(stack: ExitStack, quiet: bool) -> Progress:
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


def add_command(
    commands: Any, name: str, run: Any, summary: str, *parents: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """Add a command that runs `run`; its docstring is what ``--help`` says first."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=run.__doc__, parents=parents,
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def factor_options() -> argparse.ArgumentParser:
    """Options that say with which model and lexicon."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("model and lexicon")
    group.add_argument("--model", default="en-us", help="en-us, or a Sphinx model folder")
    group.add_argument("--lexicon", metavar="DICT", help="dictionary that REPLACES the model's own")
    group.add_argument("--words", metavar="DICT", help="dictionary that EXTENDS it")
    parser.add_argument("--quiet", action="store_true", help="no progress, no reasons of silence")
    return parser


def source_options(factors: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Options that say what a graph is compiled from."""
    parser = argparse.ArgumentParser(add_help=False, parents=[factors])
    language = parser.add_argument_group("language").add_mutually_exclusive_group()
    language.add_argument("--grammar", metavar="PATH", help="commands: a grammar file or folder")
    language.add_argument("--lm", metavar="ARPA", help="n-gram model in place of the model's own")
    return parser


def search_options() -> argparse.ArgumentParser:
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
    group.add_argument("--lm-scale", type=float, help="above 1: trust the language model more")
    group.add_argument(
        "--word-penalty", type=float, metavar="COST", help="cost of each word; higher: fewer words"
    )
    group.add_argument(
        "--mbr", action="store_true", help="the words of least expected errors (minimum Bayes risk)"
    )
    group.add_argument(
        "--confidence", action="store_true", help="the probability that each word is right: in "
        "json and ctm",
    )
    return parser
