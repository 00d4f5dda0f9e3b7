"""Forced alignment: where in a sound the words, phones and states of a known text lie.

A Viterbi search over a graph that holds nothing but the text, every pronunciation of its words and
optional silence and fillers around them. Likelihoods count in full (no acoustic scale). The sound
is scored by the same acoustic session as in recognition, block by block, so that long sounds take
little memory.

Any text can be forced upon any sound, so each word is scored. The score is its likelihood a frame
against that of the best phone out of context, which knows nothing of the text.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from factored_asr.acoustic.model import AcousticModel, Frames
from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.reading import Source
from factored_asr.decoder import BeamOptions, Search
from factored_asr.errors import FormatError, OptionError
from factored_asr.graph import Graph, GraphOptions, build_alignment_graph, make_units
from factored_asr.graph.alignment import Ways
from factored_asr.language.written import Piece, TextRules, read_written, skipped_text
from factored_asr.lattice import Path, WordSegment
from factored_asr.lexicon import Lexicon
from factored_asr.models.recipe import Recipe
from factored_asr.recognizer.session import begun
from factored_asr.recognizer.times import word_timer
from factored_asr.results.alignment import AlignedWord, Alignment, State
from factored_asr.results.transcript import Phone, Word


@dataclass(frozen=True)
class AlignOptions:
    """How a text is laid over a sound."""

    beam: float = 300.0
    """Cost (unscaled, -log) a path may lie behind the best; higher: slower, safer."""
    max_active: int = 3000
    """States looked at a frame at most, 0 for no limit; higher: slower, safer."""
    retry_beam: float = 1000.0
    """Tried where no path reached the end of the text; 0: not tried."""
    retry_max_active: int = 50_000
    """States looked at a frame at most when it is tried again; 0 for no limit."""
    min_score: float = -5.0
    """A word below this score counts as not said; higher: more words are doubted. On the read
    English with foreign accents that it was set on, 3 % of the words that were said lie below the
    default. So do 60 % of words that were put in the place of others."""
    min_mean_score: float = -3.0
    """If the mean score of a text's words is below it, words below it count as not said, too. Of 45
    read sentences, most with foreign accents, one has such a mean, and nine in ten where two thirds
    of the words are replaced."""
    rules: TextRules = TextRules(case=False)
    """How the text is read. Words of the lexicon are never split."""
    graph: GraphOptions = field(
        default_factory=lambda: GraphOptions(silence_probability=0.1, filler_probability=1e-4)
    )
    """Costs of silence, fillers and transitions."""

    def __post_init__(self) -> None:
        if not self.beam > 0:
            raise OptionError(f"beam must be above 0, got {self.beam}")
        for name in ("max_active", "retry_beam", "retry_max_active"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be 0 or more, got {getattr(self, name)}")


def split_words(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Return the words of a text as written, without punctuation and annotations.

    Examples
    --------
    >>> from factored_asr.lexicon import Pronunciation
    >>> split_words("[noise] Oh, no - 21!", Lexicon({"oh": (Pronunciation(("OW",)),)}))
    ('Oh', 'no', '21')
    """
    pieces = read_written(text, AlignOptions().rules, lexicon.knows)
    return tuple(piece.text for piece in pieces if piece.words)


