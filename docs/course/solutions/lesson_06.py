"""Solutions of lesson 6."""

from collections import Counter

import numpy as np


def bigrams(texts):
    """Count pairs and their histories."""
    pairs, histories = Counter(), Counter()
    for text in texts:
        words = ["<s>", *text, "</s>"]
        pairs.update(zip(words[:-1], words[1:], strict=True))
        histories.update(words[:-1])
    return {pair: count / histories[pair[0]] for pair, count in pairs.items()}


def perplexity(log_probs):
    """The inverse of the geometric mean of the probabilities."""
    return np.exp(-np.mean(log_probs))
