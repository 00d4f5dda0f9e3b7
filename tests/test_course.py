"""The course: checkers accept the solutions, and explain three typical mistakes each."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from factored_asr.course import LESSONS, Exercise, Lesson, lesson, notebook
from factored_asr.course.__main__ import main
from factored_asr.course.meaning import DENIED, REPAIRS
from factored_asr.course.search import ONLY, SWAP
from factored_asr.dialogue import Dialogue, World
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language import Grammar

ROOT = Path(__file__).parents[1]
SOLUTIONS = ROOT / "docs" / "course" / "solutions"
EXERCISES = [(each, exercise) for each in LESSONS for exercise in each.exercises]


def solutions(number: int) -> Path:
    return SOLUTIONS / f"lesson_{number:02}.py"


@pytest.mark.parametrize("each", LESSONS, ids=lambda each: each.name)
def test_solutions_are_right(each: Lesson) -> None:
    verdicts = each.check(solutions(each.number))
    assert [verdict.message for verdict in verdicts if not verdict.right] == []
    assert len(verdicts) == 2


@pytest.mark.parametrize(("each", "exercise"), EXERCISES, ids=lambda given: given.name)
def test_typical_mistakes_are_rejected_and_explained(each: Lesson, exercise: Exercise) -> None:
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        verdict = exercise.check(mistake.answer)
        assert not verdict.right, mistake.explanation
        assert verdict.message.endswith(mistake.explanation)
        assert "is right." in verdict.message


@pytest.mark.parametrize(("each", "exercise"), EXERCISES, ids=lambda given: given.name)
def test_other_wrong_answers_are_rejected(each: Lesson, exercise: Exercise) -> None:
    verdict = exercise.check(lambda *given: "something else")
    assert not verdict.right
    assert "returned 'something else'" in verdict.message

    def broken(*given: object) -> None:
        raise ZeroDivisionError("division by zero")

    assert "raised ZeroDivisionError" in exercise.check(broken).message


def test_a_checker_leaves_its_inputs_as_they_are() -> None:
    exercise = lesson(3).exercises[0]
    before = exercise.cases[0][0].copy()

    def spoils(samples: np.ndarray, factor: float) -> np.ndarray:
        samples[:] = 0
        return samples

    assert not exercise.check(spoils).right
    assert np.array_equal(exercise.cases[0][0], before)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(OptionError, match="forward must take 3 arguments"):
        lesson(1).exercises[0].check(lambda x: x)
    with pytest.raises(OptionError, match="forward must be a function, is int"):
        lesson(1).exercises[0].check(3)  # type: ignore[arg-type]


def test_meanings_are_those_of_the_dialogue() -> None:
    for text, denied in DENIED.items():
        house = Dialogue(Grammar.read("lm/house.yaml"), World.read("lm/house.yaml"))
        assert (house.hear(text).actions == ()) == denied, text
    for text, repaired in REPAIRS.items():
        if not text.startswith("no "):
            one, other = (
                Dialogue(Grammar.read("lm/house.yaml"), World.read("lm/house.yaml"))
                for _ in range(2)
            )
            assert one.hear(text).actions == other.hear(repaired).actions, text


def test_composition_is_that_of_openfst() -> None:
    pynini = pytest.importorskip("pynini")
    labels = {name: i for i, name in enumerate("-abxy")}

    def fst(arcs: list) -> object:
        made = pynini.Fst()
        for _ in range(1 + max(arc[4] for arc in arcs)):
            made.set_final(made.add_state())
        made.set_start(0)
        for source, one, other, cost, target in arcs:
            made.add_arc(source, pynini.Arc(labels[one], labels[other], cost, target))
        return made

    both = pynini.compose(fst(SWAP).arcsort("olabel"), fst(ONLY).arcsort("ilabel"))
    theirs = sorted(float(str(arc.weight)) for state in both.states() for arc in both.arcs(state))
    ours = runpy.run_path(str(solutions(7)))["compose"](SWAP, ONLY)
    assert sorted(arc[3] for arc in ours) == pytest.approx(theirs)


# --- pages and the command line -------------------------------------------------------------------


@pytest.mark.parametrize("each", LESSONS, ids=lambda each: each.name)
def test_pages_name_their_exercises_and_code(each: Lesson) -> None:
    text = each.page()
    assert text.startswith(f"# {each.number}. {each.title}\n")
    for exercise in each.exercises:
        assert f"`{exercise.name}" in text
    code = text[text.index("## The code"):text.index("## Exercises")]
    assert re.search(r"\[`factored_asr/[\w/]+(?:\.py)?`\]\(", code), "no link to the library"
    assert not re.search(r"(?<!\[)`(factored_asr|examples|tests)/", code), "a file without a link"
    assert f"course_{each.number:02}.png" in text
    assert f"python -m factored_asr.course check {each.number}" in text


def test_a_figure_is_drawn_by_the_code_of_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures of all pages are drawn by their notebooks, see below."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(ROOT)
    lesson(7).draw(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_figure_that_cannot_be_drawn_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(OptionError, match="cannot be written"):
        lesson(1).draw(tmp_path / "no" / "a.png")
    monkeypatch.chdir(tmp_path)
    for number in (5, 9):  # one by a reader of the library, one by the code of the page
        with pytest.raises(MissingError, match="there is no such file|in the repository's folder"):
            lesson(number).draw(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingError, match="figures need matplotlib: pip install"):
        lesson(1).draw(tmp_path / "a.png")


def code_cells(each: Lesson) -> list[str]:
    """The code of a lesson's notebook, with the solutions in place of what is to be filled in."""
    cells = [cell["source"] for cell in notebook(each)["cells"] if cell["cell_type"] == "code"]
    solution = solutions(each.number).read_text(encoding="utf-8")
    return [solution if "NotImplementedError" in cell else cell for cell in cells]


