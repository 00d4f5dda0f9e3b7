"""Kernels of the Viterbi beam search: one frame, many frames, bookkeeping of the ways back.

A token is the best way found so far into one state. Tokens of a frame lie in one array. `slots`
says where a state's token lies, and is right only if that token names the state (a sparse set:
nothing is cleared between frames). A token remembers the last step of its way back (`back`, a row
of `steps`) and, where it has just crossed an arc, that arc. The row for it is written when the
token turns out to survive. Staying in a state (its self-loop) writes nothing.

A frame has four passes. `_stay` takes all tokens over their self-loops, which needs no search for
the token of the target. It sorts them by the number of their other arcs, so that `_leave` loops
equally often over each of a group. `_place` enters what these arcs lead to. `close` follows epsilon
arcs.

For a lattice the tokens of a frame are the nodes of a layer (one layer before each frame).
Candidates not much dearer than the best way into their state stay where they were put (links
between the tokens of one frame and the next). A self-loop is kept in the node that it leads to.
From time to time `sweep` goes back and drops what no longer lies within the lattice beam.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from factored_asr.graph._kernels import WIDE
from factored_asr.storage.kernels import kernel

TOKEN = np.dtype([("state", "<u4"), ("cost", "<f4"), ("back", "<i4"), ("arc", "<i4")])
STEP = np.dtype([("back", "<i4"), ("arc", "<i4"), ("frame", "<i4")])
# A token that is about to leave its state: first of the arcs to take, how many, its cost and the
# step it comes from (for a lattice the token).
LEAVING = np.dtype([("begin", "<u4"), ("n_arcs", "<u4"), ("cost", "<f4"), ("back", "<i4")])
# A candidate: the state it leads to, what the way over it costs, the step it comes from (for a
# lattice the token) and its arc. One that is kept as a link has in place of the state the number of
# its target within its layer, and once `sweep` has seen it in place of the cost its slack: by how
# much the way over it is dearer than the best one to its target.
LINK = np.dtype([("target", "<u4"), ("cost", "<f4"), ("source", "<i4"), ("arc", "<i4")])
# What a lattice knows of a token. `extra`: by how much the best way over this node is dearer than
# the best of all. `before`: the node of the layer before that came here by its self-loop, or NONE;
# `stay`: what that way costs, later its slack.
PAST = np.dtype([("extra", "<f4"), ("before", "<i4"), ("stay", "<f4")])
NODE = np.dtype([("state", "<i4"), ("cost", "<f4"), ("extra", "<f4")])  # of the whole lattice
# The first node of a layer, the first link into it that emits, the first link within it, and the
# cost of its best token; the layer after the last one tells where that ends. `kept` and
# `kept_silent`: in `sweep`, where the links that stay begin.
LAYER = np.dtype(
    [("node", "<i8"), ("link", "<i8"), ("silent", "<i8"), ("kept", "<i8"), ("kept_silent", "<i8"),
     ("best", "<f4")]
)  # fmt: skip

# What `advance` comes back with.
DONE, NEED_TOKENS, NEED_STEPS, NEGATIVE_CYCLE, NO_TOKENS, NEED_LINKS = 0, 1, 2, 3, 4, 5
# Where a search's counters stand in its int64 array; AT: where the tokens of the last frame begin.
N_TOKENS, N_STEPS, FRAME, BEST, AT, N_ARCS, N_EXPANDED, N_COUNTERS = 0, 1, 2, 3, 4, 5, 6, 7
SWEEP_CHANGE = np.float32(0.1)  # of the lattice beam: what changes less is not carried further back

N_BINS = 512
HELD = 512  # candidates held back so that the memory they need has time to arrive
MANY = 8  # arcs: states with as many or more are one group
ROOM = HELD + MANY  # what a table of links needs behind its links
_ONE = np.uint64(1)
_AHEAD = 16  # tokens looked ahead, for the same reason
_FAR = np.uint64(2 * _AHEAD)
NONE = -1
NO_ROOM = -2  # for links


class Forward(NamedTuple):
    """Where a search writes its tokens and links; without a lattice candidates only pass through.

    Without a lattice the tokens of two frames take turns in the halves of `tokens`.
    """

    tokens: np.ndarray
    past: np.ndarray
    links: np.ndarray
    layers: np.ndarray
    beam: np.float32
    """0 where no lattice is asked for."""
    interval: int
    """Frames between two sweeps."""


@intrinsic
def _prefetch(typing_context, array, index):  # pragma: no cover - compiled
    """Ask the processor for `array[index]` without waiting for it."""

    def generate(context, builder, signature, arguments):
        from llvmlite import ir  # type: ignore[import-untyped]

        array_type, byte, number = signature.args[0], ir.IntType(8), ir.IntType(32)
        data = context.make_array(array_type)(context, builder, arguments[0]).data
        size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
        offset = builder.mul(arguments[1], ir.Constant(ir.IntType(64), size))
        base = builder.bitcast(data, byte.as_pointer())
        address = builder.gep(base, [offset], source_etype=byte)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte.as_pointer()], kind)
        # To be read (0), kept in all caches (3), data rather than code (1).
        builder.call(function, [address, *(ir.Constant(number, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@kernel
def _rank_cost(tokens, n_tokens, rank, low, high, bins):
    """A cost that at least `rank` of the tokens reach and few more: histograms, refined.

    Looks at costs in [low, high); if fewer than `rank` lie there, it returns `high`.
    """
    n_below = 0
    for _ in range(4):
        width = (high - low) / N_BINS
        if not 1e-9 < width < 1e30:
            break
        scale = np.float32(1.0 / width)
        bins[:] = 0
        for i in range(n_tokens):
            cost = tokens[i].cost
            if low <= cost < high:
                bins[min(np.int64((cost - low) * scale), N_BINS - 1)] += 1
        at = 0
        while at < N_BINS and n_below + bins[at] < rank:
            n_below += bins[at]
            at += 1
        if at == N_BINS:
            break
        low, high = np.float32(low + at * width), np.float32(low + (at + 1) * width)
        if 64 * bins[at] <= rank:  # that many too many do not matter
            break
    return high


@kernel
def _cutoff(tokens, n_tokens, best, beam, beam_delta, max_active, min_active, bins):
    """Cost up to which tokens live on, and the beam that fits it for the next frame.

    As in Kaldi's FasterDecoder::GetCutoff: the beam, tightened to keep `max_active` tokens or
    widened to keep `min_active`.
    """
    limit = np.float32(best + beam)
    if n_tokens > max_active:
        high = limit
        if np.isinf(high):
            high = best
            for i in range(n_tokens):
                high = max(high, tokens[i].cost)
        cutoff = _rank_cost(tokens, n_tokens, max_active, best, high, bins)
        if cutoff < limit:
            return cutoff, np.float32(cutoff - best + beam_delta)
    if n_tokens <= min_active:
        return np.float32(np.inf), np.float32(np.inf)
    n_within, high = 0, best
    for i in range(n_tokens):
        n_within += tokens[i].cost <= limit
        high = max(high, tokens[i].cost)
        if n_within > min_active:
            return limit, np.float32(beam)
    cutoff = _rank_cost(tokens, n_tokens, min_active + 1, best, high, bins)
    return cutoff, np.float32(cutoff - best + beam_delta)


@kernel
def _place(links, begin, end, limit, tokens, n_before, slots, rows, lattice_beam):
    """Enter the candidates `begin` to `end` into the token table: the cheaper way to a state stays.

    For a lattice those not much dearer move to `begin`, and `rows` has the step of each token that
    they come from. Returns the numbers of tokens (NONE: no room) and of links.
    """
    # Without a sign: an index with one costs a test whether it counts from the end.
    n_links, n_tokens, n_most = np.uint64(begin), np.uint64(n_before), np.uint64(len(tokens))
    for i in range(np.uint64(begin), np.uint64(end)):
        cost = links[i].cost
        if cost >= limit:
            continue
        state = links[i].target
        slot = np.uint64(slots[state])
        if slot >= n_tokens or tokens[slot].state != state:
            slot = n_tokens
            if n_tokens == n_most:
                return NONE, np.int64(n_links)
            slots[state] = slot
            tokens[slot].state, tokens[slot].cost = state, np.inf
            n_tokens += _ONE
        source, arc, gap = links[i].source, links[i].arc, cost - tokens[slot].cost
        if lattice_beam > 0:
            links[n_links].target, links[n_links].cost = slot, cost
            links[n_links].source, links[n_links].arc = source, arc
            n_links += np.uint64(gap <= lattice_beam)
        if gap < 0:
            back = rows[np.uint32(source)] if lattice_beam > 0 else source
            tokens[slot].cost, tokens[slot].back, tokens[slot].arc = cost, back, arc
    return np.int64(n_tokens), np.int64(n_links)


@kernel(reference_counts=False)
def _arcs_of(states, arcs, state):
    """First arc, first one with a label, first one that leaves, and end of any state's arcs."""
    one, end = states[state], np.int64(states[state + 1].begin)
    begin = emitting = np.int64(one.begin)
    if one.n_epsilon != WIDE:
        emitting += one.n_epsilon
    else:
        while emitting < end and arcs[emitting].label == 0:
            emitting += 1
    return begin, emitting, emitting + (one.label != 0), end


