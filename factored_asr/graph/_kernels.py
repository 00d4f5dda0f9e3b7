"""Kernels of graph building: context expansion, and what minimisation compares."""

from __future__ import annotations

import numpy as np

from factored_asr.language._kernels import ODD_A, ODD_B, mix
from factored_asr.storage.kernels import kernel

EMPTY = -1
WIDE = 0xFFFF
"""Stands in the record of a state for numbers of arcs that are as large or larger."""


@kernel
def _group(source, arc):
    """Where an arc stands among those of all states: silent ones first, self-loops, then others."""
    return 3 * np.int64(source) + (0 if arc.label == 0 else 1 if arc.target == source else 2)


@kernel
def places(source, arcs, n_states):
    """Where the arcs of each state's three groups begin, (3 n_states + 1,); are they sorted?"""
    begin, is_sorted, before = np.zeros(3 * n_states + 1, np.int64), True, 0
    for a in range(len(arcs)):
        group = _group(source[a], arcs[a])
        begin[group + 1] += 1
        is_sorted &= group >= before
        before = group
    for group in range(3 * n_states):
        begin[group + 1] += begin[group]
    return begin, is_sorted


@kernel
def put_in_places(source, arcs, begin):
    """Sort arcs by their groups, each in the order they came; `begin` is used up."""
    placed = np.empty(len(arcs), arcs.dtype)
    for a in range(len(arcs)):
        group = _group(source[a], arcs[a])
        placed[begin[group]] = arcs[a]
        begin[group] += 1
    return placed


@kernel
def signatures(first_arc, arcs, own):
    """Hash what each state is itself (`own`) with all its futures, in one depth-first pass.

    A state's signature mixes the set of (label, word, cost, signature of the target) of its arcs;
    a sum makes their order indifferent. Where a cycle closes, the state it comes back to gets a
    signature of its own: it is kept apart from all others, which is safe.
    """
    n_states = len(own)
    signature = np.zeros(n_states, np.uint64)  # 0: not yet known
    at = first_arc[:-1].copy()  # next arc of each state on the stack
    stack = np.empty(n_states, np.int32)
    is_open = np.zeros(n_states, np.bool_)
    for root in range(n_states):
        if signature[root]:
            continue
        stack[0], depth, is_open[root] = root, 1, True
        while depth:
            state = stack[depth - 1]
            if at[state] < first_arc[state + 1]:
                target = arcs[at[state]].target
                at[state] += 1
                if is_open[target]:
                    signature[target] = mix(np.uint64(target) + ODD_B)
                elif not signature[target]:
                    stack[depth], is_open[target] = target, True
                    depth += 1
                continue
            depth -= 1
            is_open[state] = False
            if not signature[state]:
                signature[state] = mix(own[state] + _future(first_arc, arcs, signature, state))
    return signature


@kernel
def _future(first_arc, arcs, signature, state):
    """Sum over a state's arcs of what each is and leads to."""
    total = np.uint64(0)
    for a in range(first_arc[state], first_arc[state + 1]):
        # Costs are compared to 1/1024, as OpenFst's minimisation does.
        step = np.int64(np.rint(arcs[a].cost * 1024.0))
        value = mix(np.uint64(arcs[a].label) * ODD_A + np.uint64(arcs[a].word))
        total += mix(mix(value + np.uint64(step) * ODD_B) + signature[arcs[a].target])
    return total


@kernel
def _find_or_add(table_keys, table_states, key, n_known):
    """Slot of `key` in an open-addressing table; a new key gets the state `n_known`."""
    mask = len(table_keys) - 1
    slot = np.int64(mix(np.uint64(key)) & np.uint64(mask))
    while table_keys[slot] != EMPTY and table_keys[slot] != key:
        slot = (slot + 1) & mask
    if table_keys[slot] == EMPTY:
        table_keys[slot], table_states[slot] = key, n_known
    return table_states[slot]


@kernel
def _rehashed(keys, n_known, size):
    """A table of `size` slots that holds the first `n_known` keys."""
    table_keys = np.full(size, EMPTY, np.int64)
    table_states = np.empty(size, np.int32)
    for state in range(n_known):
        _find_or_add(table_keys, table_states, keys[state], state)
    return table_keys, table_states


