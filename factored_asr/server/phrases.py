"""Grammars that clients send: phrases, compiled in a process that may take only so long."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import FactoredASRError
from factored_asr.graph import Graph
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.session import Pipeline
from factored_asr.server.modes import Mode
from factored_asr.server.options import Limits, RefusedError

KEPT = 32  # grammars that a worker remembers
READY = "ready"
START_SECONDS = 120.0  # of the compiling process, the first time with kernels to compile
LINGER_SECONDS = 60.0  # that it waits for another list
UNKNOWN = "[unk]"  # Vosk's phrase for anything else; rejection does this here
WORD = re.compile(r"[^\W_](?:[\w'.-]*\w)?'?|'\w+")


def checked(phrases: Any, limits: Limits) -> tuple[str, ...]:
    """Return the phrases of a list from a client, or of a string that holds one in JSON.

    RefusedError if it is no list of phrases, or larger than the limits.

    Examples
    --------
    >>> checked(["Turn on", "off", "[unk]", "off"], Limits())
    ('turn on', 'off')
    """
    if not isinstance(phrases, list) or not all(isinstance(each, str) for each in phrases):
        raise RefusedError(400, "invalid", "phrase_list must be a list of strings", "phrase_list")
    letters = sum(map(len, phrases))
    if len(phrases) > limits.phrases or letters > limits.phrase_letters:
        raise RefusedError(
            400, "limit", f"phrase_list has {len(phrases)} phrases of {letters} letters, may have "
            f"{limits.phrases} of {limits.phrase_letters} in all", "phrase_list",
        )
    split = (" ".join(phrase.lower().split()) for phrase in phrases)
    found = tuple(dict.fromkeys(phrase for phrase in split if phrase and phrase != UNKNOWN))
    if not found:
        raise RefusedError(400, "invalid", "phrase_list holds no phrase", "phrase_list")
    for word in " ".join(found).split():
        if not WORD.fullmatch(word):
            raise RefusedError(400, "invalid", f"{word!r} in phrase_list is no word", "phrase_list")
    return found


def as_jsgf(phrases: Sequence[str]) -> str:
    """Return a grammar of any number of these phrases in a row.

    Examples
    --------
    >>> as_jsgf(["turn on", "off"])
    '#JSGF V1.0;\\npublic <phrases> = ("turn" "on" | "off")+;'
    """
    quoted = (" ".join(f'"{word}"' for word in phrase.split()) for phrase in phrases)
    return f"#JSGF V1.0;\npublic <phrases> = ({' | '.join(quoted)})+;"


def compile_phrases(recipe: Recipe, phrases: Sequence[str]) -> tuple[Graph, Graph | None]:
    """Return the graph of phrases, and its background; MissingError for an unknown word."""
    from factored_asr.graph import build_background, build_graph
    from factored_asr.language import Grammar

    lexicon, settings = recipe.read_lexicon(), recipe.settings
    grammar, model = Grammar.from_text(as_jsgf(phrases)), recipe.bundle.acoustic_model()
    if recipe.guess:
        lexicon = recipe.with_guesses(lexicon, sorted(grammar.words))
    graph = build_graph(model, lexicon, grammar, settings.graph)
    if settings.background is None:
        return graph, None
    return graph, build_background(model, lexicon, grammar.words, settings.graph,
                                   settings.background)


def _compiler(recipe: Recipe, pipe: Connection) -> None:
    """The process: warm up, then answer each list with graphs, or with what is wrong with it."""
    with suppress(AttributeError):
        os.nice(10)
    with suppress(EOFError, OSError):
        compile_phrases(replace(recipe, guess=False), ["yes"])
        pipe.send(READY)
        while pipe.poll(LINGER_SECONDS):
            try:
                pipe.send(compile_phrases(recipe, pipe.recv()))
            except FactoredASRError as error:
                pipe.send(str(error))


class PhraseCompiler:
    """Compiles phrases for one worker, one list at a time, and remembers the last ones."""

    def __init__(self, model: AcousticModel, recipe: Recipe, limits: Limits):
        """`model` and `recipe` are of a mode whose model and dictionary the phrases share."""
        settings = recipe.settings if recipe.grammar else recipe.bundle.commands
        closed = replace(settings.graph, prefixes=(), denials=False)  # these words alone
        settings = replace(settings, graph=closed)
        self.recipe = replace(recipe, grammar=None, lm=None, options=settings, rescore_lms=(),
                               lm_weights=())
        self._model, self._limits = model, limits
        self._known: OrderedDict[str, Mode] = OrderedDict()
        self._turn = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    async def mode(self, phrases: tuple[str, ...]) -> Mode:
        """Return the mode of phrases that were checked; RefusedError if it cannot be compiled."""
        key = hashlib.sha256("\n".join(phrases).encode()).hexdigest()
        async with self._turn:
            if key not in self._known:
                graphs = await asyncio.get_running_loop().run_in_executor(
                    None, self._compiled, phrases
                )
                self._known[key] = self._mode(*graphs)
                if len(self._known) > KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]

    def _mode(self, graph: Graph, background: Graph | None) -> Mode:
        settings = self.recipe.settings
        model = self._model.configured(settings.tools)
        return Mode.of_phrases(Pipeline(model, graph, settings, background, is_grammar=True))

    def _compiled(self, phrases: tuple[str, ...]) -> tuple[Graph, Graph | None]:
        seconds = self._limits.compile_seconds
        try:
            answer = self._ask(phrases, seconds)
            if answer is None:
                raise RefusedError(400, "limit", "phrase_list takes longer to compile than "
                                   f"{seconds:g} s", "phrase_list")
        except (EOFError, OSError):
            raise RefusedError(500, "failed", "the compiler of phrases stopped") from None
        except RefusedError:
            self.close()
            raise
        if isinstance(answer, str):
            raise RefusedError(400, "invalid", f"phrase_list: {answer}", "phrase_list")
        graph, background = answer
        return graph, background

    def _ask(self, phrases: tuple[str, ...], seconds: float) -> Any:
        """Return the answer of the process, started if it is not there; None if it is too late."""
        pipe = self._pipe
        if pipe is None or self._process is None or not self._process.is_alive():
            pipe = self._start()
        pipe.send(phrases)
        return pipe.recv() if pipe.poll(seconds) else None

    def _start(self) -> Connection:
        self.close()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_compiler, args=(self.recipe, theirs), daemon=True)
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        if not ours.poll(START_SECONDS):
            raise EOFError
        ours.recv()
        return ours

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._process = self._pipe = None
