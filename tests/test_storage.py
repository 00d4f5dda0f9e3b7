"""Files and folders are written whole or not at all, by one process at a time."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from factored_asr.errors import OptionError
from factored_asr.storage.lock import locked
from factored_asr.storage.writing import whole_file, whole_folder


@pytest.mark.parametrize("unique", [True, False])
def test_a_file_takes_its_place_once_it_is_whole(tmp_path: Path, unique: bool) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        before = path.read_text() if path.exists() else None
        with whole_file(path, unique=unique) as part:
            part.write_text(text)
            assert part.parent == path.parent
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyError), whole_file(path) as part:
        part.write_text("new")
        raise KeyError
    with pytest.raises(OptionError, match="a.txt: cannot be written: No space left"):
        with whole_file(path) as part:
            part.write_text("new")
            raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"


def test_what_an_interrupted_writer_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.part").write_text("half a te")
    with whole_file(tmp_path / "a.txt", unique=False) as part:
        part.write_text("text")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["text"]


def test_a_folder_takes_its_place_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for name in ("first", "second"):
        with whole_folder(path) as part:
            (part / name).touch()
        assert [file.name for file in path.iterdir()] == [name]
    with pytest.raises(OptionError, match="model: cannot be written: No space left"):
        with whole_folder(path) as part:
            (part / "third").touch()
            raise OSError(28, "No space left on device")
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_renamed_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    path = tmp_path / "model"
    path.mkdir()
    (path / "first").touch()
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if Path(target) == path and list(Path(source).glob("second")):
            raise OSError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OptionError, match="Permission denied"), whole_folder(path) as part:
        (part / "second").touch()
    assert [file.name for file in path.iterdir()] == ["first"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_keeps_others_out(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "a.lock") as held:
        assert held
        with pytest.raises(TimeoutError), locked(tmp_path / "new" / "a.lock", wait=False):
            pass
    with locked(tmp_path / "new" / "a.lock", wait=False) as held:
        assert held


def test_where_no_lock_can_be_written_work_goes_on_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with locked(tmp_path / "file" / "a.lock") as held:
        assert not held
    with pytest.raises(OSError, match="of the block"), locked(tmp_path / "file" / "a.lock"):
        raise OSError("of the block")


def test_a_pipe_is_written_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with whole_file(tmp_path / "pipe") as place:
        place.write_bytes(b"through")
    reader.join()
    assert found == [b"through"] and (tmp_path / "pipe").is_fifo()
    with pytest.raises(OptionError, match="/dev/full: cannot be written: No space left"):
        with whole_file("/dev/full") as place:
            place.write_bytes(b"x")