@kernel
def expand_context(
    starts, first_arc, arcs, final, unit_of, left_class, right_class, same_left, right_edge,
    silent_end,
):
    """Walk LG and write, for each phone, its unit between its neighbours.

    A state is (LG state, left class, pending phone symbol). Where units depend on the right
    neighbour, a phone is written one phone late, when that is known; otherwise at once, and none
    is ever pending. `same_left[symbol, left]` stands for all left classes that need not be kept
    apart before a symbol. `silent_end`: an utterance without phones ends by an epsilon arc.
    `starts` (n, 3): LG state, left class and pending symbol (the number of symbols: none) of the
    states to begin with. Returns per arc: source, label (unit + 1; 0 = epsilon), word, cost,
    target; the final cost of each state; and what it is, (LG state * n_left + left class) * width
    + pending symbol. The starts are states 0, 2, 3, …; phones that were late end in state 1.
    """
    n_symbols, n_left = same_left.shape
    is_late = unit_of.shape[2] > 1
    width = n_symbols + 1  # the last symbol: nothing pending
    keys = np.empty(1 << 16, np.int64)
    table_keys, table_states = _rehashed(keys, 0, 1 << 18)
    out_source, out_arcs = np.empty(1 << 18, np.int32), np.empty(1 << 18, arcs.dtype)
    ends = np.full(len(keys), np.inf, np.float32)
    n_out, n_known, at = 0, 1 + len(starts), 0
    while len(keys) < n_known:
        keys = np.concatenate((keys, np.empty_like(keys)))
        ends = np.concatenate((ends, np.full(len(ends), np.inf, np.float32)))
    for i in range(len(starts)):
        number = i + (i > 0)
        keys[number] = (starts[i, 0] * n_left + starts[i, 1]) * width + starts[i, 2]
        _find_or_add(table_keys, table_states, keys[number], number)
    keys[1], ends[1] = -2, 0.0
    while at < n_known:
        if at == 1:
            at += 1
            continue
        pending = keys[at] % width
        left = keys[at] // width % n_left
        state = keys[at] // (width * n_left)
        n_new = first_arc[state + 1] - first_arc[state] + 1
        while n_out + n_new > len(out_arcs):
            out_arcs = np.concatenate((out_arcs, np.empty_like(out_arcs)))
            out_source = np.concatenate((out_source, np.empty_like(out_source)))
        while n_known + n_new > len(keys):
            keys = np.concatenate((keys, np.empty_like(keys)))
            ends = np.concatenate((ends, np.full(len(ends), np.inf, np.float32)))
        while 2 * (n_known + n_new) > len(table_keys):
            table_keys, table_states = _rehashed(keys, n_known, 2 * len(table_keys))
        for a in range(first_arc[state], first_arc[state + 1]):
            label, next_left, next_pending = 0, left, pending
            if arcs[a].label != 0:
                symbol = np.int64(arcs[a].label - 1)
                if not is_late:
                    label, next_left = unit_of[symbol, left, 0] + 1, np.int64(left_class[symbol])
                else:
                    next_pending = symbol
                    if pending < n_symbols:
                        label = unit_of[pending, left, right_class[symbol]] + 1
                        next_left = np.int64(left_class[pending])
                    next_left = np.int64(same_left[symbol, next_left])
            key = (np.int64(arcs[a].target) * n_left + next_left) * width + next_pending
            target = _find_or_add(table_keys, table_states, key, n_known)
            if target == n_known:
                keys[n_known] = key
                n_known += 1
            out_source[n_out] = at
            out_arcs[n_out].label, out_arcs[n_out].word = label, arcs[a].word
            out_arcs[n_out].cost, out_arcs[n_out].target = arcs[a].cost, target
            n_out += 1
        if final[state] < np.inf and pending == n_symbols and not silent_end:
            ends[at] = final[state]
        elif final[state] < np.inf:
            label = unit_of[pending, left, right_edge] + 1 if pending < n_symbols else 0
            out_source[n_out] = at
            out_arcs[n_out].label, out_arcs[n_out].word = label, 0
            out_arcs[n_out].cost, out_arcs[n_out].target = final[state], 1
            n_out += 1
        at += 1
    return out_source[:n_out], out_arcs[:n_out], ends[:n_known], keys[:n_known]


@kernel
def depth_first(first_arc, targets, start):
    """Return the states that can be reached from one, in the order of a depth-first search."""
    n_states = len(first_arc) - 1
    order = np.empty(n_states, np.int32)
    seen = np.zeros(n_states, np.bool_)
    following = first_arc[:-1].copy()  # of each state on the stack: its next arc
    stack = np.empty(n_states, np.int32)
    stack[0], order[0] = start, start
    seen[start] = True
    depth = n_found = 1
    while depth:
        state = stack[depth - 1]
        if following[state] == first_arc[state + 1]:
            depth -= 1
            continue
        target = targets[following[state]]
        following[state] += 1
        if not seen[target]:
            seen[target] = True
            order[n_found] = stack[depth] = target
            n_found += 1
            depth += 1
    return order[:n_found]


