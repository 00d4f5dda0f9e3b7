"""The road from lexicon and language model to one decoding graph: L, G, L ∘ G, then C and H.

Each step is a pure function from graph to graph; `build_graph` is their composition. L ∘ G of a
grammar is composed and determinised by pynini where that is installed, else written out as trees.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from factored_asr._deprecated import renamed_fields
from factored_asr.acoustic.topology import N_POSITIONS, Topology, word_symbols
from factored_asr.errors import MissingError, OptionError
from factored_asr.graph.convert import acceptor_of, graph_of
from factored_asr.graph.denials import Denials, denials_for, denied, denies, joined
from factored_asr.graph.expand import Progress, expand_graph, minimise
from factored_asr.graph.graph import ARC, EPSILON, WORDS, Graph
from factored_asr.graph.parts import as_part, with_dictation, without_empty
from factored_asr.graph.prefixes import with_prefixes
from factored_asr.graph.trees import grammar_trees, ngram_trees
from factored_asr.graph.units import HasTopology, Units, make_units
from factored_asr.language import with_pynini
from factored_asr.language.acceptor import Acceptor, determinised, subtracted, trimmed
from factored_asr.language.classes import classes_of
from factored_asr.language.grammar.sampling import Sentences
from factored_asr.language.ngram import BEGIN, END, UNKNOWN, NGramModel

if TYPE_CHECKING:

    from factored_asr.lexicon import Lexicon

LISTS = 1 << 20
"""Ids of lists in G, which are no words, from here on."""
_Loops = list[tuple[int, float]]


@renamed_fields({"lead_ins": "prefixes", "lead_in_cost": "prefix_cost"})  # old name
@dataclass(frozen=True)
class GraphOptions:
    """Options of a graph, in addition to its knowledge sources.

    Examples
    --------
    >>> GraphOptions(word_penalty=1.0, prefixes=("please",)).silence_probability
    0.005
    """

    silence_probability: float = 0.005
    """Probability of a silence between two words, (0, 1]; lower: fewer pauses found."""
    filler_probability: float = 1e-8
    """Probability of each filler (breath, noise) between two words, [0, 1]; 0 leaves them out.
    An n-gram model allows them in its empty history, a grammar anywhere."""
    transition_scale: float = 1.0
    """Weight of the HMM transition costs, >= 0; higher: durations matter more."""
    word_penalty: float = 0.0
    """Cost added to every word; higher: fewer, longer words."""
    empty_cost: float = 0.0
    """Cost of no word at all under a grammar; higher: fewer empty results."""
    prefixes: tuple[str, ...] = ()
    """Words that may stand before a sentence of a grammar and are no part of it; see `DENIALS`."""
    prefix_cost: float = 7.0
    """Cost of a prefix, >= 0; lower: more are recognised, rightly and wrongly."""
    denials: bool = True
    """Whether the sentences of a grammar may be denied ("don't …", "stop …ing"); without, a denied
    command may be taken for the command."""
    denial_cost: float = 0.0
    """Cost of a denied sentence, >= 0; higher: fewer denials are recognised."""
    memory_limit: float = 6.0
    """Gigabytes that compiling may take by the estimate, > 0; more is refused beforehand."""

    def __post_init__(self) -> None:
        silence, filler = self.silence_probability, self.filler_probability
        if not 0 < silence <= 1:
            raise OptionError(f"silence_probability must lie in (0, 1], got {silence}")
        if not 0 <= filler <= 1:
            raise OptionError(f"filler_probability must lie in [0, 1], got {filler}")
        if min(self.transition_scale, self.prefix_cost, self.denial_cost) < 0:
            raise OptionError("transition_scale, prefix_cost and denial_cost must be >= 0")
        costs = ("transition_scale", "word_penalty", "empty_cost", "prefix_cost", "denial_cost")
        for name in costs:
            if not math.isfinite(value := getattr(self, name)):
                raise OptionError(f"{name} must be finite, got {value}")
        if self.memory_limit <= 0:
            raise OptionError(f"memory_limit must be above 0 GB, got {self.memory_limit}")
        for prefix in self.prefixes:
            if not prefix.split():
                raise OptionError(f"a prefix must have at least one word, got {prefix!r}")
        object.__setattr__(self, "prefixes", tuple(self.prefixes))  # a manifest has lists


def lexicon_graph(
    lexicon: Lexicon, words: Mapping[str, int], model: HasTopology, options: GraphOptions,
    n_lists: int = 0,
) -> tuple[Graph, int]:
    """Return L: any sequence of pronunciations, with silence and fillers in between, as words.

    Input labels are ``1 + phone * 4 + position``; the last phone of the k-th of several words that
    sound alike is raised by k times the number of symbols, which keeps L ∘ G determinisable. Words
    without a pronunciation are left out. Lists that stand in G pass through L as they are: word
    `LISTS` + k by the label #0 + 1 + k.
    Returns L and the label above all phones, #0, by which back-off arcs pass through L.
    """
    index = {phone: i for i, phone in enumerate(model.topology.phones)}
    n_symbols = len(index) * N_POSITIONS
    seen: dict[tuple[str, ...], int] = {}
    label: list[int] = []
    word, cost, length = [], [], []
    for name, word_id in words.items():
        for spoken in lexicon.find(name) if lexicon.knows(name) else ():
            rank = seen[spoken.phones] = seen.get(spoken.phones, -1) + 1
            label += word_labels([index[phone] for phone in spoken.phones], rank * n_symbols)
            length.append(len(spoken.phones))
            word.append(word_id)
            cost.append(-np.log(spoken.probability) + options.word_penalty)
    back_off = 1 + n_symbols * (max(seen.values(), default=0) + 1)
    n = np.array(length, np.int64)
    first = np.cumsum(n) - n
    arcs = np.zeros(len(label), ARC)
    arcs["label"] = label
    arcs["word"][first], arcs["cost"][first] = word, cost
    # Every phone but a word's last leads to a new state; the last one leads back to the loop.
    inner = np.ones(len(label), bool)
    inner[first + n - 1] = False
    arcs["target"][inner] = np.arange(1, inner.sum() + 1)
    source = np.zeros(len(label), np.int32)
    source[1:][inner[:-1]] = arcs["target"][:-1][inner[:-1]]
    back_off_word = max(words.values(), default=0) + 1
    loops = [(back_off, back_off_word, 0.0, 0)]
    # Silence passes by G unseen; fillers are words above #0, so that G says where they may stand.
    silence, fillers = pauses(model.topology, options)
    loops += [(symbol, 0, loop_cost, 0) for symbol, loop_cost in silence]
    for k, (symbol, loop_cost) in enumerate(fillers, 1):
        loops.append((symbol, back_off_word + k, loop_cost, 0))
    loops += [(back_off + 1 + k, LISTS + k, 0.0, 0) for k in range(n_lists)]
    source = np.concatenate([source, np.zeros(len(loops), np.int32)])
    final = np.full(inner.sum() + 1, np.inf, np.float32)
    final[0] = 0.0
    return Graph.from_arcs(source, np.concatenate([arcs, np.array(loops, ARC)]), final), back_off


def pauses(topology: Topology, options: GraphOptions) -> tuple[_Loops, _Loops]:
    """Return label and cost of the silence, if the model has one, and of the fillers."""

    def loops(phones: Iterable[str], probability: float) -> _Loops:
        labels = [word_labels([topology.phones.index(phone)], 0)[0] for phone in phones]
        return [(label, -float(np.log(probability))) for label in labels if probability > 0]

    fillers = [phone for phone in dict.fromkeys(topology.fillers) if phone != topology.silence]
    silence = [topology.silence] if topology.silence else []
    return loops(silence, options.silence_probability), loops(fillers, options.filler_probability)


def word_labels(phones: list[int], shift: int) -> list[int]:
    """Input labels of a pronunciation; `shift` tells its last phone from those sounding alike."""
    labels = [1 + symbol for symbol in word_symbols(phones)]
    labels[-1] += shift
    return labels


def with_fillers(grammar: Graph, fillers: Sequence[int]) -> Graph:
    """Let G read fillers in each of its states, and stay there."""
    loops = np.zeros(grammar.n_states * len(fillers), ARC)
    loops["label"] = loops["word"] = np.tile(np.array(fillers, np.int32), grammar.n_states)
    loops["target"] = np.repeat(np.arange(grammar.n_states), len(fillers))
    source = np.concatenate([grammar.sources, loops["target"]])
    arcs = np.concatenate([grammar.arcs, loops])
    return Graph.from_arcs(source, arcs, grammar.final, grammar.start)


def compose_lexicon(
    lexicon: Graph, grammar: Graph, back_off: int, n_symbols: int, fillers: Sequence[int] = ()
) -> Graph:
    """det(L ∘ G), minimised; marks of homophones, back-off and fillers are taken off its labels.

    Fillers, words of L, may stand anywhere. Lists keep their words, `LISTS` + k.
    """
    if with_pynini.is_installed():
        composed = with_pynini.composed(lexicon.fields, with_fillers(grammar, fillers).fields)
        graph = Graph.from_fields(composed)
    else:
        grammar = graph_of(determinised(acceptor_of(grammar)))
        graph = grammar_trees(lexicon, with_fillers(grammar, fillers))
    if not graph.n_arcs:
        raise OptionError("no sentence of the language model can be pronounced with this lexicon")
    arcs = graph.arcs.copy()
    label = graph.arcs["label"]
    arcs["label"] = np.where((label > 0) & (label < back_off), (label - 1) % n_symbols + 1, 0)
    back_off_word = lexicon.arcs["word"][lexicon.arcs["label"] == back_off][0]
    arcs["word"][(arcs["word"] >= back_off_word) & (label <= back_off)] = 0
    arcs["word"][label > back_off] = LISTS + label[label > back_off] - back_off - 1
    return minimise(Graph.from_arcs(graph.sources, arcs, graph.final, graph.start))[0]


def build_graph(
    model: HasTopology, lexicon: Lexicon, language: NGramModel | Sentences,
    options: GraphOptions | None = None, progress: Progress | None = None,
    dictation: NGramModel | None = None,
) -> Graph:
    """Compile H ∘ C ∘ L ∘ G.

    Parameters
    ----------
    model
        Its phones, topology and context dependency make H and C.
    lexicon
        Pronunciations, L, in any case; stress digits that the model lacks are ignored. Every word
        of a grammar needs one; words of an n-gram model without one are left out: `Graph.omitted`.
    language
        An n-gram model or a grammar, G.
    options
        Costs of silence, fillers, transitions and words.
    progress
        Called with the name of each stage.
    dictation
        Says which words a list of a grammar with ``dictation: true`` takes.

    Raises
    ------
    MissingError
        A word of the grammar has no pronunciation, or a pronunciation a phone the model lacks;
        a grammar has a list for dictation, and there is no model for it.
    OptionError
        The graph would need more memory than `options.memory_limit`.

    Examples
    --------
    >>> from factored_asr.language import Grammar
    >>> from factored_asr.lexicon import Lexicon, Pronunciation
    >>> from factored_asr.models.bundle import Bundle
    >>> model = Bundle.find("en-us").acoustic_model()
    >>> lexicon = Lexicon({"yes": (Pronunciation(("Y", "EH", "S")),)})
    >>> grammar = Grammar.from_text("#JSGF V1.0; grammar g; public <s> = yes;")
    >>> build_graph(model, lexicon, grammar, GraphOptions(denials=False)).words
    ('<eps>', 'yes')
    """
    options = options or GraphOptions()
    tell = progress or (lambda stage: None)
    phones = model.topology.phones
    options = replace(options, prefixes=_spoken_prefixes(options.prefixes, lexicon))
    table, omitted = word_table(lexicon, language, options.prefixes)
    tell("lexicon and language model (L ∘ G)")
    units = make_units(model, options.transition_scale)
    if isinstance(language, NGramModel):
        joints = (WORDS, *classes_of(language.words))
        lg = _ngram_lg(lexicon, language, table, model, options, units, tell, joints)
        graph = expand_graph(lg, model, units, table, tell, joints)
        return replace(graph, omitted=omitted)
    places = language if isinstance(language, HasLists) else None
    slots = tuple(places.dictated) if places else ()
    lists = tuple(place for place in places.places if place not in slots) if places else ()
    said = sentences_of(language, table, lexicon, phones, options, (*lists, *slots))
    words, joints, part = said.table, lists, None
    if slots:
        if dictation is None:
            raise MissingError(f"the grammar has {slots[0]} for dictation: give a language model")
        words = tuple(dict.fromkeys((*words, *word_table(lexicon, dictation)[0])))
        joints = (*lists, WORDS)
        lg = _ngram_lg(lexicon, dictation, words, model, options, units, tell, (WORDS,))
        part = as_part(without_empty(lg))

    def compiled(sentences: Graph, spoken: Lexicon) -> Graph:
        lg = grammar_lg(spoken, sentences, said.table, model, options, said.lists)
        if part is not None:
            lg = with_dictation(lg, part, len(said.table), len(words), len(lists), len(slots))
        return expand_graph(lg, model, units, words, tell, joints)

    graph = compiled(said.plain, lexicon)
    if said.denied is None:
        return graph
    tell("denied sentences (L ∘ G)")
    return joined(graph, compiled(said.denied, said.denials.lexicon), options.denial_cost)


def _fitted(
    lexicon: Lexicon, table: Sequence[str], model: HasTopology
) -> tuple[Lexicon, dict[str, int]]:
    """The words of a table with their pronunciations in the model's phones, and their ids."""
    lexicon = lexicon.restrict(table[1:]).fitted(model.topology.phones)
    lexicon.check_phones(model.topology.phones)
    return lexicon, {word: i for i, word in enumerate(table) if i}


