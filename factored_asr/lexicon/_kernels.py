"""Compiled loops of grapheme-to-phoneme conversion. Each has a slow twin in the tests.

Letters and phones are numbered from 0 here. A *pair* is one letter with the 0 to `width` phones it
stands for. Its code is the number whose digits to the base 1 + (number of phones) are the letter,
then each phone + 1, then zeros. So codes are in the order of the letters.
"""

import math

import numpy as np

from factored_asr.storage.kernels import kernel


@kernel
def pair_code(letter, phones, first, end, base, width):
    """Return the code of the pair of a letter and ``phones[first:end]``."""
    code = letter
    for j in range(first, first + width):
        code = code * base + (phones[j] + 1 if j < end else 0)
    return code


@kernel
def expected_pairs(letters, letter_first, phones, phone_first, probs, base, width):
    """Return the expected counts of the pairs over all words, log likelihood, words covered.

    Word w has letters ``letters[letter_first[w]:letter_first[w + 1]]`` and phones likewise. A word
    that no sequence of pairs covers counts for nothing.
    """
    counts = np.zeros_like(probs)
    log_likelihood, n_covered = 0.0, 0
    for w in range(len(letter_first) - 1):
        i0, j0 = letter_first[w], phone_first[w]
        n, m = letter_first[w + 1] - i0, phone_first[w + 1] - j0
        forward = np.zeros((n + 1, m + 1))
        forward[0, 0] = 1.0
        for i in range(n):
            for j in range(m + 1):
                if forward[i, j] > 0:
                    for k in range(j, min(m, j + width) + 1):
                        code = pair_code(letters[i0 + i], phones, j0 + j, j0 + k, base, width)
                        forward[i + 1, k] += forward[i, j] * probs[code]
        total = forward[n, m]
        if total <= 0.0:
            continue
        backward = np.zeros((n + 1, m + 1))
        backward[n, m] = 1.0
        for i in range(n - 1, -1, -1):
            for j in range(m + 1):
                if forward[i, j] > 0:
                    for k in range(j, min(m, j + width) + 1):
                        code = pair_code(letters[i0 + i], phones, j0 + j, j0 + k, base, width)
                        through = probs[code] * backward[i + 1, k]
                        backward[i, j] += through
                        counts[code] += forward[i, j] * through / total
        log_likelihood += math.log(total)
        n_covered += 1
    return counts, log_likelihood, n_covered


@kernel
def best_pairs(letters, letter_first, phones, phone_first, log_probs, base, width):
    """Return the most probable pairs of each word: a code for each letter.

    `log_probs` is -inf for impossible pairs; the letters of a word that cannot be covered have -1.
    """
    codes = np.full(len(letters), -1)
    for w in range(len(letter_first) - 1):
        i0, j0 = letter_first[w], phone_first[w]
        n, m = letter_first[w + 1] - i0, phone_first[w + 1] - j0
        best = np.full((n + 1, m + 1), -np.inf)
        best[0, 0] = 0.0
        came = np.zeros((n + 1, m + 1), np.int64)
        for i in range(n):
            for j in range(m + 1):
                if best[i, j] > -np.inf:
                    for k in range(j, min(m, j + width) + 1):
                        code = pair_code(letters[i0 + i], phones, j0 + j, j0 + k, base, width)
                        score = best[i, j] + log_probs[code]
                        if score > best[i + 1, k]:
                            best[i + 1, k] = score
                            came[i + 1, k] = j
        if best[n, m] > -np.inf:
            k = m
            for i in range(n, 0, -1):
                j = came[i, k]
                letter = letters[i0 + i - 1]
                codes[i0 + i - 1] = pair_code(letter, phones, j0 + j, j0 + k, base, width)
                k = j
    return codes


