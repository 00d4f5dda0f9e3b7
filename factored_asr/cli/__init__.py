"""The command line: parse, one library call, print.

Text goes to standard output, progress and faults to standard error. Exit code 0: all done; 1: some
input failed, the rest is done; 2: wrong usage. Each module holds a group of commands and adds them
by its `add`.
"""

from factored_asr.cli.app import main

__all__ = ["main"]
