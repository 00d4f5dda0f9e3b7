"""An explanation as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from factored_asr.explain.ablation import Ablation
from factored_asr.explain.competitors import Competitor
from factored_asr.explain.explanation import Explained, Explanation
from factored_asr.explain.factors import FACTORS, Costs
from factored_asr.graph import BACKGROUND

SMALL = 0.05  # smaller differences of cost are not shown
HEADS = {
    "acoustic": "acoustic", "pronunciation": "pronun.", "penalty": "penalty",
    "transitions": "transit.", "silence": "silence", "hotword": "hotword", "remainder": "remaind.",
}  # fmt: skip
NAMES = {"pause": "(pause)", "end": "(end)", "fragment": "(fragment)"}


def as_text(explanation: Explanation) -> str:
    """Return the whole explanation, in sentences and one table."""
    return "\n".join(_lines(explanation))


def name_of(each: Explained) -> str:
    """Return the name of a part: its word, or its kind in brackets."""
    return NAMES.get(each.part.kind, each.word)


def factor_names(explanation: Explanation) -> dict[str, str]:
    """Return the displayed name of each factor."""
    language = "grammar" if explanation.is_grammar else "LM"
    return {
        **{name: name for name in FACTORS}, "acoustic": "acoustics", "language": language,
        "penalty": "word penalty",
    }  # fmt: skip


def competitor_sentence(other: Competitor, names: dict[str, str]) -> str:
    """Return by how much the hypothesis beat a competitor, and which factor decided.

    Over whole paths, weight pushing cancels out: their remainder is what backing off saved.

    Examples
    --------
    >>> from factored_asr.explain.factors import Costs
    >>> other = Competitor(("wreck", "a", "nice"), ("recognise",), 10, 80, 104.1, Costs(),
    ...                    Costs(acoustic=3.1, language=-7.2))
    >>> competitor_sentence(other, {"acoustic": "acoustics", "language": "LM"})
    "'recognise' beat 'wreck a nice' by 4.1: LM −7.2, acoustics +3.1. The LM decided."
    """
    names, values = {**names, "remainder": "backing off"}, other.difference.to_dict()
    shown = sorted((name for name in FACTORS if abs(values[name]) > SMALL),
                   key=lambda name: values[name])
    factors = ", ".join(f"{names[name]} {signed(values[name])}" for name in shown)
    head = f"{_phrase(other.instead_of)} beat {_phrase(other.words)} by {other.margin:.1f}"
    if not shown or not other.margin > SMALL:
        return f"{head}: a tie" + (f" ({factors})." if factors else ".")
    subject = "Backing off" if other.decided == "remainder" else f"The {names[other.decided]}"
    return f"{head}: {factors}. {subject} decided."


def verdict(explanation: Explanation) -> str:
    """Return how the command compares with the background model; empty without one."""
    background, margin = explanation.background, explanation.margin
    if background is None or margin is None or not explanation.parts:
        return ""
    what = "The best command" if explanation.is_rejected else "The command"
    how = f"lost to the background model by {-margin:.1f}"
    if margin >= 0:
        how = f"beat the background model by {margin:.1f} (required: {explanation.needed:.1f})"
    return (
        f"{what} {how}: it costs {explanation.cost:,.2f}, the background's best path "
        f"{background.cost:,.2f}, with {background_phrase(background.words)}."
    )


def models_sentence(explanation: Explanation) -> str:
    """Return what gave the costs of each factor, and which model the words' times."""
    names, models = factor_names(explanation), explanation.models
    costs = ", ".join(f"{names[factor]} by {model}" for factor, model in models.items()
                      if factor in names)
    return (f"{costs[:1].upper()}{costs[1:]}; frames of {1000 * explanation.frame_seconds:g} ms. "
            f"Times of the transcript's words by {models.get('times', 'the same model')}.")


