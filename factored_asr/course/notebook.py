"""A lesson as a notebook of Jupyter: its page, its figure, its exercises with their checks.

Source: the notebook format 4.5 of Jupyter (nbformat), which is JSON.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factored_asr.course.lessons import Lesson
from factored_asr.errors import OptionError

CODE = re.compile(r"^```python\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n*", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:)[^)]*\)")  # to other pages and files
CHECK = re.compile(r"^```sh\n.*?^```\n?", re.MULTILINE | re.DOTALL)


def notebook(lesson: Lesson) -> dict[str, Any]:
    """Return a lesson as the values of a notebook.

    The page's text comes first, with the code of its figure. Then each exercise has its task, a
    function to fill in, and a cell that checks it.

    Examples
    --------
    >>> from factored_asr.course.lessons import LESSONS
    >>> cells = notebook(LESSONS[0])["cells"]
    >>> cells[0]["source"].splitlines()[0]
    '# 1. One hidden Markov model'
    >>> print(cells[-1]["source"])
    print(exercises["viterbi"].check(viterbi).message)
    """
    cells: list[dict[str, object]] = [
        {"cell_type": kind, "id": f"lesson-{lesson.number}-{k}", "metadata": {}, "source": source}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for k, (kind, source) in enumerate(_cells(lesson))
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "nbformat": 4, "nbformat_minor": 5,
            "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}}


def write_notebook(lesson: Lesson, file: str | Path) -> None:
    """Write a lesson as a file of Jupyter; OptionError if it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from factored_asr.course.lessons import LESSONS
    >>> file = Path(tempfile.mkdtemp()) / "1.ipynb"
    >>> write_notebook(LESSONS[0], file)
    >>> json.loads(file.read_text(encoding="utf-8"))["nbformat"]
    4
    """
    try:
        Path(file).write_text(json.dumps(notebook(lesson), indent=1, ensure_ascii=False) + "\n",
                              encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{file}: cannot be written: {error.strerror}") from error


def _cells(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each cell."""
    text = LINK.sub(r"\1", CHECK.sub("", PICTURE.sub("", lesson.page())))
    for k, part in enumerate(CODE.split(text)):
        if part.strip():
            figure = part.startswith("# figure")
            yield ("code" if k % 2 else "markdown"), part.strip() + ("\ndrawing" if figure else "")
    yield "code", ("from factored_asr.course import lesson\n\n"
                   f"exercises = {{each.name: each for each in lesson({lesson.number}).exercises}}")
    for exercise in lesson.exercises:
        yield "markdown", f"### {exercise.name}\n\n{exercise.task}"
        arguments = ", ".join(inspect.signature(exercise.expected).parameters)
        yield "code", (f"def {exercise.name}({arguments}):\n"
                       '    raise NotImplementedError("write it here")')
        yield "code", f'print(exercises["{exercise.name}"].check({exercise.name}).message)'
