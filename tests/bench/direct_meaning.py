"""From sound to meaning: a direct network against the factored system, on real coffee orders.

    python tests/bench/direct_meaning.py [--write direct_meaning]

Training: every second order of coffee_commands (0, 2, …) and, where it says "+ synthetic", 240
orders of the grammar in six synthetic voices. Measured once on the other orders (1, 3, …): clean
and in kitchen noise at 6 dB. An order is understood when the intent and every labelled slot are
right. The systems:

* direct: `direct_network.py` on the frozen encoder of en-us-network; learning curves over 20, 40,
  80 and all 159 orders, two seeds.
* direct, constrained: the same, the likeliest slots among the sets that the grammar allows.
* words + rules: Moonshine tiny, an end-to-end recogniser with the same encoder, and the grammar's
  rules on its text (`Reader`).
* factored: en-us-network with the grammar; no order is used for training.

Then what training data rarely has, in synthetic voices that no network was trained on: plain
orders, denied ones, corrected ones, a drink renamed after training; and pairs of roast and drink
that were taken out of the training data. All answers are kept under --work, so that a run goes on
where it was stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from coffee import Heard, Order, read_orders
from common import RESULTS, SAMPLE_RATE, command_line, load_note, parser, print_table, read_samples
from denials import denial, spoken
from direct_network import DirectNetwork, states

from factored_asr.acoustic.network.model import NetworkModel
from factored_asr.audio.mixing import mix
from factored_asr.evaluation.significance import mcnemar, wilson

SIZES = (20, 40, 80, 159)
SEEDS = (0, 1)
N_SYNTHETIC = 240
STEPS = 400
DIRECT, MIXED = "direct", "direct + synthetic"
CONSTRAINED = "direct + synthetic, constrained"
WORDS, FACTORED = "words + rules", "factored"
INTENT = "orderDrink"
HELD_ROAST = "dark roast"
HELD_DRINKS = ("americano", "mocha", "latte", "iced coffee", "espresso")
RENAMED = ("latte", "flat white")
N_RARE = 24
ASKS = ("can i get", "can i have", "i want", "get me", "give me", "i'd like", "make me", "brew")


@dataclass(frozen=True)
class Sound:
    """One sound to be understood; `order` says what is right."""

    order: Order
    text: str = ""
    denied: bool = False


Answers = Callable[[Sequence[Sound], str, str], list[Heard]]
"""What a system makes of some sounds, given their set's name and the condition."""


@dataclass
class Kept:
    """Answers and costs, a line of JSON each, on disk."""

    path: Path
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                one = json.loads(line)
                self.known[one["key"]] = one

    def get(self, key: str, compute: Callable[[], Heard], seconds: float) -> Heard:
        """Return a kept answer, or compute it and keep it with its CPU time."""
        if key not in self.known:
            begun = time.process_time()
            heard = compute()
            self.known[key] = {
                "key": key, "text": heard.text, "intent": heard.intent, "slots": heard.slots,
                "cpu": time.process_time() - begun, "seconds": seconds,
            }
            with open(self.path, "a", encoding="utf-8") as lines:
                lines.write(json.dumps(self.known[key]) + "\n")
        one = self.known[key]
        return Heard(one["text"], one["intent"], one["slots"])

    def cost(self, system: str) -> float:
        """Return the CPU seconds for a second of sound."""
        found = [one for key, one in self.known.items() if key.split("|")[0] == system]
        return float(sum(one["cpu"] for one in found) / sum(one["seconds"] for one in found))


# ------------------------------------------------------------------------------------- the sounds
def synthetic_orders(values: Mapping[str, Sequence[str]], folder: Path) -> Iterator[Order]:
    """Speak random orders of the grammar in the voices of half 0."""
    random = np.random.default_rng(0)
    for n in range(N_SYNTHETIC):
        slots = {slot: str(random.choice(values[slot])) for slot in values
                 if slot == "coffeeDrink" or random.random() < 0.45}
        path = spoken(sentence(slots, random), folder, 0, n)
        yield Order(path.name, path, INTENT, slots)


