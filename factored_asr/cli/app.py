"""The program: its commands, and exit codes of errors."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from factored_asr import __version__
from factored_asr.cli import (
    adapt,
    corpora,
    explain,
    lexicon,
    lm,
    models,
    recognise,
    scores,
    serve,
    train,
    transcribe,
    understand,
)
from factored_asr.cli.shared import EXAMPLES, complain
from factored_asr.errors import FactoredASRError, OptionError

GROUPS = (transcribe, recognise, explain, train, adapt, corpora, scores, lm, lexicon, models,
          understand, serve)
"""In the order in which ``--help`` lists their commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # threads cost more than they save here
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", "--.* is deprecated", DeprecationWarning)
            warnings.showwarning = _show_warning
            options = _parser().parse_args(arguments)
            return int(options.run(options))
    except OptionError as error:
        return complain(error, 2)
    except FactoredASRError as error:
        return complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int,
                  file: object = None, line: str | None = None) -> None:
    print(f"factored-asr: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="factored-asr", description="A classic, factored speech recogniser.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"factored-asr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add(commands)
    return parser