@kernel
def successors(state, log_prob, low, high, network, seen, mark, arcs, scores):
    """Find the arcs of the pairs low <= pair < high after a state, with their log probabilities.

    A pair found after a longer history is skipped after a shorter one: `seen` holds `mark` for
    those found. Fills `arcs` and `scores`, returns how many.
    """
    n = 0
    while True:
        first, end = network.first_arc[state], network.first_arc[state + 1]
        arc = first + np.searchsorted(network.arc_pair[first:end], low)
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


@kernel
def recombined(first, end, states, hashes, scores, beam, max_tokens):
    """Return the rows first <= row < end that survive: one for each (state, hash), the best.

    Equal rows have their probabilities added up in one of them.
    """
    if first == end:
        return np.empty(0, np.int64)
    keys = np.empty(end - first, np.uint64)
    for k in range(end - first):
        state = np.uint64(states[first + k] + 1)
        keys[k] = hashes[first + k] ^ (state * np.uint64(0x9E3779B97F4A7C15))
    kept = np.empty(end - first, np.int64)
    n = 0
    for row in first + np.argsort(keys, kind="mergesort"):
        if n and hashes[kept[n - 1]] == hashes[row] and states[kept[n - 1]] == states[row]:
            scores[kept[n - 1]] = np.logaddexp(scores[kept[n - 1]], scores[row])
        else:
            kept[n] = row
            n += 1
    kept = kept[:n]
    least = scores[kept].max() - beam
    if n > max_tokens:
        least = max(least, np.partition(scores[kept], n - max_tokens)[n - max_tokens])
    return kept[scores[kept] >= least]


@kernel
def pronounce(low, high, pair_phones, network, start, beam, max_tokens):
    """Search the pronunciations of a word, letter by letter.

    The pairs low <= pair < high (n_letters,) are those of each letter; `pair_phones` has -1 where
    there are fewer. Returns the row that each came from and the pair it took (row 0 is the
    beginning), a hash of the phones so far, all (n_rows,). Then the rows at the word's end, and the
    log of their joint probability, summed over all pairs that lead to the same phones and state.
    """
    size = 1024
    states, before = np.zeros(size, np.int64), np.zeros(size, np.int64)
    pair, hashes = np.zeros(size, np.int64), np.zeros(size, np.uint64)
    scores = np.zeros(size)
    seen = np.zeros(len(pair_phones), np.int64)
    arcs, found = np.empty(len(pair_phones), np.int64), np.empty(len(pair_phones))
    states[0], n_rows, mark = start, 1, 0
    kept = np.zeros(1, np.int64)
    for i in range(len(low)):
        first, best = n_rows, -np.inf
        for row in kept:
            mark += 1
            n = successors(states[row], scores[row], low[i], high[i], network, seen, mark, arcs,
                          found)
            for k in range(n):
                if found[k] < best - beam:
                    continue
                best = max(best, found[k])
                if n_rows == size:
                    size *= 2
                    states, before = np.append(states, states), np.append(before, before)
                    pair, hashes = np.append(pair, pair), np.append(hashes, hashes)
                    scores = np.append(scores, scores)
                pair[n_rows], scores[n_rows] = network.arc_pair[arcs[k]], found[k]
                states[n_rows], before[n_rows] = network.arc_target[arcs[k]], row
                hashes[n_rows] = hashes[row]
                for phone in pair_phones[pair[n_rows]]:
                    if phone >= 0:
                        hashes[n_rows] *= np.uint64(6364136223846793005)
                        hashes[n_rows] += np.uint64(phone + 1)
                n_rows += 1
        kept = recombined(first, n_rows, states, hashes, scores, beam, max_tokens)
    return before, pair, hashes, kept, ended(kept, states, scores, network)


@kernel
def ended(rows, states, scores, network):
    """Return the log probability of rows with that of a word's end."""
    out = np.empty(len(rows))
    for k in range(len(rows)):
        state, score = states[rows[k]], scores[rows[k]]
        while network.final[state] == -np.inf and state > 0:
            score += network.log_backoff[state]
            state = network.backoff_state[state]
        out[k] = score + network.final[state]
    return out
