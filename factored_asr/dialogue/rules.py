"""The actions of the rules in acts.yaml.

Each is a function (reading, frame, scene) → acts, or None if the parts cannot be read like that:
the next rule is tried then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from factored_asr.dialogue.acts import Act, act, denied
from factored_asr.dialogue.frames import Frame, Words, as_command, frames
from factored_asr.dialogue.scene import Found, Scene
from factored_asr.understanding.parse import Understander


class Reading(Protocol):
    """What a rule needs to read its parts: `reader.Reading`."""

    understander: Understander

    def read(self, words: Words, scene: Scene, lists: bool = True) -> Found | None: ...

    def exactly(self, words: Words) -> Found | None: ...

    def fragment(self, words: Words, scene: Scene) -> Found | None: ...


Rule = Callable[[Reading, Frame, Scene], Found | None]
_BEFORE_NAMES = frozenset("the my our a in on off to at for up down it that them".split())
_TIMES = frozenset("yesterday today tomorrow already before earlier last night week ago".split())
_PASSIVE = ("to", "be", "is", "are", "being", "turned", "switched", "put", "set", "that")


def _found(acts: Iterable[Act], *parts: Found | None, elliptical: bool | None = None) -> Found:
    """Return acts with the traces of the parts; elliptical by default if one of the parts is."""
    trace = tuple(line for part in parts if part for line in part.trace)
    if elliptical is None:
        elliptical = any(part.elliptical for part in parts if part)
    return Found(tuple(acts), trace, elliptical)


def _commands(found: Found | None) -> list[Act]:
    return [a for a in found.acts if a.kind == "command"] if found else []


def _denial(found: Found | None) -> Found | None:
    """Return the opposite of acts that move something."""
    return _found(denied(found.acts), found) if found and found.moves else None


def _spared(found: Found | None, note: str) -> list[Act]:
    """Return commands as denials with a note."""
    return [replace(a, kind="deny", note=note) for a in _commands(found)]


def _whole(kind: str, note: str = "") -> Rule:
    """Return the rule of a sentence that is one act."""
    return lambda reading, frame, scene: _found([act(kind, note=note)])


def _nothing_done(note: str) -> Rule:
    """Return the rule of "leave x alone" and of "x … never mind"."""

    def rule(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
        inner = reading.read(frame.parts["x"], scene)
        return _found(_spared(inner, note), inner) if _commands(inner) else None

    return rule


def _about(kind: str) -> Rule:
    """Return the rule of a sentence about a command, which is not executed."""

    def rule(reading: Reading, frame: Frame, scene: Scene) -> Found:
        words = frame.parts.get("x", ())
        while words and words[-1] in _TIMES:
            words = words[:-1]
        for variant in (words, *as_command(words)):  # "she opened …" is of "open …"
            inner = reading.read(variant, scene)
            about = next((a for a in inner.acts if a.reading is not None), None) if inner else None
            if about is not None:
                return _found([act(kind, about.reading, about.words)])
        ends = (reading.exactly(words[i:]) for i in range(1, len(words)))  # "if it rains | close …"
        about = next((found.acts[0] for found in ends if found), None)
        return _found([act(kind, about.reading, about.words) if about else act(kind)])

    return rule


def command(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Don't forget to x" is x; "only" between x and y adds nothing."""
    return reading.read(frame.parts["x"] + frame.parts.get("y", ()), scene)


