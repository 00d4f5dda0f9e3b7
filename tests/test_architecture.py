"""House rules, read off the syntax trees: who imports whom, and what no module may hold."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "factored_asr"
MODULES = sorted(PACKAGE.rglob("*.py"))

ORDER = [
    "errors", "storage", "audio", "features", "language", "lexicon", "acoustic", "graph", "lattice",
    "decoder", "understanding", "dialogue", "results", "models", "recognizer", "corpus", "explain",
    "batch", "evaluation", "training", "compare", "plots", "cli", "__main__",
]
"""Each part imports only from parts before it."""

SHORTCUTS = {
    ("recognizer/recognizer.py", "explain"),  # Recognizer.explain is one line that calls explain
    ("evaluation/evaluate.py", "training"),  # until evaluate decodes through the session
}
"""Imports against the order, inside functions."""

CONFINED = {
    "pynini": ("graph/", "language/grammar", "lexicon/g2p", "understanding/"),
    "pywrapfst": ("graph/", "language/grammar", "lexicon/g2p", "understanding/"),
    "kenlm": ("language/",),
    "librosa": ("audio/", "features/"),
    "matplotlib": ("plots/",),
    "numba": ("_kernels.py",),
    "distributed": ("batch/cluster.py",),
    "loky": ("batch/pool.py",),
    "pocketsphinx": ("compare/",),
    "moonshine_voice": ("compare/",),
    "whisper": ("compare/",),
    "vosk": ("compare/",),
    "pickle": (),
}
"""Foreign packages, and the only files that may import them (a part of the path)."""

LAZY = ("pynini", "pywrapfst", "kenlm", "librosa", "matplotlib", "rich", "loky", "distributed")
"""Not loaded with the recogniser: decoding with a compiled graph must not wait for them."""


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Every imported module by its full dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield node.module or "", node
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def test_each_part_imports_only_from_parts_to_its_left(module: Path, tree: ast.Module) -> None:
    if module == PACKAGE / "__init__.py":
        return  # the front door shows names of every part
    part = part_of(module)
    assert part in ORDER, f"{name_of(module)}: '{part}' has no place in the order of parts"
    for name, node in imports(tree):
        pieces = name.split(".")
        if pieces[0] != "factored_asr" or len(pieces) < 2 or pieces[1] == part:
            continue
        if pieces[1] not in ORDER:
            continue  # a name of the package itself, such as __version__
        if (name_of(module), pieces[1]) in SHORTCUTS:
            continue
        assert ORDER.index(pieces[1]) < ORDER.index(part), (
            f"{name_of(module)}:{node.lineno}: {part} may not import {pieces[1]}"
        )


def test_foreign_packages_stay_in_their_rooms(module: Path, tree: ast.Module) -> None:
    for name, node in imports(tree):
        rooms = CONFINED.get(name.split(".")[0])
        if rooms is None:
            continue
        assert any(room in name_of(module) for room in rooms), (
            f"{name_of(module)}:{node.lineno}: {name} may be imported only in {rooms}"
        )


def test_decoding_does_not_wait_for_heavy_packages() -> None:
    """What compiles graphs, draws or reads grammars is imported when it is first needed."""
    code = "import sys, factored_asr.cli, factored_asr.recognizer.recognizer; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert sorted(set(LAZY) & set(run.stdout.split())) == []


def test_one_kernel_file_a_room(module: Path) -> None:
    if module.name == "_kernels.py":
        assert module.parent != PACKAGE
    assert module.name not in ("utils.py", "util.py", "helpers.py", "common.py", "misc.py")


def test_public_functions_take_named_arguments(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_") or node.name == "__init__":
                assert node.args.kwarg is None, f"line {node.lineno}: {node.name} takes **kwargs"



def test_modules_stay_small(module: Path) -> None:
    n_lines = len(module.read_text(encoding="utf-8").splitlines())
    assert n_lines <= 400 or module.name == "_kernels.py", f"{n_lines} lines"


def test_function_bodies_stay_small(module: Path, tree: ast.Module) -> None:
    limit = 100 if module.name == "_kernels.py" else 40
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                n_lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
                assert n_lines <= limit, f"line {node.lineno}: {node.name} has {n_lines} lines"


def test_no_file_holds_an_address_or_a_place_on_one_machine() -> None:
    """Neither a user's folder nor a host's address has a place in a project others install."""
    place = re.compile(r"/(?:home|root|Users|work)/\w|\b\d{1,3}(?:\.\d{1,3}){3}\b")
    folders = ("factored_asr", "tests", "examples", "lm", "lexicons", ".ci")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    for file in [*files, *ROOT.glob("*.md"), *ROOT.glob("*.cfg"), *ROOT.glob("*.toml")]:
        if file.suffix in (".wav", ".flac", ".pyc", ".nbi", ".nbc", ".npy", ".gz", ".bin"):
            continue
        if file == Path(__file__):
            continue
        found = place.search(file.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{file.relative_to(ROOT)}: {found.group()}"


def test_every_package_is_installed() -> None:
    """setup.cfg names packages one by one, because two of them hold data kept outside the code."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    there = {
        ".".join(file.parent.relative_to(ROOT).parts) for file in PACKAGE.rglob("__init__.py")
    }
    assert listed == there | {"factored_asr.lexicons", "factored_asr.lm"}
