"""The recogniser: knowledge sources loaded and put together, and everything one does with them.

One `Recognizer` serves any number of threads and streams at once: model and graph are read-only,
and all that changes belongs to a `Session` or a `Stream`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from factored_asr.acoustic.model import AcousticModel, Frames
from factored_asr.audio.microphone import microphone
from factored_asr.audio.reading import Source
from factored_asr.decoder import EndpointOptions
from factored_asr.errors import MissingError
from factored_asr.graph import Graph
from factored_asr.language import Grammar, Hotwords
from factored_asr.language.grammar.sampling import random_sentences
from factored_asr.lattice import SecondPassOptions
from factored_asr.models.bundle import Bundle
from factored_asr.models.grammars import read_understander
from factored_asr.models.recipe import Progress, Recipe, Words
from factored_asr.models.settings import DecodeOptions
from factored_asr.models.vocabulary import Lists, NewWords, Vocabulary
from factored_asr.recognizer.alignment import Aligner, aligner_of
from factored_asr.recognizer.former import FormerMethods, sound_of
from factored_asr.recognizer.listening import Listening, utterances
from factored_asr.recognizer.session import Pipeline, begun, read_sound
from factored_asr.recognizer.speaker import SpeakerOptions, adapt_to_speaker
from factored_asr.recognizer.stream import Stream
from factored_asr.recognizer.words import Meaning, RunTimeWords
from factored_asr.results.alignment import Alignment
from factored_asr.results.transcript import Transcript

if TYPE_CHECKING:
    from factored_asr.detectors import Detector
    from factored_asr.explain import ExplainOptions, Explanation


class Recognizer(RunTimeWords, FormerMethods):
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
        grammar: Path | Grammar | None = None,
        recipe: Recipe | None = None,
        background: Graph | None = None,
    ):
        options = options or DecodeOptions()
        second_pass = recipe.second_pass(options) if recipe else None
        self.options = options.with_lattice() if second_pass else options
        self.model = model.configured(options.tools)
        self.graph, self.background = graph, background
        self.pipeline = Pipeline(self.model, graph, self.options, background, grammar is not None,
                                 second_pass, None if grammar is None else
                                 Meaning(partial(read_understander, grammar)))
        self.recipe = recipe
        self._grammar = grammar
        self._is_loaded = False  # from a recipe, and unchanged

    @staticmethod
    def load(
        model: str | Path | None = None,
        *,
        grammar: str | Path | Grammar | None = None,
        conversation: bool = False,
        lm: str | Path | None = None,
        lexicon: str | Path | None = None,
        words: Words | None = None,
        guess: bool | str | Path = False,
        options: DecodeOptions | None = None,
        rescore_lms: Sequence[str | Path] = (),
        lm_weights: Sequence[float] = (),
        second_pass: SecondPassOptions | None = None,
        hotwords: Hotwords | None = None,
        lists: Lists | None = None,
        graph: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Recognizer:
        """Load a model with its graph, which is compiled on first use and then cached.

        Parameters
        ----------
        model
            ``en-us-network``, ``en-us``, or a model folder; None: `models.bundle.default_model`.
        grammar
            A grammar file or folder, or a `Grammar`: only its sentences are recognised, and they
            are understood.
        conversation
            Recognise also what a `Dialogue` makes of these sentences: "no, the hall", "turn it
            off", "undo that", "yes". `Dialogue.hear` takes the transcripts.
        lm
            An n-gram model (ARPA, plain or gzip; Sphinx trie) in place of the model's own.
        lexicon
            A dictionary that replaces the model's own.
        words
            A dictionary file that extends it, or a mapping ``{"word": "PHONE PHONE"}``: see
            `with_words`. The model's own graph for dictation is not compiled for them.
        guess
            Guess how words are said that no dictionary has, with a `GuessWarning` for each. True:
            by a model of letters and phones learnt from the dictionary; a path: by that file's.
        options
            Scale and beams; what suits dictation or commands where None.
        rescore_lms, lm_weights
            N-gram models (ARPA, Sphinx trie, KenLM's binary) that rescore what the first pass
            heard, interpolated by these weights of sum 1; by equal ones where none are given.
        second_pass
            What else is done with a lattice: N-best lists, confidences, the words of least risk.
        hotwords
            Phrases that are found more often: see `with_hotwords`.
        lists
            Entries of the grammar's replaceable lists: see `with_lists`.
        graph
            A folder that ``factored-asr compile --output`` wrote from the same model, dictionary,
            language model and options, on this machine or another; None: the cache.
        progress
            Progress callback: each stage of compiling; None disables it.

        Raises
        ------
        MissingError
            There is no such model or file, or a word of the grammar has no pronunciation.
        FormatError
            A file breaks its format.
        OptionError
            A grammar and a language model at once.
        """
        lm, lexicon = (p if p is None else Path(p) for p in (lm, lexicon))
        grammar = Path(grammar) if isinstance(grammar, str) else grammar
        words = Path(words) if isinstance(words, str) else words
        guess = Path(guess) if isinstance(guess, str) else guess
        recipe = Recipe(Bundle.find(model), grammar, lm, lexicon, words, options, guess,
                        tuple(map(Path, rescore_lms)), tuple(lm_weights), conversation, lists,
                        hotwords)
        if graph is not None:
            recipe = replace(recipe, graph_folder=Path(graph))
        if second_pass is not None:
            recipe = replace(recipe, options=replace(recipe.settings, second_pass=second_pass))
        return Recognizer.from_recipe(recipe, progress)

    @staticmethod
    def from_recipe(recipe: Recipe, progress: Progress | None = None) -> Recognizer:
        """Like `load`, from a recipe that is already made."""
        model = recipe.bundle.acoustic_model()
        graph, background = recipe.graph(model, progress), recipe.background(model)
        made = Recognizer.of(recipe, model, graph, background)
        made._is_loaded = True
        return made

    @staticmethod
    def of(
        recipe: Recipe, model: AcousticModel, graph: Graph, background: Graph | None = None
    ) -> Recognizer:
        """Return the recogniser of a recipe whose compiled graphs are at hand."""
        plain = recipe.plain
        made = Recognizer(model, graph, plain.settings, plain.grammar, plain, background)
        made._is_loaded = False
        more, knows = recipe.vocabulary, made._knowledge
        words = Vocabulary()
        if recipe.adds_words and recipe.words:
            words = knows.with_words(words, recipe.read_words(), None)
        words = replace(more, words=(*words.words, *more.words), lists=(), commands=())
        for commands in more.commands:
            words = knows.with_commands(words, commands)
        if graph.lists:
            words = knows.with_first_lists(words)
        if recipe.lists:
            words = knows.with_lists(words, recipe.lists)
        words = replace(words, lists=tuple((dict(words.lists) | dict(more.lists)).items()))
        if recipe.hotwords:
            words = knows.with_hotwords(words, recipe.hotwords)
        return made if words.is_empty else made._changed(words)

    def __reduce__(self) -> tuple[Callable[[Recipe], Recognizer], tuple[Recipe]]:
        """A copy is loaded from the same files, whose graph is in the cache."""
        if self.recipe is None or not self._is_loaded:
            raise TypeError(
                "this recogniser is of a model or a graph in memory and cannot be pickled: load or "
                "adapt one in each process; threads may share one"
            )
        return Recognizer.from_recipe, (self.recipe,)

    def transcribe(
        self, source: Source | Frames, *, sample_rate: int | None = None,
        words: NewWords | None = None, hotwords: Hotwords | None = None,
        lists: Lists | None = None,
    ) -> Transcript:
        """Recognise a whole sound.

        Parameters
        ----------
        source
            A path, ``"-"`` for standard input, a binary file object, the bytes of a file, or an
            array of samples (see `factored_asr.audio.as_samples`). Ready-made frames are taken as
            well, and paths of feature files (see `factored_asr.features.files`).
        sample_rate
            Hz of an array, which needs it; or of bare 16-bit samples without a header.
        words, hotwords, lists
            For this sound only: see `with_words`, `with_hotwords` and `with_lists`.

        Raises
        ------
        FormatError
            The sound is empty, truncated, no audio, or holds a sample that is not finite.
        MissingError
            There is no such file.
        """
        return self._for_one(words, hotwords, lists).pipeline.transcribe(source, sample_rate)

    def with_model(self, model: AcousticModel) -> Recognizer:
        """Return a recogniser that scores sound by another model, over the same graph.

        Parameters
        ----------
        model
            Of the same phones and HMMs: say, this one's `with_transform` of a speaker.
        """
        other = object.__new__(Recognizer)
        other.__dict__.update(self.__dict__)
        other._is_loaded = False
        other.model = model.configured(self.options.tools)
        other.pipeline = replace(self.pipeline, model=other.model)
        other.__dict__.pop("aligner", None)
        return other

    def with_grammar(self, grammar: str | Path | Grammar) -> Recognizer:
        """Return a recogniser for the sentences of a grammar, which shares the acoustic model.

        So a program switches between grammars from one utterance to the next. The graph is
        compiled, or comes from the cache. Options are those that suit commands, or this one's if
        it has a grammar, too.

        Raises
        ------
        MissingError
            There is no such grammar, or a word of it has no pronunciation.
        FormatError
            The grammar breaks its format.

        Examples
        --------
        >>> lights = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> house = lights.with_grammar("lm/house.yaml")
        >>> house.transcribe("examples/audio/kitchen_light_on.wav").text
        'turn on the kitchen light'
        """
        recipe = self._knowledge.recipe
        grammar = Path(grammar) if isinstance(grammar, str) else grammar
        options = recipe.options if recipe.grammar else None
        other = replace(recipe, grammar=grammar, lm=None, options=options, rescore_lms=(),
                        lm_weights=(), conversation=False, graph_folder=None)
        made = Recognizer.of(other, self.model, other.graph(self.model),
                             other.background(self.model))
        made._is_loaded = True
        return made

    def with_second_pass(self, options: SecondPassOptions) -> Recognizer:
        """Return a recogniser with another second pass, over the same graph.

        Raises
        ------
        MissingError
            The recogniser was made without a recipe.
        """
        if self.recipe is None:
            raise MissingError("this recogniser has no language model: it was made from a graph")
        plain = self._knowledge
        settings = replace(plain.recipe.settings, second_pass=options)
        recipe = replace(plain.recipe, options=settings)
        made = Recognizer(plain.model, plain.base, settings, recipe.grammar, recipe,
                          self.background)
        vocabulary = self._vocabulary
        return made if vocabulary.is_empty else made._changed(vocabulary)

    def adapted(
        self, sounds: Sequence[Source | Frames], options: SpeakerOptions | None = None,
        *, sample_rate: int | None = None,
    ) -> Recognizer:
        """Return a recogniser for one speaker, adapted to what this one recognises of them.

        No transcript is needed. A minute of speech is plenty; from a few seconds little is
        learnt, and little is risked.

        Parameters
        ----------
        sounds
            Some sounds of the speaker, those to be transcribed among them; paths or arrays.
        options
            How freely the model may move.
        sample_rate
            Hz of arrays.

        Raises
        ------
        OptionError
            The acoustic model cannot be adapted in this way.

        Examples
        --------
        >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> sound = "examples/audio/kitchen_light_on.wav"
        >>> recognizer.adapted([sound]).transcribe(sound).text
        'turn on the kitchen light'
        """
        sounds = [sound_of(each, sample_rate) for each in sounds]
        return self.with_model(adapt_to_speaker(self.pipeline, sounds, options, sample_rate))

    def read(self, source: Source, *, sample_rate: int | None = None) -> np.ndarray | Frames:
        """Return the samples of a source at the model's rate, or its ready-made frames.

        Parameters and errors are those of `transcribe`.
        """
        return read_sound(self.model, source, sample_rate)

    def normalised_over(
        self, sounds: Sequence[Source | Frames], *, sample_rate: int | None = None
    ) -> Recognizer:
        """Return a recogniser that normalises each sound by what all these sounds have in common.

        Parameters
        ----------
        sounds
            Sounds of one speaker; paths or arrays.
        sample_rate
            Hz of arrays.
        """
        sessions = [begun(self.model, self.graph.pdfs, each, sample_rate)[0] for each in sounds]
        return self.with_model(self.model.normalised_over(sessions))

    def align(self, source: Source, text: str, *, sample_rate: int | None = None) -> Alignment:
        """Find where in a sound the words, phones and states of a known text lie.

        Parameters and errors are those of `Aligner.align`; the lexicon is the recogniser's own.

        Raises
        ------
        MissingError
            A word has no pronunciation, or the recogniser was made without a recipe.
        """
        return self.aligner.align(source, text, sample_rate=sample_rate)

    @cached_property
    def aligner(self) -> Aligner:
        """Lays texts over sounds, with this recogniser's lexicon and the model of its times."""
        if self.recipe is None:
            raise MissingError("this recogniser has no lexicon: it was made from a graph")
        return aligner_of(self.recipe, None if self.options.align_words else self.model)

    def explain(
        self, source: Source, *, sample_rate: int | None = None,
        options: ExplainOptions | None = None, progress: Progress | None = None,
    ) -> Explanation:
        """Explain why a sound is recognised as it is: `explain.explain` with this recogniser."""
        from factored_asr import explain as above

        return above.explain(self, source, sample_rate=sample_rate, options=options,
                             progress=progress)

    def stream(
        self, endpoint: EndpointOptions | None = None, *, sample_rate: int | None = None,
        redecode: bool | None = None, second_look: bool | None = None,  # old name
        words: NewWords | None = None, hotwords: Hotwords | None = None,
        lists: Lists | None = None,
    ) -> Stream:
        """Begin an utterance whose sound comes bit by bit.

        Parameters
        ----------
        endpoint
            When an utterance counts as ended.
        sample_rate
            Hz of the samples, such as 48000 of a microphone; None: the model's.
        redecode
            Decode up to 30 s again at their end as a whole sound, with their own mean and noise.
            The result is then that of `transcribe`, for twice the work. None: with a grammar,
            where a command is acted on, but not in dictation.
            Its former name is deprecated.
        words, hotwords, lists
            For this stream only: see `with_words`, `with_hotwords` and `with_lists`.
        """
        if second_look is not None:  # old name
            warnings.warn("second_look is now called redecode", DeprecationWarning, stacklevel=2)
            redecode = second_look  # old name
        if redecode is None:
            redecode = self.pipeline.is_grammar
        pipeline = self._for_one(words, hotwords, lists).pipeline
        return Stream(pipeline, endpoint or EndpointOptions(), redecode, sample_rate)

    def listen(
        self, blocks: Iterable[ArrayLike] | None = None, *, sample_rate: int | None = None,
        device: int | str | None = None, endpoint: EndpointOptions | None = None,
        detectors: Iterable[Detector] = (),
    ) -> Listening[Any]:
        """Return the utterances of a microphone as they end, for ``for`` and ``async for``.

        Silence gives none, and neither does speech that is rejected.

        Parameters
        ----------
        blocks
            Samples from elsewhere, block by block, as for `Stream.accept`; None: a microphone
            (needs the extra ``listen``).
        sample_rate
            Hz; None: the microphone's own, or the model's for blocks.
        device
            The microphone's number or a part of its name; None: the system's own.
        endpoint
            When an utterance counts as ended.
        detectors
            What else listens: their detections come between the transcripts, as they happen. They
            share the recogniser's frames. After a keyword of a `KeywordDetector` one utterance is
            recognised; without such a detector all are. See `detectors.SharedStream`.

        Raises
        ------
        MissingError
            The package sounddevice, or its library PortAudio, is not installed.
        OptionError
            The microphone cannot be opened, or detectors cannot use the frames of the model.

        Examples
        --------
        >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> sound = recognizer.read("examples/audio/music_stop.wav")
        >>> [said.text for said in recognizer.listen(np.array_split(sound, 20))]
        ['stop the music']
        """
        source = None
        if blocks is None:
            source = microphone(device, sample_rate)
            blocks, sample_rate = source, source.rate
        if not (detectors := tuple(detectors)):
            return Listening(utterances(self.stream(endpoint, sample_rate=sample_rate), blocks),
                             source)
        from factored_asr import detectors as above

        stream = above.SharedStream(self, detectors, endpoint, sample_rate=sample_rate)
        return Listening(above.reports(stream, blocks), source)

    def examples(self, n: int = 10, seed: int = 0) -> tuple[str, ...]:
        """Return random sentences that this recogniser of a grammar recognises.

        Raises
        ------
        MissingError
            There is no grammar.

        Examples
        --------
        >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
        >>> len(recognizer.examples(10))
        10
        """
        if self.recipe is None:
            raise MissingError("this recogniser has no grammar: it was made from a graph")
        sentences = self.recipe.sentences(frozenset(self.graph.words))
        return tuple(map(" ".join, random_sentences(sentences, n, seed)))