def _ngram_lg(
    lexicon: Lexicon, language: NGramModel, table: Sequence[str], model: HasTopology,
    options: GraphOptions, units: Units, tell: Progress, joints: Sequence[str],
) -> Graph:
    """L ∘ G of an n-gram model; fillers stand in the empty history alone, not to double it."""
    lexicon, words = _fitted(lexicon, table, model)
    gigabytes = _estimate(lexicon, language, words, options)
    tell(f"trees of pronunciations ({sum(language.counts):,} n-grams; {gigabytes:.1f} GB)")
    silence, fillers = pauses(model.topology, options)
    lg = ngram_trees(lexicon, language, words, model.topology.phones, units, options.word_penalty,
                     silence, fillers, {name: len(table) + k for k, name in enumerate(joints)})
    tell(f"merging states with one future ({lg.n_arcs:,} arcs)")
    return minimise(lg)[0]


def grammar_lg(
    lexicon: Lexicon, sentences: Graph, table: Sequence[str], model: HasTopology,
    options: GraphOptions, lists: Sequence[str],
) -> Graph:
    """L ∘ G of the sentences of a grammar; fillers may stand anywhere, lists are joints."""
    lexicon, words = _fitted(lexicon, table, model)
    spoken, back_off = lexicon_graph(lexicon, words, model, options, len(lists))
    n_fillers, n_phones = len(pauses(model.topology, options)[1]), len(model.topology.phones)
    fillers = range(len(words) + 2, len(words) + 2 + n_fillers)
    lg = compose_lexicon(spoken, sentences, back_off, n_phones * N_POSITIONS, fillers)
    arcs = lg.arcs.copy()
    is_list = arcs["word"] >= LISTS
    arcs["word"][is_list] += len(table) - LISTS
    return replace(lg, arcs=arcs)


