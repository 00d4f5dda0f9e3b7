"""Machines where nothing can be written: all works, and one line says that nothing is kept."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from factored_asr.batch import transcribe_files
from factored_asr.errors import CacheWarning, OptionError
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe
from factored_asr.storage import cache, scratch
from factored_asr.storage.cache import cache_folder, kept_file, shared_by_workers
from factored_asr.storage.kernels import foreign_kernels

ROOT = Path(__file__).parent.parent
SOURCE = """\
from factored_asr.storage.kernels import kernel

@kernel
def more(x):
    return x + {}
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, graph_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and a process that has not warned yet."""
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_warned", False)
    scratch._folder.cache_clear()
    return tmp_path / "cache"


def module(folder: Path, more: int = 1) -> ModuleType:
    """A module with a kernel, loaded as in a new process."""
    file = folder / "_kernels.py"
    file.write_text(SOURCE.format(more))
    spec = importlib.util.spec_from_file_location("some_kernels", file)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    from factored_asr.storage import kernels

    kernels._stamp.cache_clear()
    spec.loader.exec_module(loaded)
    return loaded


def hits(function: object) -> int:
    return sum(function.stats.cache_hits.values())  # type: ignore[attr-defined]


def test_kernels_are_kept_in_the_cache_alone(tmp_path: Path, fresh: Path) -> None:
    first, second = module(tmp_path), module(tmp_path)
    assert (first.more(2), hits(first.more)) == (3, 0)
    assert (second.more(2), hits(second.more)) == (3, 1)
    assert {path.suffix for path in fresh.glob("kernels/*/*")} == {".nbi", ".nbc"}
    assert not list(tmp_path.glob("__pycache__/*.nb?"))
    # An edit. Python takes bytecode of a file of the same length and second for that of this one.
    assert module(tmp_path, more=50).more(2) == 52


def test_kept_kernels_are_loaded_without_the_compiler(tmp_path: Path) -> None:
    """It takes most of a start, with scipy."""
    (tmp_path / "_kernels.py").write_text(SOURCE.format(1))
    program = "import sys, _kernels; print(_kernels.more(2), 'numba.np.arraymath' in sys.modules)"
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    for compiles in (True, False):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": path}, check=True)
        assert done.stdout == f"3 {compiles}\n"


@pytest.mark.parametrize("content", [b"", b"cut", b"\x80\x05K\x01.", os.urandom(999)])
@pytest.mark.parametrize("end", ["nbi", "nbc"])
def test_a_damaged_kernel_is_compiled_again(
    tmp_path: Path, fresh: Path, end: str, content: bytes
) -> None:
    assert module(tmp_path).more(2) == 3
    [file] = fresh.glob(f"kernels/*/*.{end}")
    file.write_bytes(content)
    assert module(tmp_path).more(2) == 3
    third = module(tmp_path)
    assert third.more(2) == 3 and hits(third.more) == (1 if end == "nbi" else hits(third.more))


@pytest.mark.parametrize("place", ["file", "file/cache", "/dev/null/cache", "/proc/none"])
def test_a_kernel_that_cannot_be_kept_is_compiled_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / place))
    with pytest.warns(CacheWarning) as told:
        assert module(tmp_path).more(2) == 3
        assert module(tmp_path).more(2.0) == 3
    assert len(told) == 1 and "set FACTORED_ASR_CACHE to a folder" in str(told[0].message)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    def homeless(*_: object, appauthor: bool) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("FACTORED_ASR_CACHE")
    for found in (homeless, lambda *_, appauthor: "~/.cache/factored_asr"):
        monkeypatch.setattr(platformdirs, "user_cache_dir", found)
        assert not cache_folder().parent.is_dir()
    with pytest.warns(CacheWarning, match="there is no home folder"):
        assert not cache.is_writable()


def test_a_home_in_the_name_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/there")
    monkeypatch.setenv("FACTORED_ASR_CACHE", "~/cache")
    assert cache_folder() == Path("/there/cache")


def unwritable(monkeypatch: pytest.MonkeyPatch, *, temporary: bool) -> None:
    """A cache that cannot be made; and no place for temporary files, either."""
    monkeypatch.setenv("FACTORED_ASR_CACHE", "/dev/null/cache")
    monkeypatch.setattr(cache, "_warned", True)
    if not temporary:
        def none(*_: object, prefix: str = "", dir: str | None = None) -> str:
            raise FileNotFoundError(2, "No usable temporary directory found")

        monkeypatch.setattr("tempfile.mkdtemp", none)


@pytest.mark.parametrize("temporary", [True, False])
def test_files_of_one_process_where_there_is_no_cache(
    monkeypatch: pytest.MonkeyPatch, temporary: bool
) -> None:
    unwritable(monkeypatch, temporary=temporary)
    if not temporary and not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory")
    file = kept_file("of/a.txt", lambda path: path.write_text("text") and None)
    assert file.read_text() == "text"
    assert kept_file("of/a.txt", lambda path: pytest.fail("written again")) == file


def test_no_place_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    unwritable(monkeypatch, temporary=False)
    with pytest.raises(OptionError, match="no place for a temporary file .*set TMPDIR"):
        scratch.process_folder()


def test_workers_share_a_temporary_cache(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shared_by_workers():
        assert cache_folder() == fresh
    (fresh / "k").mkdir()
    (fresh / "k" / "about.json").write_text("{}")
    monkeypatch.setattr(cache, "is_writable", lambda: False)
    with shared_by_workers():
        place = cache_folder()
        assert place != fresh and (place / "k" / "about.json").is_file()
    assert cache_folder() == fresh
    unwritable(monkeypatch, temporary=False)
    scratch._folder.cache_clear()
    with shared_by_workers():
        assert cache_folder() == Path("/dev/null/cache")


def test_packages_whose_kernels_have_no_place_can_be_imported() -> None:
    from numba import njit

    def foreign(x: int) -> int:
        return x + 1

    code = foreign.__code__.replace(co_filename="<nowhere>")
    nowhere = type(foreign)(code, globals())
    with pytest.raises(RuntimeError, match="no locator"):
        njit(cache=True)(nowhere)
    with foreign_kernels():
        assert njit(cache=True)(nowhere)(1) == 2


def run(*command: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """A run with nothing set but these variables."""
    kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {name: value for name, value in variables.items() if value is not None}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


def test_commands_are_recognised_where_nothing_can_be_written() -> None:
    done = run(sys.executable, "-m", "factored_asr", "transcribe", "--quiet", "--model",
               "en-us", "--grammar", "lm/smart_home.yaml", "examples/audio/kitchen_light_on.wav",
               FACTORED_ASR_CACHE="/dev/null/cache", TMPDIR="/none", NUMBA_CACHE_DIR="/none")
    assert (done.returncode, done.stdout) == (0, "turn on the kitchen light\n")
    [warning] = done.stderr.splitlines()
    assert warning == (
        "factored-asr: nothing is cached, every run compiles again: /dev/null is not a folder; set "
        "FACTORED_ASR_CACHE to a folder that can be written"
    )


def test_plots_are_drawn_where_there_is_no_home(tmp_path: Path) -> None:
    """matplotlib complains of a home that cannot be written, and needs a place of its own."""
    pytest.importorskip("matplotlib")
    command = ("from factored_asr.plots.axes import new_axes, save; "
               f"save(new_axes(1, 1), '{tmp_path}/a.png')")
    for home, temporary in (("/dev/null", str(tmp_path)), ("/proc", str(tmp_path))):
        done = run(sys.executable, "-c", command, HOME=home, TMPDIR=temporary)
        assert (done.returncode, done.stderr) == (0, "")
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_sounds_are_transcribed_where_there_are_no_worker_processes(
    monkeypatch: pytest.MonkeyPatch, graph_cache: Path, audio_dir: Path
) -> None:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(graph_cache))
    refusal = OSError(30, "Read-only file system")
    monkeypatch.setattr("factored_asr.batch.pool._refusal", lambda: refusal)
    texts = []
    with pytest.warns(RuntimeWarning, match="no worker processes can be started .*Read-only"):
        transcribe_files([audio_dir / "music_stop.wav", audio_dir / "kitchen_light_on.wav"],
                         Recipe(Bundle.find("en-us"), grammar=ROOT / "lm" / "smart_home.yaml"),
                         jobs=2, each=lambda sound, outcome: texts.append(outcome.text))
    assert texts == ["stop the music", "turn on the kitchen light"]


FULL = """\
import warnings, pathlib, sys
from factored_asr.storage.cache import cached, entries
warnings.simplefilter("always")
for name in "ab":
    cached(name, lambda: bytes(1 << 20), lambda b, f: (f / "b").write_bytes(b) and None,
           lambda f: (f / "b").read_bytes(), {})
left = [str(p) for p in pathlib.Path(sys.argv[1]).rglob("*") if p.suffix != ".lock"]
print(len(left), entries())
"""


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    if not shutil.which("unshare") or os.getuid():
        pytest.skip("needs the right to mount a small disk")
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs {small} && exec \"$0\" -c \"$1\" {small}"
    done = run("unshare", "-m", "sh", "-c", mount, sys.executable, FULL,
               FACTORED_ASR_CACHE=str(small))
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("needs the right to mount a small disk")
    assert done.stdout == "0 []\n", done.stderr
    assert done.stderr.count("CacheWarning") == 1
    assert f"the folder {small} cannot be written (No space left on device)" in done.stderr
