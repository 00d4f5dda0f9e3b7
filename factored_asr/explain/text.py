"""An explanation as a teacher would read it aloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from factored_asr.explain.ablation import Muted
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.explain.rivals import Rival
from factored_asr.graph import BACKGROUND

SMALL = 0.05  # a difference of cost that is not worth a word
HEADS = {
    "acoustic": "acoustic", "pronunciation": "pronun.", "language": "language",
    "penalty": "penalty", "transitions": "transit.", "silence": "silence",
    "remainder": "remaind.",
}
PAUSE, END, FRAGMENT = "(pause)", "(end)", "(fragment)"


def as_text(explanation: Explanation) -> str:
    """The whole explanation, in sentences and one table."""
    return "\n".join(_lines(explanation))


def name_of(each: Explained) -> str:
    """A part as it is called: its word, or what it is."""
    if each.part.kind == "word":
        return each.word
    return {"pause": PAUSE, "end": END}.get(each.part.kind, FRAGMENT)


def factor_names(explanation: Explanation) -> dict[str, str]:
    """What each factor is called."""
    language = "grammar" if explanation.is_grammar else "LM"
    return {
        **{name: name for name in FACTORS}, "acoustic": "acoustics", "language": language,
        "penalty": "word penalty",
    }


def rival_sentence(rival: Rival, names: dict[str, str]) -> str:
    """Who beat whom, by how much, and which factor decided.

    Over whole paths what pushing moved is 0, so that their remainder is what backing off spared.

    Examples
    --------
    >>> from factored_asr.explain.factors import Costs
    >>> rival = Rival(("wreck", "a", "nice"), ("recognise",), 10, 80, 104.1, Costs(),
    ...               Costs(acoustic=3.1, language=-7.2))
    >>> rival_sentence(rival, {"acoustic": "acoustics", "language": "LM"})
    "'recognise' beat 'wreck a nice' by 4.1: LM −7.2, acoustics +3.1. The LM decided."
    """
    names, values = {**names, "remainder": "backing off"}, rival.difference.to_dict()
    told = sorted(
        (name for name in FACTORS if abs(values[name]) > SMALL), key=lambda name: values[name]
    )
    factors = ", ".join(f"{names[name]} {signed(values[name])}" for name in told)
    ours, theirs = (_phrase(words) for words in (rival.instead_of, rival.words))
    head = f"{ours} beat {theirs} by {rival.margin:.1f}"
    if not told or not rival.margin > SMALL:
        return f"{head}: as good as a tie" + (f" ({factors})." if factors else ".")
    subject = "Backing off" if rival.decided == "remainder" else f"The {names[rival.decided]}"
    return f"{head}: {factors}. {subject} decided."


def verdict(explanation: Explanation) -> str:
    """How the command fared against the background; empty where it was searched alone."""
    background, margin = explanation.background, explanation.margin
    if background is None or margin is None or not explanation.parts:
        return ""
    what = "The nearest command" if explanation.is_refused else "The command"
    how = f"lost to the background by {-margin:.1f}"
    if margin >= 0:
        how = f"beat the background by {margin:.1f}, must by {explanation.needed:.1f}"
    sentence = (
        f"{what} {how}: it costs {explanation.cost:,.2f}, the background's best path "
        f"{background.cost:,.2f}, which hears {without_grammar(background.words)}."
    )
    if margin < 0 and not explanation.is_refused:
        sentence += " That is no speech, so it counts for nothing."
    return sentence


def without_grammar(words: Sequence[str]) -> str:
    """What the background heard.

    >>> without_grammar(("turn", "the", BACKGROUND, BACKGROUND, "light"))
    "'turn the', unknown speech, 'light'"
    """
    runs = groupby(words, key=lambda word: word == BACKGROUND)
    return ", ".join(
        "unknown speech" if unknown else _phrase(list(run)) for unknown, run in runs
    ) or "silence"


def is_beside(each: Explained) -> bool:
    """True where there is something to say of the background in the time of a part."""
    other = each.background
    return other is not None and (
        bool(other.words) or abs(each.costs.total - other.cost) > SMALL or each.part.kind == "word"
    )


def beside_sentence(each: Explained) -> str:
    """How much less (−) or more a part cost than what the background heard in its time."""
    other = each.background
    assert other is not None
    difference = each.costs.total - other.cost
    acoustic = each.costs.acoustic - other.acoustic
    return (
        f"{signed(difference)} against the background's {without_grammar(other.words)} "
        f"(acoustics {signed(acoustic)}, other costs {signed(difference - acoustic)})"
    )


def signed(cost: float) -> str:
    """A difference of costs with its sign."""
    return f"{cost:+.1f}".replace("-", "−")


def once_each(explanation: Explanation) -> Iterator[tuple[Explained, Rival]]:
    """The rivals in their order, one that takes the place of several words but once."""
    before: tuple[tuple[int, ...], tuple[str, ...]] | None = None
    for each in explanation.words:
        if each.rival is not None:
            if (each.rival.arcs, each.rival.instead_of) != before:
                yield each, each.rival
            before = each.rival.arcs, each.rival.instead_of


def muted_sentence(each: Muted, heard: str) -> str:
    """What was heard with a factor muted, and what that decode took."""
    said = "the same" if each.text == heard else f'"{each.text}"' if each.text else "nothing"
    return f"{each.label}: {said} ({how_muted(each)})"


def how_muted(each: Muted) -> str:
    """Where the graph of a decode with a factor muted came from.

    >>> how_muted(Muted("weights", "no weights", "go", 1.0, 0.0, False, "there are none"))
    'nothing to mute; there are none'
    """
    if each.compiled:
        took = f"graph compiled in {each.compile_seconds:.1f} s"
    else:
        took = "graph from the cache" if each.compile_seconds else "nothing to mute"
    return f"{took}; {each.note}" if each.note else took


def _phrase(words: Sequence[str]) -> str:
    return f"'{' '.join(words)}'" if words else "silence"


def _lines(explanation: Explanation) -> Iterator[str]:
    said = explanation.said
    yield f'Heard: "{said.text}"' if said.text else f"Heard nothing: {said.reason}"
    if explanation.is_refused:
        yield f'Nearest command, refused: "{explanation.nearest}"'
    if against := verdict(explanation):
        yield against
    if not explanation.parts:
        return
    yield (
        f"{said.duration:.2f} s of sound; the best path costs {explanation.cost:.3f} "
        f"(-log, acoustics times {explanation.acoustic_scale:g})."
    )
    yield from _meaning(explanation)
    yield ""
    yield "What each stretch of the path cost, by factor:"
    yield from _table(explanation)
    yield ""
    yield "Who else competed, and what decided (below 0 speaks for what was heard):"
    names, found = factor_names(explanation), False
    for each, rival in once_each(explanation):
        found = True
        yield f"  {explanation.seconds(each.part.start):6.2f} s  {rival_sentence(rival, names)}"
    if not found:
        yield "  nobody: no other words came within the beam of the lattice."
    if any(each.background for each in explanation.parts):
        yield ""
        yield "What the background heard in the time of each (below 0 speaks for the command):"
        yield from _against(explanation)
    if explanation.muted:
        yield ""
        yield "What would have been heard:"
        yield from (f"  {muted_sentence(each, said.text)}" for each in explanation.muted)


def _against(explanation: Explanation) -> Iterator[str]:
    width = max(len(name_of(each)) for each in explanation.parts)
    for each in explanation.parts:
        if is_beside(each):
            start = explanation.seconds(each.part.start)
            yield f"  {start:6.2f} s  {name_of(each):{width}}  {beside_sentence(each)}"
    yield f"  {'':8}  {'sum':{width}}  {signed(-(explanation.margin or 0.0))}"


def _meaning(explanation: Explanation) -> Iterator[str]:
    meaning = explanation.meaning
    if meaning is None:
        return
    slots = ", ".join(f"{name} = {value}" for name, value in meaning.slots.items())
    yield ""
    yield f"Understood as {meaning.intent}" + (f" ({slots})" if slots else "") + (
        f", probability {meaning.confidence:.3f}:"
    )
    yield from (f"  {line}" for line in meaning.trace)
    for other in meaning.alternatives:
        yield f"  or {other.intent}, as '{other.text}': {other.confidence:.3f}"


def _table(explanation: Explanation) -> Iterator[str]:
    total = explanation.costs.to_dict()
    shown = [
        name for name in FACTORS
        if any(abs(each.costs.to_dict()[name]) >= 0.0005 for each in explanation.parts)
    ]
    width = max(8, *(len(name_of(each)) for each in explanation.parts))
    heads = {**HEADS, "language": "grammar" if explanation.is_grammar else "LM"}
    head = "".join(f"{heads[name]:>10}" for name in shown)
    yield f"  {'':{width}}  {'from':>6} {'to':>6}{head}{'total':>11}{'misfit':>9}"
    for each in explanation.parts:
        part = each.part
        times = "".join(f" {explanation.seconds(at):6.2f}" for at in (part.start, part.end))
        numbers = _numbers(each.costs, shown)
        yield f"  {name_of(each):{width}} {times}{numbers}{part.misfit:9.2f}"
    yield f"  {'sum':{width}} {'':14}{_numbers(explanation.costs, shown)}"
    yield (
        f"  The search paid {explanation.cost:.3f}; the factors add up to {total['total']:.3f}."
    )
    yield "  Misfit: acoustics above those of the best phones, whatever they say; lower is better."


def _numbers(costs: Costs, shown: Sequence[str]) -> str:
    values = costs.to_dict()
    return "".join(f"{values[name] + 0.0:10.2f}" for name in shown) + f"{values['total']:11.2f}"