def no_competitors(explanation: Explanation) -> str:
    """Return why no competitor is known; empty if one is."""
    if any(each.competitor for each in explanation.words):
        return ""
    lattice = explanation.lattice
    best = None if lattice is None else lattice.best()
    if best is not None and best.words != tuple(each.word for each in explanation.words):
        return (
            f"No competitors: with wider beams the best path has other words, "
            f"{_phrase(best.words)}, and costs {explanation.cost - best.cost:.1f} less."
        )
    return "No competitors: no other words were within the beam of the lattice."


def background_phrase(words: Sequence[str]) -> str:
    """Return the words of the background's path.

    >>> background_phrase(("turn", "the", BACKGROUND, BACKGROUND, "light"))
    "'turn the', unknown speech, 'light'"
    """
    runs = groupby(words, key=lambda word: word == BACKGROUND)
    return ", ".join(
        "unknown speech" if unknown else _phrase(list(run)) for unknown, run in runs
    ) or "silence"


def background_sentence(each: Explained) -> str:
    """Return how much less (−) or more a part costs than the background; empty without one."""
    other = each.background
    if other is None:
        return ""
    difference = each.costs.total - other.cost
    if not other.words and abs(difference) <= SMALL and each.part.kind != "word":
        return ""
    acoustic = each.costs.acoustic - other.acoustic
    return (
        f"{signed(difference)} against the background's {background_phrase(other.words)} "
        f"(acoustics {signed(acoustic)}, other costs {signed(difference - acoustic)})"
    )


def signed(cost: float) -> str:
    """Return a difference of costs with its sign."""
    return f"{cost:+.1f}".replace("-", "−")


def how_found(each: Ablation) -> str:
    """Return where the graph of an ablation came from, and its note.

    >>> how_found(Ablation("weights", "no weights", "go", 1.0, 0.0, False, "there are none"))
    'nothing to leave out; there are none'
    """
    if each.compiled:
        took = f"graph compiled in {each.compile_seconds:.1f} s"
    else:
        took = "graph from the cache" if each.compile_seconds else "nothing to leave out"
    return f"{took}; {each.note}" if each.note else took


def _phrase(words: Sequence[str]) -> str:
    return f"'{' '.join(words)}'" if words else "silence"


def _lines(explanation: Explanation) -> Iterator[str]:
    found = explanation.transcript
    yield f'Recognised: "{found.text}"' if found.text else f"No result: {found.reason}"
    if explanation.is_rejected:
        yield f'Best command, rejected: "{explanation.nearest}"'
    if against := verdict(explanation):
        yield against
    if not explanation.parts:
        return
    yield (
        f"{found.duration:.2f} s of sound; the best path costs {explanation.cost:.3f} "
        f"(-log, acoustic scale {explanation.acoustic_scale:g})."
    )
    yield models_sentence(explanation)
    if explanation.second_pass:
        with_what = "a second acoustic model" if explanation.strings else "the whole language model"
        yield (f"This is the first pass. The second one, with {with_what}, "
               f'recognises: "{explanation.second_pass}"')
    yield from _twice(explanation)
    yield from _meaning(explanation)
    yield from _expected(explanation)
    yield "\nCosts of each part of the path, by factor:"
    yield from _table(explanation)
    yield "\nCompetitors, and the factor that decided (below 0 favours the hypothesis):"
    yield from _competitors(explanation)
    if any(each.background for each in explanation.parts):
        yield "\nThe background model in the time of each part (below 0 favours the command):"
        yield from _against(explanation)
    if explanation.ablations:
        yield "\nResults without a factor, or with another one:"
        for each in explanation.ablations:
            text = f'"{each.text}"' if each.text else "nothing"
            text = "the same" if each.text == found.text else text
            yield f"  {each.label}: {text} ({how_found(each)})"


