"""Compiled graphs are kept whole or not at all, and found again by what they were made of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from factored_asr.errors import CacheWarning, FormatError
from factored_asr.graph import ARC, Graph
from factored_asr.models.recipe import cached_graph
from factored_asr.storage import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def one_word() -> Graph:
    arcs = np.array([(1, 1, 0.5, 1), (1, 0, 0.1, 1)], dtype=ARC)
    return Graph(
        start=0, first_arc=np.array([0, 1, 2]), arcs=arcs, final=np.array([np.inf, 0.0]),
        words=("<eps>", "yes"),
    )


def never() -> Graph:
    raise AssertionError("compiled a second time")


def test_a_graph_is_compiled_once(folder: Path) -> None:
    cached_graph("k", {"model": "toy"}, one_word)
    graph = cached_graph("k", {"model": "toy"}, never)
    assert graph.words == ("<eps>", "yes") and graph.n_arcs == 2
    [entry] = cache.entries()
    assert entry.about["model"] == "toy" and entry.about["arcs"] == 2 and entry.n_bytes > 0


def test_a_damaged_entry_is_compiled_again(folder: Path) -> None:
    cached_graph("k", {}, one_word)
    (folder / "k" / "arcs.npy").write_bytes(b"cut short")
    assert cached_graph("k", {}, one_word).n_arcs == 2
    assert cached_graph("k", {}, never).n_arcs == 2


def test_a_compile_that_fails_leaves_nothing(folder: Path) -> None:
    with pytest.raises(AssertionError):
        cached_graph("k", {}, never)
    assert cache.entries() == [] and not list(folder.glob("*.part"))


PROCESS = """
import sys, time
from pathlib import Path
from test_cache import one_word
from factored_asr.models.recipe import cached_graph

name, other, log = sys.argv[1:]

def compile_slowly():
    with open(log, "a") as file:
        print(name, file=file)
    while not Path(other).exists():  # the other process is about to ask for the same graph
        time.sleep(0.01)
    time.sleep(1)
    return one_word()

Path(name).touch()
assert cached_graph("k", {}, compile_slowly).n_arcs == 2
"""


def test_two_processes_compile_a_graph_once(folder: Path, tmp_path: Path) -> None:
    names = str(tmp_path / "a"), str(tmp_path / "b")
    path = os.pathsep.join(map(str, (Path(__file__).parent.parent, Path(__file__).parent)))
    environment = {**os.environ, "PYTHONPATH": path, "FACTORED_ASR_CACHE": str(folder)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *pair, str(tmp_path / "log")], env=environment
        )
        for pair in (names, names[::-1])
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_second_thread_waits_and_does_not_compile(folder: Path) -> None:
    began, may_end = threading.Event(), threading.Event()
    found: list[Graph] = []

    def slow() -> Graph:
        began.set()
        assert may_end.wait(10)
        return one_word()

    first = threading.Thread(target=lambda: found.append(cached_graph("k", {}, slow)))
    second = threading.Thread(target=lambda: found.append(cached_graph("k", {}, never)))
    first.start()
    assert began.wait(10)
    second.start()
    second.join(0.5)  # it would compile, and fail, in this time
    assert second.is_alive()
    may_end.set()
    first.join()
    second.join()
    assert [graph.n_arcs for graph in found] == [2, 2]


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(cache, "_warned", False)
    with pytest.warns(CacheWarning, match=r"file is not a folder; set FACTORED_ASR_CACHE"):
        assert cached_graph("k", {}, one_word).n_arcs == 2
    assert cached_graph("k", {}, one_word).n_arcs == 2  # says it once
    assert cache.entries() == []


def test_the_key_follows_content_not_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here.dict", tmp_path / "there.dict"
    here.write_text("yes Y EH S\n")
    there.write_text("yes Y EH S\n")
    assert cache.content_key(here) == cache.content_key(there)
    there.write_text("yes Y EH Z\n")
    assert cache.content_key(here) != cache.content_key(there)
    with pytest.raises(FormatError, match="none.dict: cannot read"):
        cache.content_key(tmp_path / "none.dict")


def test_a_large_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "lm.zip"
    file.write_bytes(bytes(cache.LARGE))
    first = cache.content_key(file)
    monkeypatch.setattr(cache, "_read_digest", lambda path: b"again")
    assert cache.content_key(file) == first
    file.write_bytes(bytes(cache.LARGE + 1))
    assert cache.content_key(file) != first


def test_clear_removes_graphs_and_broken_leftovers(folder: Path) -> None:
    cached_graph("k", {}, one_word)
    key = cache.content_key("a grammar")
    cache.cached(f"grammars/{key}.json", lambda: "text", lambda text, file: write(file, text), read)
    (folder / "k2.part").mkdir()
    (folder / "letter.txt").write_text("dear Ann")
    assert cache.clear() > 0
    assert cache.entries() == [] and not (folder / "k2.part").exists()
    assert not list((folder / "grammars").iterdir()) and (folder / "letter.txt").exists()


def write(file: Path, text: str) -> None:
    file.write_text(text)


def read(file: Path) -> str:
    return file.read_text()
