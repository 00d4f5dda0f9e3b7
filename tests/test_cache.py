"""Compiled graphs are kept whole or not at all, and found again by what they were made of."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from factored_asr.errors import FormatError
from factored_asr.graph import ARC, Graph
from factored_asr.models import cache


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
    cache.cached_graph("k", {"model": "toy"}, one_word)
    graph = cache.cached_graph("k", {"model": "toy"}, never)
    assert graph.words == ("<eps>", "yes") and graph.n_arcs == 2
    [entry] = cache.entries()
    assert entry.about["model"] == "toy" and entry.about["arcs"] == 2 and entry.n_bytes > 0


def test_a_damaged_entry_is_compiled_again(folder: Path) -> None:
    cache.cached_graph("k", {}, one_word)
    (folder / "k" / "arcs.npy").write_bytes(b"cut short")
    assert cache.cached_graph("k", {}, one_word).n_arcs == 2
    assert cache.cached_graph("k", {}, never).n_arcs == 2


def test_a_compile_that_fails_leaves_nothing(folder: Path) -> None:
    with pytest.raises(AssertionError):
        cache.cached_graph("k", {}, never)
    assert cache.entries() == [] and not list(folder.glob("*.part"))


def test_who_comes_second_waits_and_does_not_compile(folder: Path) -> None:
    began, may_end = threading.Event(), threading.Event()
    found: list[Graph] = []

    def slow() -> Graph:
        began.set()
        assert may_end.wait(10)
        return one_word()

    first = threading.Thread(target=lambda: found.append(cache.cached_graph("k", {}, slow)))
    second = threading.Thread(target=lambda: found.append(cache.cached_graph("k", {}, never)))
    first.start()
    assert began.wait(10)
    second.start()
    may_end.set()
    first.join()
    second.join()
    assert [graph.n_arcs for graph in found] == [2, 2]


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FACTORED_ASR_CACHE", str(tmp_path / "file" / "cache"))
    assert cache.cached_graph("k", {}, one_word).n_arcs == 2
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


def test_clear_removes_graphs_and_broken_leftovers(folder: Path) -> None:
    cache.cached_graph("k", {}, one_word)
    (folder / "k2.part").mkdir()
    assert cache.clear() > 0
    assert cache.entries() == [] and not (folder / "k2.part").exists()
