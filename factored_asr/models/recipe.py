"""The recipe of a graph: what it is compiled from, and how."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factored_asr import __version__
from factored_asr.acoustic.model import AcousticModel
from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.graph import (
    BACKGROUND_VERSION,
    DENIALS_VERSION,
    Graph,
    build_background,
    build_graph,
)
from factored_asr.graph.graph import key_of
from factored_asr.language import (
    Grammar,
    GrammarWarning,
    Hotwords,
    KenLMScorer,
    MixedScorer,
    NGramModel,
    NGramScorer,
    WordScorer,
    is_kenlm_binary,
    read_columns,
    read_lm,
    with_words,
    write_columns,
)
from factored_asr.language.scorer import BackingOff
from factored_asr.language.written import Known
from factored_asr.lattice import SecondPass
from factored_asr.lexicon import Lexicon, LexiconWarning, Pronunciation
from factored_asr.lexicon.g2p import G2P, GuessWarning
from factored_asr.lexicon.lexicon import read_once
from factored_asr.models.bundle import Bundle, packaged
from factored_asr.models.grammars import conversation_key, has_dictation
from factored_asr.models.settings import AsBefore, DecodeOptions
from factored_asr.models.vocabulary import Lists, NewWords, Vocabulary, spoken_ways
from factored_asr.storage.cache import cached, content_key
from factored_asr.understanding.confusable import confusable

if TYPE_CHECKING:
    from factored_asr.dialogue.conversation import Conversation

GRAPH_VERSION = 4
"""Raise it when the same sources compile to another graph than before."""
JOINTS_VERSION = 3
"""Raise it when the joints of dictation lie elsewhere than before."""
GRAMMAR_VERSION = 1
"""Raise it when the same grammar gives other words than before."""
G2P_VERSION = 1
"""Raise it when the same dictionary gives another G2P model than before."""

Words = str | Path | NewWords
"""A dictionary file, or words with their phones (``{"bosch": "B AA SH"}``)."""
Progress = Callable[[str], None]
MAX_TOLD = 30
"""Guessed words that are warned of one by one."""
SLOT_NGRAMS = 400_000
"""N-grams of the language model in a grammar's lists for dictation."""


