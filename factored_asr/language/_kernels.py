"""Kernels of the algebra of acceptors (`acceptor`): subsets of states, and pairs of them."""

from __future__ import annotations

import numpy as np

from factored_asr.storage.kernels import kernel

NONE = -1
ODD_A, ODD_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(29)
STEPS = 1024.0
"""Costs that are the same to 1 / `STEPS` count as equal, as in OpenFst."""


@kernel
def mix(value):  # pragma: no cover - compiled
    """Scramble 64 bits (multiply and xor-shift); graphs are hashed by it, too."""
    value = (value ^ (value >> _SHIFT)) * ODD_A
    value = (value ^ (value >> _SHIFT)) * ODD_B
    return value ^ (value >> _SHIFT)


@kernel
def skip_epsilons(is_begin, first_arc, arcs, final):
    """Give some states the arcs and ends of all states that epsilons lead to; others get none.

    Least costs by the Bellman-Ford algorithm. Returns offsets of arcs, arcs, and final costs.
    """
    n_states = len(final)
    least, waits = np.full(n_states, np.inf), np.zeros(n_states, np.bool_)
    queue, found = np.empty(n_states, np.int32), np.empty(n_states, np.int32)
    first_out, n_out = np.zeros(n_states + 1, np.int64), 0
    out, ends = np.empty(len(arcs) + 1, arcs.dtype), np.full(n_states, np.inf, np.float32)
    for state in range(n_states):
        n_found = head = n_waiting = np.int64(0)
        if is_begin[state]:
            queue[0] = found[0] = state
            least[state] = 0.0
            n_found = n_waiting = 1
        while n_waiting:
            at = queue[head]
            head, n_waiting, waits[at] = (head + 1) % n_states, n_waiting - 1, False
            for a in range(first_arc[at], first_arc[at + 1]):
                target, cost = arcs[a].target, least[at] + arcs[a].cost
                if arcs[a].label == 0 and cost < least[target]:
                    if least[target] == np.inf:
                        found[n_found] = target
                        n_found += 1
                    least[target] = cost
                    if not waits[target]:
                        queue[(head + n_waiting) % n_states] = target
                        n_waiting, waits[target] = n_waiting + 1, True
        for k in range(n_found):
            at = found[k]
            paid, least[at] = least[at], np.inf
            ends[state] = min(ends[state], paid + final[at])
            while n_out + first_arc[at + 1] - first_arc[at] > len(out):
                out = np.concatenate((out, np.empty_like(out)))
            for a in range(first_arc[at], first_arc[at + 1]):
                if arcs[a].label != 0:
                    out[n_out] = arcs[a]
                    out[n_out].cost = paid + arcs[a].cost
                    n_out += 1
        first_out[state + 1] = n_out
    return first_out, out[:n_out], ends


@kernel
def _sort(keys, costs, n):
    """Sort the first n keys, and costs with them (Shell sort: most rows are sorted or short)."""
    is_sorted = True
    for i in range(1, n):
        is_sorted = is_sorted and keys[i - 1] <= keys[i]
    gap = 0 if is_sorted else n // 2
    while gap:
        for i in range(gap, n):
            key, cost, j = keys[i], costs[i], i
            while j >= gap and keys[j - gap] > key:
                keys[j], costs[j] = keys[j - gap], costs[j - gap]
                j -= gap
            keys[j], costs[j] = key, cost
        gap //= 2


@kernel
def _slots(hashes, n_known, size):
    """A table of `size` slots, open addressing, that holds the first n numbers by their hashes."""
    table = np.full(size, NONE, np.int32)
    for number in range(n_known):
        slot = np.int64(hashes[number] & np.uint64(size - 1))
        while table[slot] != NONE:
            slot = (slot + 1) & (size - 1)
        table[slot] = number
    return table


@kernel
def _with_room(array, n):
    """An array that begins as the given one and has n elements or more."""
    while n > len(array):
        array = np.concatenate((array, np.empty_like(array)))
    return array


