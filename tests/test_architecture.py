"""House rules, read off the syntax trees: who imports whom, and what no module may hold."""

from __future__ import annotations

import ast
import configparser
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from factored_asr._deprecated import MODULES as OLD_MODULES
from factored_asr._deprecated import NAMES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "factored_asr"
MODULES = sorted(PACKAGE.rglob("*.py"))

ORDER = [
    "_deprecated", "errors", "storage", "audio", "features", "language", "lexicon", "acoustic",
    "graph", "lattice", "decoder", "understanding", "dialogue", "results", "models", "recognizer",
    "corpus", "detectors", "explain", "batch", "evaluation", "training", "compare", "plots",
    "course", "server", "cli", "__main__",
]
"""Each part imports only from parts before it."""

SHORTCUTS = {
    ("recognizer/recognizer.py", "explain"),  # Recognizer.explain is one line that calls explain
    ("recognizer/recognizer.py", "detectors"),  # Recognizer.listen(detectors=…)
}
"""Imports against the order, inside functions."""

CYCLES: list[str] = []
"""Rooms of files that still import each other in a cycle; delete the one that you have undone."""

MOST_LINES = 500
"""Lines of a module."""

CONFINED = {
    "pynini": ("language/with_pynini.py",),
    "pywrapfst": ("language/with_pynini.py",),
    "kenlm": ("language/",),
    "librosa": ("audio/", "features/", "plots/"),
    "matplotlib": ("plots/",),
    "numba": ("_kernels.py", "storage/kernels.py"),
    "distributed": ("batch/cluster.py",),
    "loky": ("batch/pool.py",),
    "pocketsphinx": ("compare/",),
    "moonshine_voice": ("compare/",),
    "whisper": ("compare/",),
    "vosk": ("compare/",),
    "filelock": ("storage/",),
    "PIL": ("explain/media",),
    "starlette": ("server/",),
    "uvicorn": ("server/",),
    "wyoming": ("server/",),
    "torch": ("training/ctc/network.py", "training/chain/network.py"),
    "pickle": (),
}
"""Foreign packages, and the only files that may import them (a part of the path)."""

LAZY = ("pynini", "pywrapfst", "kenlm", "librosa", "matplotlib", "rich", "loky", "distributed",
        "filelock", "PIL", "scipy.linalg", "starlette", "uvicorn", "wyoming")  # fmt: skip
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


@functools.cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


@functools.cache
def imports_of(module: Path) -> list[tuple[str, ast.stmt]]:
    return list(imports(tree_of(module)))


def breaks_the_order(module: Path, name: str) -> bool:
    """Whether a module imports a name of a part that does not come before its own."""
    part, pieces = part_of(module), name.split(".")
    if pieces[0] != "factored_asr" or len(pieces) < 2 or pieces[1] == part:
        return False
    if pieces[1] not in ORDER:
        return False  # a name of the package itself, such as __version__
    if (name_of(module), pieces[1]) in SHORTCUTS:
        return False
    return ORDER.index(pieces[1]) > ORDER.index(part)


def test_each_part_imports_only_from_parts_to_its_left() -> None:
    # The front door shows names of every part.
    modules = [module for module in MODULES if module != PACKAGE / "__init__.py"]
    without_place = [name_of(module) for module in modules if part_of(module) not in ORDER]
    assert without_place == [], "these have no place in the order of parts"
    found = [
        f"{name_of(module)}:{node.lineno}: {part_of(module)} may not import {name.split('.')[1]}"
        for module in modules
        for name, node in imports_of(module)
        if breaks_the_order(module, name)
    ]
    assert found == []


def file_of(name: str) -> str | None:
    """The file that an imported name leads to, dotted; None outside the package, and for faces."""
    while name.startswith("factored_asr"):
        base = ROOT.joinpath(*name.split("."))
        if base.with_suffix(".py").is_file():
            return name.removeprefix("factored_asr.")
        if base.is_dir():
            return None  # the face of a package only hands names on
        name = name.rpartition(".")[0]
    return None


def test_no_files_import_each_other_in_a_cycle() -> None:
    """All imports count, those inside functions and for type checking as well."""
    targets: dict[str, set[str]] = {}
    for module in MODULES:
        if module.name != "__init__.py":
            own = ".".join(module.relative_to(PACKAGE).with_suffix("").parts)
            names = {file_of(name) for name, _ in imports_of(module)}
            targets[own] = {name for name in names if name is not None} - {own}

    def reached(module: str) -> set[str]:
        found: set[str] = set()
        waiting = [module]
        while waiting:
            new = targets[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in targets}
    cycles = {
        tuple(sorted(other for other in reach[module] if module in reach[other]))
        for module in targets
        if module in reach[module]
    }
    assert sorted(cycle[0].split(".")[0] for cycle in cycles) == CYCLES, sorted(cycles)


def test_foreign_packages_stay_in_their_rooms() -> None:
    found = []
    for module in MODULES:
        for name, node in imports_of(module):
            rooms = CONFINED.get(name.split(".")[0])
            if rooms is not None and not any(room in name_of(module) for room in rooms):
                found.append(
                    f"{name_of(module)}:{node.lineno}: {name} may be imported only in {rooms}"
                )
    assert found == []


def test_decoding_does_not_wait_for_heavy_packages() -> None:
    """What compiles graphs, draws or reads grammars is imported when it is first needed."""
    code = "import sys, factored_asr.cli, factored_asr.recognizer.recognizer; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert sorted(set(LAZY) & set(run.stdout.split())) == []


