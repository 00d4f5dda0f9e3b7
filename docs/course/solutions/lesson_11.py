"""Solutions of lesson 11."""


def is_denied(text):
    """Only a denial at the beginning denies the whole command."""
    words = text.removeprefix("please ").replace("do not", "don't").split()
    return words[:1] == ["don't"] and words[1:2] != ["forget"]


def repair(text):
    """Remove two words before "no", and "no" itself."""
    words = text.split()
    if "no" not in words[1:]:
        return text
    place = words.index("no", 1)
    return " ".join(words[: place - 2] + words[place + 1 :])