@dataclass(frozen=True, eq=False)
class GrammarParts:
    """Both Gs of a grammar, acceptors of word ids."""

    plain: Graph
    """Its sentences, with prefixes, and the empty one."""
    denied: Graph | None
    """Its sentences denied; None where they are not."""
    denials: Denials
    table: tuple[str, ...]
    """Words by id: those of the grammar first."""
    lists: tuple[str, ...] = ()
    """What stands in both Gs for lists that may be replaced, `LISTS` + k for the k-th."""


def sentences_of(
    grammar: Sentences, table: tuple[str, ...], lexicon: Lexicon, phones: Sequence[str],
    options: GraphOptions, lists: tuple[str, ...] = (),
) -> GrammarParts:
    """Return G of a grammar, and that of its denied sentences; `table` has the words by id.

    `lists` are places of lists that stand there as `LISTS` + k. What the grammar itself has of the
    denied ones stands in their part alone.
    """
    words = {word: i for i, word in enumerate(table) if i}
    if options.denials and isinstance(grammar, Parted):
        return _given_parts(grammar, words, table, lexicon, phones, options)
    marks = {name: LISTS + k for k, name in enumerate(lists)}
    own = graph_of(grammar.acceptor({**words, **marks}))
    denials = Denials(lexicon)
    if options.denials:
        denials = denials_for(own, table, lexicon, phones)
    denials = replace(denials, before_all=tuple(filter(denies, options.prefixes)))
    table = (*table, *sorted(denials.words.difference(table)))
    words = {word: i for i, word in enumerate(table) if i}
    polite = tuple(each for each in options.prefixes if not denies(each))
    other = connected(denied(own, denials, words)) if denials.words else None
    if other is not None and (left := _without(own, other)):
        plain = with_prefixes(left, polite, words, options.prefix_cost)
        other = with_prefixes(other, polite, words, options.prefix_cost)
    else:
        plain, other = with_prefixes(own, polite, words, options.prefix_cost), None
    final = plain.final.copy()
    final[plain.start] = min(final[plain.start], options.empty_cost)
    return GrammarParts(replace(plain, final=final), other, denials, table, lists)