def sentence(slots: Mapping[str, str], random: np.random.Generator) -> str:
    """Return an order in words, in an order of the slots that the grammar allows."""
    before = [slots[each] for each in ("size", "roast", "numberOfShots") if each in slots]
    random.shuffle(before)
    behind = [slots[each] for each in ("milkAmount", "sugarAmount") if each in slots]
    random.shuffle(behind)
    words = [str(random.choice(ASKS)), "a", *before, slots["coffeeDrink"]]
    return " ".join([*words, *(["with", " and ".join(behind)] if behind else [])])


def rare(values: Mapping[str, Sequence[str]], folder: Path, n_rare: int) -> dict[str, list[Sound]]:
    """Speak plain, denied, corrected and renamed orders in the voices of half 1."""
    random = np.random.default_rng(1)
    found = dict[str, list[Sound]](plain=[], denied=[], corrected=[], renamed=[])

    def add(kind: str, text: str, slots: Mapping[str, str], n: int) -> None:
        path = spoken(text, folder, 1, n)
        order = Order(path.name, path, INTENT, dict(slots))
        found[kind].append(Sound(order, text, kind == "denied"))

    for n in range(n_rare):
        size, drink = (str(random.choice(values[slot])) for slot in ("size", "coffeeDrink"))
        slots = {"size": size, "coffeeDrink": drink}
        text = sentence(slots, random)
        add("plain", text, slots, n)
        add("denied", denial(text, n), slots, n)
        other = str(random.choice([each for each in values["coffeeDrink"] if each not in drink
                                   and drink not in each]))
        add("corrected", f"{text} no a {size} {other}", {**slots, "coffeeDrink": other}, n)
        renamed = {"size": size, "coffeeDrink": RENAMED[1]}
        add("renamed", sentence(renamed, random), renamed, n)
    return found


def grammar_values(grammar: Path) -> dict[str, tuple[str, ...]]:
    """Return the values of each slot of the grammar."""
    import yaml

    lists = yaml.safe_load(grammar.read_text(encoding="utf-8"))["lists"]
    return {name: tuple(each["values"]) for name, each in lists.items()}


def allowed_slots(slots: Sequence[str]) -> list[frozenset[str]]:
    """Return the sets of slots that sentences of the grammar have: always a drink."""
    others = [slot for slot in slots if slot != "coffeeDrink"]
    return [frozenset(["coffeeDrink", *(slot for k, slot in enumerate(others) if bits >> k & 1)])
            for bits in range(1 << len(others))]


# ------------------------------------------------------------------------------------ the systems
class Factored:
    """Our recogniser with a grammar; `reader` reads denials and corrections of its words."""

    def __init__(self, grammar: Path, conversation: bool = False):
        from factored_asr import Recognizer

        self._recognizer = Recognizer.load("en-us-network", grammar=grammar,
                                           conversation=conversation)
        self._reader = reader_of(grammar)
        self._conversation = conversation

    def __call__(self, samples: np.ndarray) -> Heard:
        said = self._recognizer.transcribe(samples, sample_rate=SAMPLE_RATE)
        meaning = said.interpretation
        if meaning is not None and not meaning.ask:
            return Heard(said.text, meaning.intent, {k: str(v) for k, v in meaning.slots.items()})
        return by_rules(said.text, self._reader) if self._conversation else Heard(said.text, "", {})


class WordsAndRules:
    """Moonshine's words, understood by the grammar's rules."""

    def __init__(self, grammar: Path):
        from factored_asr.compare.adapters import Moonshine
        from factored_asr.compare.systems import SystemSpec

        self._system = Moonshine(SystemSpec.parse("moonshine"), None)
        self._reader = reader_of(grammar)

    def __call__(self, samples: np.ndarray) -> Heard:
        text = self._system.transcribe(samples).text.lower()
        kept = "".join(letter if letter.isalnum() or letter in "' " else " " for letter in text)
        return by_rules(" ".join(kept.split()), self._reader)


def reader_of(grammar: Path):  # type: ignore[no-untyped-def]
    """Return what reads sentences with the rules of the grammar and of conversations."""
    from factored_asr.dialogue.reader import Reader
    from factored_asr.models.grammars import read_understander

    return Reader(read_understander(grammar))


def by_rules(text: str, reader) -> Heard:  # type: ignore[no-untyped-def]
    """Return the last command among the acts of a sentence; none where it is denied."""
    acts = [act for act in reader.read(text).acts if act.reading] if text else []
    if not any(act.kind in ("command", "query") for act in acts):  # "can i get …" is an order, too
        return Heard(text, "", {})
    slots: dict[str, str] = {}
    for act in acts:  # a correction keeps the slots that it does not name
        slots |= {k: str(v) for k, v in act.reading.slots.items()}
    return Heard(text, INTENT, slots)


