"""The compiled loops of letters and phones. Each has a slow twin in the tests.

Letters and phones are numbered from 0 here. A *pair* is one or two letters with none, one or two
phones, but not two of each: its code is

    one letter l, phones p, q:    l · S + (0 | 1 + p | 1 + P + p · P + q),    S = 1 + P + P²
    two letters l, m, phone p:    L · S + (l · L + m) · P + p

with L letters and P phones.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def pair_code(letters, i, n_letters, phones, j, n_phones, size_l, size_p):
    """The code of the pair that takes `n_letters` from letter i and `n_phones` from phone j."""
    block = 1 + size_p + size_p * size_p
    if n_letters == 2:
        chunk = letters[i] * size_l + letters[i + 1]
        return size_l * block + chunk * size_p + phones[j]
    if n_phones == 0:
        return letters[i] * block
    if n_phones == 1:
        return letters[i] * block + 1 + phones[j]
    return letters[i] * block + 1 + size_p + phones[j] * size_p + phones[j + 1]


@njit(cache=True, nogil=True)
def expected_pairs(letters, letter_first, phones, phone_first, probs, shapes, size_l, size_p):
    """One pass of EM over all words: expected counts of the pairs, log likelihood, words placed.

    Word w has letters ``letters[letter_first[w]:letter_first[w + 1]]`` and phones likewise; a row
    of `shapes` is a number of letters and one of phones that a pair may take. A word that no
    sequence of pairs covers counts for nothing.
    """
    counts = np.zeros_like(probs)
    log_likelihood, n_placed = 0.0, 0
    for w in range(len(letter_first) - 1):
        i0, j0 = letter_first[w], phone_first[w]
        n, m = letter_first[w + 1] - i0, phone_first[w + 1] - j0
        ahead = np.zeros((n + 1, m + 1))
        ahead[0, 0] = 1.0
        behind = np.zeros((n + 1, m + 1))
        behind[n, m] = 1.0
        for i in range(n + 1):
            for j in range(m + 1):
                for s in range(len(shapes)):
                    a, b = i - shapes[s, 0], j - shapes[s, 1]
                    if a >= 0 and b >= 0 and ahead[a, b] > 0:
                        code = pair_code(letters, i0 + a, shapes[s, 0], phones, j0 + b,
                                         shapes[s, 1], size_l, size_p)
                        ahead[i, j] += ahead[a, b] * probs[code]
        total = ahead[n, m]
        if total <= 0.0:
            continue
        for i in range(n, -1, -1):
            for j in range(m, -1, -1):
                for s in range(len(shapes)):
                    a, b = i + shapes[s, 0], j + shapes[s, 1]
                    if a <= n and b <= m and behind[a, b] > 0 and ahead[i, j] > 0:
                        code = pair_code(letters, i0 + i, shapes[s, 0], phones, j0 + j,
                                         shapes[s, 1], size_l, size_p)
                        through = probs[code] * behind[a, b]
                        behind[i, j] += through
                        counts[code] += ahead[i, j] * through / total
        log_likelihood += math.log(total)
        n_placed += 1
    return counts, log_likelihood, n_placed


@njit(cache=True, nogil=True)
def best_pairs(letters, letter_first, phones, phone_first, log_probs, shapes, size_l, size_p):
    """The most probable pairs of each word: codes, and where each word's begin, (n_words + 1,).

    `log_probs` is -inf for what may not be; a word that cannot be covered has no pairs.
    """
    codes = np.empty(len(letters), np.int64)
    first = np.zeros(len(letter_first), np.int64)
    n_codes = 0
    for w in range(len(letter_first) - 1):
        i0, j0 = letter_first[w], phone_first[w]
        n, m = letter_first[w + 1] - i0, phone_first[w + 1] - j0
        best = np.full((n + 1, m + 1), -np.inf)
        best[0, 0] = 0.0
        shape = np.zeros((n + 1, m + 1), np.int64)
        for i in range(1, n + 1):
            for j in range(m + 1):
                for s in range(len(shapes)):
                    a, b = i - shapes[s, 0], j - shapes[s, 1]
                    if a >= 0 and b >= 0 and best[a, b] > -np.inf:
                        code = pair_code(letters, i0 + a, shapes[s, 0], phones, j0 + b,
                                         shapes[s, 1], size_l, size_p)
                        score = best[a, b] + log_probs[code]
                        if score > best[i, j]:
                            best[i, j] = score
                            shape[i, j] = s
        i, j = n, m
        end = n_codes
        while i > 0 and best[n, m] > -np.inf:
            s = shape[i, j]
            i, j = i - shapes[s, 0], j - shapes[s, 1]
            codes[end] = pair_code(letters, i0 + i, shapes[s, 0], phones, j0 + j, shapes[s, 1],
                                   size_l, size_p)
            end += 1
        codes[n_codes:end] = codes[n_codes:end][::-1].copy()
        n_codes = end
        first[w + 1] = n_codes
    return codes[:n_codes], first


@njit(cache=True, nogil=True)
def first_at_least(values, low, high, value):
    """The first place in the sorted values[low:high] that is not below `value`."""
    while low < high:
        middle = (low + high) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def log_add(a, b):
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == -np.inf else a + math.log1p(math.exp(b - a))


@njit(cache=True, nogil=True)
def followers(state, log_prob, low, high, network, seen, mark, arcs, scores):
    """The arcs of the pairs low <= pair < high after a state, and the log probability with each.

    A pair that follows a longer history is not looked at again after a shorter one: `seen` holds
    `mark` for those found. Fills `arcs` and `scores`, returns how many.
    """
    n = 0
    while True:
        end = network.first_arc[state + 1]
        arc = first_at_least(network.arc_pair, network.first_arc[state], end, low)
        while arc < end and network.arc_pair[arc] < high:
            pair = network.arc_pair[arc]
            if seen[pair] != mark:
                seen[pair] = mark
                arcs[n] = arc
                scores[n] = log_prob + network.arc_log_prob[arc]
                n += 1
            arc += 1
        if state == 0:
            return n
        log_prob += network.log_backoff[state]
        state = network.backoff_state[state]


@njit(cache=True, nogil=True)
def merged(place, n_rows, states, names, scores, beam, max_tokens):
    """Of the rows at one place those to go on with: one for each (state, name), the best ones.

    Equal rows have their probabilities added up in the first of them. Returns row numbers.
    """
    rows = place[:n_rows]
    keys = np.empty(n_rows, np.uint64)
    for k in range(n_rows):
        keys[k] = names[rows[k]] ^ (np.uint64(states[rows[k]] + 1) * np.uint64(0x9E3779B97F4A7C15))
    rows = rows[np.argsort(keys, kind="mergesort")]
    kept = np.empty(n_rows, np.int64)
    n = 0
    for row in rows:
        if n and names[kept[n - 1]] == names[row] and states[kept[n - 1]] == states[row]:
            scores[kept[n - 1]] = log_add(scores[kept[n - 1]], scores[row])
        else:
            kept[n] = row
            n += 1
    kept = kept[:n]
    least = scores[kept].max() - beam
    if n > max_tokens:
        least = max(least, np.partition(scores[kept], n - max_tokens)[n - max_tokens])
    return kept[scores[kept] >= least]


@njit(cache=True, nogil=True)
def spell(low, high, pair_phones, network, start, beam, max_tokens):
    """All that a word may sound like: rows of a search from letter to letter.

    Parameters
    ----------
    low, high
        (2, n_letters) the pairs low <= pair < high take one letter, or two, from each.
    pair_phones
        (n_pairs, 2) phones of a pair, -1 where there are fewer.

    Returns
    -------
    before, pair
        (n_rows,) the row each came from and the pair it took; row 0 is the beginning.
    names
        (n_rows,) a hash of the phones so far.
    ends, scores
        The rows that stand at the word's end, and the log of each one's joint probability, all
        pairs that lead to the same phones and state added up.
    """
    n_letters = low.shape[1]
    size = 1024
    states, before = np.zeros(size, np.int64), np.zeros(size, np.int64)
    pair, names = np.zeros(size, np.int64), np.zeros(size, np.uint64)
    scores, after = np.zeros(size), np.full(size, -1)  # after: a chain of the rows at one place
    head = np.full(n_letters + 2, -1)
    best = np.full(n_letters + 2, -np.inf)
    seen = np.zeros(len(pair_phones), np.int64)
    arcs, found = np.empty(len(pair_phones), np.int64), np.empty(len(pair_phones))
    states[0], head[0], n_rows, mark = start, 0, 1, 0
    for i in range(n_letters + 1):
        place = np.empty(n_rows, np.int64)
        n_here, row = 0, head[i]
        while row >= 0:
            if scores[row] >= best[i] - beam:
                place[n_here] = row
                n_here += 1
            row = after[row]
        if n_here == 0:
            if i == n_letters:
                return before, pair, names, place[:0], scores[:0]
            continue
        kept = merged(place, n_here, states, names, scores, beam, max_tokens)
        if i == n_letters:
            return before, pair, names, kept, ended(kept, states, scores, network)
        for row in kept:
            for taken in range(min(2, n_letters - i)):
                mark += 1
                n = followers(states[row], scores[row], low[taken, i], high[taken, i], network,
                              seen, mark, arcs, found)
                there = i + taken + 1
                for k in range(n):
                    if found[k] < best[there] - beam:
                        continue
                    best[there] = max(best[there], found[k])
                    if n_rows == size:
                        size *= 2
                        states, before = np.append(states, states), np.append(before, before)
                        pair, names = np.append(pair, pair), np.append(names, names)
                        scores, after = np.append(scores, scores), np.append(after, after)
                    pair[n_rows] = network.arc_pair[arcs[k]]
                    states[n_rows], before[n_rows] = network.arc_target[arcs[k]], row
                    scores[n_rows], after[n_rows] = found[k], head[there]
                    names[n_rows] = named(names[row], pair_phones[pair[n_rows]])
                    head[there] = n_rows
                    n_rows += 1
    return before, pair, names, np.empty(0, np.int64), np.empty(0)


@njit(cache=True, nogil=True)
def named(name, phones):
    """The hash of a sequence of phones with up to two more behind it."""
    for phone in phones:
        if phone >= 0:
            name = name * np.uint64(6364136223846793005) + np.uint64(phone + 1)
    return name


@njit(cache=True, nogil=True)
def ended(rows, states, scores, network):
    """Log probability of rows with that of a word's end."""
    out = np.empty(len(rows))
    for k in range(len(rows)):
        state, score = states[rows[k]], scores[rows[k]]
        while network.final[state] == -np.inf and state > 0:
            score += network.log_backoff[state]
            state = network.backoff_state[state]
        out[k] = score + network.final[state]
    return out
