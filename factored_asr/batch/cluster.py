"""Transcribe on the machines of a Dask cluster.

Model, grammar and compiled graph travel to each worker once, as files in a plugin; the scheduler
gives them to workers that join later. The graph goes into the cache of the worker's machine, whose
processes share it. This process alone writes the results. Workers read the sounds under the same
names, so they must see the same file system. See https://distributed.dask.org.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from factored_asr.batch.inputs import Input
from factored_asr.batch.pool import Outcomes, outcome_of
from factored_asr.batch.work import Job, Outcome, loaded, transcribe_input
from factored_asr.errors import MissingError, OptionError
from factored_asr.graph import Graph
from factored_asr.language import Grammar
from factored_asr.models.folder import ModelFolder
from factored_asr.models.recipe import Recipe, cached_graph
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.storage.cache import cache_folder

try:
    from distributed import Client, WorkerPlugin, as_completed, get_worker
except ImportError as error:
    raise MissingError(
        "a cluster needs the package dask: pip install 'factored-asr[cluster]'"
    ) from error

CONNECT_SECONDS = 30.0
AHEAD = 4  # sounds that wait for each thread of a worker, so that none is idle
LUGGAGE = "factored-asr"
Files = dict[str, bytes]


def in_cluster(job: Job, sounds: Sequence[Input], places: Sequence[int], address: str) -> Outcomes:
    """Share sounds among the workers of a cluster; yield each outcome as soon as it is there.

    Closing the iterator cancels the sounds that have not begun. A sound whose workers die (three
    times by default) gives an error; an address where no scheduler answers raises OptionError.
    """
    luggage = Luggage(job)
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OptionError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        client.register_plugin(luggage)
        threads = sum(client.nthreads().values())

        def submit(place: int) -> Any:
            # Not `pure`, as the file may have changed since the last run.
            future = client.submit(perform_there, job.key, sounds[place], pure=False)
            placed[future.key] = place
            return future

        placed: dict[Any, int] = {}
        waiting = iter(places)
        first = [submit(place) for place in islice(waiting, max(16, AHEAD * threads))]
        running = as_completed(first, loop=client.loop)
        for future in running:
            place = placed.pop(future.key)
            yield place, outcome_of(future, sounds[place])
            running.update([submit(place) for place in islice(waiting, 1)])


class Luggage(WorkerPlugin):
    """The files that a worker needs in addition to the sounds; the job's graph is in the cache."""

    def __init__(self, job: Job):
        self.name = f"{LUGGAGE}-{job.key}"
        self._recipe, self.options = _with_grammars(job.recipe), job.options
        self._graph_key = job.recipe.plain.key()
        self._files = {name: _packed(path) for name, path in _paths(job.recipe).items()}
        graph = job.recipe.graph_folder or cache_folder() / self._graph_key
        self._files["graph"] = _packed(graph)
        background = job.recipe.background()
        if background is not None:
            with TemporaryDirectory() as folder:
                background.write(folder)
                self._files["background"] = _packed(Path(folder))
        self._folder = Path()

    def setup(self, worker: Any) -> None:
        """On a worker: write the files to its own folder, which is removed with it."""
        self._folder = Path(worker.local_directory) / self.name
        for name, files in self._files.items():
            _unpack(files, self._folder / name)
        self._files = {}

    def recognizer(self) -> Recognizer:
        """On a worker: load the recogniser; its graph is mapped from the machine's cache."""
        recipe = _moved(self._recipe, self._folder)
        graph = cached_graph(self._graph_key, self._recipe.about(),
                             lambda: Graph.read(self._folder / "graph"))
        model, folder = recipe.bundle.acoustic_model(), self._folder / "background"
        background = Graph.read(folder) if folder.is_dir() else None
        if not (self._recipe.adds_words and self._recipe.words):
            return Recognizer.of(recipe, model, graph, background)
        plain = Recognizer.of(replace(recipe, words=None), model, graph, background)
        return plain.with_words(recipe.read_words())


def perform_there(key: str, sound: Input) -> Outcome:
    """On a worker: transcribe one sound of the job with this key."""
    luggage = get_worker().plugins[f"{LUGGAGE}-{key}"]
    assert isinstance(luggage, Luggage)
    return transcribe_input(loaded(key, luggage.recognizer), sound, luggage.options)


def _paths(recipe: Recipe) -> dict[str, Path]:
    """Return the files of a recipe that are read after compiling, by their names in the luggage."""
    paths = {"acoustic": recipe.bundle.acoustic}
    if isinstance(recipe.grammar, Path):
        paths["grammar"] = recipe.grammar
    adds_words = recipe.adds_words and recipe.words
    if recipe.rescore_lms or recipe.settings.second_pass.needs_lattice or adds_words:
        if not recipe.grammar:
            paths["lm"] = recipe.language_path
        if isinstance(recipe.words, str | Path):
            paths["words"] = Path(recipe.words)
        paths |= {f"rescore-{i}": path for i, path in enumerate(recipe.rescore_lms)}
    return paths


def _with_grammars(recipe: Recipe) -> Recipe:
    """Return the recipe with the grammars of commands in dictation in place of their files."""
    more = recipe.vocabulary
    commands = tuple(replace(each, grammar=each.grammar if isinstance(each.grammar, Grammar) else
                             Grammar.read(each.grammar, known=recipe.known))
                     for each in more.commands)
    return replace(recipe, vocabulary=replace(more, commands=commands))


def _moved(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with the files of the luggage in place of its own."""
    places = {name: _place(folder / name, path) for name, path in _paths(recipe).items()}
    acoustic = places["acoustic"]
    own = ModelFolder.open(acoustic) if recipe.bundle.folder else None
    return replace(
        recipe, bundle=replace(recipe.bundle, acoustic=acoustic, folder=own), lexicon=None,
        grammar=places.get("grammar", recipe.grammar), lm=places.get("lm"),
        words=places.get("words", recipe.words),
        rescore_lms=tuple(places[f"rescore-{i}"] for i in range(len(recipe.rescore_lms))),
    )


def _place(folder: Path, path: Path) -> Path:
    """Return where a path was unpacked: a single file keeps its name, as its end matters."""
    lone = folder / path.name
    return lone if lone.is_file() and len(list(folder.iterdir())) == 1 else folder


def _packed(path: Path) -> Files:
    """Return the content of a file, or of all files below a folder, by relative names."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def _unpack(files: Files, folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