@kernel(reference_counts=False)
def _is_loop(states, arcs, state, a):
    """Is this arc, one with a label, the first self-loop of a state?"""
    if arcs[a].target != state:
        return False
    loop = _arcs_of(states, arcs, state)[1]
    while arcs[loop].target != state:
        loop += 1
    return loop == a


@kernel
def _stay(
    states, arcs, now, n_now, base, cutoff, beam, limit, label_cost, tokens, past, slots, steps,
    n_steps, frame, rows, leaving, counts, silent, lattice_beam,
):
    """Let every token within the cutoff stay in its state, and sort these by their other arcs.

    Costs become relative to `base`. Returns (tokens made, how many of them `silent` names because
    their states have epsilon arcs, the cost limit, steps, tokens and arcs looked at). `leaving`
    (MANY + 1, n) and `counts` have the tokens by number of arcs.
    """
    # Typed zeros: bare ones would have the kernel called here compiled once more, for literals.
    n_tokens, n_silent, n_live = np.uint64(0), np.uint64(0), np.int64(0)
    n_arcs, step, last = np.int64(0), np.uint64(n_steps), np.uint64(max(n_now - 1, 0))
    counts[:] = 0
    for i in range(np.uint64(n_now)):
        _prefetch(states, np.int64(now[min(i + _FAR, last)].state))
        if not now[i].cost <= cutoff:
            continue
        state, cost, back = now[i].state, now[i].cost - base, now[i].back
        if now[i].arc != NONE:
            steps[step].back, steps[step].arc, steps[step].frame = back, now[i].arc, frame
            back, step = np.int32(step), step + _ONE
        one = states[state]
        total = cost + one.loop_cost + label_cost[one.label]
        tokens[n_tokens].state, tokens[n_tokens].cost = state, total
        tokens[n_tokens].back, tokens[n_tokens].arc = back, NONE
        slots[state] = n_tokens
        if lattice_beam > 0:
            past[n_tokens].before, past[n_tokens].stay = i, total
            rows[i], back = back, np.int32(i)
        silent[n_silent] = n_tokens
        n_silent += np.uint64((total < limit) & (one.n_epsilon != 0))
        n_tokens += np.uint64(total < limit)
        limit = min(limit, total + beam)
        begin = np.int64(one.begin) + one.n_epsilon + (one.label != 0)
        n = np.int64(one.n_leaving)
        if n == WIDE:
            _, _, begin, end = _arcs_of(states, arcs, state)
            n = end - begin
        group = np.uint64(min(n, MANY))
        at = np.uint64(counts[group])
        leaving[group, at].begin, leaving[group, at].n_arcs = begin, n
        leaving[group, at].cost, leaving[group, at].back = cost, back
        counts[group] = at + _ONE
        n_live, n_arcs = n_live + 1, n_arcs + n + (one.label != 0)
    return np.int64(n_tokens), np.int64(n_silent), limit, np.int64(step), n_live, n_arcs


