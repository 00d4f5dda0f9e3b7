"""Grammars: what their templates say, which sentences G accepts, and errors."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import naive_grammar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factored_asr.errors import FormatError, MissingError, OptionError
from factored_asr.language.acceptor import Acceptor
from factored_asr.language.grammar import Grammar, GrammarWarning, normalise_text
from factored_asr.language.grammar.expression import parse_template
from factored_asr.language.grammar.normalisation import tokens
from factored_asr.language.numerals import number_forms, spell_number


def grammar_of(*sentences: str, **lists: list[str]) -> Grammar:
    """A grammar of one intent."""
    text = "language: en\nintents:\n  Go:\n    data:\n    - sentences:\n"
    text += "".join(f"      - {json.dumps(sentence)}\n" for sentence in sentences)
    text += "lists:\n"
    for name, values in {"flavour": ["plain"], **lists}.items():
        text += f"  {name}: {{values: {json.dumps(values)}}}\n"
    return Grammar.from_text(text)


def accepted(grammar: Grammar) -> set[str]:
    return {" ".join(words) for words in naive_grammar.accepted(grammar)}


class TestSpokenText:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("Turn ON the light!", "turn on the light"),
            ("I’d like 'coffee', please.", "i'd like coffee please"),
            ("50%", "fifty percent"),
            ("-3.5°C", "minus three point five degrees c"),
            ("2,700K", "two thousand seven hundred k"),
            ("living-room", "living room"),
            ("1/2 & 007", "half and zero zero seven"),
            ("Café İzmir", "café izmir"),
            ("?!", ""),
        ],
    )
    def test_is_the_same_however_it_is_written(self, text: str, words: str) -> None:
        got = " ".join(normalise_text(text))
        assert got.replace("İ", "i") == words

    def test_knows_where_in_the_text_each_word_stood(self) -> None:
        text = "Set it: 21 °"
        assert [text[t.start : t.end] for t in tokens(text)] == ["Set", "it", "21", "21", "°"]

    @given(st.integers(-(10**9), 10**9))
    def test_a_number_is_spelled_as_its_digits_are_read(self, number: int) -> None:
        assert normalise_text(str(number)) == tuple(spell_number(number).split())

    def test_numbers_have_the_forms_people_use(self) -> None:
        assert "a hundred" in number_forms(100)
        assert "twenty seven hundred" in number_forms(2700)
        assert "one thousand and one" in number_forms(1001)
        assert number_forms(-5) == ("minus five", "negative five")
        assert number_forms(20.5) == ("twenty point five", "twenty and a half")
        assert number_forms(0.5)[1:] == ("a half", "half")


class TestTemplates:
    @pytest.mark.parametrize(
        ("template", "sentences"),
        [
            ("turn on [the] light", {"turn on light", "turn on the light"}),
            ("fan[s] on", {"fan on", "fans on"}),
            ("light(s|ing)", {"lights", "lighting"}),
            ("day[ ]light", {"day light", "daylight"}),
            ("(on;(the|a) lamp)", {"on the lamp", "on a lamp", "the lamp on", "a lamp on"}),
            ("a|b c", {"a", "b c"}),
            ("[go]", {"go"}),  # the empty sentence is never accepted
            ("wait \\[now\\]", {"wait now"}),
            ("{flavour}'s {flavour}ish", {"plain's plainish"}),
            ("un{flavour}", {"unplain"}),
            ("{1..3}% done", {"one percent done", "two percent done", "three percent done"}),
            ("{1..1}k", {"one k"}),
        ],
    )
    def test_say_what_they_should(self, template: str, sentences: set[str]) -> None:
        assert accepted(grammar_of(template)) == sentences

    @pytest.mark.parametrize(
        ("template", "law"),
        [
            ("turn (on", r"'\(' at column 6 is never closed"),
            ("turn on]", r"'\]' at column 8 closes nothing"),
            ("turn {room", r"'\{' at column 6 needs a name"),
            ("turn {room]", "never closed"),
            ("turn <>", "needs a name"),
            ("turn ()", "empty brackets at column 6"),
            ("  ", "a template needs a word"),
            ("turn \\", "a backslash ends the text"),
            ("turn (/0/ on|off)", "the weight /0/ must be a number above 0"),
            ("turn (/-2/ on|off)", "the weight /-2/ must be a number above 0"),
            ("turn (/50%/ on|off)", "the weight /50%/ must be a number above 0"),
            ("turn [/2/ on]", "only alternatives"),
            ("(" * 100 + "x" + ")" * 100, "nest deeper"),
        ],
    )
    def test_that_are_broken_are_named(self, template: str, law: str) -> None:
        with pytest.raises(FormatError, match=rf"home.yaml:7: .*{law}"):
            parse_template(template, "home.yaml", 7)


LETTERS = st.sampled_from(["a", "b", "ab", " ", " c ", "'s"])


def templates(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.lists(children, min_size=1, max_size=3)
    return st.one_of(
        pieces.map("".join),
        pieces.map(lambda items: "(" + "|".join(items) + ")"),
        pieces.map(lambda items: "(" + ";".join(items) + ")"),
        children.map(lambda item: f"[{item}]"),
    )


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.one_of(LETTERS, st.just("{flavour}")), templates, max_leaves=8))
def test_g_says_exactly_what_writing_all_out_says(template: str) -> None:
    try:
        grammar = grammar_of("x " + template, flavour=["plain", "very hot"])
    except FormatError as error:
        assert "empty" in str(error)
        return
    assert naive_grammar.accepted(grammar) == naive_grammar.sentences(grammar)


class TestG:
    def test_of_the_coffee_orders_says_every_label(self, data_dir: Path) -> None:
        folder = data_dir / "coffee_commands"
        grammar = Grammar.read(folder / "grammar.yaml")
        labels = json.loads((folder / "labels.json").read_text())
        values = {
            name: {value.out for value in values.values}
            for name, values in grammar.templates[0].scope.lists.items()
        }
        assert grammar.estimate().sentences > 1e8
        assert {label["intent"] for label in labels.values()} == {"orderDrink"}
        for label in labels.values():
            assert all(value in values[slot] for slot, value in label["slots"].items())

    def test_is_deterministic_and_free_of_epsilons(self) -> None:
        grammar = grammar_of("turn on [the] {room} light[s]", room=["hall", "living room"])
        words = sorted(grammar.words)
        acceptor = grammar.acceptor({word: i for i, word in enumerate(words, start=5)})
        arcs = acceptor.arcs
        assert set(arcs["label"].tolist()) == set(range(5, 5 + len(words)))
        assert len(set(zip(acceptor.sources, arcs["label"], strict=True))) == len(arcs)
        assert not arcs["cost"].any() and set(acceptor.final.tolist()) == {0.0, math.inf}

    def test_hears_skip_words_around_a_sentence(self) -> None:
        grammar = Grammar.from_text(
            "intents: {Stop: {data: [{sentences: [stop]}]}}\nskip_words: [please, can you]"
        )
        found = accepted(grammar)
        assert {"stop", "please stop", "can you please stop", "stop please"} <= found
        assert not {"please", "can stop", ""} & found

    def test_leaves_values_out_that_the_context_rules_out(self) -> None:
        grammar = Grammar.from_text("""
            intents:
              Open:
                data: [{sentences: ["open {name}"], requires_context: {domain: [cover, lock]}}]
            lists:
              name:
                values:
                  - {in: blinds, context: {domain: cover}}
                  - {in: lamp, context: {domain: light}}
                  - anything
        """)
        assert accepted(grammar) == {"open blinds", "open anything"}

    def test_needs_words_for_a_wildcard(self) -> None:
        text = """
            intents: {Buy: {data: [{sentences: ["buy {item}", "buy milk"]}]}}
            lists: {item: {wildcard: true}}
        """
        grammar = Grammar.from_text(text, name="shop.yaml")
        assert [template.text for template in grammar.left_out] == ["buy {item}"]
        with pytest.warns(GrammarWarning, match=r"shop.yaml:2: template 'buy \{item\}' is left"):
            assert accepted(grammar) == {"buy milk"}
        assert grammar.words == {"buy", "milk"}

        words = {"milk": 0.0, "brown sugar": 2.0}
        grammar = Grammar.from_text(text, wildcard_words=words)
        ids = {word: i for i, word in enumerate(sorted(grammar.words), start=1)}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            acceptor = grammar.acceptor(ids)
        assert cost_of(acceptor, ids, "buy brown sugar milk") == pytest.approx(2.0)
        assert cost_of(acceptor, ids, "buy brown") == math.inf

    def test_refuses_words_without_an_id(self) -> None:
        with pytest.raises(MissingError, match="1 words of the grammar have no id: on"):
            grammar_of("turn on").acceptor({"turn": 1})
        with pytest.raises(OptionError, match="word ids start at 1"):
            grammar_of("turn on").acceptor({"turn": 0, "on": 1})

    def test_is_estimated_before_it_is_built(self) -> None:
        grammar = grammar_of("{0..999:n} {0..999:m} {0..999:k} {0..999:l}", "go")
        assert grammar.estimate().sentences > 1e10
        with pytest.raises(OptionError, match="may need .* arcs, more than max_arcs=1,000"):
            grammar.acceptor({}, max_arcs=1000)

    def test_estimate_is_a_bound(self) -> None:
        grammar = grammar_of("(a;[b];c) {room} [x|y] z", room=["hall", "living room"])
        size = grammar.estimate()
        assert size.sentences >= len(naive_grammar.accepted(grammar))
        assert size.arcs >= size.network_arcs >= sum(map(len, grammar.network.arcs))


def cost_of(acceptor: Acceptor, ids: dict[str, int], sentence: str) -> float:
    """The cost of a sentence of words that have ids."""
    return acceptor.cost([ids[word] for word in sentence.split()])


class TestHomeAssistantFiles:
    def test_of_a_folder_are_merged(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text(
            "intents: {Go: {data: [{sentences: ['go to {room}']}]}}\nlists: {room: {values: [x]}}"
        )
        (tmp_path / "b.yaml").write_text(
            "intents: {Go: {data: [{sentences: ['leave <the> {room}']}]}}\n"
            "lists: {room: {values: [{in: 'y[s]', out: Y}]}}\nexpansion_rules: {the: '[the]'}"
        )
        (tmp_path / "notes.txt").write_text("not a grammar")
        grammar = Grammar.read(tmp_path)
        assert accepted(grammar) == {
            *(f"go to {room}" for room in ("x", "y", "ys")),
            *(f"leave {room}" for room in ("x", "y", "ys")),
            *(f"leave the {room}" for room in ("x", "y", "ys")),
        }

    def test_local_rules_and_lists_hide_the_common_ones(self) -> None:
        grammar = Grammar.from_text("""
            intents:
              Go:
                data:
                  - sentences: ["<go> {place}"]
                    expansion_rules: {go: walk}
                    lists: {place: {values: [home]}}
                  - sentences: ["<go> {place}"]
            expansion_rules: {go: run}
            lists: {place: {values: [away]}}
        """)
        assert accepted(grammar) == {"walk home", "run away"}

    def test_ranges_have_steps_multipliers_and_fractions(self) -> None:
        grammar = Grammar.from_text("""
            intents: {Set: {data: [{sentences: ["{down} {heat}"]}]}}
            lists:
              down: {range: {from: 10, to: 30, step: 10, multiplier: -1}}
              heat: {range: {from: -1, to: 0, fractions: halves}}
        """)
        lists = grammar.templates[0].scope.lists
        assert [value.out for value in lists["down"].values] == [-10, -20, -30]
        assert [value.out for value in lists["heat"].values] == [-1, -0.5, 0, 0.5]

    @pytest.mark.parametrize(
        ("text", "law"),
        [
            ("", "the file is empty"),
            (
                "intents:\n  Go: {data: [{sentences: [{sentence: go, count: 0}]}]}",
                "home.yaml:2: a 'count' is a number above 0",
            ),
            (
                "intents:\n  Go: {data: [{sentences: [{count: 1}]}]}",
                "home.yaml:2: a sentence of Go needs 'sentence'",
            ),
            ("language: en", "a grammar needs a sentence"),
            ("- a", "home.yaml:1: a grammar must be a mapping"),
            ("intents: [a", "home.yaml:1: broken YAML"),
            ("intents:\n\tI: 1", "home.yaml:2: broken YAML: a tab begins the line"),
            ("intents:\n  Go: {data: [{sentences: go}]}", "home.yaml:2: sentences of Go must be"),
            ("intents:\n  Go: {}", "home.yaml:2: intent Go needs 'data'"),
            ("intents:\n  Go: {data: [{slots: {}}]}", "home.yaml:2: data of Go needs 'sentences'"),
            ("intents: {}\nintents: {}", "home.yaml:2: 'intents' stands twice"),
            (
                "intents:\n  Go:\n    data:\n    - sentences:\n      - go\n      - go <to>",
                "home.yaml:6: unknown rule <to> in template 'go <to>'",
            ),
            (
                "intents: {Go: {data: [{sentences: ['go {to}']}]}}",
                r"home.yaml:1: unknown list \{to\} in template 'go \{to\}'",
            ),
            (
                "intents: {Go: {data: [{sentences: [<a>]}]}}\n"
                "expansion_rules:\n  a: to <b>\n  b: from <a>",
                "home.yaml:4: rule <a> contains itself .<a> > <b> > <a>. in template 'from <a>'",
            ),
            ("lists:\n  room: {values: []}", "home.yaml:2: list room is empty"),
            ("lists:\n  room:\n    values:\n    - '?'", "home.yaml:4: a value of .* may be empty"),
            ("lists:\n  room: {values: [{out: x}]}", "home.yaml:2: .* needs 'in'"),
            ("lists:\n  room: {values: ['a {b}']}", "home.yaml:2: .* may not refer to a list"),
            ("lists:\n  n: {range: {from: 5, to: 1}}", "home.yaml:2: .* from <= to"),
            ("lists:\n  n: {range: {from: 0, to: 999999999}}", "home.yaml:2: .* may hold 20000"),
            ("lists:\n  n: {range: {from: a, to: 1}}", "home.yaml:2: 'from' .* whole number"),
            ("lists:\n  n: {wildcard: false}", "home.yaml:2: list n needs 'values', 'range'"),
            ("language: de\nlists:\n  n: {range: {from: 0, to: 1}}", "home.yaml:3: .* English"),
            (
                'intents: {Go: {data: [{sentences: ["{it}\'s on"]}]}}\n'
                "lists: {it: {wildcard: true}}",
                "home.yaml:1: text is joined to the wildcard",
            ),
            (
                "intents: {Go: {data: [{sentences: ['(a;b;c;d;e;f;g;h;i)']}]}}",
                "home.yaml:1: a permutation may hold 8 items, this one has 9",
            ),
        ],
    )
    def test_that_are_broken_are_refused_with_their_line(self, text: str, law: str) -> None:
        with pytest.raises(FormatError, match=law):
            Grammar.from_text(text, name="home.yaml")

    def test_rules_that_double_and_double_are_refused_not_built(self) -> None:
        rules = "".join(f"\n  r{i}: <r{i + 1}> <r{i + 1}>" for i in range(40))
        with pytest.raises(OptionError, match="arcs, more than"):
            Grammar.from_text(
                "intents: {Go: {data: [{sentences: [<r0>]}]}}"
                f"\nexpansion_rules:{rules}\n  r40: go"
            )

    def test_that_are_absent_or_no_text_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError, match="nowhere.yaml: there is no such file"):
            Grammar.read(tmp_path / "nowhere.yaml")
        with pytest.raises(MissingError, match="no grammar .* in the folder"):
            Grammar.read(tmp_path)
        (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(FormatError, match="UTF-16"):
            Grammar.read(tmp_path / "a.yaml")

    def test_use_counts_become_costs(self) -> None:
        grammar = Grammar.from_text("""
            intents:
              Go:
                data:
                  - sentences:
                      - {sentence: "go to {room}", count: 3}
                      - leave
            lists: {room: {values: [{in: hall, count: 9}, porch]}}
        """)
        ids = {word: i for i, word in enumerate(sorted(grammar.words), 1)}
        acceptor = grammar.acceptor(ids)
        for sentence, share in (
            ("leave", 1 / 4), ("go to hall", 3 / 4 * 9 / 10), ("go to porch", 3 / 4 * 1 / 10)
        ):
            assert cost_of(acceptor, ids, sentence) == pytest.approx(-math.log(share), abs=1e-5)

    def test_digest_tells_grammars_apart(self) -> None:
        text = "intents: {Go: {data: [{sentences: [go]}]}}"
        one, other = Grammar.from_text(text), Grammar.from_text(text, wildcard_words=["x"])
        assert one.digest == Grammar.from_text(text).digest != other.digest


class TestJsgf:
    def test_says_what_its_public_rules_say(self) -> None:
        grammar = Grammar.from_text("""#JSGF V1.0 UTF-8 en;
            grammar home.lights;  // a comment
            /* another */
            public <light> = [please] turn (on | off) the <home.lights.room> light;
            <room> = kitchen | "living room" | <NULL>;
            public <stop> = stop <VOID> | halt;
        """)
        assert accepted(grammar) == {
            "halt",
            *(
                f"{please}turn {state} the {room}light"
                for please in ("", "please ")
                for state in ("on", "off")
                for room in ("", "kitchen ", "living room ")
            ),
        }

    def test_weights_become_costs(self) -> None:
        grammar = Grammar.from_text("#JSGF V1.0; public <drink> = /3/ coffee | /1/ tea | /0/ rum;")
        ids = {"coffee": 1, "tea": 2}
        acceptor = grammar.acceptor(ids)
        assert cost_of(acceptor, ids, "coffee") == pytest.approx(-math.log(3 / 4))
        assert cost_of(acceptor, ids, "tea") == pytest.approx(-math.log(1 / 4))
        assert "rum" not in grammar.words

    def test_weights_of_templates_become_costs(self) -> None:
        grammar = grammar_of("(/3/ turn|flip) on")
        ids = {"turn": 1, "flip": 2, "on": 3}
        acceptor = grammar.acceptor(ids)
        assert cost_of(acceptor, ids, "turn on") == pytest.approx(-math.log(3 / 4))
        assert cost_of(acceptor, ids, "flip on") == pytest.approx(-math.log(1 / 4))

    def test_repeats_go_on_for_ever(self) -> None:
        grammar = Grammar.from_text(
            "#JSGF V1.0; public <n> = /2/ call (/1/ one | /3/ two)+ | /1/ (no)* way;"
        )
        ids = {word: i for i, word in enumerate(sorted(grammar.words), start=1)}
        acceptor = grammar.acceptor(ids)
        expected = -math.log(2 / 3) - 2 * math.log(1 / 4) - math.log(3 / 4)
        assert cost_of(acceptor, ids, "call one two one") == pytest.approx(expected, abs=1e-5)
        assert cost_of(acceptor, ids, "call") == math.inf
        assert cost_of(acceptor, ids, "way") == pytest.approx(math.log(3), abs=1e-5)
        assert math.isinf(grammar.estimate().sentences)

    @pytest.mark.parametrize(
        ("text", "law"),
        [
            ("#JSGF V1.0;\ngrammar g;\n<a> = b;", "needs a public rule"),
            ("#JSGF V1.0;\npublic <a> = (b;", r"g.jsgf:2: '\)' expected, found ';'"),
            ("#JSGF V1.0;\npublic <a> = b", "g.jsgf:2: ';' expected, found the end"),
            ("#JSGF V1.0;\npublic <a> = ;", "g.jsgf:2: a word, rule or bracket expected"),
            ("#JSGF V1.0;\npublic <a> = {x};", "g.jsgf:2: '{x}' stands after nothing"),
            ("#JSGF V1.0;\npublic <a> = b {x y};", "g.jsgf:2: a tag is"),
            ("#JSGF V1.0;\npublic <a> = /1/ b | c;", "g.jsgf:2: either all alternatives have"),
            ("#JSGF V1.0;\npublic <a> = ([b])*;", "g.jsgf:2: a phrase that may be empty is rep"),
            ("#JSGF V1.0;\npublic <a> = b;\n<a> = c;", "g.jsgf:3: rule <a> is defined twice"),
            ("#JSGF V1.0;\npublic <a> = b <a>;", "g.jsgf:2: rule <a> contains itself"),
            ("#JSGF V1.0;\npublic <a> = <b>;", "g.jsgf:2: unknown rule <b>"),
            ("#JSGF V1.0;\nimport <x.*>;\npublic <a> = b;", "g.jsgf:2: imports are not"),
            ("#JSGF V1.0;\npublic <a> = b } c;", "g.jsgf:2: unexpected '}'"),
        ],
    )
    def test_that_is_broken_is_refused_with_its_line(self, text: str, law: str) -> None:
        with pytest.raises(FormatError, match=law):
            Grammar.from_text(text, name="g.jsgf")


def test_wildcard_words_are_words() -> None:
    text = "intents: {Go: {data: [{sentences: [go]}]}}"
    for words, law in (
        ("go", "got the string 'go'"),
        (["?"], "a word each"),
        ({"a": -1.0}, ">= 0"),
    ):
        with pytest.raises(OptionError, match=law):
            Grammar.from_text(text, wildcard_words=words)
