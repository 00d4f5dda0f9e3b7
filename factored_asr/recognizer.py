"""The pipeline: sound, features, scores, search, words, meaning.

One `Recognizer` serves any number of threads and streams at once: model and graph are read-only,
and all that changes belongs to a call or to a `Stream`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from factored_asr.acoustic import AcousticModel
from factored_asr.alignment import Aligner
from factored_asr.audio import Source, as_samples, read_audio
from factored_asr.bundle import Bundle, DecodeOptions, Progress, Recipe, Words
from factored_asr.decoder import (
    EndpointOptions,
    Lattice,
    Search,
    SecondPassOptions,
    is_endpoint,
    second_pass,
)
from factored_asr.errors import MissingError
from factored_asr.features import FrontEnd, speech_frames
from factored_asr.features.normalisation import min_range
from factored_asr.graph import BACKGROUND, Graph
from factored_asr.results import Alignment, Transcript, words_of
from factored_asr.understanding import Interpretation

if TYPE_CHECKING:
    from factored_asr.understanding import Understander

BLOCK_FRAMES = 500  # scored at once: memory stays small on an hour of audio
NO_SPEECH = "no speech"
NO_COMMAND = "what was said fits no sentence of the grammar"
SECOND_LOOK_SECONDS = 30.0
LATTICE_BEAM = 6.0  # where a second pass needs a lattice and the options have none


class Recognizer:
    """Turns sound into words, and commands into intents.

    Examples
    --------
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    >>> said = recognizer.transcribe("examples/audio/kitchen_light_on.wav")
    >>> said.text
    'turn on the kitchen light'
    """

    def __init__(
        self,
        model: AcousticModel,
        graph: Graph,
        options: DecodeOptions | None = None,
        grammar: Path | None = None,
        recipe: Recipe | None = None,
    ):
        self.model, self.graph = model, graph
        self.options = _with_lattice(options or DecodeOptions(), recipe)
        self._front_end = FrontEnd(model.features)
        self._score = model.scorer(graph.pdfs)
        self._grammar, self._recipe = grammar, recipe
        self._aligner: Aligner | None = None
        self._understander: Understander | None = None
        self._compiling = threading.Lock()
        second = self.options.second_pass
        self._first = self._second = None
        if recipe and self._has_second_pass:
            self._first = recipe.first_scorer()
            self._second = recipe.second_scorer()
            if self._second is None and (second.keep or second.reweighs):
                self._second = self._first

    @staticmethod
    def load(
        model: str | Path = "en-us",
        *,
        grammar: str | Path | None = None,
        lm: str | Path | None = None,
        lexicon: str | Path | None = None,
        words: Words | None = None,
        options: DecodeOptions | None = None,
        rescore_lms: Sequence[str | Path] = (),
        lm_weights: Sequence[float] = (),
        second_pass: SecondPassOptions | None = None,
        progress: Progress | None = None,
    ) -> Recognizer:
        """Load a model with its graph, which is compiled on first use and then cached.

        Parameters
        ----------
        model
            ``en-us``, or a Sphinx model folder.
        grammar
            A grammar file or folder: only its sentences are heard, and they are understood.
        lm
            An n-gram model (ARPA, plain or gzip; Sphinx trie) in place of the model's own.
        lexicon
            A dictionary that replaces the model's own.
        words
            A dictionary file that extends it, or a mapping ``{"word": "PHONE PHONE"}``.
        options
            Scale and beams; what suits dictation or commands where None.
        rescore_lms
            N-gram models (ARPA, Sphinx trie, KenLM's binary) that weigh the words of the first
            pass anew; several are interpolated.
        lm_weights
            Weights of these, of sum 1; equal where not given.
        second_pass
            What else is done with the lattice of an utterance: N-best lists, confidences, the
            words of least risk. In place of what `options` say.
        progress
            Is told each stage of compiling as it begins.

        Raises
        ------
        MissingError
            There is no such model or file, or a word of the grammar has no pronunciation.
        FormatError
            A file breaks its format.
        OptionError
            A grammar and a language model at once.
        """
        recipe = Recipe(
            Bundle.find(model), _path(grammar), _path(lm), _path(lexicon),
            Path(words) if isinstance(words, str) else words, options,
            tuple(map(Path, rescore_lms)), tuple(lm_weights),
        )
        if second_pass is not None:
            recipe = replace(recipe, options=replace(recipe.settings, second_pass=second_pass))
        return Recognizer.from_recipe(recipe, progress)

    @staticmethod
    def from_recipe(recipe: Recipe, progress: Progress | None = None) -> Recognizer:
        """Like `load`, from a recipe that is already made."""
        model = recipe.bundle.acoustic_model()
        graph = recipe.graph(model, progress)
        return Recognizer(model, graph, recipe.settings, recipe.grammar, recipe)

    def transcribe(self, source: Source, *, sample_rate: int | None = None) -> Transcript:
        """Recognise a whole sound.

        Parameters
        ----------
        source
            A path, ``"-"`` for standard input, a binary file object, or an array of samples.
        sample_rate
            Hz of an array; needed with an array, and only there.

        Raises
        ------
        FormatError
            The sound is empty, truncated, no audio, or holds a sample that is not finite.
        MissingError
            There is no such file.
        """
        samples, _ = read_audio(
            source, sample_rate=self.model.features.sample_rate, array_rate=sample_rate
        )
        return self._transcribe(samples)

    def align(self, source: Source, text: str, *, sample_rate: int | None = None) -> Alignment:
        """Find where in a sound the words, phones and states of a known text lie.

        Parameters and errors are those of `Aligner.align`; the lexicon is the recogniser's own.

        Raises
        ------
        MissingError
            A word has no pronunciation, or the recogniser was made without a recipe.
        """
        with self._compiling:
            if self._aligner is None:
                if self._recipe is None:
                    raise MissingError("this recogniser has no lexicon: it was made from a graph")
                self._aligner = Aligner(self.model, self._recipe.read_lexicon())
        return self._aligner.align(source, text, sample_rate=sample_rate)

    def stream(
        self, endpoint: EndpointOptions | None = None, *, second_look: bool = False
    ) -> Stream:
        """Begin an utterance whose sound comes bit by bit.

        Parameters
        ----------
        endpoint
            When an utterance counts as ended.
        second_look
            Decode an utterance of up to 30 s again at its end, with its own cepstral mean:
            twice the work, more accurate on short commands.
        """
        return Stream(self, endpoint or EndpointOptions(), second_look)

    def _transcribe(self, samples: np.ndarray) -> Transcript:
        cepstra = self._front_end.cepstra(samples)
        if not speech_frames(cepstra, min_range(self.model.features)).any():
            return Transcript(duration=len(cepstra) * self.model.frame_seconds, reason=NO_SPEECH)
        search = Search(self.graph, self.options.beam)
        for scores in self._scores(self._front_end.features_from_cepstra(cepstra)):
            search.advance(scores)
        return self._transcript(search.finish())

    def _scores(self, features: np.ndarray) -> Iterator[np.ndarray]:
        """Scaled log-likelihoods of the graph's pdfs, block by block."""
        for first in range(0, len(features), BLOCK_FRAMES):
            scores = self._score(features[first : first + BLOCK_FRAMES])
            scores *= np.float32(self.options.acoustic_scale)
            yield scores

    def _transcript(self, lattice: Lattice) -> Transcript:
        options, seconds = self.options, self.model.frame_seconds
        lattice = replace(lattice, acoustic_scale=options.acoustic_scale, frame_seconds=seconds)
        path, confidences = lattice.best(), tuple[float, ...]()
        segments, duration = path.segments, lattice.n_frames * seconds
        if path.has_speech and BACKGROUND in path.words:
            return Transcript((), duration, reason=NO_COMMAND, lattice=lattice)
        if not path.reached_final:  # broken off: dictation loses a word, a command its sense
            segments = () if self._grammar else segments[:-1]
        elif self._has_second_pass:
            chosen = second_pass(
                lattice, options.second_pass, options.confidence,
                scorer=self._second, first=self._first,
            )
            segments, confidences, lattice = chosen.segments, chosen.confidences, chosen.lattice
        kept = [i for i, each in enumerate(segments) if each.word != BACKGROUND]
        words = words_of(
            [segments[i] for i in kept], seconds, [confidences[i] for i in kept if confidences]
        )
        return Transcript(
            words, duration, math.prod(confidences) if confidences else None,
            self._understood(tuple(word.text for word in words)),
            "" if words else lattice.reason or NO_SPEECH, lattice,
        )

    @property
    def _has_second_pass(self) -> bool:
        rescores = bool(self._recipe and self._recipe.rescore_lms)
        return rescores or self.options.second_pass.needs_lattice

    def _understood(self, words: tuple[str, ...]) -> Interpretation | None:
        if self._grammar is None or not words:
            return None
        if self._understander is None:
            with self._compiling:
                if self._understander is None:
                    self._understander = read_understander(self._grammar)
        return self._understander.parse(words)


class Stream:
    """One speaker's sound as it comes; an utterance ends by `finish`, and the next one begins.

    A stream belongs to one thread at a time. The running cepstral mean is kept from utterance to
    utterance; times count from the start of each.
    """

    def __init__(self, recognizer: Recognizer, endpoint: EndpointOptions, second_look: bool):
        self._recognizer, self._rules = recognizer, endpoint
        self._second_look = second_look
        self._rate = recognizer.model.features.sample_rate
        self._mean: np.ndarray | None = None
        self._search = Search(recognizer.graph, recognizer.options.beam)
        self._begin()

    def _begin(self) -> None:
        self._search.start()
        self._features = self._recognizer._front_end.stream(self._mean)
        self._kept: list[np.ndarray] = []
        self._n_samples = 0

    def accept(self, samples: ArrayLike) -> bool:
        """Take the next samples: (n_samples,) float32 or int16 at the model's rate.

        Returns
        -------
        True once the speaker seems to have finished: then call `finish`.

        Raises
        ------
        FormatError
            A sample is not finite.
        OptionError
            The samples are of another type or shape.
        """
        checked = as_samples(samples)
        self._n_samples += len(checked)
        if self._second_look and self._n_samples <= SECOND_LOOK_SECONDS * self._rate:
            self._kept.append(checked)
        else:
            self._kept.clear()
        self._advance(self._features.accept(checked))
        return self.endpoint

    def partial(self) -> str:
        """The text so far; its last words may still change."""
        path = self._search.partial()
        return "" if path is None else " ".join(path.words)

    @property
    def endpoint(self) -> bool:
        """True where the rules say that the utterance has ended."""
        path, seconds = self._search.partial(), self._recognizer.model.frame_seconds
        if path is None:
            return True
        return is_endpoint(
            path.trailing_silence * seconds, self._search.final_relative_cost(),
            self._search.n_frames * seconds, path.has_speech, self._rules,
        )

    def finish(self) -> Transcript:
        """End the utterance; what is accepted afterwards belongs to the next."""
        self._advance(self._features.finish())
        if self._kept:
            result = self._recognizer._transcribe(np.concatenate(self._kept))
        else:
            result = self._recognizer._transcript(self._search.finish())
        self._mean = self._features.mean
        self._begin()
        return result

    def _advance(self, features: np.ndarray) -> None:
        for scores in self._recognizer._scores(features):
            self._search.advance(scores)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _with_lattice(options: DecodeOptions, recipe: Recipe | None) -> DecodeOptions:
    """Options whose search makes a lattice, where something needs one."""
    needed = options.second_pass.needs_lattice or bool(recipe and recipe.rescore_lms)
    if not needed or options.beam.lattice_beam:
        return options
    return replace(options, beam=replace(options.beam, lattice_beam=LATTICE_BEAM))


def read_understander(grammar: str | Path) -> Understander:
    """Compile a grammar into a parser of sentences; pynini is imported only here."""
    from factored_asr.language import Grammar
    from factored_asr.understanding import Understander

    return Understander(Grammar.read(grammar))