@kernel
def _leave(
    arcs, leaving, counts, beam, limit, label_cost, links, n_links, lattice_beam, tokens, n_tokens,
    slots, rows,
):
    """Take tokens over the arcs that leave their states.

    Candidates are put behind the links. For a lattice they name the token they come from, and
    `rows` the step of each. Returns (tokens, NONE or NO_ROOM; the cost limit; links).
    """
    if n_links + ROOM > len(links):
        return np.int64(NO_ROOM), limit, n_links
    at, full = np.uint64(n_links), np.uint64(n_links + HELD)
    for group in range(1, MANY + 1):
        n_tokens_here = counts[group]
        for i in range(n_tokens_here):
            ahead = np.int64(leaving[group, min(i + _AHEAD, n_tokens_here - 1)].begin)
            _prefetch(arcs, ahead)
            if group > 1:
                _prefetch(arcs, ahead + min(group - 1, 4))
            one = leaving[group, i]
            begin, cost, back = np.int64(one.begin), one.cost, one.back
            if group < MANY:  # a loop of its own: all of the group take as many turns
                for a in range(np.uint64(begin), np.uint64(begin + group)):
                    target = np.uint32(arcs[a].target)
                    _prefetch(slots, np.int64(target))
                    total = cost + arcs[a].cost + label_cost[np.uint32(arcs[a].label)]
                    links[at].target, links[at].cost = target, total
                    links[at].source, links[at].arc = back, a
                    # No branch, which would be guessed wrong half the time.
                    at += np.uint64(total < limit)
                    limit = min(limit, total + beam)
                if at >= full:
                    n_tokens, n_links = _place(
                        links, n_links, np.int64(at), limit, tokens, n_tokens, slots, rows,
                        lattice_beam,
                    )
                    at, full = np.uint64(n_links), np.uint64(n_links + HELD)
                    if n_tokens < 0 or n_links + ROOM > len(links):
                        failed = NONE if n_tokens < 0 else NO_ROOM
                        return np.int64(failed), limit, n_links
                continue
            end = begin + np.int64(one.n_arcs)
            while begin < end:
                for a in range(np.uint64(begin), np.uint64(min(begin + MANY, end))):
                    target = np.uint32(arcs[a].target)
                    _prefetch(slots, np.int64(target))
                    total = cost + arcs[a].cost + label_cost[np.uint32(arcs[a].label)]
                    links[at].target, links[at].cost = target, total
                    links[at].source, links[at].arc = back, a
                    # No branch, which would be guessed wrong half the time.
                    at += np.uint64(total < limit)
                    limit = min(limit, total + beam)
                begin += MANY
                if at >= full:
                    n_tokens, n_links = _place(
                        links, n_links, np.int64(at), limit, tokens, n_tokens, slots, rows,
                        lattice_beam,
                    )
                    at, full = np.uint64(n_links), np.uint64(n_links + HELD)
                    if n_tokens < 0 or n_links + ROOM > len(links):
                        failed = NONE if n_tokens < 0 else NO_ROOM
                        return np.int64(failed), limit, n_links
    n_tokens, n_links = _place(
        links, n_links, np.int64(at), limit, tokens, n_tokens, slots, rows, lattice_beam
    )
    return n_tokens, limit, n_links


@kernel
def close(
    states, arcs, limit, tokens, n_stays, silent, n_silent, n_tokens, slots, queue, waiting, steps,
    n_steps, frame, links, n_links, lattice_beam,
):
    """Follow epsilon arcs until nothing gets cheaper (Bellman-Ford in rounds).

    `silent`: which of the first `n_stays` tokens have such arcs; of the others it is not known.
    Returns (status, tokens, steps, slot of the best token, links).
    """
    best, n_done, swept, head, tail, round_end, n_rounds = 0, 0, n_stays, 0, 0, 0, 0
    while True:
        if n_done < n_silent:
            at, n_done = np.int64(silent[n_done]), n_done + 1
        elif swept < n_tokens:  # every other token once, those made on the way included
            at, swept = swept, swept + 1
            _prefetch(states, np.int64(tokens[min(swept + 2 * _AHEAD, n_tokens - 1)].state))
        elif head < tail:  # then those that became cheaper after their turn
            if head == round_end:
                n_rounds, round_end = n_rounds + 1, tail
                if n_rounds > n_tokens:
                    return NEGATIVE_CYCLE, n_tokens, n_steps, best, n_links
            at, head = np.int64(queue[head % len(queue)]), head + 1
            waiting[at] = False
        else:
            break
        state, cost = tokens[at].state, tokens[at].cost
        if states[state].n_epsilon == 0 or not cost <= limit:
            continue
        begin, end, _, _ = _arcs_of(states, arcs, state)
        if tokens[at].arc != NONE:
            if n_steps == len(steps):
                return NEED_STEPS, n_tokens, n_steps, best, n_links
            steps[n_steps].back, steps[n_steps].arc = tokens[at].back, tokens[at].arc
            steps[n_steps].frame = frame
            tokens[at].back, tokens[at].arc = n_steps, NONE
            n_steps += 1
        for a in range(begin, end):
            total, target = cost + arcs[a].cost, np.uint32(arcs[a].target)
            if not total < limit:
                continue
            slot = np.int64(slots[target])
            known = slot < n_tokens and tokens[slot].state == target
            if not known:
                slot = n_tokens
                if n_tokens == len(tokens):
                    return NEED_TOKENS, n_tokens, n_steps, best, n_links
                slots[target] = slot
                n_tokens += 1
            if lattice_beam > 0 and not (known and total - tokens[slot].cost > lattice_beam):
                if n_links == len(links):
                    return NEED_LINKS, n_tokens, n_steps, best, n_links
                links[n_links].source, links[n_links].target = at, slot
                links[n_links].arc, links[n_links].cost = a, total
                n_links += 1
            if known:
                if not total < tokens[slot].cost:
                    continue
                if slot < swept and not waiting[slot]:
                    waiting[slot] = True
                    queue[tail % len(queue)] = slot
                    tail += 1
            tokens[slot].state, tokens[slot].cost = target, total
            tokens[slot].back, tokens[slot].arc = tokens[at].back, a
    best = _cheapest(tokens, n_tokens)
    return DONE, n_tokens, n_steps, best, n_links


