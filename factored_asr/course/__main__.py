"""The course: ``python -m factored_asr.course list | show | check | figure | notebook``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from factored_asr.course.lessons import LESSONS, lesson
from factored_asr.course.notebook import write_notebook
from factored_asr.errors import FactoredASRError
from factored_asr.storage.streams import guarded


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0 if all is right, 1 if an answer is wrong, 2 for wrong usage."""
    parser = argparse.ArgumentParser("python -m factored_asr.course", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the twelve lessons")
    show = commands.add_parser("show", help="a page and its exercises")
    check = commands.add_parser("check", help="check the functions in a Python file")
    figure = commands.add_parser("figure", help="draw the figure of a page (needs matplotlib)")
    notebook = commands.add_parser("notebook", help="write a lesson as a notebook of Jupyter")
    for each in (show, check, figure, notebook):
        each.add_argument("number", type=int, help="of the lesson, 1 to 12")
    check.add_argument("file", type=Path, help="your answers: a Python file with the functions")
    figure.add_argument("--output", "-o", type=Path, required=True, help="a picture, such as a.png")
    notebook.add_argument("--output", "-o", type=Path, required=True, help="such as 1.ipynb")
    options = parser.parse_args(arguments)
    try:
        return guarded(lambda: _run(options), _complain)
    except FactoredASRError as error:
        return _complain(error, 2)


def _complain(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)
    return code


def _run(options: argparse.Namespace) -> int:
    if options.command == "list":
        for each in LESSONS:
            print(f"{each.number:2}  {each.title}: {', '.join(x.name for x in each.exercises)}")
        return 0
    chosen = lesson(options.number)
    if options.command == "show":
        print(chosen.page())
        for exercise in chosen.exercises:
            print(f"\n{exercise.name}: {exercise.task}")
        return 0
    if options.command in ("figure", "notebook"):
        write = chosen.draw if options.command == "figure" else partial(write_notebook, chosen)
        write(options.output)
        return 0
    verdicts = chosen.check(options.file)
    for verdict in verdicts:
        print("right:" if verdict.right else "wrong:", verdict.message)
    return 0 if all(verdict.right for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
