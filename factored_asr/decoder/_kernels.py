"""Kernels of the Viterbi beam search: one frame, many frames, bookkeeping of the ways back.

A token is the best way found so far into one state. Tokens of a frame lie in one array; `slots`
says where a state's token lies, and is right only if that token names the state (a sparse set:
nothing is cleared between frames). A token remembers the last step of its way back (`back`, a row
of `steps`) and, where it has just crossed an arc, that arc; the row for it is written when the
token turns out to survive. Staying in a state (its first self-loop) writes nothing.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

TOKEN = np.dtype([("state", "<i4"), ("cost", "<f4"), ("back", "<i4"), ("arc", "<i4")])
STEP = np.dtype([("back", "<i4"), ("arc", "<i4"), ("frame", "<i4")])

# What `advance` comes back with.
DONE, NEED_TOKENS, NEED_STEPS, NEGATIVE_CYCLE, NO_TOKENS = 0, 1, 2, 3, 4
# Where a search's counters stand in its int64 array.
N_TOKENS, N_STEPS, FRAME, BEST, SIDE, N_ARCS, N_EXPANDED, N_COUNTERS = 0, 1, 2, 3, 4, 5, 6, 7

N_BINS = 512
HELD = 512  # candidates held back so that the memory they need has time to arrive
_AHEAD = 8  # tokens looked ahead, for the same reason
NONE = -1


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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _place(held, n_held, limit, tokens, n_tokens, slots):
    """Enter candidates into the token table: the cheaper way into each state stays."""
    for i in range(n_held):
        _prefetch(slots, np.int64(held[min(i + 16, n_held - 1)].state))
        cost = held[i].cost
        if cost >= limit:
            continue
        state = held[i].state
        slot = slots[state]
        if slot < n_tokens and tokens[slot].state == state:
            if not cost < tokens[slot].cost:
                continue
        else:
            slot = n_tokens
            if n_tokens == len(tokens):
                return NONE
            slots[state] = slot
            n_tokens += 1
        tokens[slot].state, tokens[slot].cost = state, cost
        tokens[slot].back, tokens[slot].arc = held[i].back, held[i].arc
    return n_tokens


@njit(cache=True, nogil=True)
def _expand(
    first_arc, arcs, now, n_now, best, cutoff, beam, label_cost, held, tokens, slots, steps,
    n_steps, frame,
):
    """Take every token within the cutoff over its emitting arcs (epsilon arcs cost inf here).

    Costs become relative to the best token, whose arcs are looked at first to set a tight limit.
    Returns (tokens made or -1: no room, the cost limit they were held to, steps, tokens and arcs
    looked at).
    """
    limit, base = np.float32(np.inf), now[best].cost
    for a in range(first_arc[now[best].state], first_arc[now[best].state + 1]):
        limit = min(limit, arcs[a].cost + label_cost[arcs[a].label] + beam)
    # Typed zeros: bare ones would have the kernel called here compiled once more, for literals.
    n_held, n_tokens, n_arcs, n_live = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(n_now):
        _prefetch(first_arc, np.int64(now[min(i + 2 * _AHEAD, n_now - 1)].state))
        _prefetch(arcs, first_arc[now[min(i + _AHEAD, n_now - 1)].state])
        if not now[i].cost <= cutoff:
            continue
        state, cost, back = now[i].state, now[i].cost - base, now[i].back
        if now[i].arc != NONE:
            steps[n_steps].back, steps[n_steps].arc, steps[n_steps].frame = back, now[i].arc, frame
            back, n_steps = n_steps, n_steps + 1
        begin, end, at_home = first_arc[state], first_arc[state + 1], False
        n_live, n_arcs = n_live + 1, n_arcs + end - begin
        for a in range(begin, end):
            target = arcs[a].target
            total = cost + arcs[a].cost + label_cost[arcs[a].label]
            stays = (target == state) & (not at_home)
            at_home |= stays
            held[n_held].state, held[n_held].cost = target, total
            held[n_held].back, held[n_held].arc = back, NONE if stays else a
            n_held += total < limit  # without a branch, which would be guessed wrong half the time
            limit = min(limit, total + beam)
            if n_held == HELD:
                n_tokens, n_held = _place(held, n_held, limit, tokens, n_tokens, slots), 0
                if n_tokens == NONE:
                    return NONE, limit, n_steps, n_live, n_arcs
    n_tokens = _place(held, n_held, limit, tokens, n_tokens, slots)
    return n_tokens, limit, n_steps, n_live, n_arcs


@njit(cache=True, nogil=True)
def close(
    first_arc, first_emitting, arcs, limit, tokens, n_tokens, slots, queue, waiting, steps, n_steps,
    frame,
):
    """Follow epsilon arcs until nothing gets cheaper (Bellman-Ford in rounds).

    Returns (status, tokens, steps, slot of the best token).
    """
    best, head, tail, round_end, n_rounds, swept = 0, 0, 0, 0, 0, 0
    while True:
        if swept < n_tokens:  # first every token once, those made on the way included
            at, swept = swept, swept + 1
            ahead = np.int64(tokens[min(swept + _AHEAD, n_tokens - 1)].state)
            _prefetch(first_arc, ahead)
            _prefetch(first_emitting, ahead)
        elif head < tail:  # then those that became cheaper after their turn
            if head == round_end:
                n_rounds, round_end = n_rounds + 1, tail
                if n_rounds > n_tokens:
                    return NEGATIVE_CYCLE, n_tokens, n_steps, best
            at, head = queue[head % len(queue)], head + 1
            waiting[at] = False
        else:
            return DONE, n_tokens, n_steps, best
        state, cost = tokens[at].state, tokens[at].cost
        if cost < tokens[best].cost:
            best = at
        begin, end = first_arc[state], first_emitting[state]
        if begin == end or not cost <= limit:
            continue
        if tokens[at].arc != NONE:
            if n_steps == len(steps):
                return NEED_STEPS, n_tokens, n_steps, best
            steps[n_steps].back, steps[n_steps].arc = tokens[at].back, tokens[at].arc
            steps[n_steps].frame = frame
            tokens[at].back, tokens[at].arc = n_steps, NONE
            n_steps += 1
        for a in range(begin, end):
            total, target = cost + arcs[a].cost, arcs[a].target
            if not total < limit:
                continue
            slot = slots[target]
            if slot < n_tokens and tokens[slot].state == target:
                if not total < tokens[slot].cost:
                    continue
                if slot < swept and not waiting[slot]:
                    waiting[slot] = True
                    queue[tail % len(queue)] = slot
                    tail += 1
            else:
                slot = n_tokens
                if n_tokens == len(tokens):
                    return NEED_TOKENS, n_tokens, n_steps, best
                slots[target] = slot
                n_tokens += 1
            tokens[slot].state, tokens[slot].cost = target, total
            tokens[slot].back, tokens[slot].arc = tokens[at].back, a


@njit(cache=True, nogil=True)
def advance(
    first_arc, first_emitting, arcs, label_pdf, scores, beam, beam_delta, max_active, min_active,
    tokens, slots, queue, waiting, steps, held, label_cost, bins, counters, offset,
):
    """Search the rows of `scores`, one frame each. Returns (status, rows done).

    A frame that runs out of room leaves everything as it found it and is done again.
    """
    for row in range(len(scores)):
        now, frame = tokens[counters[SIDE]], counters[FRAME]
        following, n_tokens = tokens[1 - counters[SIDE]], counters[N_TOKENS]
        n_steps = counters[N_STEPS]
        if n_steps + 2 * n_tokens + 1 > len(steps):
            return NEED_STEPS, row
        label_cost[0] = np.inf
        for label in range(1, len(label_pdf)):
            label_cost[label] = -scores[row, label_pdf[label]]
        best = now[counters[BEST]].cost
        cutoff, next_beam = _cutoff(
            now, n_tokens, best, beam, beam_delta, max_active, min_active, bins
        )
        n_made, limit, n_steps, n_live, n_arcs = _expand(
            first_arc, arcs, now, n_tokens, counters[BEST], cutoff, next_beam, label_cost, held,
            following, slots, steps, n_steps, frame - 1,
        )
        if n_made == NONE:
            return NEED_TOKENS, row
        if n_made == 0:
            counters[N_TOKENS] = 0
            return NO_TOKENS, row
        status, n_made, n_steps, at = close(
            first_arc, first_emitting, arcs, limit, following, n_made, slots, queue, waiting,
            steps, n_steps, frame,
        )
        if status != DONE:
            return status, row
        offset[0] += best
        counters[N_TOKENS], counters[N_STEPS], counters[BEST] = n_made, n_steps, at
        counters[SIDE] = 1 - counters[SIDE]
        counters[FRAME] += 1
        counters[N_ARCS] += n_arcs
        counters[N_EXPANDED] += n_live
    return DONE, len(scores)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def trace(start, first_arc, first_emitting, arcs, steps, back, arc, n_frames):
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
        loop = first_emitting[state]
        n_loops = frames[at] + (0 if emits else 1) - frame
        if n_loops > 0:
            while arcs[loop].target != state:
                loop += 1
        for _ in range(n_loops):
            path[n_path], stays[n_path] = loop, True
            n_path, frame = n_path + 1, frame + 1
        if crossed[at] != NONE:
            path[n_path] = crossed[at]
            n_path, frame = n_path + 1, frame + emits
            state = arcs[crossed[at]].target
    return path[:n_path], stays[:n_path]