@kernel
def _cheapest(tokens, n_tokens):
    """The first token of the least cost; four minima at once, as each waits for its last."""
    one = two = three = four = tokens[0].cost
    for i in range(np.uint64(3), np.uint64(n_tokens), np.uint64(4)):
        one, two = min(one, tokens[i - 3].cost), min(two, tokens[i - 2].cost)
        three, four = min(three, tokens[i - 1].cost), min(four, tokens[i].cost)
    for i in range(n_tokens // 4 * 4, n_tokens):
        one = min(one, tokens[i].cost)
    least = min(min(one, two), min(three, four))
    for best in range(n_tokens):
        if tokens[best].cost == least:
            return best
    return 0


@kernel
def settle(arcs, tokens, n_tokens, best, n_stays, n_emitting, n_links, past, links, layers, layer,
           beam):
    """Make a frame's tokens a layer of nodes.

    Its epsilon links (from `n_emitting` on) get their slack; those drop out whose source has
    become cheaper since. `past`: of these tokens; the first `n_stays` have stayed in their state.
    """
    for i in range(n_stays, n_tokens):
        past[i].before = NONE
    n_kept = n_emitting
    for k in range(n_emitting, n_links):
        slack = links[k].cost - tokens[links[k].target].cost
        stale = tokens[links[k].source].cost + arcs[links[k].arc].cost < links[k].cost
        links[n_kept] = links[k]
        links[n_kept].cost = slack
        n_kept += slack <= beam and not stale
    layers[layer].silent, layers[layer].best = n_emitting, tokens[best].cost
    layers[layer + 1].node = layers[layer].node + n_tokens
    layers[layer + 1].link = layers[layer + 1].silent = n_kept


@kernel
def _look_back(tokens, past, links, begin, end, source, target, lattice_beam, fresh):
    """Bring down the `extra` of the nodes that links come from, and drop links beyond the beam.

    Those that stay move to the end of their range; returns where they begin. `source`, `target`:
    the first nodes of the layers they lead from and to. `fresh`: links that still have a cost in
    place of their slack. Without branches: whether a link stays is hard to guess.
    """
    kept = end
    for k in range(end - 1, begin - 1, -1):
        start, stop, arc = links[k].source, np.int64(links[k].target), links[k].arc
        slack = links[k].cost - (tokens[target + stop].cost if fresh else np.float32(0.0))
        extra = past[target + stop].extra + slack
        at = kept - 1
        links[at].target, links[at].cost, links[at].source, links[at].arc = stop, slack, start, arc
        kept -= extra <= lattice_beam
        past[source + start].extra = min(past[source + start].extra, extra)
    return kept


@kernel
def _look_home(tokens, past, source, target, after, lattice_beam, fresh):
    """The same for the self-loops that lead to the nodes from `target` to `after`."""
    for i in range(target, after):
        before = past[i].before
        if before == NONE:
            continue
        slack = past[i].stay - (tokens[i].cost if fresh else np.float32(0.0))
        extra = past[i].extra + slack
        past[i].stay, past[i].before = slack, before if extra <= lattice_beam else NONE
        past[source + before].extra = min(past[source + before].extra, extra)


@kernel
def _look_within(past, links, begin, end, first):
    """Bring down the `extra` of nodes that epsilon links come from, until nothing falls."""
    fell = True
    while fell:
        fell = False
        for k in range(end - 1, begin - 1, -1):
            extra = links[k].cost + past[first + np.int64(links[k].target)].extra
            if extra < past[first + links[k].source].extra:
                past[first + links[k].source].extra, fell = extra, True


@kernel
def sweep(tokens, past, links, layers, n_swept, last, lattice_beam, everything):
    """Drop links and nodes whose best way is dearer than the best of all by over the beam.

    Starts from `extra` of the nodes of layer `last`. Goes back through all layers that no sweep has
    seen yet (`n_swept` on), and on as far as something changes much, or to the beginning
    (`everything`). After Kaldi's PruneForwardLinks.
    """
    low = last
    _look_within(past, links, layers[low].silent, layers[low + 1].link, layers[low].node)
    while True:
        first, begin, end = layers[low].node, layers[low].silent, layers[low + 1].link
        layers[low].kept_silent = _look_back(
            tokens, past, links, begin, end, first, first, lattice_beam, np.bool_(False)
        )
        layers[low].kept = begin
        if low == 0:
            break
        before = layers[low - 1].node
        was = past[before:first].copy() if low - 1 < n_swept else past[:0]
        for i in range(before, first):
            past[i].extra = np.inf
        fresh = low >= n_swept
        layers[low].kept = _look_back(
            tokens, past, links, layers[low].link, begin, before, first, lattice_beam, fresh
        )
        _look_home(tokens, past, before, first, layers[low + 1].node, lattice_beam, fresh)
        _look_within(past, links, layers[low - 1].silent, layers[low].link, before)
        same = low - 1 < n_swept and not everything
        for i in range(len(was)):
            same &= abs(was[i].extra - past[before + i].extra) <= SWEEP_CHANGE * lattice_beam
        if same:
            break
        low -= 1
    _close_gaps(tokens, past, links, layers, low, last, lattice_beam)


@kernel
def _close_gaps(tokens, past, links, layers, low, last, lattice_beam):
    """Move nodes within the beam, and the links that stay, to where the dropped ones were."""
    longest = 0
    for layer in range(low, last + 1):
        longest = max(longest, layers[layer + 1].node - layers[layer].node)
    moved, moved_before = np.empty(longest, np.int32), np.empty(longest, np.int32)
    n_nodes, n_links = layers[low].node, layers[low].link
    for layer in range(low, last + 1):
        first, after = layers[layer].node, layers[layer + 1].node
        silent, over = layers[layer].silent, layers[layer + 1].link
        moved, moved_before = moved_before, moved
        layers[layer].node, layers[layer].link = n_nodes, n_links
        for i in range(first, after):
            moved[i - first] = n_nodes - layers[layer].node
            tokens[n_nodes], past[n_nodes] = tokens[i], past[i]
            if layer > low and past[i].before != NONE:
                past[n_nodes].before = moved_before[past[i].before]
            n_nodes += past[i].extra <= lattice_beam
        for k in range(layers[layer].kept, silent):
            links[n_links] = links[k]
            links[n_links].target = moved[links[k].target]
            if layer > low:
                links[n_links].source = moved_before[links[k].source]
            n_links += 1
        layers[layer].silent = n_links
        for k in range(layers[layer].kept_silent, over):
            links[n_links] = links[k]
            links[n_links].target = moved[links[k].target]
            links[n_links].source = moved[links[k].source]
            n_links += 1
    layers[last + 1].node = n_nodes
    layers[last + 1].link = layers[last + 1].silent = n_links


@kernel
def number(states, arcs, tokens, past, links, layers, n_layers):
    """All links of a pruned lattice, self-loops among them, with ends numbered through all layers.

    Returns them, and what each costs beyond its source and its arc, as it was searched: the
    acoustic cost. `layers` then tells where those of each layer begin.
    """
    n_all = layers[n_layers].link
    for i in range(layers[n_layers].node):
        n_all += past[i].before != NONE
    found, acoustic, at = np.empty(n_all, links.dtype), np.zeros(n_all), 0
    for layer in range(n_layers):
        first, before = layers[layer].node, layers[max(layer - 1, 0)].node
        begin, silent, best = at, layers[layer].silent, layers[max(layer - 1, 0)].best
        for i in range(first, layers[layer + 1].node):
            if past[i].before != NONE:
                found[at].source, found[at].target = past[i].before + before, i
                found[at].cost = past[i].stay
                found[at].arc = _arcs_of(states, arcs, tokens[i].state)[1]
                at += 1
        for k in range(layers[layer].link, layers[layer + 1].link):
            if k == silent:
                layers[layer].silent = at
            found[at] = links[k]
            found[at].target += first
            found[at].source += before if k < silent else first
            at += 1
        if silent == layers[layer + 1].link:
            layers[layer].silent = at
        layers[layer].link = begin
        for k in range(begin, layers[layer].silent):
            source, target = tokens[found[k].source], tokens[found[k].target]
            reached = np.float32(source.cost - best) + arcs[found[k].arc].cost
            total = np.float64(target.cost) + np.float64(found[k].cost)
            acoustic[k] = total - np.float64(reached)
    layers[n_layers].link = layers[n_layers].silent = at
    return found, acoustic


@kernel
def advance(
    states, arcs, label_pdf, scores, beam, beam_delta, max_active, min_active, most_tokens, slots,
    queue, waiting, steps, label_cost, bins, counters, offset, rows, leaving, silent,
    forward,
):
    """Search the rows of `scores`, one frame each. Returns (status, rows done).

    A frame that runs out of room leaves everything as it found it and is repeated.
    `most_tokens`: of a frame, for which there is room.
    """
    table, all_past, links, layers, lattice_beam, interval = forward
    counts = np.zeros(MANY + 1, np.int64)
    for row in range(len(scores)):
        n_now, frame, begin = counters[N_TOKENS], counters[FRAME], counters[AT]
        n_steps, layer = counters[N_STEPS], frame + 1
        n_links = layers[layer].link if lattice_beam > 0 else 0
        after = layers[layer].node if lattice_beam > 0 else most_tokens - begin
        if n_steps + 2 * n_now + 1 > len(steps):
            return NEED_STEPS, row
        if after + most_tokens > len(table):
            return NEED_LINKS, row
        now, tokens = table[begin : begin + n_now], table[after : after + most_tokens]
        past = all_past[after : after + most_tokens] if lattice_beam > 0 else all_past
        label_cost[0] = np.inf
        for label in range(1, len(label_pdf)):
            label_cost[label] = -scores[row, np.uint32(label_pdf[label])]
        best = counters[BEST]
        base = now[best].cost
        cutoff, next_beam = _cutoff(
            now, n_now, base, beam, beam_delta, max_active, min_active, bins
        )
        limit = np.float32(np.inf)
        for a in range(states[now[best].state].begin, states[now[best].state + 1].begin):
            limit = min(limit, arcs[a].cost + label_cost[arcs[a].label] + next_beam)
        n_stays, n_silent, limit, n_steps, n_live, n_arcs = _stay(
            states, arcs, now, n_now, base, cutoff, next_beam, limit, label_cost, tokens, past,
            slots, steps, n_steps, frame - 1, rows, leaving, counts, silent, lattice_beam,
        )
        n_made, limit, n_emitting = _leave(
            arcs, leaving, counts, next_beam, limit, label_cost, links, n_links, lattice_beam,
            tokens, n_stays, slots, rows,
        )
        if n_made < 0:
            return NEED_TOKENS if n_made == NONE else NEED_LINKS, row
        if n_made == 0:
            counters[N_TOKENS] = 0
            return NO_TOKENS, row
        status, n_made, n_steps, at, n_links = close(
            states, arcs, limit, tokens, n_stays, silent, n_silent, n_made, slots, queue, waiting,
            steps, n_steps, frame, links, n_emitting, lattice_beam,
        )
        if status != DONE:
            return status, row
        if lattice_beam > 0:
            settle(arcs, tokens, n_made, at, n_stays, n_emitting, n_links, past, links, layers,
                   layer, lattice_beam)
        offset[0] += base
        counters[N_TOKENS], counters[N_STEPS], counters[BEST] = n_made, n_steps, at
        counters[AT] = after
        counters[FRAME] += 1
        counters[N_ARCS] += n_arcs
        counters[N_EXPANDED] += n_live
        if lattice_beam > 0 and layer % interval == 0:
            n_swept = max(layer - interval + 1, 0)
            for i in range(n_made):
                past[i].extra = 0.0  # any of them may yet lie on the best path
            sweep(table, all_past, links, layers, n_swept, layer, lattice_beam, np.bool_(False))
            counters[AT] = layers[layer].node
    return DONE, len(scores)


@kernel
def collect(tokens, n_tokens, steps, n_steps, moved):
    """Drop steps no token can reach any more and close the gaps. Returns how many stay.

    A step stands after the step it leads back to, so one sweep down marks and one up moves.
    """
    moved[:n_steps] = 0
    for i in range(n_tokens):
        if tokens[i].back != NONE:
            moved[tokens[i].back] = 1
    for i in range(n_steps - 1, -1, -1):
        if moved[i] and steps[i].back != NONE:
            moved[steps[i].back] = 1
    n_kept = 0
    for i in range(n_steps):
        if moved[i]:
            back = steps[i].back
            steps[n_kept].back = moved[back] if back != NONE else NONE
            steps[n_kept].arc, steps[n_kept].frame = steps[i].arc, steps[i].frame
            moved[i] = n_kept
            n_kept += 1
    for i in range(n_tokens):
        if tokens[i].back != NONE:
            tokens[i].back = moved[tokens[i].back]
    return n_kept


@kernel
def trace(start, states, arcs, steps, back, arc, n_frames):
    """The way to a token, forwards, self-loops put back in. Returns (arcs, which are loops)."""
    n_rows = 0
    row = back
    while row != NONE:
        n_rows, row = n_rows + 1, steps[row].back
    crossed = np.empty(n_rows + 1, np.int64)
    frames = np.empty(n_rows + 1, np.int64)
    # The last entry is the arc just crossed, or a mark that only fills up the last state.
    crossed[n_rows], frames[n_rows] = arc, n_frames - 1 if arc != NONE else n_frames
    row = back
    for at in range(n_rows - 1, -1, -1):
        crossed[at], frames[at] = steps[row].arc, steps[row].frame
        row = steps[row].back
    path = np.empty(n_rows + 1 + n_frames, np.int64)
    stays = np.zeros(n_rows + 1 + n_frames, np.bool_)
    n_path, frame, state = 0, 0, start
    for at in range(n_rows + 1):
        emits = crossed[at] == NONE or arcs[crossed[at]].label != 0
        for _ in range(frames[at] + (0 if emits else 1) - frame):
            path[n_path], stays[n_path] = _arcs_of(states, arcs, state)[1], True
            n_path, frame = n_path + 1, frame + 1
        if crossed[at] != NONE:
            path[n_path] = crossed[at]
            stays[n_path] = emits and _is_loop(states, arcs, state, crossed[at])
            n_path, frame = n_path + 1, frame + emits
            state = arcs[crossed[at]].target
    return path[:n_path], stays[:n_path]


# From links between states to arcs that span whole words: see `spell`. These kernels allocate
# nothing and do without numba's reference counts (`_nrt=False`): to count up and down whenever a
# table is taken out of `Work` took three quarters of their time.
ROUTE = np.dtype(
    [("next", "<i4"), ("chain", "<i4"), ("node", "<i4"), ("start", "<i4"), ("spoken", "<i4"),
     ("queue", "<i4"), ("kind", "<i4"), ("times", "<i4"), ("extra", "<f8"), ("graph", "<f8"),
     ("acoustic", "<f8")]
)  # fmt: skip
BOUNDARY = np.dtype(
    [("next", "<i4"), ("node", "<i4"), ("queue", "<i4"), ("late", "<i4"), ("into", "<i4"),
     ("ends", "<i4"), ("waiting", "<i8"), ("extra", "<f8")]
)  # fmt: skip
SPAN = np.dtype(
    [("next", "<i4"), ("source", "<i4"), ("target", "<i4"), ("word", "<i4"), ("spoken", "<i4"),
     ("times", "<i4"), ("graph", "<f8"), ("acoustic", "<f8")]
)  # fmt: skip
# What a route has passed since its boundary. A word or silence ends where the next phone begins.
NOTHING, SILENCE, INSIDE, LAST_PHONE = np.arange(4, dtype=np.int64)
# Tables `spell` fills, in the order of their counts; FULL says that one had no room left, FREE is
# the first of the routes no longer needed.
ROUTES, BOUNDARIES, SPANS, SPOKEN, QUEUES, TIMES, FULL, FREE = np.arange(8, dtype=np.int64)
N_COUNTS = 8
# A kernel is compiled once for each combination of types that it is called with, and 0 has a type
# of its own: what the functions below hand on is of 64 bits throughout.
NO, ABSENT = np.int64(0), np.int64(NONE)
N_BUCKETS = 1 << 13  # for routes by what they are: few are alive at a time


class Labels(NamedTuple):
    """What a label is: columns over labels, all empty where the graph does not know."""

    phone: np.ndarray
    state: np.ndarray
    word_end: np.ndarray
    silence: np.ndarray


class Work(NamedTuple):
    """What `spell` fills."""

    routes: np.ndarray
    boundaries: np.ndarray
    spans: np.ndarray
    spoken: np.ndarray
    queues: np.ndarray
    times: np.ndarray
    counts: np.ndarray
    route_at: np.ndarray
    boundary_at: np.ndarray
    buckets: np.ndarray
    passed: np.ndarray


@kernel
def arrange(nodes, links, layers, n_layers):
    """Links by source node, and the nodes in topological order with their frames.

    Where epsilon arcs form a cycle, the cheapest node of it comes first.
    """
    n_nodes, n_links = layers[n_layers].node, layers[n_layers].link
    first = np.zeros(n_nodes + 1, np.int64)
    for k in range(n_links):
        first[links[k].source + 1] += 1
    for i in range(n_nodes):
        first[i + 1] += first[i]
    fill, leaving = first[:-1].copy(), np.empty(n_links, np.int64)
    for k in range(n_links):
        leaving[fill[links[k].source]] = k
        fill[links[k].source] += 1
    order, frames = np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
    waits = np.zeros(n_nodes, np.int32)
    n_ready, n_done = 0, 0
    for layer in range(n_layers):
        begin, end = layers[layer].node, layers[layer + 1].node
        first_silent, after = layers[layer].silent, layers[layer + 1].link
        for k in range(first_silent, after):
            waits[links[k].target] += 1
        for i in range(begin, end):
            frames[i] = layer
            if waits[i] == 0:
                order[n_ready], n_ready = i, n_ready + 1
        while n_done < end:
            if n_done == n_ready:  # a cycle
                best = NONE
                for i in range(begin, end):
                    if waits[i] > 0 and (best == NONE or nodes[i].cost < nodes[best].cost):
                        best = i
                order[n_ready], n_ready, waits[best] = best, n_ready + 1, 0
            at, n_done = order[n_done], n_done + 1
            for j in range(first[at], first[at + 1]):
                k = leaving[j]
                if first_silent <= k < after and waits[links[k].target] > 0:
                    waits[links[k].target] -= 1
                    if waits[links[k].target] == 0:
                        order[n_ready], n_ready = links[k].target, n_ready + 1
    return first, leaving, order, frames


@kernel(reference_counts=False)
def _room(work, table, size):
    """The number of the next free row of a table; the last one again where all are taken."""
    row = work.counts[table]
    if row + 1 < size:
        work.counts[table] = row + 1
    else:
        work.counts[FULL] = 1
    return row


@kernel(reference_counts=False)
def _string(work, table, strings, before, symbol):
    """The number of the string that is `before` and one symbol more.

    Rows of `strings`: string before, last symbol, first continuation, next continuation of the
    same. String 0 is empty; string k is the symbol k alone as long as there are such symbols.
    """
    if before == 0:
        return symbol
    at = np.int64(strings[before, 2])
    while at != 0:
        if strings[at, 1] == symbol:
            return at
        at = np.int64(strings[at, 3])
    at = _room(work, table, len(strings))
    strings[at, 0], strings[at, 1], strings[at, 2] = before, symbol, 0
    strings[at, 3] = strings[before, 2]
    strings[before, 2] = at
    return at


@kernel(reference_counts=False)
def _take_first(work, queue):
    """The first word of a queue, and the queue without it."""
    if work.queues[queue, 0] == 0:
        return np.int64(work.queues[queue, 1]), np.int64(0)
    length, first = 1, queue
    while work.queues[first, 0] != 0:
        length, first = length + 1, np.int64(work.queues[first, 0])
    rest = np.int64(0)
    for place in range(length - 2, -1, -1):
        at = queue
        for _ in range(place):
            at = np.int64(work.queues[at, 0])
        rest = _string(work, QUEUES, work.queues, rest, np.int64(work.queues[at, 1]))
    return np.int64(work.queues[first, 1]), rest


@kernel(reference_counts=False)
def _bucket(node, start, spoken, queue, kind):
    """Where to look for a route: its fields mixed by multiplication (Knuth 1973, vol. 3, 6.4)."""
    mixed = (np.uint32(node) * np.uint32(4) + np.uint32(kind)) * np.uint32(0x9E3779B1)
    mixed = np.uint32((mixed ^ np.uint32(start)) * np.uint32(0x85EBCA6B))
    mixed = np.uint32((mixed ^ np.uint32(spoken)) * np.uint32(0xC2B2AE35))
    mixed = np.uint32((mixed ^ np.uint32(queue)) * np.uint32(0x27D4EB2F))
    return np.int64(mixed >> np.uint32(16)) % N_BUCKETS


@kernel(reference_counts=False)
def _route(work, node, start, kind, spoken, queue, times, extra, graph, acoustic):
    """Enter a route into the list of a node: of those alike the cheapest stays."""
    routes, bucket = work.routes, _bucket(node, start, spoken, queue, kind)
    at = np.int64(work.buckets[bucket])
    while at != NONE:
        one = routes[at]
        if one.node == node and one.start == start and one.spoken == spoken:
            if one.queue == queue and one.kind == kind:
                break
        at = np.int64(one.chain)
    if at == NONE:
        at = work.counts[FREE]
        if at != NONE:
            work.counts[FREE] = routes[at].next
        else:
            at = _room(work, ROUTES, len(routes))
            if work.counts[FULL]:
                return
        routes[at].next, routes[at].chain = work.route_at[node], work.buckets[bucket]
        work.route_at[node] = work.buckets[bucket] = at
        routes[at].node, routes[at].start, routes[at].kind = node, start, kind
        routes[at].spoken, routes[at].queue, routes[at].extra = spoken, queue, np.inf
    if extra < routes[at].extra:
        routes[at].times, routes[at].extra = times, extra
        routes[at].graph, routes[at].acoustic = graph, acoustic


@kernel(reference_counts=False)
def _forget_routes(work, node):
    """Make the rows of a node's routes free again."""
    routes, at = work.routes, np.int64(work.route_at[node])
    while at != NONE:
        one = routes[at]
        bucket = _bucket(
            np.int64(one.node), np.int64(one.start), np.int64(one.spoken), np.int64(one.queue),
            np.int64(one.kind),
        )
        if work.buckets[bucket] == at:
            work.buckets[bucket] = one.chain
        else:
            before = np.int64(work.buckets[bucket])
            while routes[before].chain != at:
                before = np.int64(routes[before].chain)
            routes[before].chain = one.chain
        following = np.int64(one.next)
        routes[at].next, work.counts[FREE] = work.counts[FREE], at
        at = following
    work.route_at[node] = NONE


@kernel(reference_counts=False)
def _boundary(work, node, queue, late, extra):
    """Find or make the boundary at a node where these words wait."""
    boundaries, at = work.boundaries, np.int64(work.boundary_at[node])
    while at != NONE:
        if boundaries[at].queue == queue and boundaries[at].late == late:
            boundaries[at].extra = min(boundaries[at].extra, extra)
            return at
        at = np.int64(boundaries[at].next)
    at = _room(work, BOUNDARIES, len(boundaries))
    boundaries[at].next, boundaries[at].node = work.boundary_at[node], node
    boundaries[at].queue, boundaries[at].late, boundaries[at].extra = queue, late, extra
    boundaries[at].into, boundaries[at].ends, boundaries[at].waiting = NONE, 0, 0
    work.boundary_at[node] = at
    return at


@kernel(reference_counts=False)
def _span(work, source, target, word, spoken, times, graph, acoustic):
    """Enter an arc between boundaries: of those alike the cheapest stays."""
    spans, at = work.spans, np.int64(work.boundaries[target].into)
    while at != NONE:
        if spans[at].source == source and spans[at].word == word and spans[at].spoken == spoken:
            break
        at = np.int64(spans[at].next)
    if at == NONE:
        at = _room(work, SPANS, len(spans))
        spans[at].source, spans[at].target, spans[at].word = source, target, word
        spans[at].spoken, spans[at].next = spoken, work.boundaries[target].into
        spans[at].graph, spans[at].acoustic = np.inf, 0.0
        work.boundaries[target].into = at
    if graph + acoustic < spans[at].graph + spans[at].acoustic:
        spans[at].times, spans[at].graph, spans[at].acoustic = times, graph, acoustic


@kernel(reference_counts=False)
def _kind(labels, label):
    """What a phone makes of a route."""
    return SILENCE if labels.silence[label] else LAST_PHONE if labels.word_end[label] else INSIDE


@kernel(reference_counts=False)
def _begins(labels, states, arcs, state, a):
    """Does this arc enter a phone? One that stays in a state does not."""
    if arcs[a].label == 0 or labels.state[arcs[a].label] != 0:
        return False
    return not _is_loop(states, arcs, np.int64(state), np.int64(a))


@kernel(reference_counts=False)
def _may_pause(labels, label):
    """May this label, where it begins no phone, be CTC's blank behind a word, a silence?"""
    return label != 0 and labels.silence[label]


@kernel(reference_counts=False)
def _cross(work, labels, frame, route, link, link_acoustic, arc, begins):
    """Take a route over a link before which no segment of it ends."""
    extra, target, start = route.extra + link.cost, np.int64(link.target), np.int64(route.start)
    graph, acoustic = route.graph + arc.cost, route.acoustic + link_acoustic
    if len(labels.state) == 0:  # no phones: a segment ends with every word
        if arc.word == 0:
            _route(work, target, start, SILENCE, NO, NO, NO, extra, graph, acoustic)
            return
        there = _boundary(work, target, NO, ABSENT, extra)
        _span(work, start, there, np.int64(arc.word), NO, NO, graph, acoustic)
        _route(work, target, there, NOTHING, NO, NO, NO, extra, 0.0, 0.0)
        return
    spoken, times, queue = np.int64(route.spoken), np.int64(route.times), np.int64(route.queue)
    kind = np.int64(route.kind)
    if arc.word != 0:
        queue = _string(work, QUEUES, work.queues, queue, np.int64(arc.word))
    if begins or (arc.label != 0 and kind == NOTHING):
        kind = np.int64(_kind(labels, arc.label))
        if spoken != 0:
            kind = max(kind, np.int64(INSIDE))
            row = _room(work, TIMES, len(work.times))
            work.times[row, 0], work.times[row, 1] = times, frame
            times = np.int64(row)
        phone = np.int64(labels.phone[arc.label])
        spoken = _string(work, SPOKEN, work.spoken, spoken, phone)
    _route(work, target, start, kind, spoken, queue, times, extra, graph, acoustic)


@kernel(reference_counts=False)
def _end_segment(work, node, route, link, arc_word, pauses):
    """End a route's segment before a link that begins a phone. False: its word is still unknown.

    `pauses`: the link begins a silence of blanks. Only over it one goes on from the boundary, as
    silences that end here must not begin once more.
    """
    late, word, queue = np.int64(link if pauses else NONE), np.int64(0), np.int64(route.queue)
    if route.kind == LAST_PHONE:
        if queue != 0:
            word, queue = _take_first(work, queue)
        elif arc_word != 0:
            late, word = np.int64(link), np.int64(arc_word)
        else:
            return False
    there = _boundary(work, node, queue, late, route.extra)
    _span(work, np.int64(route.start), there, word, np.int64(route.spoken), np.int64(route.times),
          route.graph, route.acoustic)
    return True


@kernel(reference_counts=False)
def _end_all(work, node, route):
    """End a route with the utterance: words that still wait follow and take no time."""
    queue, word, here = np.int64(route.queue), np.int64(0), np.int64(route.start)
    if queue != 0 or route.kind != NOTHING or work.boundaries[here].node != node:
        if queue != 0 and route.kind != SILENCE:
            word, queue = _take_first(work, queue)
        there = _boundary(work, node, queue, ABSENT, route.extra)
        _span(work, here, there, word, np.int64(route.spoken), np.int64(route.times), route.graph,
              route.acoustic)
        here = there
    n_before = 0
    while queue != 0:
        word, queue = _take_first(work, queue)
        there = _boundary(work, node, queue, ABSENT, route.extra)
        _span(work, here, there, word, NO, NO, 0.0, 0.0)
        here, n_before = there, n_before + 1
        work.boundaries[here].waiting = max(work.boundaries[here].waiting, n_before)
    work.boundaries[here].ends = 1


@kernel(reference_counts=False)
def spell(
    states, arcs, labels, nodes, ending, links, acoustic, first, leaving, order, frames,
    lattice_beam, work,
):
    """From links to arcs that span whole words or silences, with the least cost of each.

    A route is the best way from a boundary to a node among those with the same phones and words.
    Words of which no segment has ended yet wait in its queue. A word may stand anywhere before its
    last phone's end or on the next arc that begins a phone. If one comes later, words cannot be
    matched to segments, and False is returned. Without phones (empty `labels`) a segment ends where
    a word stands. `ending`: by how much ending in a node is dearer than the best end of all.
    """
    has_phones = len(labels.state) > 0
    _boundary(work, np.int64(order[0]), NO, ABSENT, 0.0)
    _route(work, np.int64(order[0]), NO, NOTHING, NO, NO, NO, 0.0, 0.0, 0.0)
    for place in range(len(order)):
        node = np.int64(order[place])
        n_before, at = work.counts[BOUNDARIES], np.int64(work.route_at[node])
        work.passed[node] = True
        begin, end, state = first[node], first[node + 1], nodes[node].state
        while at != NONE:
            route, ended = work.routes[at], False
            for j in range(begin, end):
                link = links[leaving[j]]
                a, extra = link.arc, route.extra + link.cost + nodes[link.target].extra
                if work.passed[link.target] or not extra <= lattice_beam:
                    continue
                begins = has_phones and _begins(labels, states, arcs, state, a)
                if has_phones and not begins and route.kind == LAST_PHONE:
                    if _may_pause(labels, arcs[a].label):
                        word = arcs[a].word
                        if not _end_segment(work, node, route, leaving[j], word, not begins):
                            return False
                        continue
                if not begins or (route.kind != SILENCE and route.kind != LAST_PHONE):
                    here = acoustic[leaving[j]]
                    _cross(work, labels, frames[node], route, link, here, arcs[a], begins)
                elif not ended:
                    if not _end_segment(work, node, route, leaving[j], arcs[a].word, not begins):
                        return False
                    ended = route.kind == SILENCE or route.queue != 0
            if ending[node] < np.inf and route.extra + ending[node] <= lattice_beam:
                _end_all(work, node, route)
            at = np.int64(route.next)
            if work.counts[FULL]:
                return True
        _forget_routes(work, node)
        if work.counts[BOUNDARIES] == n_before or not has_phones:
            continue
        for j in range(begin, end):
            link = links[leaving[j]]
            arc, target = arcs[link.arc], np.int64(link.target)
            begins = _begins(labels, states, arcs, state, link.arc)
            if work.passed[target] or not (begins or _may_pause(labels, arc.label)):
                continue
            for b in range(n_before, work.counts[BOUNDARIES]):
                late, queue = work.boundaries[b].late, np.int64(work.boundaries[b].queue)
                extra = work.boundaries[b].extra + link.cost
                if late != leaving[j] and not (late == NONE and begins):
                    continue
                if not extra + nodes[target].extra <= lattice_beam:
                    continue
                if arc.word != 0 and late == NONE:
                    queue = _string(work, QUEUES, work.queues, queue, np.int64(arc.word))
                _route(
                    work, target, b, _kind(labels, arc.label), np.int64(labels.phone[arc.label]),
                    queue, NO, extra, np.float64(arc.cost), np.float64(acoustic[leaving[j]]),
                )
    return True


@kernel
def live_spans(source, target, ends):
    """Which arcs, sorted by source, lead on to an end."""
    ends, live = ends.copy(), np.zeros(len(source), np.bool_)
    for i in range(len(source) - 1, -1, -1):
        live[i] = ends[target[i]]
        ends[source[i]] |= live[i]
    return live


@kernel
def phone_ends(spoken, times, end, strings, records):
    """End frames of each arc's phones, one after the other, and where each arc's begin."""
    first = np.zeros(len(spoken) + 1, np.int64)
    for i in range(len(spoken)):
        n_phones, at = 0, spoken[i]
        while at != 0:
            n_phones, at = n_phones + 1, strings[at, 0]
        first[i + 1] = first[i] + n_phones
    values = np.empty(first[-1], np.int32)
    for i in range(len(spoken)):
        place, at = first[i + 1] - 1, times[i]
        if place >= first[i]:
            values[place] = end[i]
        while at != 0:
            place -= 1
            values[place], at = records[at, 1], records[at, 0]
    return first, values