@dataclass(frozen=True)
class Recipe:
    """The files and options that one graph is compiled from.

    >>> Recipe(Bundle.find("en-us"), grammar=Path("lm/smart_home.yaml")).dictates
    False
    """

    bundle: Bundle
    """Acoustic model, with the dictionary and language model that go with it."""
    grammar: Path | Grammar | None = None
    """Commands: a grammar file or folder, or a grammar. Without it the graph is dictation's."""
    lm: Path | None = None
    """Replaces the bundle's language model."""
    lexicon: Path | None = None
    """Replaces the bundle's dictionary."""
    words: Words | None = None
    """Extends the dictionary; where `adds_words`, once the graph is compiled."""
    options: DecodeOptions | None = None
    """Replaces the bundle's settings."""
    guess: bool | Path = False
    """True: guess the pronunciation of words without one. A file: by this G2P model, in place of
    the dictionary's. False (default): such words are errors in a grammar, left out of dictation."""
    rescore_lms: tuple[Path, ...] = ()
    """Language models of the second pass: ARPA, Sphinx tries, or KenLM's binaries."""
    lm_weights: tuple[float, ...] = ()
    """Interpolation weights of `rescore_lms`, of sum 1; equal (default) where none are given."""
    conversation: bool = False
    """The graph of a grammar holds what `Dialogue` understands, too: "no the hall", "undo that"."""
    lists: Lists | None = None
    """Entries of the grammar's replaceable lists, added once the graph is compiled."""
    hotwords: Hotwords | None = None
    """Phrases that are found more often, added once the graph is compiled."""
    vocabulary: Vocabulary = Vocabulary()
    """What is added to the compiled graph."""
    graph_folder: Path | None = None
    """A graph compiled elsewhere from the same files and options, in place of the cache's."""

    def __post_init__(self) -> None:
        if self.conversation and not self.grammar:
            raise OptionError("a conversation needs a grammar")
        second = self.settings.second_pass
        if self.grammar and (self.rescore_lms or second.reweighs or second.whole_lm):
            raise OptionError("a grammar has no language model that a second pass could weigh")
        for path in self.rescore_lms:
            if not path.is_file():
                raise MissingError(f"{path}: no such language model")
        for name in ("grammar", "lm", "lexicon"):
            path = getattr(self, name)
            if path is not None and not isinstance(path, Grammar):
                object.__setattr__(self, name, packaged(path))
                if not getattr(self, name).exists():
                    raise MissingError(f"{path}: no such {name} file")
            if name == "grammar" and path and self.lm and not self.dictates:
                raise OptionError("give a grammar or a language model, not both: the grammar has "
                                  "no list with 'dictation: true', whose words a model gives")

    @property
    def dictates(self) -> bool:
        """Whether the grammar has a list whose words the language model gives."""
        return self.grammar is not None and has_dictation(self.grammar)

    @property
    def settings(self) -> DecodeOptions:
        """The options given, or else the bundle's for this kind of graph."""
        if self.conversation:
            return (self.options or self.bundle.conversation).with_lattice()
        return self.options or (self.bundle.commands if self.grammar else self.bundle.dictation)

    @property
    def language_path(self) -> Path:
        """The file (or folder) that G comes from; of a grammar that was read before, its first."""
        if isinstance(self.grammar, Grammar):
            return Path(self.grammar.templates[0].path or "<text>")
        return self.grammar or self.own_graph or self.lm_path

    @property
    def own_graph(self) -> Path | None:
        """The graph that came with the model, where dictation is by that and nothing else."""
        others = self.grammar or self.lm or self.lexicon or self.bundle.lm
        return None if others else self.bundle.graph

    @property
    def lm_path(self) -> Path:
        """The n-gram model of dictation, or of a grammar's lists for dictation."""
        path = self.lm or self.bundle.lm
        if path is None:
            raise MissingError(f"model {self.bundle.name} {self.bundle.instead_of_lm}")
        return Path(path)

    @property
    def lexicon_path(self) -> Path:
        """The dictionary file."""
        path = self.lexicon or self.bundle.lexicon
        if path is None:
            raise MissingError(f"model {self.bundle.name} brings no dictionary: give one")
        return Path(path)

    @property
    def _more_words(self) -> Path | None:
        """The bundle's further words, which belong to its own dictionary."""
        return None if self.lexicon else self.bundle.words

    @property
    def second_lms(self) -> tuple[Path, ...]:
        """The language models of the second pass: those given, or the whole one of the first."""
        pruned = self.settings.second_pass.whole_lm and self.settings.max_ngrams
        return self.rescore_lms or ((self.lm_path,) if pruned and not self.grammar else ())

    @property
    def adds_words(self) -> bool:
        """Whether `words` are added to the compiled graph: to the model's own for dictation."""
        return not (self.grammar or self.lm or self.lexicon)

    @property
    def plain(self) -> Recipe:
        """The recipe of the compiled graph, before anything is added to it."""
        words = None if self.adds_words else self.words
        return replace(self, words=words, lists=None, hotwords=None, vocabulary=Vocabulary())

    def key(self) -> str:
        """Return the hash of every file and option that `compile` depends on."""
        words = Path(self.words) if isinstance(self.words, str | Path) else self.words
        if own := self.own_graph:
            return content_key(GRAPH_VERSION, own)
        return content_key(
            GRAPH_VERSION, __version__, self.bundle.hmms, self.lexicon_path,
            self.grammar.key() if isinstance(self.grammar, Grammar) else self.language_path,
            words, AsBefore(self.settings.graph), self.settings.max_ngrams,
            *((self.guess, G2P_VERSION) if self.guess else ()),
            *(("more words", self._more_words) if self._more_words else ()),
            *(() if self.grammar else ("joints", JOINTS_VERSION)),
            *(("grammar", GRAMMAR_VERSION) if self.grammar else ()),
            *(("dictation", self.lm_path, SLOT_NGRAMS) if self.dictates else ()),
            *(conversation_key() if self.conversation else ()),
            *(("denied", DENIALS_VERSION, self.settings.graph.denial_cost)
              if self.grammar and self.settings.graph.denials else ()),
        )

    def about(self) -> dict[str, Any]:
        """Return the facts about the graph that the cache shows to people."""
        return {
            "model": self.bundle.name, "lexicon": self.lexicon_path.name,
            "language": self.language_path.name,
            "kind": "conversation" if self.conversation else
                    "grammar" if self.grammar else "dictation",
        }

    def graph(self, model: AcousticModel, progress: Progress | None = None) -> Graph:
        """Return the compiled graph from the cache; compile it first if needed."""
        plain = self.plain
        if self.graph_folder is not None:
            return self._read_graph(self.graph_folder)
        if self.own_graph:
            return Graph.read(self.own_graph)
        graph = cached_graph(plain.key(), self.about(), lambda: plain.compile(model, progress))
        if self.conversation and self.dictates:
            warnings.warn(f"{self.language_path}: a conversation leaves out the sentences with "
                          "a list that is dictated", GrammarWarning, stacklevel=2)
        if graph.omitted and self.lm:
            warnings.warn(self._omitted(graph.omitted), LexiconWarning, stacklevel=2)
        return graph

    def _read_graph(self, folder: Path) -> Graph:
        if not folder.is_dir():
            raise MissingError(f"{folder}: no such graph folder; `compile --output` writes one")
        if key_of(folder) != self.plain.key():
            raise FormatError(
                f"this graph was not compiled from the files and options of {self.bundle.name} and "
                f"{self.language_path.name} by this version: compile it again with the same model, "
                "dictionary, language model and options", folder)
        return Graph.read(folder)

    def _omitted(self, words: Sequence[str]) -> str:
        """Say which words of the language model cannot be recognised, and what to do."""
        shown = ", ".join(words[:MAX_TOLD])
        if len(words) > MAX_TOLD:
            shown += f", and {len(words) - MAX_TOLD} more (lm missing {self.language_path})"
        remedy = "add them to a dictionary and give it as extra words, or guess them"
        if any(not word.replace("'", "").isalpha() for word in words):
            remedy += "; `lm estimate` spells out numbers and drops punctuation"
        n = "1 word has" if len(words) == 1 else f"{len(words)} words have"
        return (f"{self.language_path}: {n} no pronunciation and cannot be recognised: {shown}; "
                f"{remedy}")

    @property
    def known(self) -> Known | None:
        """Whether a spelling is a word of the user's dictionaries, which grammars keep whole.

        None without such dictionaries.
        """
        if not (self.words or self.lexicon):
            return None
        given = self.read_words()
        return (given.extend(Lexicon.read(self.lexicon)) if self.lexicon else given).knows

    def background(self, model: AcousticModel | None = None) -> Graph | None:
        """Return the background graph of a grammar; None where the settings have no background."""
        if self.grammar is None or (costs := self.settings.background) is None:
            return None

        def compiled() -> Graph:
            lexicon = self.read_lexicon()
            words = self.read_grammar().fixed_words
            if self.conversation:
                words = frozenset(self.graph(model or self.bundle.acoustic_model()).words[1:])
            guesses = self.g2p().lexicon(lexicon.missing(words)) if self.guess else Lexicon({})
            known, acoustic = lexicon.extend(guesses), model or self.bundle.acoustic_model()
            return build_background(acoustic, known, words, self.settings.graph, costs)

        about = {**self.about(), "kind": "background"}
        return cached_graph(content_key(BACKGROUND_VERSION, self.key(), costs), about, compiled)

    def compile(self, model: AcousticModel, progress: Progress | None = None) -> Graph:
        """Compile the graph.

        `progress` is called with the stages, and with a warning for each pair of words of a grammar
        that decide about the intent and differ in one phone or less. Raises FormatError for a
        dictionary, language model or grammar that breaks its format, MissingError for a word of a
        grammar without pronunciation, or a phone not of the model.
        """
        tell = progress or (lambda stage: None)
        tell(f"reading {self.lexicon_path.name} and {self.language_path.name}")
        lexicon = self.read_lexicon()
        language: Grammar | NGramModel = (
            self.read_grammar() if self.grammar else self.first_language(tell)
        )
        if self.guess:
            tell("guessing pronunciations")
            g2p = self.g2p(tell)
            words = sorted(language.words) if isinstance(language, Grammar) else [
                word for word in language.vocabulary if not g2p.unknown_letters(word)
            ]
            lexicon = self.with_guesses(lexicon, words)
        try:
            said = self.sentences(lexicon) if isinstance(language, Grammar) else language
            spoken = self.first_language(tell) if self.dictates else None
            graph = build_graph(model, lexicon, said, self.settings.graph, progress, spoken)
        except MissingError as error:
            raise MissingError(f"{self.language_path}: {error}") from error
        if graph.omitted and not self.lm:
            tell(self._omitted(graph.omitted))
        if isinstance(language, Grammar):
            for pair in confusable(language, lexicon):
                tell(f"warning: {pair}")
        return graph

    def read_grammar(self) -> Grammar:
        """Return the grammar, with the lists of `vocabulary`; MissingError if there is none."""
        if self.grammar is None:
            raise MissingError("there is no grammar")
        grammar = self.grammar
        if not isinstance(grammar, Grammar):
            grammar = Grammar.read(grammar, known=self.known)
        return grammar.with_lists(dict(self.vocabulary.lists)) if self.vocabulary.lists else grammar

    def sentences(self, known: Container[str]) -> Grammar | Conversation:
        """Return what may be said: the grammar, or what a dialogue understands with it.

        `known` are the words that can be pronounced.
        """
        grammar = self.read_grammar()
        if not self.conversation:
            return grammar
        from factored_asr.dialogue.conversation import Conversation

        return Conversation(grammar, known)

    def read_lexicon(self) -> Lexicon:
        """Return the dictionary, extended by the bundle's further words and by `words`."""
        own = read_once(self.lexicon_path)
        if self._more_words:
            own = own.extend(Lexicon.read(self._more_words))
        return own.extend(self.read_words()).extend(self.vocabulary.lexicon)

    def with_guesses(self, lexicon: Lexicon, words: Iterable[str], n: int = 1) -> Lexicon:
        """Return the lexicon with `n` guessed pronunciations for each of these words that it lacks.

        They have no cost. Each of the first `MAX_TOLD` words gives a `GuessWarning`; the others
        are counted. Raises MissingError for a word that cannot be pronounced: it has digits or
        signs.
        """
        missing = lexicon.missing(words)
        if not missing:
            return lexicon
        guesses = self.g2p().lexicon(missing, n)
        told = [f"the pronunciation of '{word}' is guessed: " + ", or ".join(
            f"{' '.join(each.phones)} (probability {each.probability:.2f})" for each in likeliest
        ) for word, likeliest in guesses.items()]
        if len(told) > MAX_TOLD:
            told[MAX_TOLD:] = [f"and {len(told) - MAX_TOLD} more words are guessed"]
        for text in told:
            warnings.warn(text, GuessWarning, stacklevel=2)
        return lexicon.extend(
            Lexicon({word: tuple(Pronunciation(each.phones) for each in likeliest)
                     for word, likeliest in guesses.items()})
        )

    def g2p(self, progress: Progress | None = None) -> G2P:
        """Return the G2P model of `guess`, of the bundle, or else of the dictionary."""
        folder = None if self.lexicon else self.bundle.folder  # another dictionary: other phones
        kept = self.guess if isinstance(self.guess, Path) else folder and folder.files.get("g2p")
        if kept:
            return G2P.read(kept)
        return cached_g2p(self.lexicon_path, progress)

    def read_words(self) -> Lexicon:
        """Return the words that extend the dictionary."""
        if isinstance(self.words, str | Path):
            return Lexicon.read(self.words)
        ways = {word: spoken_ways(word, phones) for word, phones in (self.words or {}).items()}
        found = Lexicon({word: tuple(map(Pronunciation, each))
                         for word, each in ways.items() if each})
        guessed = [word for word, each in ways.items() if each is None]
        if not guessed:
            return found
        own = self.with_guesses(replace(self, words=None).read_lexicon(), guessed)
        return found.extend(own.restrict(guessed))

    def first_language(self, progress: Progress | None = None) -> NGramModel:
        """Return the n-gram model of the first pass, pruned to `max_ngrams`, or `SLOT_NGRAMS` in a
        grammar."""
        limit = SLOT_NGRAMS if self.grammar else self.settings.max_ngrams
        return self._language(self.lm_path, limit, progress)

    def second_scorer(
        self, progress: Progress | None = None, first: NGramModel | None = None
    ) -> WordScorer | None:
        """Return the language model of the second pass; None where there is none.

        It shares its words with the `first` model, where they are the same.
        """
        if not self.second_lms:
            return None
        scorers = [self._scorer(path, progress, first) for path in self.second_lms]
        weights = self.lm_weights or (1 / len(scorers),) * len(scorers)
        if len(scorers) == 1 and weights == (1.0,):
            return scorers[0]
        return MixedScorer(scorers, weights)

    def second_pass(self, options: DecodeOptions) -> SecondPass | None:
        """Return the second pass of these options with its language models; None where none is."""
        asked = options.second_pass
        if not (self.second_lms or asked.needs_lattice):
            return None
        whole = self.grammar or self.own_graph and not (self.second_lms or asked.reweighs)
        model = None if whole else self.first_language()
        first = NGramScorer(model) if model else None
        second = self.second_scorer(first=model)
        if second is None and (asked.keep or asked.reweighs):
            second = first
        return SecondPass(asked, options.confidence, second, first)

    def _scorer(
        self, path: Path, progress: Progress | None, first: NGramModel | None
    ) -> BackingOff:
        if is_kenlm_binary(path):
            return KenLMScorer(path)
        model = self._language(path, 0, progress)
        model = model.sharing_words(first) if first else model
        return NGramScorer(model, unknown_log_prob=float(model.orders[0].log_prob.min()))

    def _language(self, path: Path, limit: int, progress: Progress | None) -> NGramModel:
        """An n-gram model, pruned and extended by `words`, from the cache."""
        tell = progress or (lambda stage: None)

        def make() -> NGramModel:
            tell(f"reading {path.name}")
            model = self._in_the_case_of_the_lexicon(read_lm(path, limit), path)
            there = {word.lower() for word in model.vocabulary}
            new = tuple(word for word in self.read_words() if word.lower() not in there)
            if not new:
                return model
            tell(f"{len(new)} words are new to the language model: each is given the "
                 "probability of its median word")
            return with_words(model, new)

        words = Path(self.words) if isinstance(self.words, str | Path) else self.words
        key = content_key("language", GRAPH_VERSION, __version__, path, limit, words)
        about = {"model": self.bundle.name, "language": path.name, "kind": "language model"}
        return cached_language(key, about, make)

    def _in_the_case_of_the_lexicon(self, model: NGramModel, path: Path) -> NGramModel:
        """Return a model whose words are all in capitals in the lexicon's lower case."""
        words = [word for word in model.words if not word.startswith("<")]
        if any(word != word.upper() for word in words):
            return model
        small = tuple(word if word.startswith("<") else word.lower() for word in model.words)
        lexicon = self.read_lexicon()
        n_small = sum(word in lexicon for word in small)
        if n_small <= sum(word in lexicon for word in words) or len({*small}) < len(small):
            return model
        told = "its words are in capitals; they are read in lower case, as in the dictionary"
        warnings.warn(f"{path}: {told}", LexiconWarning, stacklevel=2)
        return replace(model, words=small)


