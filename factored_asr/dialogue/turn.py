"""One turn of a dialogue while it is worked out; see dialogue.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from factored_asr.dialogue.acts import Act, Utterance
from factored_asr.dialogue.expectation import Reading, expected
from factored_asr.dialogue.memory import Entry, Memory, Outcome
from factored_asr.dialogue.world import Deed, Order, World

Guess: TypeAlias = tuple[Utterance, float]

SECOND_CHANCE = 0.2  # posterior from which an alternative is done unasked
WORTH_ASKING = 0.02  # posterior from which it is asked about
STOP_SECONDS = 30.0  # "stop" takes back only what has just begun


class Turn:
    """What one utterance does to the memory and the world."""

    def __init__(self, memory: Memory, world: World):
        self.memory, self.world = memory, world
        self.states = dict(memory.states)
        self.journal = list(memory.journal)
        self.done: list[Order] = []
        self.asked: list[Order] = []
        self.questions: list[str] = []
        self.trace: list[str] = []
        self.meant: list[Act] = []
        self.left: tuple[Guess, ...] | None = None
        """Remaining earlier guesses after the next best was taken."""

    # ---- what is likely --------------------------------------------------------------------

    def orders(self, acts: Iterable[Act]) -> list[Order]:
        """Return the orders of commands, without exceptions."""
        acts = list(acts)
        spared = self.spared(acts)
        orders = list[Order]()
        for each in acts:
            if each.kind == "command" and each.reading is not None and each.note != "choice":
                order = self.order(each, [d.device for o in orders for d in o.deeds])
                deeds = tuple(deed for deed in order.deeds if deed not in spared)
                orders.append(replace(order, deeds=deeds))
        return orders

    def order(self, act: Act, just_said: Iterable[str] = ()) -> Order:
        """Return the order of one act; it refers first to the devices just mentioned."""
        live = [e for e in self.journal if self.memory.in_mind(e.turn, e.time)]
        recent = [*reversed(list(just_said)), *(e.deed.device for e in reversed(live))]
        return self.world.order(act.reading, self.states, recent) if act.reading else Order()

    def spared(self, acts: Iterable[Act]) -> set[Deed]:
        """Return deeds that denials of the same utterance exclude from commands."""
        return {d for a in acts if a.kind == "deny" for d in self.order(a).deeds}

    def reading(self, utterance: Utterance, posterior: float) -> Reading:
        """Return a possible utterance with what it would do, and how much it is expected."""
        deeds = self.deeds(utterance)
        idle = bool(deeds) and all(self.states.get(d.device) == d.result for d in deeds)
        asked, done = bool(self.memory.asked), bool(self.memory.last())
        factor, why = expected(utterance, asked, done, idle)
        tried = Turn(self.memory, self.world)
        tried.act_on(utterance)
        return Reading(utterance, posterior, factor, why, tried.actions(), bool(tried.questions))

    def actions(self) -> tuple[str, ...]:
        """Return what was done in this turn, in words."""
        actions = list[str]()
        for i, order in enumerate(self.done):
            later = {deed.device for other in self.done[i + 1 :] for deed in other.deeds}
            deeds = tuple(d for d in order.deeds if d.device not in later or not order.inferred)
            actions += self.world.describe(replace(order, deeds=deeds))
        return tuple(actions)

    def needs_certainty(self, ranked: Sequence[Guess], chosen: Utterance) -> bool:
        """Return True if an action needs care and the utterance is not clear.

        It is clear if it is the best hypothesis, far ahead of other actions on the same device.
        """
        careful = {d.device for d in self.deeds(chosen) if self.world.wants_care(d)}
        if not careful:
            return False
        total = sum(posterior for _, posterior in ranked)
        return ranked[0][0] is not chosen or any(
            deed.device in careful and not self.world.wants_care(deed)
            for other, posterior in ranked[1:]
            if posterior >= SECOND_CHANCE * total
            for deed in self.deeds(other)
        )

    def deeds(self, utterance: Utterance) -> list[Deed]:
        """Return all deeds that an utterance commands."""
        return [deed for order in self.orders(utterance.acts) for deed in order.deeds]

    # ---- doing -----------------------------------------------------------------------------

    def do(self, order: Order, why: str) -> None:
        """Do an order and write it into the journal."""
        for deed in order.deeds:
            before = self.states.get(deed.device)
            turn, time = self.memory.turn, self.memory.time
            self.journal.append(Entry(deed, before, turn, time, why, order.whole))
            self.states[deed.device] = deed.result
        if order.deeds:
            self.done.append(order)

    def infer(self, order: Order, why: str) -> None:
        """Do what was only implied; ask about actions that need care."""
        careful = tuple(d for d in order.deeds if self.world.wants_care(d))
        self.do(replace(order, deeds=tuple(d for d in order.deeds if d not in careful)), why)
        if careful:
            self.ask(Order(careful))

    def ask(self, order: Order) -> None:
        """Ask before doing an order."""
        self.asked.append(order)
        self.questions.append("; ".join(self.world.describe(order)) + "?")

    def ask_whether(self, utterance: Utterance) -> None:
        """Ask whether this was meant."""
        self.trace.append("ask: the hypotheses are not clear enough")
        self.meant += [a for a in utterance.acts if a.kind == "command"]
        for order in self.orders(utterance.acts):
            if order.deeds:
                self.ask(order)
        self.questions = self.questions or ["what was that?"]

    def act_on(self, utterance: Utterance) -> None:
        """Execute the acts."""
        acts, pending = utterance.acts, self.memory.asked
        kinds = {a.kind for a in acts}
        if pending and "confirm" in kinds and "command" not in kinds:
            self.trace.append("confirm: what was asked is done")
            for order in pending:
                self.do(order, "command")
        elif pending and kinds and kinds <= {"correction", "undo", "report"}:
            self.trace.append("deny: what was asked is left")
            return
        for act in acts:
            if act.kind == "undo":
                self.take_back(STOP_SECONDS if act.note == "stop" else None)
            elif act.note == "swap":
                self.swap()
        if "deny" in kinds or "command" in kinds:
            self.command(acts)
        elif len(acts) == 1 and acts[0].kind == "correction" and not acts[0].note:
            self.reject()

    def command(self, acts: Sequence[Act]) -> None:
        """Execute commands and denials, after taking back what a correction replaces."""
        orders = self.orders(acts)
        new = {d.device for order in orders for d in order.deeds}
        already = {d for order in self.done for d in order.deeds}
        ordered = {d for a in acts if a.kind == "command" for d in self.order(a).deeds}
        correction = any(a.kind == "correction" for a in acts)
        denials = [a for a in acts if a.kind == "deny" and not a.note]
        for act in denials:
            self.deny(act, new, ordered)
        if correction and not denials and self.strays(acts):
            self.trace.append("ask: a correction that leaves the kind of device without naming it")
            self.meant += acts
            for order in orders:
                self.ask(order)
            return
        if correction and orders and not denials:
            self.trace.append("correction: what was done instead is taken back")
            last = self.memory.last()
            wrong = [e for e in last if e.changed and e.why == "command"]
            self.reverse(wrong, except_for=new)
            if self.done:  # "no just the kitchen": that much was right
                already = {e.deed for e in last}
        self.meant += acts
        if any(act.note in ("it", "choice") for act in acts):
            self.questions.append("which one?")
        for order in orders:
            if order.unclear:
                self.questions.append(f"{order.unclear}?")
            elif not set(order.deeds) <= already:
                self.do(order, "command")
        if denials and not orders:
            self.second_best({d for act in denials for d in self.order(act).deeds})

    def strays(self, acts: Iterable[Act]) -> bool:
        """Return True if a correction is a mere value of another kind of device than was moved.

        "No lower" after a light was turned on is rather a sound that was taken for it.
        """
        kinds = [self.world.kind_of(each.deed.device) for each in self.memory.last()]
        for act in acts:
            if kinds and act.kind == "command" and act.reading is not None:
                in_values = sum(span.end - span.start for span in act.reading.spans)
                moved = [self.world.kind_of(deed.device) for deed in self.order(act).deeds]
                if in_values == len(act.words) and any(kind not in kinds for kind in moved):
                    return True
        return False

    def deny(self, act: Act, new: set[str], ordered: set[Deed]) -> None:
        """Reverse what is denied, if it is so because of this dialogue."""
        entries = []
        for deed in self.order(act).deeds:
            if deed.device in new or deed in ordered:
                continue  # the same utterance decides about it
            own = [e for e in self.journal if e.deed == deed]
            made = [e for e in own if e.changed]
            if self.states.get(deed.device) != deed.result or not own:
                self.trace.append(f"deny: not so, or not by us: {deed}")
            else:
                entries.append((made or own)[-1])
        self.reverse(entries)

    def reverse(
        self, entries: Iterable[Entry], why: str = "reversal", except_for: Iterable[str] = ()
    ) -> None:
        """Take back deeds of the journal that changed something, or whose reversal needs care.

        The latter only gives a question, which never does harm.
        """
        deeds, whole = list[Deed](), True
        for entry in entries:
            deed = self.world.reversal(entry.deed, entry.before)
            if deed is None or deed.device in except_for:
                continue
            matters = entry.changed or self.world.wants_care(deed)
            if matters and self.states.get(deed.device) == entry.deed.result:
                deeds.append(deed)
                whole &= entry.whole
                self.journal = [replace(e, undone=True) if e is entry else e for e in self.journal]
        if deeds:
            self.trace.append("reversed: " + ", ".join(map(str, deeds)))
            self.infer(Order(tuple(deeds), whole, inferred=True), why)

    def take_back(self, seconds: float | None = None) -> None:
        """Undo the last turn that did something."""
        entries = self.memory.last()
        if seconds is not None and entries and self.memory.time - entries[0].time >= seconds:
            return
        self.reverse(entries, "undo")
        undone = set(map(id, entries))
        self.journal = [replace(e, undone=True) if id(e) in undone else e for e in self.journal]

    def swap(self) -> None:
        """Do the opposite of all that the last turn did."""
        for entry in self.memory.last():
            if deed := self.world.reversal(entry.deed, entry.before):
                self.infer(Order((deed,)), "command")

    def reject(self) -> None:
        """ "No": take back what was done, and do the next best guess instead."""
        entries = self.memory.last()
        self.reverse(entries)
        if entries:
            self.second_best({e.deed for e in entries})

    def second_best(self, excluded: set[Deed]) -> None:
        """Do the likeliest reading of the last turn that is not excluded."""
        if excluded.isdisjoint(e.deed for e in self.memory.last()):
            return
        for i, (guess, posterior) in enumerate(self.memory.guesses):
            orders = self.orders(guess.acts)
            deeds = {d for order in orders for d in order.deeds}
            if not deeds or deeds & excluded or posterior < WORTH_ASKING:
                continue
            self.trace.append(f"next hypothesis: {guess.text!r}, {posterior:.2f}")
            for order in orders:
                if posterior >= SECOND_CHANCE:
                    self.do(order, "command")
                else:
                    self.ask(order)
            self.meant += guess.commands
            self.left = self.memory.guesses[i + 1 :]
            return

    # ---- remembering -----------------------------------------------------------------------

    def finish(self, utterance: Utterance, others: Sequence[Guess]) -> tuple[Memory, Outcome]:
        """Return the memory and the outcome after the turn."""
        memory = self.memory
        asked_about = [a for a in utterance.acts if a.reading is not None and not self.meant]
        acts = tuple(self.meant or asked_about)
        history = ((memory.turn, memory.time, acts), *memory.acts) if acts else memory.acts
        guesses = memory.guesses if self.left is None else self.left
        if self.done and self.left is None:
            guesses = tuple(others)
        memory = replace(memory, states=self.states, journal=tuple(self.journal), acts=history[:8],
                         guesses=guesses, asked=tuple(self.asked))
        trace = (*utterance.trace, *self.trace)
        question = " ".join(self.questions)
        return memory, Outcome(self.actions(), bool(question), question, utterance, trace)