def _competitors(explanation: Explanation) -> Iterator[str]:
    """Name each competitor once, also one that replaces several words."""
    names, before = factor_names(explanation), ""
    for each in explanation.words:
        sentence = competitor_sentence(each.competitor, names) if each.competitor else ""
        if sentence and sentence != before:
            yield f"  {explanation.seconds(each.part.start):6.2f} s  {sentence}"
        before = sentence
    if reason := no_competitors(explanation):
        yield f"  {reason}"


def _against(explanation: Explanation) -> Iterator[str]:
    width = max(len(name_of(each)) for each in explanation.parts)
    for each in explanation.parts:
        if sentence := background_sentence(each):
            start = explanation.seconds(each.part.start)
            yield f"  {start:6.2f} s  {name_of(each):{width}}  {sentence}"
    yield f"  {'':8}  {'sum':{width}}  {signed(-(explanation.margin or 0.0))}"


def _expected(explanation: Explanation) -> Iterator[str]:
    """Show the expected words next to the recognised ones, and what lost them."""
    expected = explanation.expected
    if expected is None:
        return
    yield f'\nExpected: "{expected.text}". Lost by {expected.lost_by}: {expected.reason}.'
    width = max((len(row.expected) for row in expected.rows), default=0)
    for row in expected.rows:
        start = "" if row.start is None else f"{row.start:.2f} s"
        mark = " " if row.expected == row.recognised else "*"
        yield f"  {start:>8} {mark} {row.expected or '-':{width}}  {row.recognised or '-'}"


def _twice(explanation: Explanation) -> Iterator[str]:
    """Yield the word strings that both acoustic models scored, the selected one first."""
    if not explanation.strings:
        return
    weight = explanation.strings[0].weight
    yield (f"\nWord strings scored by {explanation.models.get('acoustic', 'the model')} and, with "
           f"the weight {weight:g}, by {explanation.models.get('times', 'another model')}:")
    for each in sorted(explanation.strings, key=lambda each: each.total):
        yield (f"  {each.total:10.3f} = {each.cost:.3f} (acoustic {each.acoustic:.3f}) "
               f"+ {weight:g} × {each.other:.1f}  {' '.join(each.words)}")


def _meaning(explanation: Explanation) -> Iterator[str]:
    meaning = explanation.meaning
    if meaning is None:
        return
    slots = ", ".join(f"{name} = {value}" for name, value in meaning.slots.items())
    yield f"\nUnderstood as {meaning.intent}" + (f" ({slots})" if slots else "") + (
        f", probability {meaning.confidence:.3f}:"
    )
    yield from (f"  {line}" for line in meaning.trace)
    for other in meaning.alternatives:
        yield f"  or {other.intent}, as '{other.text}': {other.confidence:.3f}"


def _table(explanation: Explanation) -> Iterator[str]:
    shown = [
        name for name in FACTORS
        if any(abs(each.costs.to_dict()[name]) >= 0.0005 for each in explanation.parts)
    ]
    width = max(8, *(len(name_of(each)) for each in explanation.parts))
    heads = {**HEADS, "language": "grammar" if explanation.is_grammar else "LM"}
    head = "".join(f"{heads[name]:>10}" for name in shown)
    yield f"  {'':{width}}  {'from':>6} {'to':>6}{head}{'total':>11}{'excess':>9}"
    for each in explanation.parts:
        part = each.part
        times = "".join(f" {explanation.seconds(at):6.2f}" for at in (part.start, part.end))
        numbers = _numbers(each.costs, shown)
        yield f"  {name_of(each):{width}} {times}{numbers}{part.excess:9.2f}"
    total = explanation.costs
    yield f"  {'sum':{width}} {'':14}{_numbers(total, shown)}"
    yield f"  The search paid {explanation.cost:.3f}; the factors add up to {total.total:.3f}."
    yield "  Excess: acoustic cost above that of the best phones, without words; lower is better."


def _numbers(costs: Costs, shown: Sequence[str]) -> str:
    values = costs.to_dict()
    return "".join(f"{values[name] + 0.0:10.2f}" for name in shown) + f"{values['total']:11.2f}"