def cached_graph(key: str, about: Mapping[str, Any], compile_graph: Callable[[], Graph]) -> Graph:
    """Return the graph under `key` in the cache, mapped into memory; compile it first if needed."""
    def write(graph: Graph, folder: Path) -> dict[str, Any]:
        graph.write(folder)
        return {"states": graph.n_states, "arcs": graph.n_arcs}

    return cached(key, compile_graph, write, Graph.read, about)


def cached_language(
    key: str, about: Mapping[str, Any], make: Callable[[], NGramModel]
) -> NGramModel:
    """Return the language model under `key` in the cache; make it first if needed."""
    def write(model: NGramModel, folder: Path) -> dict[str, Any]:
        write_columns(model, folder)
        return {"ngrams": sum(model.counts)}

    return cached(key, make, write, read_columns, about)


def cached_g2p(dictionary: Path, progress: Progress | None = None) -> G2P:
    """Return the G2P model of a dictionary from the cache; train it first if needed.

    Raises MissingError or FormatError where the dictionary cannot be read.
    """
    def train() -> G2P:
        from factored_asr.lexicon.g2p_training import train_g2p

        return train_g2p(Lexicon.read(dictionary), progress=progress)

    return cached(f"{content_key(G2P_VERSION, dictionary)}.g2p", train, G2P.write, G2P.read)