@runtime_checkable
class HasLists(Protocol):
    """Sentences with lists that may be replaced, which the graph has as joints."""

    @property
    def places(self) -> Collection[str]:
        """What stands for each list in G, such as "{contact}"; `acceptor` takes its id."""

    @property
    def dictated(self) -> Collection[str]:
        """Those of `places` whose words a language model gives."""

    @property
    def fixed_words(self) -> Collection[str]:
        """All words without those of these lists."""


@runtime_checkable
class Parted(Protocol):
    """Sentences that bring their denials themselves, such as those of a conversation."""

    def parts(self, word_ids: Mapping[str, int]) -> tuple[Acceptor, Acceptor]:
        """Return the G of what is not denied, and that of what is."""


def _given_parts(
    grammar: Parted, words: Mapping[str, int], table: tuple[str, ...], lexicon: Lexicon,
    phones: Sequence[str], options: GraphOptions,
) -> GrammarParts:
    """Return both Gs of a conversation; its denials, too, are said as in connected speech."""
    plain, denied = map(graph_of, grammar.parts(words))
    spoken = Denials(denials_for(plain, table, lexicon, phones).lexicon)
    plain, other = (with_prefixes(each, options.prefixes, words, options.prefix_cost)
                    for each in (plain, denied))
    final = plain.final.copy()
    final[plain.start] = min(final[plain.start], options.empty_cost)
    return GrammarParts(replace(plain, final=final), other if other.n_arcs else None, spoken, table)


