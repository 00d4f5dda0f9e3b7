"""The program: its commands, and exit codes of errors."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from factored_asr import __version__
from factored_asr.cli import (
    adapt,
    corpora,
    detect,
    explain,
    lexicon,
    lm,
    models,
    plot,
    recognise,
    scores,
    serve,
    train,
    transcribe,
    understand,
)
from factored_asr.cli.shared import EXAMPLES, complain, say
from factored_asr.errors import FactoredASRError, OptionError
from factored_asr.storage import streams

GROUPS = (transcribe, recognise, plot, detect, explain, train, adapt, corpora, scores, lm, lexicon,
          models, understand, serve)
"""In the order in which ``--help`` lists their commands."""
NAMES = ("model", "grammar", "lm", "words", "lexicon", "g2p", "graph", "fillers", "corpus",
         "output", "output_dir", "checkpoints", "text_file", "json", "html", "journal", "labels")
"""Options whose values name files, folders or models."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Examples
    --------
    >>> main(["score", "--format", "json", "no.trn", "no.trn"])
    1
    """
    return streams.guarded(lambda: _run(arguments), complain)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", "--.* is deprecated", DeprecationWarning)
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _show_warning
            options = _options(arguments)
            _refuse_empty_names(options)
            return int(options.run(options))
    except OptionError as error:
        return complain(error, 2)
    except FactoredASRError as error:
        return complain(error, 1)
    except MemoryError:
        return complain(MemoryError("out of memory"), 1)
    except KeyboardInterrupt:
        return 130


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; files may stand before, between and after options.

    argparse takes only the first run of files (``a.wav --whisper b.wav`` leaves b.wav over).
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        if not hasattr(options, "files") or any(len(each) > 1 and each[0] == "-" for each in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.files += rest
    return options


def _refuse_empty_names(options: argparse.Namespace) -> None:
    """Raise OptionError for a name that is empty, as of a variable of the shell that is not set."""
    for name in NAMES:
        if getattr(options, name, None) == "":
            raise OptionError(f"--{name.replace('_', '-')} is empty, must be a name")


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int,
                  file: object = None, line: str | None = None) -> None:
    say(str(message))


class _Parser(argparse.ArgumentParser):
    """Says where its help cannot be written."""

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="factored-asr", description="A classic, factored speech recogniser.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"factored-asr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add(commands)
    return parser