class Aligner:
    """Lays texts over sounds with one model and lexicon; any number of threads may share it.

    Examples
    --------
    >>> from factored_asr.models.bundle import Bundle
    >>> from factored_asr.models.recipe import Recipe
    >>> recipe = Recipe(Bundle.find("en-us"))
    >>> aligner = Aligner(recipe.bundle.acoustic_model(), recipe.read_lexicon())
    >>> aligned = aligner.align("examples/audio/music_stop.wav", "stop the music")
    >>> [each.word.text for each in aligned.words]
    ['stop', 'the', 'music']
    """

    def __init__(
        self,
        model: AcousticModel,
        lexicon: Lexicon,
        options: AlignOptions | None = None,
        complete: Callable[[Lexicon, Sequence[str]], Lexicon] | None = None,
        timed_by: str = "",
    ):
        """`complete` adds words that the lexicon lacks to it, such as `Recipe.with_guesses`;
        `timed_by` names the model where it is another one than the recogniser's."""
        self.model, self.lexicon = model, lexicon
        self._complete, self._timed_by = complete, timed_by
        self.options = options or AlignOptions()
        self._units = make_units(model, self.options.graph.transition_scale)

    def align(
        self, source: Source | Frames, text: str, *, sample_rate: int | None = None
    ) -> Alignment:
        """Find where each word of a text is said.

        Parameters
        ----------
        source
            A path, ``"-"`` for standard input, a binary file object, or an array of samples.
        text
            What is said, as people write it: with punctuation, numerals ("21" is one word), labels
            of speakers and annotations such as "[noise]", which are skipped; see `TextRules`.
        sample_rate
            Hz of an array; needed with an array, and only there.

        Returns
        -------
        Alignment
            With a score for each word, and a list of those that do not fit. Without words, and
            with the reason, where no path through the text survived.

        Raises
        ------
        MissingError
            Words have no pronunciation; all are named. Or there is no such file.
        FormatError
            The text has no words; the sound is empty, truncated, no audio, or not finite.
        """
        pieces = read_written(text, self.options.rules, self.lexicon.knows)
        skipped = skipped_text(pieces)
        pieces = [piece for piece in pieces if piece.words]
        if not pieces:
            raise FormatError("the text to be aligned has no words"
                              + (f" that are said: {', '.join(skipped)}" if skipped else ""))
        lexicon, ways = self._pronounceable(pieces)
        graph = build_alignment_graph(self.model, lexicon, ways, self.options.graph, self._units)
        with blas_threads():
            path, fit = self._search(graph, source, sample_rate)
        duration = len(fit) * self.model.frame_seconds
        if path is None:
            reason = _no_path(len(pieces), duration)
            return Alignment(duration=duration, reason=reason, skipped=skipped,
                             timed_by=self._timed_by)
        aligned = self._doubted([
            self._word(piece, segments, fit)
            for piece, segments in zip(pieces, _grouped(path.segments, ways), strict=True)
        ])
        phones = tuple(
            Phone(each.phone, *self._seconds(each.start, each.end)) for each in path.phones
        )
        states = tuple(states_of(graph, path, self.model.frame_seconds))
        return Alignment(aligned, phones, states, duration, _doubts(aligned), skipped,
                         self._timed_by)

    def _doubted(self, words: Sequence[AlignedWord]) -> tuple[AlignedWord, ...]:
        """Doubt more words of a text whose words fit badly on the whole."""
        least = self.options.min_mean_score
        if np.mean([each.score for each in words]) >= least:
            return tuple(words)
        return tuple(replace(each, fits=each.fits and each.score >= least) for each in words)

    def _pronounceable(self, pieces: Sequence[Piece]) -> tuple[Lexicon, list[Ways]]:
        """Return the lexicon, completed, and the ways to say each word that it can pronounce."""
        known = [tuple(way for way in piece.ways if not self.lexicon.missing(way))
                 for piece in pieces]
        ways = [found or piece.ways[:1] for found, piece in zip(known, pieces, strict=True)]
        if not self._complete:
            return self.lexicon, ways
        words = [word for several in ways for way in several for word in way]
        return self._complete(self.lexicon, words), ways

    def _search(
        self, graph: Graph, source: Source | Frames, sample_rate: int | None
    ) -> tuple[Path | None, np.ndarray]:
        """The best path to the end of the text, if any; and how well it fits each frame.

        The fit, (n_frames,), is the log-likelihood of the path's state over that of the best phone
        out of context.
        """
        free_pdfs = self.model.topology.free_pdfs
        pdfs = np.union1d(graph.pdfs, free_pdfs)
        columns = np.searchsorted(pdfs, free_pdfs)
        session, blocks = begun(self.model, pdfs, source, sample_rate)
        best = [np.zeros(0, np.float32)]
        for beam, limit in self._widths():
            width = BeamOptions(beam=beam, max_active=limit, min_active=0, lattice_beam=0.0)
            search = Search(graph, width, pdfs=pdfs)
            best = best[:1]
            for scores in blocks:
                best.append(scores[:, columns].max(axis=1))
                search.advance(scores)
            path, free = search.finish().best(), np.concatenate(best)
            if path.reached_final:
                return path, session.path_scores(graph.label_pdf[path.labels]) - free
            blocks = session.scores(pdfs)
        return None, free

    def _widths(self) -> Iterator[tuple[float, int]]:
        """Beam and states a frame of the first try, and of the second where it is wanted."""
        yield self.options.beam, self.options.max_active
        if self.options.retry_beam:
            yield self.options.retry_beam, self.options.retry_max_active

    def _word(self, piece: Piece, segments: Sequence[WordSegment], fit: np.ndarray) -> AlignedWord:
        phones = [phone for segment in segments for phone in segment.phones]
        start, end = self._seconds(phones[0].start, phones[-1].end)
        ends = tuple(self._seconds(phone.end)[0] for phone in phones)
        if any(a.end != b.start for a, b in itertools.pairwise(phones)):
            ends = ()  # a pause inside "21": phones do not follow each other
        word = Word(piece.text, start, end, None, tuple(phone.phone for phone in phones), ends)
        spoken = np.concatenate([fit[each.phones[0].start : each.phones[-1].end]
                                 for each in segments])
        score = float(spoken.mean())
        said = tuple(segment.word for segment in segments)
        return AlignedWord(word, score, score >= self.options.min_score, said)

    def _seconds(self, *frames: int) -> tuple[float, ...]:
        return tuple(frame * self.model.frame_seconds for frame in frames)


