"""Solutions of lesson 5."""


def read_lexicon(lines):
    """Words may have several pronunciations."""
    found = {}
    for line in lines:
        word, *phones = line.split()
        found.setdefault(word.partition("(")[0], []).append(phones)
    return found


def triphones(phones):
    """Silence stands at both edges."""
    left, right = ["SIL", *phones[:-1]], [*phones[1:], "SIL"]
    return [f"{a}-{b}+{c}" for a, b, c in zip(left, phones, right, strict=True)]