def test_one_kernel_file_a_room() -> None:
    vague = ("utils.py", "util.py", "helpers.py", "common.py", "misc.py")
    assert [name_of(module) for module in MODULES if module.name in vague] == []
    assert not (PACKAGE / "_kernels.py").exists()


def test_kernels_are_compiled_in_one_way() -> None:
    """`storage.kernels.kernel` keeps them in the cache, or does without one; numba fails there."""
    found = []
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        if module.name == "_kernels.py" and ("njit" in text or "cache=True" in text):
            found.append(name_of(module))
    assert found == [], "use storage.kernels.kernel"


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method, with its module."""
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield module, node


def test_public_functions_take_named_arguments() -> None:
    found = [
        f"{name_of(module)}:{node.lineno}: {node.name} takes **kwargs"
        for module, node in functions()
        if (not node.name.startswith("_") or node.name == "__init__") and node.args.kwarg
    ]
    assert found == []


def test_modules_stay_small() -> None:
    found = []
    for module in MODULES:
        n_lines = len(module.read_text(encoding="utf-8").splitlines())
        if n_lines > MOST_LINES and module.name != "_kernels.py":
            found.append(f"{name_of(module)}: {n_lines} lines")
    assert found == [], f"split what has more than {MOST_LINES}"


def test_function_bodies_stay_small() -> None:
    found = []
    for module, node in functions():
        limit = 100 if module.name == "_kernels.py" else 40
        body = node.body[1:] if ast.get_docstring(node) else node.body
        n_lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if n_lines > limit:
            found.append(f"{name_of(module)}:{node.lineno}: {node.name} has {n_lines} lines")
    assert found == []


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
    assert listed == there | {
        "factored_asr.course.pages", "factored_asr.lexicons", "factored_asr.lm"
    }


# --- what only some rooms may mention ---------------------------------------

KIND_OF_MODEL = re.compile(
    r"cepstr|gaussian|(?<!beam_)(?<![a-z])deltas?(?![a-z])|hmm_pdfs|(?<![0-9])10 ms"
    r"|frame.*(?<![0-9.])0\.01\b",
    re.I,
)
"""What another kind of acoustic model lacks: cepstra, Gaussians, 10 ms, one pdf a state."""

KNOWS_THE_KIND = ("acoustic/", "features/", "models/importers/", "models/en_us.py",
                  "training/", "course/", "cli/adapt.py", "cli/corpora.py", "cli/train.py",
                  "plots/__init__.py", "plots/gaussians.py", "cli/plot.py",
                  "server/openai.py")  # fmt: skip
"""Acoustic models, their training and import, and the command lines of training; the course, which
explains them; pictures of them; and the protocol whose events are called deltas."""

def test_only_acoustic_models_know_their_kind() -> None:
    found = [
        f"{name_of(module)}:{number}: {line.strip()}"
        for module in MODULES
        if not name_of(module).startswith(KNOWS_THE_KIND)
        for number, line in enumerate(module.read_text(encoding="utf-8").splitlines(), 1)
        if KIND_OF_MODEL.search(line) and "# old name" not in line
    ]
    assert found == [], "these lines mention cepstra, Gaussians or 10 ms"


def test_old_names_lead_to_modules_that_there_are() -> None:
    """A module that is renamed is renamed in the table of old names, too."""
    homes = {home for each in NAMES.values() for home in each}
    there = {".".join(module.relative_to(PACKAGE).with_suffix("").parts) for module in MODULES}
    there |= {name.removesuffix(".__init__") for name in there}
    assert sorted({*OLD_MODULES.values(), *homes, *NAMES} - there) == []


# --- plain words ------------------------------------------------------------

AVOID = re.compile(
    r"(?<![A-Za-z])(?:beside|anew|nobody|whoever|wherefrom|muted|sausages?|rivals?|misfits?"
    r"|second[\s_-]looks?|lead[_-]ins?|is\s+told|of\s+its\s+own\s+accord|hears?\s+commands?"
    r"|as\s+it\s+was\s+said)(?![a-z])",
    re.I,
)
"""Words that a reader from the field would stumble over, also as parts of names."""

OLD_NAME = re.compile(r"# old name|deprecat", re.I)
"""A line that keeps an old name for those who use it says so."""

WORDS_LEFT = {"tests": 74}
"""How many of the words a room may still hold; to become empty."""


def room_of(file: Path) -> str:
    path = file.relative_to(ROOT)
    package = len(path.parts) > 2 and path.parts[0] == "factored_asr"
    return "/".join(path.parts[:2]) if package else path.parts[0]


def test_words_are_plain() -> None:
    """In code, docstrings, comments and pages; the data of grammars may hold any word."""
    folders = ("factored_asr", "docs", "examples", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*")]
    found: dict[str, list[str]] = {}
    for file in sorted([ROOT / "README.md", *files]):
        if file.suffix not in (".py", ".md", ".html", ".css", ".js") or file == Path(__file__):
            continue
        name = file.relative_to(ROOT).as_posix()
        if name == "factored_asr/_deprecated.py":
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        text = "\n".join([name, *("" if OLD_NAME.search(line) else line for line in lines)])
        found.setdefault(room_of(file), []).extend(
            f"{name}:{text.count(chr(10), 0, match.start())}: {match.group()}"
            for match in AVOID.finditer(text)
        )
    for room, places in found.items():
        assert len(places) <= WORDS_LEFT.get(room, 0), "\n".join(places)


def test_no_test_module_imports_another() -> None:
    """What tests share stands in support/, as slow twins in naive_*.py, or in conftest.py."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for name, node in imports(tree_of(file)):
            assert not re.search(r"(^|\.)test_", name), f"{file.name}:{node.lineno}: {name}"
