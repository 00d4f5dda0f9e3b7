"""The pipeline: sound, features, scores, search, words, meaning.

One `Recognizer` serves any number of threads and streams at once: model and graph are read-only,
and all that changes belongs to a call or to a `factored_asr.recognizer.stream.Stream`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from factored_asr.acoustic import GmmModel
from factored_asr.acoustic.gmm.model import in_blocks
from factored_asr.acoustic.gmm.noise_adaptation import NoiseAdapter
from factored_asr.audio.reading import Source, read_audio
from factored_asr.decoder import EndpointOptions
from factored_asr.decoder.background import (
    NO_SPEECH,
    RivalSearch,
    decode_beside,
    misfit,
    pdfs_beside,
)
from factored_asr.errors import MissingError
from factored_asr.features import FrontEnd, speech_frames
from factored_asr.features.files import is_feature_file, read_feature_file
from factored_asr.features.normalisation import min_range
from factored_asr.graph import Graph
from factored_asr.lattice import Lattice, SecondPassOptions
from factored_asr.models.bundle import Bundle
from factored_asr.models.grammars import read_understander
from factored_asr.models.recipe import Progress, Recipe, Words
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.alignment import Aligner, aligner_of
from factored_asr.recognizer.speaker import SpeakerOptions, adapt_to_speaker
from factored_asr.recognizer.stream import Parts, Stream
from factored_asr.results.transcript import Alignment, Transcript, words_of
from factored_asr.understanding import Interpretation, Understander
from factored_asr.understanding.over_lattice import interpret

if TYPE_CHECKING:
    from factored_asr.explain import ExplainOptions, Explanation


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
        model: GmmModel,
        graph: Graph,
        options: DecodeOptions | None = None,
        grammar: Path | None = None,
        recipe: Recipe | None = None,
        background: Graph | None = None,
    ):
        options = options or DecodeOptions()
        if options.front_end:
            model = replace(model, features=model.features.changed(options.front_end))
        self.model, self.graph, self.background = model, graph, background
        self._second_pass = recipe.second_pass(options) if recipe else None
        self.options = options.with_lattice() if self._second_pass else options
        self._front_end = FrontEnd(model.features)
        pdfs = pdfs_beside(graph, background)
        self._score = model.unadapted.scorer(pdfs)
        self._scores = in_blocks(self._score, options.acoustic_scale)
        self._noise = NoiseAdapter(model.unadapted, pdfs, options.noise) if options.noise else None
        self._grammar, self._recipe = grammar, recipe
        self._aligner: Aligner | None = None
        self._understander: Understander | None = None
        self._compiling = threading.Lock()

    @staticmethod
    def load(
        model: str | Path = "en-us",
        *,
        grammar: str | Path | None = None,
        lm: str | Path | None = None,
        lexicon: str | Path | None = None,
        words: Words | None = None,
        guess: bool | str | Path = False,
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
        guess
            Guess how words are said that no dictionary has, with a `GuessWarning` for each: by a
            model of letters and phones learnt from the dictionary, or by the one in this file.
        options
            Scale and beams; what suits dictation or commands where None.
        rescore_lms, lm_weights
            N-gram models (ARPA, Sphinx trie, KenLM's binary) that weigh anew what the first pass
            heard, interpolated by these weights of sum 1; by equal ones where none are given.
        second_pass
            What else is done with a lattice: N-best lists, confidences, the words of least risk.
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
        grammar, lm, lexicon = (p if p is None else Path(p) for p in (grammar, lm, lexicon))
        words = Path(words) if isinstance(words, str) else words
        guess = Path(guess) if isinstance(guess, str) else guess
        recipe = Recipe(
            Bundle.find(model), grammar, lm, lexicon, words, options, guess,
            tuple(map(Path, rescore_lms)), tuple(lm_weights),
        )
        if second_pass is not None:
            recipe = replace(recipe, options=replace(recipe.settings, second_pass=second_pass))
        return Recognizer.from_recipe(recipe, progress)

    @staticmethod
    def from_recipe(recipe: Recipe, progress: Progress | None = None) -> Recognizer:
        """Like `load`, from a recipe that is already made."""
        model = recipe.bundle.acoustic_model()
        graph, beside = recipe.graph(model, progress), recipe.background(model)
        return Recognizer(model, graph, recipe.settings, recipe.grammar, recipe, beside)

    def transcribe(self, source: Source, *, sample_rate: int | None = None) -> Transcript:
        """Recognise a whole sound.

        Parameters
        ----------
        source
            A path (of cepstra, too: see `factored_asr.features.files`), ``"-"`` for standard input,
            a binary file object, or an array of samples.
        sample_rate
            Hz of an array; needed with an array, and only there.

        Raises
        ------
        FormatError
            The sound is empty, truncated, no audio, or holds a sample that is not finite.
        MissingError
            There is no such file.
        """
        if isinstance(source, str | Path) and is_feature_file(source):
            return self.transcribe_cepstra(read_feature_file(source, self.model.features.n_cepstra))
        return self._transcribe(self._read(source, sample_rate))

    def transcribe_cepstra(self, cepstra: np.ndarray) -> Transcript:
        """Recognise a whole utterance from its static cepstra, before any mean is taken off.

        Parameters
        ----------
        cepstra
            (n_frames, n_cepstra), of the front end that the model was trained on.

        Raises
        ------
        FormatError
            A value is not finite.
        OptionError
            The cepstra have another shape.
        """
        features = self._front_end.features_from_cepstra(cepstra)
        if not speech_frames(cepstra, min_range(self.model.features)).any():
            return Transcript(duration=len(cepstra) * self.model.frame_seconds, reason=NO_SPEECH)
        moved = self._noise and self._noise.scorer_if_noisy(cepstra)
        scale = self.options.scale_of(cepstra, self.model.features)
        scores = in_blocks(moved or self._score, scale)(features)
        return self._searched(scores, scale, in_noise=moved is not None)

    def transcribe_features(self, features: np.ndarray) -> Transcript:
        """Recognise a whole utterance from its features.

        Parameters
        ----------
        features
            (n_frames, n_features) as `features` gives them.

        Raises
        ------
        OptionError
            The features have another shape, or a value is not finite.
        """
        return self._searched(self._scores(features))

    def _searched(
        self, scores: Iterable[np.ndarray], scale: float | None = None, in_noise: bool = False
    ) -> Transcript:
        lattice = decode_beside(self.graph, scores, self.options.beam, self.background)
        return self._transcript(replace(lattice, in_noise=in_noise), scale)

    def with_model(self, model: GmmModel) -> Recognizer:
        """A recogniser that scores sound by another model, over the same graph.

        Parameters
        ----------
        model
            Of the same phones and HMMs: say, this one's `with_transform` of a speaker. Behind a
            map a model is not moved to the noise of a sound.
        """
        options = self.options if model.transform is None else replace(self.options, noise=None)
        made_of = options, self._grammar, self._recipe, self.background
        other = Recognizer(model, self.graph, *made_of)
        other._understander = self._understander
        return other

    def features(self, source: Source, *, sample_rate: int | None = None) -> np.ndarray:
        """(n_frames, n_features): what the front end makes of a sound; see `transcribe`."""
        return self._front_end.features(self._read(source, sample_rate))

    def adapted(
        self, utterances: Sequence[np.ndarray], options: SpeakerOptions | None = None
    ) -> Recognizer:
        """A recogniser for one speaker, learnt from what this one hears of them.

        Nobody need say what was said. A minute of speech is plenty; from a few seconds little is
        learnt, and little is risked.

        Parameters
        ----------
        utterances
            `features` of some sounds of the speaker, those to be transcribed among them.
        options
            How freely the map of the speaker's features may move.

        Examples
        --------
        >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> sound = "examples/audio/kitchen_light_on.wav"
        >>> recognizer.adapted([recognizer.features(sound)]).transcribe(sound).text
        'turn on the kitchen light'
        """
        model = adapt_to_speaker(self.model, self.graph, utterances, self.options, options)
        return self.with_model(model)

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
                self._aligner = aligner_of(self._recipe, self.model.unadapted)
        return self._aligner.align(source, text, sample_rate=sample_rate)

    def explain(
        self, source: Source, *, sample_rate: int | None = None,
        options: ExplainOptions | None = None, progress: Progress | None = None,
    ) -> Explanation:
        """Why a sound (no cepstra) is heard as it is, factor by factor: see `explain.explain`."""
        from factored_asr.explain import ExplainOptions, explain

        options, beside = options or ExplainOptions(), self.background
        samples = self._read(source, sample_rate)
        settings = options.widened(self.options, self._grammar)
        alone = Recognizer(self.model, self.graph, settings, self._grammar, None, beside)
        said = alone._transcribe(samples)
        recipe = self._recipe and replace(self._recipe, options=settings)
        return explain(said, samples, self.model, self.graph, recipe, options, progress, beside)

    def stream(
        self, endpoint: EndpointOptions | None = None, *, second_look: bool = False
    ) -> Stream:
        """Begin an utterance whose sound comes bit by bit.

        Parameters
        ----------
        endpoint
            When an utterance counts as ended.
        second_look
            Decode up to 30 s again at their end, with their own mean and noise: twice the work.
        """
        parts = Parts(
            self._front_end, self._scores, self._transcript,
            RivalSearch(self.graph, self.options.beam, self.background),
            self._transcribe if second_look else None,
        )
        return Stream(parts, endpoint or EndpointOptions())

    def _read(self, source: Source, sample_rate: int | None) -> np.ndarray:
        rate = self.model.features.sample_rate
        return read_audio(source, sample_rate=rate, array_rate=sample_rate)[0]

    def _transcribe(self, samples: np.ndarray) -> Transcript:
        return self.transcribe_cepstra(self._front_end.cepstra(samples))

    def _transcript(self, lattice: Lattice, scale: float | None = None) -> Transcript:
        scale, seconds = scale or self.options.acoustic_scale, self.model.frame_seconds
        lattice = replace(lattice, acoustic_scale=scale, frame_seconds=seconds)
        path, confidences = lattice.best(), tuple[float, ...]()
        segments, duration = path.segments, lattice.n_frames * seconds
        if reason := misfit(lattice):
            return Transcript((), duration, reason=reason, lattice=lattice)
        if not path.reached_final:  # broken off: dictation loses a word, a command its sense
            segments = () if self._grammar else segments[:-1]
        elif self._second_pass:
            chosen = self._second_pass(lattice)
            segments, confidences, lattice = chosen.segments, chosen.confidences, chosen.lattice
        words = words_of(segments, seconds, confidences)
        return Transcript(
            words, duration, math.prod(confidences) if confidences else None,
            self._understood(lattice) if words else None,
            "" if words else lattice.reason or NO_SPEECH, lattice,
        )

    def _understood(self, lattice: Lattice) -> Interpretation | None:
        if self._grammar is None:
            return None
        with self._compiling:
            if self._understander is None:
                self._understander = read_understander(self._grammar)
        return interpret(lattice, self._understander)