@pytest.mark.parametrize("each", LESSONS, ids=lambda each: each.name)
def test_a_notebook_has_the_page_the_figure_and_the_checks(each: Lesson) -> None:
    made = notebook(each)
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
    text = "".join(cell["source"] for cell in made["cells"] if cell["cell_type"] == "markdown")
    assert text.startswith(f"# {each.number}. {each.title}") and "![" not in text
    assert "](.." not in text and ".md)" not in text, "links to pages lead nowhere from a notebook"
    code = "\n".join(code_cells(each))
    assert "# figure" in code
    compile(code, each.name, "exec")
    for exercise in each.exercises:
        assert f'exercises["{exercise.name}"].check({exercise.name})' in code


@pytest.mark.parametrize("each", LESSONS, ids=lambda each: each.name)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    each: Lesson, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for cell in code_cells(each):
        exec(compile(cell, each.name, "exec"), names)
    names["drawing"].canvas.draw()  # as the notebook shows it
    pyplot.close("all")
    assert capsys.readouterr().out.count("answers are right.") == 2


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    assert main(["notebook", "8", "-o", str(tmp_path / "8.ipynb")]) == 0
    assert json.loads((tmp_path / "8.ipynb").read_text(encoding="utf-8"))["nbformat"] == 4
    assert main(["notebook", "8", "-o", str(tmp_path / "no" / "8.ipynb")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["show", "1"]) == 0
    assert "viterbi(start, moves, scores)" in capsys.readouterr().out
    assert main(["check", "1", str(solutions(1))]) == 0
    assert capsys.readouterr().out.count("right:") == 2
    mine = tmp_path / "mine.py"
    mine.write_text("def collapse(labels):\n    return [x for x in labels if x]\n")
    assert main(["check", "9", str(mine)]) == 1
    out = capsys.readouterr().out
    assert "Repeated labels are one symbol: merge them." in out
    assert "ctc is not in the file" in out


def test_wrong_usage_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "13"]) == 2
    assert "a number from 1 to 12, got 13" in capsys.readouterr().err
    with pytest.raises(MissingError, match="no such file of answers"):
        lesson(1).check(tmp_path / "none.py")
    (tmp_path / "broken.py").write_text("x = ")
    with pytest.raises(FormatError, match="cannot be run: SyntaxError"):
        lesson(1).check(tmp_path / "broken.py")