@kernel
def determinise(start, first_arc, arcs, final, limit):
    """Make an acceptor without epsilons deterministic, if it then has at most `limit` states.

    A state is a subset of old ones, each with what its best path costs above the best path of all.
    These rests are charged where the paths part. After Mohri (1997), "Finite-state transducers in
    language and speech processing". Returns offsets of arcs, arcs sorted by label, final costs, and
    whether that is all.
    """
    member, rest = np.empty(1 << 10, np.int32), np.empty(1 << 10, np.float64)  # of all subsets
    first, hashes = np.zeros(1 << 10, np.int64), np.zeros(1 << 10, np.uint64)  # by subset
    first_out, ends = np.zeros(1 << 10, np.int64), np.empty(1 << 10, np.float32)
    keys, costs = np.empty(1 << 10, np.int64), np.empty(1 << 10, np.float64)  # steps from one
    out, n_out = np.empty(1 << 10, arcs.dtype), 0
    member[0], rest[0], first[1] = start, 0.0, 1
    n_known, at = 1, 0
    table = _slots(hashes, n_known, 1 << 11)
    while at < n_known <= limit:
        n_steps, end = 0, np.inf
        for m in range(first[at], first[at + 1]):
            begin, stop = first_arc[member[m]], first_arc[member[m] + 1]
            keys = _with_room(keys, n_steps + stop - begin)
            costs = _with_room(costs, n_steps + stop - begin)
            for a in range(begin, stop):
                keys[n_steps] = np.int64(arcs[a].label) << 32 | np.int64(arcs[a].target)
                costs[n_steps] = rest[m] + arcs[a].cost
                n_steps += 1
            end = min(end, rest[m] + final[member[m]])
        _sort(keys, costs, n_steps)
        first = _with_room(first, n_known + n_steps + 1)
        hashes = _with_room(hashes, n_known + n_steps)
        first_out, ends = _with_room(first_out, at + 2), _with_room(ends, at + 1)
        out, member = _with_room(out, n_out + n_steps), _with_room(member, first[n_known] + n_steps)
        rest = _with_room(rest, len(member))
        if 2 * (n_known + n_steps) > len(table):
            table = _slots(hashes, n_known, 4 * len(hashes))
        k = 0
        while k < n_steps:
            label, best, j = keys[k] >> 32, np.inf, k
            while j < n_steps and keys[j] >> 32 == label:
                best = min(best, costs[j])
                j += 1
            size, value, tail = 0, np.uint64(0), first[n_known]
            while k < j:
                key, least = keys[k], costs[k]
                while k < j and keys[k] == key:
                    least = min(least, costs[k])
                    k += 1
                member[tail + size], rest[tail + size] = key & 0xFFFFFFFF, least - best
                step = np.uint64(np.int64(np.rint((least - best) * STEPS)))
                value = mix(value + np.uint64(key & 0xFFFFFFFF) * ODD_A + step * ODD_B)
                size += 1
            slot = np.int64(value & np.uint64(len(table) - 1))
            while table[slot] != NONE:
                there = first[table[slot]]
                is_same = first[table[slot] + 1] - there == size
                for i in range(size if is_same else 0):
                    is_same = is_same and member[there + i] == member[tail + i] and (
                        np.rint(rest[there + i] * STEPS) == np.rint(rest[tail + i] * STEPS))
                if is_same:
                    break
                slot = (slot + 1) & (len(table) - 1)
            if table[slot] == NONE:
                table[slot], hashes[n_known] = n_known, value
                n_known += 1
                first[n_known] = tail + size
            out[n_out].label = out[n_out].word = label
            out[n_out].cost, out[n_out].target = best, table[slot]
            n_out += 1
        ends[at] = end
        at += 1
        first_out[at] = n_out
    return first_out[: at + 1], out[:n_out], ends[:at], at == n_known


@kernel
def subtract(start, first_arc, arcs, final, other_start, other_first, other_arcs, other_final):
    """Return the paths of one acceptor whose labels are no path of another.

    A state is a pair of states; the other, deterministic and with arcs sorted by label, may have
    come to no state. Returns offsets of arcs, arcs, and final costs.
    """
    n_other = len(other_final) + 1  # the last one: no state
    hashes, pair = np.zeros(1 << 10, np.uint64), np.empty(1 << 10, np.int64)
    first_out, ends = np.zeros(1 << 10, np.int64), np.empty(1 << 10, np.float32)
    out, n_out = np.empty(1 << 10, arcs.dtype), 0
    pair[0] = np.int64(start) * n_other + other_start
    hashes[0] = mix(np.uint64(pair[0]))
    table = _slots(hashes, 1, 1 << 11)
    n_known, at = 1, 0
    while at < n_known:
        state, other = np.divmod(pair[at], n_other)
        begin, stop = first_arc[state], first_arc[state + 1]
        hashes = _with_room(hashes, n_known + stop - begin)
        pair = _with_room(pair, n_known + stop - begin)
        first_out, ends = _with_room(first_out, at + 2), _with_room(ends, at + 1)
        out = _with_room(out, n_out + stop - begin)
        if 2 * (n_known + stop - begin) > len(table):
            table = _slots(hashes, n_known, 4 * len(hashes))
        for a in range(begin, stop):
            after = np.int64(n_other - 1)
            if other < n_other - 1:
                low, high = other_first[other], other_first[other + 1]
                while low < high:  # by bisection
                    middle = (low + high) // 2
                    if other_arcs[middle].label < arcs[a].label:
                        low = middle + 1
                    else:
                        high = middle
                if low < other_first[other + 1] and other_arcs[low].label == arcs[a].label:
                    after = np.int64(other_arcs[low].target)
            key = np.int64(arcs[a].target) * n_other + after
            value = mix(np.uint64(key))
            slot = np.int64(value & np.uint64(len(table) - 1))
            while table[slot] != NONE and pair[table[slot]] != key:
                slot = (slot + 1) & (len(table) - 1)
            if table[slot] == NONE:
                table[slot], pair[n_known], hashes[n_known] = n_known, key, value
                n_known += 1
            out[n_out] = arcs[a]
            out[n_out].target = table[slot]
            n_out += 1
        is_end = other < n_other - 1 and other_final[other] < np.inf
        ends[at] = np.inf if is_end else final[state]
        at += 1
        first_out[at] = n_out
    return first_out[: at + 1], out[:n_out], ends[:at]
