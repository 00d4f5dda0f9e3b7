"""Pages and docstrings: short sentences, links that lead somewhere, spelling, a whole reference."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.prose import n_words, of_docstring, of_docstrings, of_markdown, sentences

import factored_asr

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
MODULES = sorted((ROOT / "factored_asr").rglob("*.py"))
MOST_WORDS = 30
"""Words of a sentence."""
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def long_sentences(files: list[Path]) -> list[str]:
    """Return each sentence that is too long, with its place and what to do."""
    found = []
    for file in files:
        of_file = of_docstrings(file) if file.suffix == ".py" else of_markdown(
            file.read_text(encoding="utf-8"))
        for line, sentence in of_file:
            if (n := n_words(sentence)) > MOST_WORDS:
                found.append(f"{file.relative_to(ROOT)}:{line}: shorten this sentence of {n} words "
                             f"to {MOST_WORDS}, or make it two: {sentence}")  # fmt: skip
    return found


def test_sentences_of_pages_are_short() -> None:
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    found = long_sentences(pages)
    assert not found, "\n".join(found)


def test_sentences_of_docstrings_are_short() -> None:
    found = long_sentences(MODULES)
    assert not found, "\n".join(found)


def test_what_counts_as_a_sentence() -> None:
    assert list(sentences("One thing. `Two` things, e.g. this! 3.5 is a number.")) == [
        "One thing.", "Code things, e.g this!", "3.5 is a number."
    ]
    assert n_words("A grammar's sentences, 3.5 % of them – `no` more.") == 8
    page = ("# Title\n\nOne\nline.\n\n* an item\n  of two lines\n* another\n\n```sh\ncode\n```\n\n"
            "| a | b |\n")  # fmt: skip
    assert [sentence for _, sentence in of_markdown(page) if sentence.strip()] == [
        "One line.", "an item of two lines", "another", "a", "b"
    ]
    docstring = ("Do it.\n\n    Parameters\n    ----------\n    x\n        A number\n"
                 "        of two lines.\n\n    >>> f(1)\n    1\n    ")  # fmt: skip
    assert [sentence for _, sentence in of_docstring(docstring) if sentence.strip()] == [
        "Do it.", "Parameters", "x", "A number of two lines."
    ]


def test_links_lead_to_files_and_headings() -> None:
    """Links within the project; those to the web are not followed."""
    broken = []
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if re.match(r"\w+:", link) or link.startswith("<"):
                continue
            name, _, heading = link.partition("#")
            target = (page.parent / name) if name else page
            if not target.exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
            elif heading and heading not in headings(target):
                broken.append(f"{page.relative_to(ROOT)}: {link}: no such heading")
    assert broken == []


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and MyST make them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def test_words_are_spelt_as_in_the_dictionary() -> None:
    program = shutil.which("codespell")
    if program is None:
        pytest.skip("needs pip install '.[test]' (codespell)")
    done = subprocess.run(
        [program, "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs", "examples",
         "factored_asr"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# --- the reference --------------------------------------------------------------------------------


def public_names() -> Iterator[tuple[str, str, object]]:
    """Yield (package, name, object) of every name in ``__all__`` of the packages."""
    packages = ["factored_asr", *(f"factored_asr.{each.name}"
                                  for each in pkgutil.iter_modules(factored_asr.__path__)
                                  if not each.name.startswith("_"))]  # fmt: skip
    for name in packages:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            if not public.startswith("__"):
                yield name, public, getattr(module, public)


def home_of(package: str, name: str, value: object) -> str:
    """The module that defines a name."""
    home = getattr(value, "__module__", None)
    if inspect.isclass(value) or inspect.isfunction(value):
        return str(home)
    folder = ROOT.joinpath(*package.split("."))
    for file in sorted(folder.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [
                node.target] if isinstance(node, ast.AnnAssign) else []
            if any(isinstance(each, ast.Name) and each.id == name for each in targets):
                return ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return str(home)


def test_the_reference_has_every_public_name() -> None:
    """A module of the reference shows all its names that have a docstring; other data is text."""
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    shown = set(re.findall(r"automodule:: (\S+)", text))
    missing = []
    for package, name, value in public_names():
        if inspect.ismodule(value):
            continue
        home = home_of(package, name, value)
        if home not in shown and f"`{name}`" not in text:
            missing.append(f"{package}.{name}: add 'automodule:: {home}' to docs/reference")
        if (inspect.isclass(value) or inspect.isfunction(value)) and not value.__doc__:
            missing.append(f"{package}.{name} has no docstring")
    assert missing == []


def test_every_public_class_and_function_has_an_example_that_runs() -> None:
    """In its docstring, or in that of a method; pytest runs them all as doctests."""
    missing = set()
    for _, name, value in public_names():
        if inspect.isclass(value) or inspect.isfunction(value):
            texts = [value.__doc__, *(method.__doc__ for method in vars(value).values()
                                      if inspect.isclass(value) and callable(method))]
            if not any(">>> " in (text or "") for text in texts):
                missing.add(f"{value.__module__}.{name}")
    assert missing == set()


def undocumented(value: type) -> Iterator[str]:
    """Yield the public fields and methods of a class that neither a docstring nor a comment has."""
    source = textwrap.dedent(inspect.getsource(value))
    lines = source.splitlines()
    body = ast.parse(source).body[0].body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            documented = "  #" in lines[node.end_lineno - 1] or (
                isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name, documented = node.name, ast.get_docstring(node) is not None
        else:
            continue
        if not name.startswith("_") and not documented:
            yield f"{value.__module__}.{value.__name__}.{name}"


def test_every_field_and_method_of_public_classes_is_documented() -> None:
    classes = {value for _, _, value in public_names() if inspect.isclass(value)}
    assert sorted(each for value in classes for each in undocumented(value)) == []