def aligner_of(
    recipe: Recipe, model: AcousticModel | None = None, options: AlignOptions | None = None
) -> Aligner:
    """Return the aligner of a recipe's dictionary, by default with its bundle's model, or with the
    one that gives words their times."""
    timed_by = ""
    if model is None and recipe.settings.align_words:
        timer = word_timer()
        model, timed_by = timer.model, timer.name
    elif model is None:
        model = recipe.bundle.acoustic_model().configured(recipe.settings.tools)
    complete = recipe.with_guesses if recipe.guess else None
    return Aligner(model, recipe.read_lexicon(), options, complete, timed_by)


def states_of(graph: Graph, path: Path, frame_seconds: float) -> Iterator[State]:
    """Yield the stays in states: one ends where phone or state change, or a phone begins."""
    labels = path.labels
    phone, state = graph.label_phone[labels], graph.label_state[labels]
    begins = np.append(True, (phone[1:] != phone[:-1]) | (state[1:] != state[:-1]))
    begins[[phone.start for phone in path.phones]] = True
    firsts = np.flatnonzero(begins)
    for first, end in zip(firsts, np.append(firsts[1:], len(labels)), strict=True):
        label = labels[first]
        yield State(
            graph.phones[graph.label_phone[label]], int(graph.label_state[label]),
            int(graph.label_pdf[label]), int(first) * frame_seconds, int(end) * frame_seconds,
        )


def _grouped(segments: Sequence[WordSegment], ways: Sequence[Ways]) -> list[list[WordSegment]]:
    """Return the spoken words of each written word."""
    words = tuple(segment.word for segment in segments)
    reached: dict[int, Any] = {0: None}  # number of words → where the written words begin, a chain
    for several in ways:
        reached = {
            at + len(way): (at, before) for at, before in reached.items() for way in several
            if words[at : at + len(way)] == way
        }
    groups, end, chain = list[list[WordSegment]](), len(words), reached[len(words)]
    while chain:
        start, chain = chain
        groups.append(list(segments[start:end]))
        end = start
    return groups[::-1]


def _no_path(n_words: int, duration: float) -> str:
    return (
        f"the text does not fit the sound: no path through its {n_words} words "
        f"ends with the {duration:.2f} s of sound"
    )


def _doubts(words: tuple[AlignedWord, ...]) -> str:
    doubtful = [f"'{each.word.text}' at {each.word.start:.2f} s" for each in words if not each.fits]
    if not doubtful:
        return ""
    more = f" and {len(doubtful) - 5} more" if len(doubtful) > 5 else ""
    return f"{len(doubtful)} of {len(words)} words do not fit: {', '.join(doubtful[:5])}{more}"