def because(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "It's too dark, x"."""
    inner = reading.read(frame.parts["x"], scene)
    return inner if inner and inner.moves else None


def doing(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Would you mind turning …" is "turn …"."""
    part = frame.parts["x"]
    forms = (reading.read(w, scene, lists=False) for w in as_command(part) if w != part)
    return next(filter(None, forms), None)


def want(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "I want the light (to be) (turned) on", "make sure the light is on"."""
    words = frame.parts["x"]
    active = tuple(word for word in words if word not in _PASSIVE)
    forms = (reading.read(form, scene) for form in (active, ("turn", *active), words))
    return next(filter(_commands, forms), None)


def contrast(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Not y but x": y is denied, x commanded in its place."""
    no = reading.read(frame.parts["y"], scene, lists=False)
    if no is None and frame.parts["y"] in frames().pronouns and scene.base:
        no = _found([replace(scene.base, kind="command")], elliptical=True)  # "not there, here"
    if no is None or not _commands(no):
        return None
    yes = reading.read(frame.parts["x"], scene if no.elliptical else scene.after(no.acts))
    if not _commands(yes):
        return None
    return _found([act("correction"), *denied(_commands(no)), *_commands(yes)], no, yes)


def agree(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Yes, x"."""
    inner = reading.read(frame.parts["x"], scene)
    return inner and _found([act("confirm"), *inner.acts], inner)


def correct(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "No, x"."""
    inner = reading.read(frame.parts["x"], scene)
    if inner is None or _nothing_of_it(inner, frame.parts["x"]):
        return None
    acts = [a for a in inner.acts if a.kind != "correction" or a.note]
    return _found([act("correction"), *acts], inner)


def change(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Make that x": x is no sentence of its own."""
    inner = correct(reading, frame, scene)
    return inner if inner and inner.moves and not whole(inner) else None


def _nothing_of_it(found: Found, words: Words) -> bool:
    """Return True for "no | light in the hall": a fragment needs an article or a value first."""
    completed = found.trace and found.trace[0].startswith(f"completed: {' '.join(words)!r}")
    if not completed or words[0] in _BEFORE_NAMES:
        return False
    values = (s.text.split()[0] for a in _commands(found) if a.reading for s in a.reading.spans)
    return len(words) > 1 and words[0] not in values


def clauses(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "x and y", each a complete sentence."""
    first = reading.read(frame.parts["x"], scene)
    if first is None or not first.acts:
        return None
    second = reading.read(frame.parts["y"], scene.after(first.acts))
    if second is None or not (whole(second) and whole(first)):
        return None
    return _found(first.acts + second.acts, first, second)


def whole(found: Found) -> bool:
    """Return True for a complete sentence, which may hold pronouns ("turn it off")."""
    return not found.elliptical or any(line.startswith("pointing") for line in found.trace)


def add(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "x too": more of the same, also of a denial."""
    inner = reading.read(frame.parts["x"], scene)
    if inner is None or not inner.moves:
        return None
    denies = not whole(inner) and scene.base and scene.base.kind == "deny"
    return _denial(inner) if denies else inner


def stay(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Leave x on" is "don't turn x off"."""
    inner = reading.read(frames().kept_from(frame.state, frame.parts["x"]), scene)
    return _denial(inner) if _commands(inner) else None


def deny(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Don't x"."""
    if frame.parts["x"][0] in ("and", "but"):
        return None  # the rule allows for it, and x would be denied as well
    return _denial(reading.read(frame.parts["x"], scene, lists=False))


def deny_doing(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Stop turning …"."""
    return _denial(doing(reading, frame, scene))


def deny_done(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "You shouldn't have turned …", "no one told you to turn …"."""
    forms = (reading.read(form, scene, lists=False) for form in as_command(frame.parts["x"]))
    return next(filter(None, map(_denial, forms)), None)


def decline(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "I'd rather you didn't x"; two negations do nothing."""
    inner = reading.read(frame.parts["x"], scene, lists=False)
    return _denial(inner) if _commands(inner) else None


def nor(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Nor x", "but not x": a denial; so is "but x" where x is one ("but don't …")."""
    if frame.parts["x"][0] in ("and", "but"):
        return None
    inner = reading.read(frame.parts["x"], scene, lists=False)
    return inner if inner and not _commands(inner) and inner.moves else _denial(inner)


def polite_doing(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "If you wouldn't mind turning …", "if it's all the same to you turn …"."""
    return doing(reading, frame, scene) or command(reading, frame, scene)


def nobut(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "Neither y nor x"."""
    both = each(reading, frame, scene)
    return both and _found(denied(both.acts), both)


def infix(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "z not y but x" is "z x" and not "z y"; "z neither y nor x" is neither."""
    yes = reading.read(frame.parts["z"] + frame.parts["x"], scene)
    if not (yes and _commands(yes)):
        return None
    no = reading.read(frame.parts["y"], scene.after(yes.acts))
    if not _commands(no):
        return None
    acts = [*_commands(yes), *denied(_commands(no))]
    if frame.rule == "neither":
        acts = [*denied([*_commands(no), *_commands(yes)])]
    return _found(acts, yes, no, elliptical=yes.elliptical)


def repair(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "y no x": x takes the place of y or of its end."""
    first, mended = frame.parts["y"], frame.parts["x"]
    old = reading.read(first, scene)
    new = reading.read(mended, scene.after(old.acts) if old else scene)
    if new and whole(new) and _familiar(reading, first):
        return new
    if old and new and len(_commands(new)) >= max(2, len(_commands(old))):
        return new
    if old and _commands(old) and (found := reading.fragment(mended, scene.after(old.acts))):
        return _found([*old.acts[:-1], *found.acts], old, found)
    for kept in range(len(first) - 1, 0, -1):
        found = reading.read(first[:kept] + mended, scene)
        if found and _commands(found) and not found.elliptical:
            return found
    return None


def _familiar(reading: Reading, words: Words) -> bool:
    """Return True if these may be words of an unfinished command."""
    known = reading.understander.grammar.words
    return all(word in known or (word,) in frames().pronouns for word in words)


_Pair = tuple[Found, Found]


def _pair(
    reading: Reading, words: Words, rest: Words, scene: Scene, inflected: bool = False
) -> _Pair | None:
    """Read two phrases that share the end of the second: "turn the kitchen | the hall light on".

    The first is `words` with an end of `rest`, the second what is left of `rest`; `inflected`: its
    verb may have another form ("turning").
    """
    for n in range(len(rest), 0, -1):
        body = reading.read(words + rest[n:], scene)
        if body and _commands(body):
            for form in (rest[:n], *(as_command(rest[:n]) if inflected else ())):
                other = reading.read(form, scene.after(body.acts))
                if other and _commands(other):
                    return body, other
    return None


def _first_and(pair: _Pair, acts: Iterable[Act]) -> Found:
    """Return the acts of the first phrase, then these."""
    return _found([*pair[0].acts, *acts], *pair, elliptical=pair[0].elliptical)


def each(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "x and y" that share a verb or an end; "x not only z but y"."""
    first = frame.parts["x"] + frame.parts.get("z", ())
    pair = _pair(reading, first, frame.parts["y"], scene)
    return pair and _first_and(pair, pair[1].acts)


def choice(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "x or y": which, must be asked; neither, under a negation."""
    both = each(reading, frame, scene)
    return both and _found([replace(a, note="choice") for a in both.acts], both)


def exception(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "x except y"."""
    pair = _pair(reading, frame.parts["x"], frame.parts["y"], scene)
    return pair and _first_and(pair, _spared(pair[1], "except"))


def allbut(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "All but x": the last sentence, which was about all, without x."""
    base = scene.base
    if base is None or base.reading is None or base.reading.slots.get("which") != "all":
        return None
    spared = _spared(reading.fragment(frame.parts["x"], scene), "except")
    acts = [act("correction"), replace(base, kind="command"), *spared]
    return _found(acts, elliptical=True) if spared else None


def instead(reading: Reading, frame: Frame, scene: Scene) -> Found | None:
    """ "x instead of y": x, and y not."""
    pair = _pair(reading, frame.parts["x"], frame.parts["y"], scene, inflected=True)
    return pair and _first_and(pair, denied(_commands(pair[1])))


RULES_BY_NAME: dict[str, Rule] = {
    "swap": _whole("correction", "swap"), "undo": _whole("undo"), "stop": _whole("undo", "stop"),
    "confirm": _whole("confirm"), "misdone": _whole("correction"), "reject": _whole("correction"),
    "idle": _whole("report"), "told": _about("report"), "condition": _about("report"),
    "query": _about("query"), "report": _about("report"),
    "untouched": _nothing_done("except"), "cancel": _nothing_done("cancel"),
    "polite": command, "command": command, "only": command, "because": because, "doing": doing,
    "want": want, "contrast": contrast, "contrast_plain": contrast, "agree": agree,
    "correct": correct, "blame": correct, "change": change, "clauses": clauses, "add": add,
    "stay": stay, "deny": deny, "deny_doing": deny_doing, "deny_done": deny_done, "nobut": nobut,
    "decline": decline, "decline_doing": deny_doing, "polite_doing": polite_doing, "nor": nor,
    "infix": infix, "neither": infix, "repair": repair, "except": exception, "instead": instead,
    "notonly": each, "allbut": allbut, "each": each, "choice": choice,
}
