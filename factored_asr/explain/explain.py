"""From a decode to its explanation: costs of the path, competitors, results without a factor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factored_asr._deprecated import renamed_fields
from factored_asr.acoustic.model import AcousticModel
from factored_asr.acoustic.threads import blas_threads
from factored_asr.audio.reading import Source, check_rate, read_audio
from factored_asr.errors import MissingError, OptionError
from factored_asr.explain.ablation import ablation, changes_to, changes_without
from factored_asr.explain.background import BackgroundShare, background_shares
from factored_asr.explain.competitors import competitors
from factored_asr.explain.expected import Expected, explain_expected
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import Costs, Prices
from factored_asr.explain.path_costs import Part, path_parts
from factored_asr.explain.transitions import Scores
from factored_asr.graph import Graph
from factored_asr.graph.grammar_scorer import GrammarScorer
from factored_asr.language import Grammar, NGramScorer, WordScorer
from factored_asr.language.classes import ClassScorer, DictationScorer
from factored_asr.lattice import CombineOptions, HotwordPass, Lattice
from factored_asr.lattice import Path as BestPath
from factored_asr.lattice.rejection import rejection
from factored_asr.lexicon import LexiconWarning
from factored_asr.lexicon.g2p import GuessWarning
from factored_asr.models.recipe import Progress, Recipe
from factored_asr.models.settings import DecodeOptions
from factored_asr.recognizer.alignment import states_of
from factored_asr.recognizer.recognizer import Recognizer
from factored_asr.recognizer.session import Found, Pipeline, Session, decide
from factored_asr.results.transcript import Transcript
from factored_asr.understanding import Interpretation

COMMANDS_BEAM, DICTATION_BEAM = 200.0, 90.0  # default beams of lattices, unscaled
WIDEST = 20.0  # of a default beam, scaled: a network's scale of 0.9 would make it 180
MAX_ACTIVE = 2000  # of the wide search of commands: in noise its beam would keep millions of arcs


@renamed_fields({"mute": "without"})  # old name
@dataclass(frozen=True)
class ExplainOptions:
    """How widely competitors are searched for, and which factors are left out or replaced.

    Examples
    --------
    >>> quick = ExplainOptions(without=(), expected="turn off the light")
    >>> quick.lattice_beam is None
    True
    """

    lattice_beam: float | None = None
    """Cost above the best path up to which competitors are kept, and the least beam of their
    search; higher: slower. None: 200 times the acoustic scale with a grammar; else 90 times, and
    the search's own beam; 20 at most."""
    without: tuple[str, ...] = ("language", "background", "weights", "pronunciation")
    """Factors to leave out one by one, of `FACTORS_TO_LEAVE_OUT`; each needs a graph of its own,
    compiled once. Default: language, background, weights, pronunciation."""
    other_lm: Path | None = None
    """Also decode with this n-gram model as the language factor; default None."""
    other_lexicon: Path | None = None
    """Also decode with this dictionary; default None."""
    expected: str = ""
    """What was said in fact: `Explanation.expected` says which factor lost it; default empty."""

    def __post_init__(self) -> None:
        for name in ("other_lm", "other_lexicon"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise MissingError(f"{path}: no such file")
            object.__setattr__(self, name, None if path is None else Path(path))
        if self.lattice_beam is not None and not 0 < self.lattice_beam < float("inf"):
            raise OptionError(f"lattice_beam must be above 0 and finite, got {self.lattice_beam}")

    def widened(self, settings: DecodeOptions, is_grammar: bool) -> DecodeOptions:
        """Return the settings of the search for competitors, with wider beams."""
        beam = settings.beam
        if self.lattice_beam is not None:
            width = self.lattice_beam, max(beam.beam, self.lattice_beam)
        else:
            unscaled = COMMANDS_BEAM if is_grammar else DICTATION_BEAM
            lattice_beam = min(unscaled * settings.least_scale, WIDEST)
            width = lattice_beam, lattice_beam if is_grammar else beam.beam
            if is_grammar and (beam.max_active > MAX_ACTIVE or not beam.max_active):
                beam = replace(beam, max_active=max(MAX_ACTIVE, beam.min_active))
        return replace(settings, beam=replace(
            beam, lattice_beam=max(beam.lattice_beam, width[0]), beam=max(beam.beam, width[1])
        ))


def explain(
    recognizer: Recognizer, source: Source, *, sample_rate: int | None = None,
    options: ExplainOptions | None = None, progress: Progress | None = None,
) -> Explanation:
    """Explain why a sound is recognised as it is, factor by factor.

    The words, their costs and the verdict are those of `Recognizer.transcribe`; only competitors
    come from a second search of the same scores with wider beams. Where a second pass chooses the
    words, the first pass is explained, and `Explanation.second_pass` has the words of the second.
    With another acoustic model (`SecondPassOptions.combine`), `Explanation.strings` has the scores
    of both.

    Parameters
    ----------
    source, sample_rate
        As for `Recognizer.transcribe`, but for ready-made frames.
    options
        How widely competitors are searched for, and which factors are left out.
    progress
        Progress callback: stages of compiling graphs; None disables it.

    Raises
    ------
    MissingError
        The recogniser was made from a ready graph, so that its factors are unknown. Or a file is
        missing.
    OptionError
        There is no factor of a name to leave out.

    Examples
    --------
    >>> from factored_asr import Recognizer
    >>> recognizer = Recognizer.load("en-us", grammar="lm/smart_home.yaml")
    >>> bare = ExplainOptions(without=())
    >>> explained = explain(recognizer, "examples/audio/kitchen_light_on.wav", options=bare)
    >>> [each.word for each in explained.words]
    ['turn', 'on', 'the', 'kitchen', 'light']
    >>> abs(explained.costs.total - explained.cost) < 1e-3
    True
    """
    options, recipe, pipeline = options or ExplainOptions(), recognizer.recipe, recognizer.pipeline
    if recipe is None:
        raise MissingError("this recogniser was made from a graph: its factors are unknown")
    second = pipeline.options.second_pass
    if pipeline.second_pass:  # the words of the first pass
        first = replace(second, combine=CombineOptions(), minimise_risk=False)
        pipeline = replace(
            pipeline, options=replace(pipeline.options, second_pass=first),
            second_pass=replace(pipeline.second_pass, options=first, scorer=None),
        )
    rate = pipeline.model.sample_rate
    check_rate(source, sample_rate)
    samples = read_audio(source, sample_rate=rate, array_rate=sample_rate)[0]
    session = Session(pipeline, whole=True)
    session.feed(samples, rate)
    found = session.search()
    transcript = decide(pipeline, found)
    rescored = transcript if pipeline is recognizer.pipeline else decide(recognizer.pipeline, found)
    explanation = Explanation(
        transcript, is_grammar=pipeline.is_grammar, models=_models(recipe, transcript),
        second_pass="" if rescored.text == transcript.text else rescored.text,
        strings=rescored.scored_twice,
        acoustic_scale=pipeline.options.acoustic_scale, samples=samples, sample_rate=rate,
        frame_seconds=pipeline.model.frame_seconds,
    )
    if not found.lattice.best().n_frames:
        return explanation
    with blas_threads(pipeline.options.threads):
        return _with_path(explanation, session, found, recognizer, options, progress)


def _with_path(
    explanation: Explanation, session: Session, found: Found, recognizer: Recognizer,
    options: ExplainOptions, progress: Progress | None,
) -> Explanation:
    """Return the explanation with its path, the competitors, and the decodes without factors."""
    pipeline, recipe, path = session.pipeline, recognizer.recipe, found.lattice.best()
    assert recipe is not None
    hotwords = pipeline.hotwords
    if hotwords is not None:
        path = _path_with(hotwords, session, found, recognizer)
    model, graph, settings = pipeline.model, pipeline.graph, pipeline.options
    wide = replace(pipeline, options=options.widened(settings, pipeline.is_grammar),
                   background=None)
    lattice = session.redecode(wide).lattice
    prices = prices_of(replace(recipe, options=settings), model, graph,
                       recognizer.with_added)
    if hotwords is not None:
        lattice, prices = hotwords(lattice), replace(prices, hotwords=hotwords.scorer)
    recipe = _compiling(recipe)
    score = _scaled(session)
    free = np.concatenate([each.max(axis=1) for each in score(model.topology.free_pdfs)])
    parts = path_parts(graph, path, _path_scores(session, graph, path), free, prices)
    others = iter(competitors(lattice, prices, score, path.word_ids))
    changes = [
        *changes_without(options.without, recipe, model, graph, prices.lexicon, prices.scorer),
        *changes_to(recipe, options.other_lm, options.other_lexicon),
    ]
    cost = path.cost - (hotwords.bonus(path.words) if hotwords else 0.0)
    result = explanation.transcript.text, cost
    margins = settings.rejection.in_noise if found.in_noise else settings.rejection.clean
    rejected = rejection(path, found.evidence, settings.rejection, model.frame_seconds)
    expected = _expected(options.expected, session, prices, recipe, free, path, parts,
                         str(rejected or ""))
    return replace(
        explanation, expected=expected,
        meaning=_meaning(explanation.transcript.interpretation, pipeline, lattice, found),
        cost=cost, lattice=lattice, background=found.background,
        parts=tuple(
            Explained(part, next(others) if part.kind == "word" else None, share)
            for part, share in zip(parts, _shares(session, found, parts), strict=True)
        ),
        needed=settings.rejection.strictness * margins.needed(path), is_rejected=bool(rejected),
        states=tuple(states_of(graph, path, model.frame_seconds)),
        ablations=tuple(ablation(each, session, result, progress) for each in changes),
    )  # fmt: skip


def _path_with(
    hotwords: HotwordPass, session: Session, found: Found, recognizer: Recognizer
) -> BestPath:
    """Return the path of the result, without bonuses: the search's best one may be another."""
    path = hotwords(found.lattice).best()
    if len(path.arcs) or not path.words:
        return path
    graph, lean = recognizer.towards(path.words)
    again = lean(session.redecode(replace(session.pipeline, graph=graph)).lattice).best()
    if again.words != path.words:
        raise OptionError(f"no path of the search has the words '{' '.join(path.words)}', which "
                          "the bonuses of hotwords chose: explain with other bonuses")
    return again


def _models(recipe: Recipe, transcript: Transcript) -> dict[str, str]:
    """Return what gives the costs of each factor, and the times of words."""
    acoustic = recipe.bundle.name
    return {"acoustic": acoustic, "pronunciation": recipe.lexicon_path.name,
            "language": recipe.language_path.name, "times": transcript.timed_by or acoustic}


def _expected(
    text: str, session: Session, prices: Prices, recipe: Recipe, free: np.ndarray, path: BestPath,
    parts: Sequence[Part], rejected: str,
) -> Expected | None:
    """Return why the expected words are not the result; None if none are given."""
    if not text:
        return None
    costs = sum((part.costs for part in parts), Costs())
    return explain_expected(text, session, prices, recipe.read_lexicon(), free, path.words, costs,
                            rejected)


def _meaning(
    meaning: Interpretation | None, pipeline: Pipeline, lattice: Lattice, found: Found
) -> Interpretation | None:
    """Return the meaning with its probability over the wide lattice, if that gives the same one."""
    if meaning is None or pipeline.interpret is None:
        return meaning
    wide = pipeline.interpret(lattice, found.background)
    return wide if wide is not None and wide.meaning == meaning.meaning else meaning


def _shares(
    session: Session, found: Found, parts: Sequence[Part]
) -> tuple[BackgroundShare | None, ...]:
    """Return the background model's share in each part; None for all where there is none."""
    graph, path = session.pipeline.background, found.background
    if graph is None or path is None or not path.n_frames:
        return (None,) * len(parts)
    return background_shares(graph, path, _path_scores(session, graph, path), parts)


def _path_scores(session: Session, graph: Graph, path: BestPath) -> np.ndarray:
    """Return the scaled log-likelihood of each frame in a path's state, (n_frames,) float32."""
    scale = np.float32(session.pipeline.options.acoustic_scale)
    return session.acoustic.path_scores(graph.label_pdf[path.labels]) * scale


def _scaled(session: Session) -> Scores:
    scale = np.float32(session.pipeline.options.acoustic_scale)
    return lambda pdfs: (scores * scale for scores in session.acoustic.scores(pdfs))


def _compiling(recipe: Recipe) -> Recipe:
    """Return the recipe with the words that were added at run time among those to compile."""
    if not recipe.vocabulary.words:
        return recipe.plain
    words = {word: [" ".join(each.phones) for each in spoken]
             for word, spoken, _ in recipe.vocabulary.words}
    return replace(recipe.plain, words=words)


def prices_of(
    recipe: Recipe, model: AcousticModel, graph: Graph,
    with_added: Callable[[WordScorer], WordScorer] = lambda scorer: scorer,
) -> Prices:
    """Return the tables of all factors that a graph was compiled from.

    `with_added`: adds to a language model what was added to the graph since.
    """
    lexicon = recipe.read_lexicon()
    if recipe.guess:
        with warnings.catch_warnings():  # they warned when the graph was compiled
            warnings.simplefilter("ignore", GuessWarning)
            lexicon = recipe.with_guesses(lexicon, graph.words[1:])
    full, phones = lexicon, model.topology.phones
    with warnings.catch_warnings():  # likewise
        warnings.simplefilter("ignore", LexiconWarning)
        lexicon = lexicon.restrict(graph.words[1:]).fitted(phones)
    scorer: WordScorer
    if recipe.grammar:
        ids = {word: i for i, word in enumerate(graph.words) if i}
        sentences = recipe.sentences(lexicon)
        scorer = GrammarScorer.of(sentences, ids, recipe.settings.graph, full, phones)
        if recipe.dictates and isinstance(sentences, Grammar):
            dictation = DictationScorer(NGramScorer(recipe.first_language()))
            scorer = ClassScorer(scorer, dict.fromkeys(sentences.dictated, dictation))
    else:
        scorer = with_added(NGramScorer(recipe.first_language()))
    return Prices(model.topology, lexicon, scorer, recipe.settings.graph)
