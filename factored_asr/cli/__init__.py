"""The command line: parse, one library call, print.

Text goes to standard output, progress and errors to standard error. Exit code 0: all done; 1: some
inputs failed, the others are done; 2: wrong usage. Each module holds some commands; its `add` adds
them to the program.
"""

from factored_asr.cli.app import main

__all__ = ["main"]