@kernel
def first_broken_state(first_arc, states, arcs, final, n_labels, n_words):
    """The first state whose arcs, record or final cost break the laws of a graph; -1: none does."""
    n_states = len(final)
    for state in range(n_states):
        first, last, one = first_arc[state], first_arc[state + 1], states[state]
        if not 0 <= first <= last <= len(arcs) or not final[state] > -np.inf:
            return state
        emitting, loop = first, 0
        while emitting < last and arcs[emitting].label == 0:
            emitting += 1
        if emitting < last and arcs[emitting].target == state:
            loop = 1
            if one.label != arcs[emitting].label or one.loop_cost != arcs[emitting].cost:
                return state
        n_epsilon, n_leaving = emitting - first, last - emitting - loop
        if max(n_epsilon, n_leaving) >= WIDE:
            n_epsilon = n_leaving = np.int64(WIDE)
        if one.begin != first or one.n_epsilon != n_epsilon or one.n_leaving != n_leaving:
            return state
        if loop == 0 and one.label != 0:
            return state
        for a in range(first, last):
            label, word, target = arcs[a]["label"], arcs[a]["word"], arcs[a]["target"]
            is_whole = (label == 0) == (a < emitting) and 0 <= label <= n_labels
            if not (is_whole and 0 <= word < n_words and 0 <= target < n_states):
                return state
            if not arcs[a]["cost"] > -np.inf:
                return state
    return -1 if states[n_states].begin == len(arcs) else n_states - 1


@kernel
def grow_trees(first_entry, rank, cost, target, first_symbol, symbols, word, empty):
    """Write a tree of pronunciations below each state.

    State s has the entries ``first_entry[s]`` to ``first_entry[s + 1]``: pronunciations by their
    ranks, ascending, with their costs and the states that they lead to. Pronunciation r has
    ``symbols[first_symbol[r]:first_symbol[r + 1]]`` and says ``word[r]``. An arc carries the least
    cost of all below it, and the word as soon as only that word is left. `empty`: of the arcs'
    type. Returns source and arc of each; labels are symbols + 1, inner states follow the others.
    """
    out_source, out_arcs = np.empty(1 << 18, np.int32), np.empty(1 << 18, empty.dtype)
    # Nodes to be done: entries, depth, state, cost above, whether the word is said.
    todo, above = np.empty((1 << 16, 5), np.int64), np.empty(1 << 16, np.float32)
    n_out, n_states = 0, len(first_entry) - 1
    for root in range(len(first_entry) - 1):
        n_todo = 1
        todo[0, 0], todo[0, 1], todo[0, 2] = first_entry[root], first_entry[root + 1], 0
        todo[0, 3], todo[0, 4], above[0] = root, 0, 0.0
        while n_todo:
            n_todo -= 1
            at, end, depth = todo[n_todo, 0], todo[n_todo, 1], todo[n_todo, 2]
            state, said, paid = todo[n_todo, 3], todo[n_todo, 4], above[n_todo]
            while n_out + end - at > len(out_arcs):
                out_arcs = np.concatenate((out_arcs, np.empty_like(out_arcs)))
                out_source = np.concatenate((out_source, np.empty_like(out_source)))
            while n_todo + end - at > len(todo):
                todo = np.concatenate((todo, np.empty_like(todo)))
                above = np.concatenate((above, np.empty_like(above)))
            while at < end:
                place = first_symbol[rank[at]] + depth
                symbol, is_last = symbols[place], place + 1 == first_symbol[rank[at] + 1]
                first, least, alone = at, cost[at], True
                at += 1
                while not is_last and at < end and (
                    symbols[first_symbol[rank[at]] + depth] == symbol
                ):  # those that end here come first, so these all go on
                    least = min(least, cost[at])
                    alone = alone and word[rank[at]] == word[rank[first]]
                    at += 1
                out_source[n_out], out_arcs[n_out].label = state, symbol + 1
                out_arcs[n_out].word = word[rank[first]] if alone and not said else 0
                out_arcs[n_out].cost = least - paid
                if is_last:
                    out_arcs[n_out].target = target[first]
                else:
                    out_arcs[n_out].target = n_states
                    todo[n_todo, 0], todo[n_todo, 1], todo[n_todo, 2] = first, at, depth + 1
                    todo[n_todo, 3], todo[n_todo, 4] = n_states, said or alone
                    above[n_todo] = least
                    n_todo += 1
                    n_states += 1
                n_out += 1
    return out_source[:n_out], out_arcs[:n_out]


@kernel
def shift_costs(arcs, states, shift):
    """Add to the cost of each arc what `shift` has for its word; arcs of other words stay as read.

    `states`: their records, which have the costs of self-loops, too.
    """
    for a in range(len(arcs)):
        more = shift[arcs[a].word]
        if more != 0.0:
            arcs[a].cost += more
            one = states[arcs[a].target]
            begin, end = np.int64(one.begin), np.int64(states[arcs[a].target + 1].begin)
            if one.label != 0 and begin <= a < end and (a == begin or arcs[a - 1].label == 0):
                one.loop_cost = arcs[a].cost


@kernel
def put_behind(arcs, states, n_arcs, n_states, own, records):
    """Write arcs and states of a small graph behind the first arcs and states of a large one."""
    for a in range(len(own)):
        arcs[n_arcs + a] = own[a]
        arcs[n_arcs + a].target += n_states
    for state in range(len(records)):  # the last one tells where the arcs end
        states[n_states + state] = records[state]
        states[n_states + state].begin += np.uint32(n_arcs)