# -------------------------------------------------------------------------------------- measuring
class Bench:
    """The data, and what each system answers."""

    def __init__(self, data: Path, work: Path, conditions: Sequence[str], n_rare: int):
        from factored_asr.models.bundle import Bundle

        self.conditions, self.n_rare = conditions, n_rare
        self.networks: dict[tuple[str, int, int], DirectNetwork] = {}
        self.folder, self.work = data / "coffee_commands", work / "direct_meaning"
        self.work.mkdir(parents=True, exist_ok=True)
        self.grammar = self.folder / "grammar.yaml"
        self.values = grammar_values(self.grammar)
        self.noise = read_samples(self.folder / "kitchen_noise.flac")
        orders = read_orders(self.folder)
        self.training, self.test = orders[0::2], orders[1::2]
        self.kept = Kept(self.work / "answers.jsonl")
        model = Bundle.find("en-us-network").acoustic_model()
        assert isinstance(model, NetworkModel)
        self.model = model
        self.encoder_cost = [0.0, 0.0]

    def samples(self, order: Order, snr: str = "clean") -> np.ndarray:
        speech = read_samples(order.path)
        return speech if snr == "clean" else mix(speech, self.noise, float(snr), order.name)

    def states(self, name: str, orders: Sequence[Order], snr: str = "clean") -> list[np.ndarray]:
        """Return the encoder's states of these sounds, kept on disk."""
        path = self.work / f"states_{name}_{snr}_{len(orders)}.npz"
        if not path.exists():
            begun, found, seconds = time.process_time(), [], 0.0
            for order in orders:
                samples = self.samples(order, snr)
                seconds += len(samples) / SAMPLE_RATE
                found.append(states(self.model, samples))
            arrays: dict[str, Any] = {f"{i:04d}": each for i, each in enumerate(found)}
            np.savez(path, cost=[time.process_time() - begun, seconds], **arrays)
        with np.load(path) as loaded:
            cpu, seconds = loaded["cost"]
            self.encoder_cost = [self.encoder_cost[0] + cpu, self.encoder_cost[1] + seconds]
            return [loaded[f"{i:04d}"] for i in range(len(orders))]

    def answers(self, name: str, system: Callable[[], Callable[[np.ndarray], Heard]],
                orders: Sequence[Order], snr: str = "clean") -> list[Heard]:
        """Return what a system makes of these sounds; it is made when first needed."""
        made: list[Callable[[np.ndarray], Heard]] = []

        def compute(samples: np.ndarray) -> Heard:
            if not made:
                made.append(system())
                made[0](samples)  # unmeasured: compiles
            return made[0](samples)

        found = []
        for order in orders:
            key = f"{name}|{snr}|{order.path.parent.name}/{order.name}"
            samples = self.samples(order, snr) if key not in self.kept.known else np.zeros(0)
            if key not in self.kept.known and not made:
                compute(samples)
            found.append(self.kept.get(key, partial(compute, samples),
                                       len(samples) / SAMPLE_RATE))
        return found


