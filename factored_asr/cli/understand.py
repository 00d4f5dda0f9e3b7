"""Commands on sentences: understand."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from factored_asr.cli import shared
from factored_asr.cli.shared import add_command, say
from factored_asr.errors import OptionError
from factored_asr.storage.reading import standard_input_lines

DESCRIPTION = """\
Read sentences from standard input, one per line; write the meaning of each as a JSON line:

  text        the sentence
  intent      the action to take; null if there is none: a sentence that is negated, reported,
              questioned or conditional causes no action
  slots       the arguments of the action
  confidence  1 if the grammar or a rule fits, else 0
  acts        speech acts: command, correction, confirm, deny, undo, query, report, each with the
              intent and slots it refers to
  trace       the rules that led there

Fillers, repetitions, restarts, courtesies and wake words are ignored where needed.

With --sample N random sentences of the grammar are written instead.

With --dialogue the sentences are one conversation: "it", "no" and "undo" refer to earlier turns,
and each line holds the actions to take and whether to ask first. The grammar must describe the
devices under "world:", as lm/house.yaml does.
"""


def understand(options: argparse.Namespace) -> int:
    """Write the meanings of sentences, or the turns of a conversation, as JSON lines."""
    from factored_asr.models.bundle import packaged

    grammar = packaged(options.grammar)
    if options.sample is not None:
        return _sample(grammar, options)
    context = dict(_pair(text) for text in options.context)
    lists = shared.lists_of(options)
    if lists and options.dialogue:
        raise OptionError("--list goes without --dialogue")
    lines = _conversation(grammar, context) if options.dialogue else _meanings(
        grammar, context, lists)
    for line in lines:
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise OptionError(f"--context is KEY=VALUE, got {text!r}")
    return key, value


def _meanings(
    grammar: Any, context: dict[str, str], lists: dict[str, dict[str, str]]
) -> Iterator[dict[str, Any]]:
    from factored_asr.dialogue import Reader
    from factored_asr.language.grammar.lists import value_list
    from factored_asr.models.grammars import read_understander

    reader = Reader(read_understander(grammar, {
        name: value_list(name, entries) for name, entries in lists.items()
    }))
    for line in standard_input_lines():
        yield reader.read(line.strip(), context).to_dict()


def _sample(grammar: Any, options: argparse.Namespace) -> int:
    """Print random sentences of the grammar, and on standard error words that sound alike."""
    from factored_asr.language import Grammar
    from factored_asr.language.grammar.sampling import random_sentences
    from factored_asr.models.bundle import Bundle
    from factored_asr.models.recipe import Recipe
    from factored_asr.understanding.confusable import confusable

    if options.sample < 1 or options.dialogue:
        raise OptionError("--sample is a number of sentences, 1 or more, and goes without "
                          f"--dialogue, got {options.sample}")
    read = Grammar.read(grammar)
    for words in random_sentences(read, options.sample, options.seed):
        print(" ".join(words), flush=True)
    for each in confusable(read, Recipe(Bundle.find(options.model)).read_lexicon()):
        say(str(each))
    return 0


def _conversation(grammar: Any, context: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the turns of a conversation on standard input, in real time."""
    from factored_asr.dialogue import Dialogue, World
    from factored_asr.models.grammars import read_understander

    dialogue = Dialogue(read_understander(grammar).grammar, World.read(grammar), context)
    begun = time.monotonic()
    for line in standard_input_lines():
        yield dialogue.hear(line.strip(), at=time.monotonic() - begun).to_dict()


def add(commands: Any) -> None:
    """Add this group's commands to the program."""
    parser = add_command(commands, "understand", understand,
                         "sentences on stdin to intents, as JSON")
    parser.description = DESCRIPTION
    parser.add_argument("--grammar", required=True, metavar="PATH", help="grammar file or folder")
    parser.add_argument("--context", action="append", default=[], metavar="KEY=VALUE",
                        help="known facts, such as area=kitchen; may be repeated")
    shared.add_list(parser)
    parser.add_argument("--dialogue", nargs="?", const="-", choices=("-",), metavar="-",
                        help="the sentences are one conversation")
    parser.add_argument("--format", default="json", choices=("json",), help="JSON lines")
    parser.add_argument("--sample", type=int, metavar="N", help="read nothing: write N random "
                        "sentences of the grammar, a line each, to see what it allows; words that "
                        "sound alike and decide about the intent go to standard error")
    parser.add_argument("--seed", type=int, default=0, help="of --sample (default: 0)")
    parser.add_argument("--model", default="en-us", help="whose dictionary says what sounds alike "
                        "(default: en-us)")
