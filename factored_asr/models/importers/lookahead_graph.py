"""What ``HCLr.fst`` and ``Gr.fst`` were made of: dictionary, left context, n-gram model.

HCLr reads transition-ids and writes words. Its *boundaries* are the states between two words: those
that an arc #0 (the back-off of G) leaves. The dictionary's words are the ways from one boundary to
the next. Determinisation moved their costs to the front, but not over a boundary. So the sum
along a way is what the dictionary said: −ln p(pronunciation), and ln 2 for each phone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from factored_asr.errors import FormatError
from factored_asr.language.ngram import BEGIN, END, EPSILON, NGramModel
from factored_asr.models.importers.lookahead_fst import NGramFst
from factored_asr.storage.openfst import Arcs

MAX_PHONES = 100
"""Of one pronunciation; longer ways are not followed."""
MAX_STEPS = 100_000
STEPS_PER_ARC = 8
"""Steps of all ways from a state together: so many, and for each arc so many more."""
NEVER = -99 * np.log(10.0)
"""Log probability of <s>, as ARPA files write it."""


@dataclass(frozen=True, eq=False)
class Dictionary:
    """What HCLr says of words and phones; phones are numbers of the model."""

    words: np.ndarray
    """(n,) int32: word of each pronunciation."""
    phones: tuple[tuple[int, ...], ...]
    cost: np.ndarray
    """(n,) float: −ln of the probability of the pronunciation, silence before and after aside."""
    contexts: np.ndarray
    """(n, 3) int32: phone before (0: none), phone, and the row of its transition state."""
    silence: int
    """The phone of the optional silence."""
    silence_probability: float
    """Mean probability of silence after a word."""


def read_dictionary(
    graph: Arcs, transitions: np.ndarray, phone_of: np.ndarray, loop_cost: np.ndarray,
    backoff: int, silences: tuple[int, ...],
) -> Dictionary:
    """Recover dictionary and contexts.

    Parameters
    ----------
    graph
        HCLr.
    transitions
        (n_transitions + 1,) int32: row of the transition state of each transition-id; the first is
        not used.
    phone_of
        (n_rows,) int32: phone of each transition state.
    loop_cost
        (n_rows,) float: cost of leaving each state, −ln of the probability not to stay.
    backoff
        The word label of #0.
    silences
        Phones of silence, the optional one among them.

    Raises FormatError where the graph is not of this shape.
    """
    arcs = _Arcs(graph, transitions, phone_of, backoff)
    boundaries = arcs.boundaries()
    contexts = arcs.contexts()
    after = arcs.after_word(boundaries)
    silent = arcs.row[after & (arcs.row >= 0)]
    found = phone_of[silent]
    found = found[np.isin(found, silences)] if silences else found
    if not len(found):
        raise FormatError("no word of the graph may be followed by silence")
    silence = int(np.bincount(found).argmax())
    ways = arcs.ways(boundaries, silence, loop_cost)
    return Dictionary(*ways[:3], contexts, silence, ways[3])


def read_contexts(graph: Arcs, transitions: np.ndarray, phone_of: np.ndarray) -> np.ndarray:
    """Return which phones stand before which transition states in any graph that reads these.

    Parameters as of `read_dictionary`, the result as of `Dictionary.contexts`.
    """
    return _Arcs(graph, transitions, phone_of, backoff=-1).contexts()


class _Arcs:
    """The arcs of a graph without self-loops, as columns."""

    def __init__(self, graph: Arcs, transitions: np.ndarray, phone_of: np.ndarray, backoff: int):
        n_states = len(graph.final)
        source = np.repeat(np.arange(n_states, dtype=np.int32), np.diff(graph.first_arc))
        label, target = graph.arcs["label"], graph.arcs["target"]
        emits = (label > 0) & (label < len(transitions))
        keep = ~(emits & (source == target))
        self.n_states, self.start, self.backoff = n_states, graph.start, backoff
        self.source, self.target = source[keep], target[keep]
        self.cost, self.word = graph.arcs["cost"][keep], graph.arcs["word"][keep]
        self.row = np.where(emits, transitions[np.where(emits, label, 0)], -1)[keep]
        self.phone = np.where(self.row >= 0, phone_of[self.row], 0)
        counts = np.bincount(self.source, minlength=n_states)
        self.first = np.concatenate([[0], np.cumsum(counts)])
        self.final = graph.final

    def out_of(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the arcs that leave states, and the place in `states` that each comes from."""
        counts = self.first[states + 1] - self.first[states]
        ends = np.cumsum(counts)
        at = np.repeat(self.first[states] - ends + counts, counts) + np.arange(ends[-1:].sum())
        return at, np.repeat(np.arange(len(states)), counts)

    def boundaries(self) -> np.ndarray:
        """(n_states,) bool."""
        found = np.zeros(self.n_states, np.bool_)
        found[self.source[(self.word == self.backoff) & (self.row < 0)]] = True
        if not found.any():
            raise FormatError("a graph without an arc #0: no state between words can be found")
        return found

    def contexts(self) -> np.ndarray:
        """Unique (phone before, phone, row) of all arcs that read a phone."""
        emits = self.row >= 0
        width = int(self.phone.max()) + 1
        last = np.unique(np.append(self.target[emits].astype(np.int64) * width + self.phone[emits],
                                   self.start * width))
        quiet = np.flatnonzero(~emits)
        quiet = quiet[np.argsort(self.source[quiet], kind="stable")]
        new = last
        while len(new):  # the phone before does not change where none is read
            state, phone = new // width, new % width
            low = np.searchsorted(self.source[quiet], state)
            high = np.searchsorted(self.source[quiet], state, side="right")
            counts = high - low
            ends = np.cumsum(counts)
            at = np.repeat(low - ends + counts, counts) + np.arange(ends[-1])
            reached = np.unique(self.target[quiet[at]] * np.int64(width) + np.repeat(phone, counts))
            new = np.setdiff1d(reached, last, assume_unique=True)
            last = np.union1d(last, new)
        state, phone = last // width, last % width
        at, which = self.out_of(state)
        emits_at = self.row[at] >= 0
        at, which = at[emits_at], which[emits_at]
        n_rows = np.int64(self.row.max() + 1)
        keys = np.unique(phone[which] * n_rows + self.row[at])
        row = keys % n_rows
        phone_of = np.zeros(n_rows, np.int64)
        phone_of[self.row[emits]] = self.phone[emits]
        return np.stack([keys // n_rows, phone_of[row], row], axis=1).astype(np.int32)

    def after_word(self, boundaries: np.ndarray) -> np.ndarray:
        """(n_arcs,) bool: the arc reads a phone and leads to a boundary."""
        return boundaries[self.target] & (self.row >= 0)

    def ways(
        self, boundaries: np.ndarray, silence: int, leave_cost: np.ndarray
    ) -> tuple[np.ndarray, tuple[tuple[int, ...], ...], np.ndarray, float]:
        """Follow all ways from boundaries of both sorts: after silence, and after a word."""
        after_silence, after_word = self._sorts(boundaries, silence)
        begins = list(dict.fromkeys((after_silence, after_word)))
        groups = [group for state in begins
                  for group in self._ways(state, boundaries, silence, leave_cost)]
        hashes = np.concatenate([_hashes(word, phones) for word, phones, _, _ in groups])
        probability = np.concatenate([group[2] for group in groups])
        is_silent = np.concatenate([group[3] for group in groups])
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        total = np.bincount(which, probability)
        silent = np.bincount(which, probability * is_silent) / total
        cost = -np.log(total / len(begins))
        is_first = np.zeros(len(hashes), np.bool_)
        is_first[first] = True
        words, spelled, at = list[np.ndarray](), list[tuple[int, ...]](), 0
        for word, phones, _, _ in groups:
            rows = is_first[at : at + len(word)]
            at += len(word)
            words.append(word[rows])
            spelled += [tuple(filter(None, row)) for row in phones[rows].tolist()]
        return np.concatenate(words), tuple(spelled), cost[which[is_first]], float(silent.mean())

    def _sorts(self, boundaries: np.ndarray, silence: int) -> tuple[int, int]:
        """A boundary after silence within the utterance, and one after a word without."""
        into = boundaries[self.target] & ~(self.word == self.backoff)
        by_silence = self.target[into & (self.row >= 0) & (self.phone == silence)
                                 & (self.source != self.start)]
        plain = self.target[into & (self.row < 0) & (self.source != self.start)]
        if not len(by_silence) and not len(plain):
            raise FormatError("no word of the graph leads back to a state between words")
        both = [int(np.bincount(of).argmax()) for of in (by_silence, plain) if len(of)]
        return both[0], both[-1]

    def _ways(
        self, begin: int, boundaries: np.ndarray, silence: int, leave_cost: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """The ways from a state, those of one number of steps together: word, phones (n, steps)
        with 0 where none is read, probability, and whether silence follows."""
        state = np.array([begin], np.int64)
        cost, word = np.zeros(1), np.zeros(1, np.int32)
        steps: list[tuple[np.ndarray, np.ndarray]] = []  # step before, and phone, of each step
        n_steps, found, pending = 0, [], self._pending(begin)
        leave = float(np.median(leave_cost))
        for _ in range(2 * MAX_PHONES):
            at, which = self.out_of(state)
            keep = (self.word[at] != self.backoff) | (self.row[at] >= 0)
            at, which = at[keep], which[keep]
            if not len(at):
                break
            cost, said = cost[which] + self.cost[at], self.word[at]
            if ((said > 0) & (word[which] > 0)).any():
                raise FormatError("two words between two boundaries of the graph")
            word = np.where(said > 0, said, word[which])
            state = self.target[at].astype(np.int64)
            n_steps += len(at)
            if n_steps > MAX_STEPS + STEPS_PER_ARC * len(self.cost):
                raise FormatError(f"the ways of the words have more than {n_steps} steps")
            steps.append((which, self.phone[at]))
            done = boundaries[state]
            ended = np.flatnonzero(done & (word > 0))
            phones = _spell(ended, steps)
            is_silent = phones[:, -1] == silence
            phones[is_silent, -1] = 0
            # each phone's state is left once, and that of silence in front; that of silence at the
            # end not yet
            leaves = np.count_nonzero(phones, axis=1) + pending
            found.append((word[ended], phones, np.exp(leaves * leave - cost[ended]), is_silent))
            going = np.flatnonzero(~done)
            state, cost, word = state[going], cost[going], word[going]
            steps[-1] = steps[-1][0][going], steps[-1][1][going]
        return found

    def _pending(self, state: int) -> int:
        """1 where a phone was read on the way into a state, which is left behind it."""
        return int((self.row[self.target == state] >= 0).any())


def _spell(last: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The phones of ways that end with some steps of the last level, (n, levels) int32."""
    phones = np.zeros((len(last), len(steps)), np.int32)
    for level in range(len(steps) - 1, -1, -1):
        before, phone = steps[level]
        phones[:, level] = phone[last]
        last = before[last]
    return phones


def _hashes(word: np.ndarray, phones: np.ndarray) -> np.ndarray:
    """A number of each word with its phones, uint64; zeros among the phones do not count."""
    sums = word.astype(np.uint64)
    for column in phones.T:
        value = sums * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64)
        value ^= value >> np.uint64(29)
        sums = np.where(column > 0, value, sums)
    return sums


def ngram_model(fst: NGramFst, words: Mapping[int, str]) -> NGramModel:
    """Return the n-gram model of Gr; FormatError where it is none.

    `words` are the words by number; those that are in no unigram are left out.
    """
    n_states = len(fst.parent)
    depth = np.zeros(n_states, np.int32)
    depth[1:] = 1
    for _ in range(10):  # parents come before their children
        deeper = depth[fst.parent[1:]] + 1
        if (deeper == depth[1:]).all():
            break
        depth[1:] = deeper
    else:
        raise FormatError("contexts of more than 10 words")
    unigrams = fst.word[fst.first[0] : fst.first[1]]
    lacking = [int(label) for label in unigrams if label not in words][:1]
    if lacking:
        raise FormatError(f"word {lacking[0]} has no name in the table of words")
    names = (EPSILON, BEGIN, END, *(words[label] for label in unigrams.tolist()))
    if len(set(names)) < len(names):
        raise FormatError("a word comes twice in the language model")
    ids = _Ids(np.append(unigrams, 0), np.append(np.arange(3, len(names)), 1))  # 0 stands for <s>
    contexts = _contexts(fst, depth, ids)
    tables = []
    for n in range(int(depth.max()) + 1):
        states = np.flatnonzero(depth == n)
        counts = np.diff(fst.first)[states]
        at = np.repeat(fst.first[states] - np.cumsum(counts) + counts, counts)
        at += np.arange(len(at))
        ends = states[fst.final[states] < np.inf]
        history = np.concatenate([contexts[np.repeat(states, counts), :n], contexts[ends, :n]])
        word = np.concatenate([ids.of(fst.word[at]), np.full(len(ends), 2)])
        log_prob = -np.concatenate([fst.cost[at], fst.final[ends]]).astype(np.float64)
        if n == 0:
            history = np.zeros((len(word) + 1, 0), np.int32)
            word, log_prob = np.append(word, 1), np.append(log_prob, NEVER)
        if not (word > 0).all():
            raise FormatError("an n-gram of a word without a unigram")
        ngrams = np.concatenate([history, word[:, None]], axis=1)
        tables.append((ngrams, log_prob, _backoffs(fst, contexts, depth, ngrams, len(names))))
    return NGramModel.from_ngrams(names, tables)


class _Ids:
    """Ids by label; 0 for labels without one."""

    def __init__(self, labels: np.ndarray, ids: np.ndarray):
        order = np.argsort(labels, kind="stable")
        self._labels, self._ids = labels[order], ids[order].astype(np.int32)

    def of(self, labels: np.ndarray) -> np.ndarray:
        at = np.searchsorted(self._labels, labels).clip(max=len(self._labels) - 1)
        return np.where(self._labels[at] == labels, self._ids[at], 0)


def _contexts(fst: NGramFst, depth: np.ndarray, ids: _Ids) -> np.ndarray:
    """(n_states, longest) int32: words of each context, oldest first."""
    found = np.zeros((len(depth), max(1, int(depth.max()))), np.int32)
    for n in range(1, int(depth.max()) + 1):
        states = np.flatnonzero(depth == n)
        found[states, 0] = ids.of(fst.oldest[states])
        found[states, 1:n] = found[fst.parent[states], : n - 1]
    return found


def _backoffs(
    fst: NGramFst, contexts: np.ndarray, depth: np.ndarray, ngrams: np.ndarray, n_words: int
) -> np.ndarray:
    """Back-off weights, natural log, of n-grams that are contexts; 0 for the others."""
    n = ngrams.shape[1]
    found = np.zeros(len(ngrams))
    states = np.flatnonzero(depth == n)
    if not len(states):
        return found
    rows = np.concatenate([contexts[states, :n], ngrams]).astype(np.int64)
    key = rows[:, 0]
    for column in rows.T[1:]:
        if key.max() > (1 << 62) // n_words:
            key = np.unique(key, return_inverse=True)[1]
        key = key * n_words + column
    order = np.argsort(key[: len(states)])
    mine, theirs = key[: len(states)][order], key[len(states) :]
    at = np.searchsorted(mine, theirs).clip(max=len(mine) - 1)
    is_context = mine[at] == theirs
    found[is_context] = -fst.backoff[states[order[at[is_context]]]]
    if missing := len(states) - np.count_nonzero(is_context):
        raise FormatError(f"{missing} contexts of {n} words are no n-grams themselves")
    return found
