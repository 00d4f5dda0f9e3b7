"""The same work on a Dask cluster of processes: a worker that is killed costs no sound."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from factored_asr.batch import BatchOptions, Progress, find_inputs, transcribe_files
from factored_asr.errors import OptionError
from factored_asr.models.bundle import Bundle
from factored_asr.models.recipe import Recipe

distributed = pytest.importorskip("distributed")
GRAMMAR = Path("lm/smart_home.yaml")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers on this machine, with a cache of their own: nothing is there before it comes."""
    folder = tmp_path_factory.mktemp("cluster")
    kernels = Path(os.environ["FACTORED_ASR_CACHE"]) / "kernels"
    (folder / "cache").mkdir()
    (folder / "cache" / "kernels").symlink_to(kernels.absolute())
    env = {"FACTORED_ASR_CACHE": str(folder / "cache")}
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", env=env,
        local_directory=str(folder), silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(Bundle.find("en-us"), grammar=GRAMMAR)


def pids(cluster: Any) -> list[int]:
    return [nanny.process.pid for nanny in cluster.workers.values()]


def test_every_sound_is_done_once_though_a_worker_is_killed(
    cluster: Any, audio_dir: Path, tmp_path: Path, recipe: Recipe
) -> None:
    told: list[str] = []
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.done == 4 and not killed:
            killed.extend(pids(cluster)[:1])
            os.kill(killed[0], signal.SIGKILL)

    options = BatchOptions("json")
    report = transcribe_files(
        [audio_dir], recipe, options, output_dir=tmp_path / "there", report=kill,
        cluster=cluster.scheduler_address, each=lambda sound, outcome: told.append(sound.output),
    )
    assert killed and not report.failures
    assert Counter(told) == dict.fromkeys((sound.output for sound in find_inputs([audio_dir])), 1)
    transcribe_files([audio_dir], recipe, options, output_dir=tmp_path / "here")
    here, there = ({file.name: file.read_bytes() for file in (tmp_path / name).glob("[!.]*")}
                   for name in ("here", "there"))
    assert here == there


def test_a_second_job_finds_its_own_recogniser(
    cluster: Any, audio_dir: Path, recipe: Recipe
) -> None:
    sound = audio_dir / "heating_twenty_one.wav"
    told: list[str] = []
    for options in (BatchOptions(), BatchOptions(digits=True)):
        transcribe_files([sound], recipe, options, cluster=cluster.scheduler_address,
                         each=lambda sound, outcome: told.append(outcome.text))
    assert told == [
        "set the heating to twenty one degrees", "set the heating to 21 degrees",
    ]


def test_a_broken_sound_fails_for_itself(cluster: Any, tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    report = transcribe_files([tmp_path], recipe, cluster=cluster.scheduler_address)
    assert "broken.wav: is a text, and no sound" in report.failures[0].error


def test_an_address_without_a_scheduler_is_named(
    audio_dir: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from factored_asr.batch import cluster

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    with pytest.raises(OptionError, match="no Dask scheduler answers at tcp://localhost:1"):
        transcribe_files([audio_dir], recipe, cluster="tcp://localhost:1")