def is_right(sound: Sound, heard: Heard) -> bool:
    """Understood; of a denied order: not acted on."""
    return not heard.intent if sound.denied else heard.accepts(sound.order)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--snr", default="clean,6", help="conditions of the orders kept aside")
    made.add_argument("--rare", type=int, default=N_RARE, help="sounds of each rare kind")
    made.add_argument("--every", type=int, default=1, help="every n-th of the orders kept aside")
    options = made.parse_args()
    bench = Bench(options.data, options.work, options.snr.split(","), options.rare)
    bench.test = bench.test[:: options.every]
    begun = time.process_time()
    curves = learning_curves(bench)
    systems = systems_of(bench)
    rows = on_orders(bench, systems)
    rare_rows, failures = rare_inputs(bench, systems)
    header = ["input", "system", "right", "95 % interval", "p against factored"]
    print_table(rows + rare_rows, header)
    found = {
        "title": "From sound to meaning: a direct network, words + rules, factored",
        "command": command_line(), "load": load_note(), "header": header,
        "rows": rows + rare_rows, "curves": curves, "failures": failures,
        "costs": costs(bench), "cpu_seconds": round(time.process_time() - begun),
    }
    print(json.dumps(found["costs"], indent=1), f"{found['cpu_seconds']} s of CPU time")
    if options.write:
        (RESULTS / f"{options.write}.json").write_text(
            json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def trained(bench: Bench, name: str, orders: Sequence[Order], sounds: Sequence[np.ndarray],
            seed: int) -> DirectNetwork:
    """Return the network trained on these orders; it is kept on disk under its name."""
    network = DirectNetwork(bench.values, sounds[0].shape[1], seed)
    path = bench.work / f"{name.replace(' ', '_')}.pt"
    if path.exists():
        network.read(path)
    else:
        network.train(sounds, [order.slots for order in orders], STEPS)
        network.write(path)
    return network


def learning_curves(bench: Bench) -> list[dict[str, object]]:
    """Train with 20 to all orders, with and without synthetic ones; measure on the others."""
    real = bench.states("training", bench.training)
    synthetic = list(synthetic_orders(bench.values, bench.work / "synthetic"))
    spoken_states = bench.states("synthetic", synthetic)
    tested = {snr: bench.states("test", bench.test, snr) for snr in bench.conditions}
    allowed = allowed_slots(list(bench.values))
    curves: list[dict[str, object]] = []
    for kind in (DIRECT, MIXED):
        for n in SIZES if kind == DIRECT else (0, *SIZES):
            for seed in SEEDS:
                chosen = np.random.default_rng(seed).permutation(len(real))[:n]
                orders = [bench.training[i] for i in chosen]
                sounds = [real[i] for i in chosen]
                if kind == MIXED:
                    # Real orders count as much as all synthetic ones together.
                    times = max(1, N_SYNTHETIC // max(n, 1)) if n else 0
                    orders, sounds = orders * times + synthetic, sounds * times + spoken_states
                begun = time.process_time()
                network = trained(bench, f"{kind} {n} {seed}", orders, sounds, seed)
                cpu = time.process_time() - begun
                bench.networks[kind, n, seed] = network
                for snr, values in tested.items():
                    probs = network.log_probs(values)
                    right = [Heard("", INTENT, network.best(each)).accepts(order)
                             for each, order in zip(probs, bench.test, strict=True)]
                    bound = [Heard("", INTENT, network.best_allowed(each, allowed)).accepts(order)
                             for each, order in zip(probs, bench.test, strict=True)]
                    curves.append({"system": kind, "orders": n, "seed": seed, "snr": snr,
                                   "right": sum(right), "constrained": sum(bound),
                                   "of": len(right), "cpu": round(cpu, 1)})
                print(curves[-1], flush=True)
    return curves


def systems_of(bench: Bench) -> dict[str, Answers]:
    """Return all systems; each is loaded when it is first asked."""
    allowed = allowed_slots(list(bench.values))

    def direct(kind: str, constrained: bool = False) -> Answers:
        def answer(sounds: Sequence[Sound], name: str, snr: str) -> list[Heard]:
            network = bench.networks[kind, SIZES[-1], 0]
            values = bench.states(name, [each.order for each in sounds], snr)
            return [Heard("", INTENT, network.best_allowed(each, allowed) if constrained
                          else network.best(each)) for each in network.log_probs(values)]
        return answer

    def renamed(folder: Path) -> Path:
        path = folder / "renamed.yaml"
        path.write_text(bench.grammar.read_text(encoding="utf-8").replace(
            f"- {RENAMED[0]}\n", f"- {RENAMED[1]}\n"), encoding="utf-8")
        return path

    def ready(system: str, make: Callable[[Path], Callable[[np.ndarray], Heard]]) -> Answers:
        def answer(sounds: Sequence[Sound], name: str, snr: str) -> list[Heard]:
            grammar = renamed(bench.work) if name == "renamed" else bench.grammar
            return bench.answers(system, lambda: make(grammar), [s.order for s in sounds], snr)
        return answer

    return {
        DIRECT: direct(DIRECT), MIXED: direct(MIXED), CONSTRAINED: direct(MIXED, True),
        WORDS: ready(WORDS, WordsAndRules), FACTORED: ready(FACTORED, Factored),
    }


def on_orders(bench: Bench, systems: Mapping[str, Answers]) -> list[list[str]]:
    """Measure all systems on the orders kept aside."""
    rows = []
    sounds = [Sound(order) for order in bench.test]
    for snr in bench.conditions:
        rows += compared("orders, clean" if snr == "clean" else "orders, 6 dB", sounds,
                         {name: system(sounds, "test", snr) for name, system in systems.items()})
    return rows


def compared(what: str, sounds: Sequence[Sound], heard: Mapping[str, Sequence[Heard]]
             ) -> list[list[str]]:
    """Return a row for each system: share with interval, and McNemar's test against factored."""
    right = {name: np.array([is_right(*pair) for pair in zip(sounds, each, strict=True)])
             for name, each in heard.items()}
    rows = []
    for name, each in right.items():
        low, high = wilson(int(each.sum()), len(each))
        p = mcnemar(int((each & ~right[FACTORED]).sum()), int((right[FACTORED] & ~each).sum()))
        rows.append([what, name, f"{each.sum()}/{len(each)} = {100 * each.mean():.1f} %",
                     f"{100 * low:.1f}–{100 * high:.1f}", "" if name == FACTORED else f"{p:.2g}"])
    return rows


def rare_inputs(bench: Bench, systems: Mapping[str, Answers]
                ) -> tuple[list[list[str]], list[dict[str, object]]]:
    """Measure what training data rarely has; list the sentences on which each system fails."""
    rows, failures = unseen_pairs(bench, systems[FACTORED]), list[dict[str, object]]()
    names = {"plain": "plain, new voices", "denied": "denied: not acted on",
             "corrected": "corrected", "renamed": "renamed drink"}
    for kind, sounds in rare(bench.values, bench.work / "rare", bench.n_rare).items():
        heard = {name: system(sounds, kind, "clean") for name, system in systems.items()}
        if kind == "corrected":
            heard["factored, conversation"] = bench.answers(
                "factored, conversation", lambda: Factored(bench.grammar, True),
                [sound.order for sound in sounds])
        rows += compared(names[kind], sounds, heard)
        for name, each in heard.items():
            failures += [{"input": names[kind], "system": name, "said": sound.text,
                          "words": got.text, "intent": got.intent, "slots": got.slots}
                         for sound, got in zip(sounds, each, strict=True)
                         if not is_right(sound, got)]
    return rows, failures


def unseen_pairs(bench: Bench, factored: Answers
                 ) -> list[list[str]]:
    """Train without pairs of roast and drink, and measure on orders with these pairs."""
    def held(order: Order) -> bool:
        return (order.slots.get("roast") == HELD_ROAST
                and order.slots.get("coffeeDrink") in HELD_DRINKS)

    real = bench.states("training", bench.training)
    synthetic = list(synthetic_orders(bench.values, bench.work / "synthetic"))
    both = list(zip([*bench.training * 2, *synthetic],
                    [*real * 2, *bench.states("synthetic", synthetic)], strict=True))
    left = [each for each in both if not held(each[0])]
    chosen = [i for i, order in enumerate(bench.test) if held(order)]
    values = bench.states("test", bench.test)
    sounds = [Sound(bench.test[i]) for i in chosen]
    network = trained(bench, "pairs left out", [order for order, _ in left],
                      [each for _, each in left], 0)
    full = bench.networks[MIXED, SIZES[-1], 0]
    heard = {name: [Heard("", INTENT, each.best(probs)) for probs in
                    each.log_probs([values[i] for i in chosen])]
             for name, each in (("direct, pairs in training", full),
                                ("direct, pairs left out", network))}
    test = factored([Sound(order) for order in bench.test], "test", "clean")
    heard[FACTORED] = [test[i] for i in chosen]
    return compared("unseen pairs", sounds, heard)


def costs(bench: Bench) -> dict[str, object]:
    """Return CPU seconds for a second of sound, and weights."""
    cpu, seconds = bench.encoder_cost
    network = bench.networks[MIXED, SIZES[-1], 0]
    return {"encoder of the direct network": round(cpu / seconds, 4),
            WORDS: round(bench.kept.cost(WORDS), 4), FACTORED: round(bench.kept.cost(FACTORED), 4),
            "weights of the direct network": network.n_weights}


if __name__ == "__main__":
    main()
