"""Sentences of a grammar, and what makes them disfluent."""

from __future__ import annotations

import random

from factored_asr.language.grammar import Grammar, ListSymbol


def random_sentence(grammar: Grammar, rng: random.Random) -> str:
    """A sentence of a random template, numbers in their plainest form, now and then cut."""
    network = grammar.network
    template = rng.randrange(len(grammar.templates))
    words, state = [], 0
    while state not in network.finals:
        arcs = network.arcs[state]
        arcs = arcs if state else [arc for arc in arcs if network.owners[arc[1]] == template]
        if not arcs:  # a template whose values the context rules out
            return random_sentence(grammar, rng)
        symbol, state, _ = rng.choice(arcs)
        if isinstance(symbol, str):
            words.append(symbol)
        elif isinstance(symbol, ListSymbol) and symbol.list.wildcard:
            words += rng.sample(["banana", "house", "milk"], rng.randint(1, 2))
        elif isinstance(symbol, ListSymbol):
            allowed = [
                v
                for i, v in enumerate(symbol.list.values)
                if symbol.allowed is None or i in symbol.allowed
            ]
            forms = rng.choice(allowed).forms
            words += forms[0] if symbol.list.is_range else rng.choice(forms)
    if len(words) > 2 and rng.random() < 0.2:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def uh(words: list[str], rng: random.Random) -> list[str]:
    place = rng.randrange(len(words) + 1)
    return [*words[:place], "uh", *words[place:]]


def no(words: list[str], rng: random.Random) -> list[str]:
    return ["no", *words]


def repeat(words: list[str], rng: random.Random) -> list[str]:
    place = rng.randrange(len(words))
    return [*words[: place + 1], *words[place:]]


def restart(words: list[str], rng: random.Random) -> list[str]:
    return [*words[: rng.randint(1, min(4, len(words)))], *words]


def expected(test: dict, intent: str | None, slots: dict) -> bool:
    """True if intent and slots are those of a test; see the README of the data."""
    slots = dict(slots)
    if "area" not in test["slots"] and slots.get("area") == "here":
        del slots["area"]
    if "domain" not in test["slots"]:
        slots.pop("domain", None)
    return (intent, slots) == (test["intent"], test["slots"])
