"""Solutions of lesson 12."""

import math


def word_errors(reference, hypothesis):
    """Fewest errors for every beginning of both; row by row (Levenshtein)."""
    row = [(j, 0, 0, j) for j in range(len(hypothesis) + 1)]  # errors, sub, del, ins
    for i, word in enumerate(reference, 1):
        above, row = row, [(i, 0, i, 0)]
        for j, other in enumerate(hypothesis, 1):
            n, s, d, k = above[j - 1]
            wrong = int(word != other)
            ways = [(n + wrong, s + wrong, d, k)]
            n, s, d, k = above[j]
            ways.append((n + 1, s, d + 1, k))
            n, s, d, k = row[-1]
            ways.append((n + 1, s, d, k + 1))
            row.append(min(ways, key=lambda way: way[0]))
    return row[-1][1:]


def interval(n_right, n):
    """Wilson (1927)."""
    z, share = 1.959963984540054, n_right / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)