def connected(grammar: Graph) -> Graph | None:
    """Return G without what leads to no end; None if nothing is left."""
    return _unless_empty(trimmed(acceptor_of(grammar)))


def _without(grammar: Graph, other: Graph) -> Graph | None:
    """G without the sentences of another, both without epsilon arcs; None if none is left."""
    return _unless_empty(subtracted(acceptor_of(grammar), acceptor_of(other)))


def _unless_empty(acceptor: Acceptor) -> Graph | None:
    return None if acceptor.is_empty else graph_of(acceptor)


def word_table(
    lexicon: Lexicon, language: NGramModel | Sentences, prefixes: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words of the graph by id, and those that it omits because they have no pronunciation.

    A grammar's words must all be known; an n-gram model's need not.
    """
    omitted: tuple[str, ...] = ()
    names: Iterable[str]
    if isinstance(language, NGramModel):
        marks = {EPSILON, BEGIN, END, *UNKNOWN, *classes_of(language.words)}
        left_out = set(missing := lexicon.missing(language.words[1:]))
        omitted = tuple(word for word in missing if word not in marks)
        names = [word for word in language.words[1:] if word not in left_out]
    else:
        words, lists = language.words, False
        if isinstance(language, HasLists):
            words, lists = language.fixed_words, bool(language.places)
        names = sorted({*words, *" ".join(prefixes).split()})
        if unknown := lexicon.missing(names):
            raise MissingError(no_pronunciation(unknown))
        if not (names or lists):
            raise MissingError("the grammar has no word of its own, wildcards alone: it can read "
                               "texts; to recognise sounds, name values in place of a wildcard")
    table = (EPSILON, *names)
    if len(table) == 1 and isinstance(language, NGramModel):
        raise MissingError("the language model has no word that the lexicon can pronounce")
    return table, omitted


def _spoken_prefixes(prefixes: Iterable[str], lexicon: Lexicon) -> tuple[str, ...]:
    """Return prefixes as grammars write them: in lower case, without punctuation."""
    from factored_asr.language.grammar import normalise_text

    spoken = (" ".join(normalise_text(prefix, lexicon.knows)) for prefix in prefixes)
    return tuple(filter(None, spoken))


def no_pronunciation(words: Sequence[str]) -> str:
    return (
        f"no pronunciation for {', '.join(map(repr, words))}: add a line "
        f"'{words[0]} PHONE PHONE …' to a dictionary and give it as extra words"
    )


def _estimate(
    lexicon: Lexicon, language: NGramModel, words: Mapping[str, int], options: GraphOptions
) -> float:
    """Gigabytes at the peak: an n-gram brings a word's phones. Refuses early what is too much."""
    n_phones = sum(len(each.phones) for word in words for each in lexicon.find(word))
    n_ngrams = sum(language.counts)
    gigabytes = n_ngrams * n_phones / max(1, len(words)) * 250 / 1e9  # bytes a phone, measured
    if gigabytes > options.memory_limit:
        raise OptionError(
            f"compiling {n_ngrams:,} n-grams would take about {gigabytes:.1f} GB, over "
            f"memory_limit, {options.memory_limit:g} GB: prune the language model or raise it"
        )
    return gigabytes
