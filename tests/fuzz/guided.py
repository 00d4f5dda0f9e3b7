"""Let atheris look for what no reader was meant for, guided by the branches that input reaches.

Needs the extra ``fuzz`` (atheris)::

    python tests/fuzz/guided.py --reader "Sphinx trie" -max_total_time=60 -rss_limit_mb=2048

Options with one dash are libFuzzer's. What it finds it writes into a file ``crash-…``; give that
file's name to see its traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["factored_asr"]):
        from factored_asr.errors import FactoredASRError
        from fuzz.readers import KINDS, lay, quietly
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", required=True, help="a part of its name in readers.py")
    options, rest = parser.parse_known_args()
    kind = next(kind for kind in KINDS if options.reader in kind.name)
    good = kind.good()
    name = max(good[0], key=lambda file: len(good[0][file] or b""))  # of several, the largest
    place = Path(tempfile.mkdtemp())
    corpus = place / "corpus"
    for number, files in enumerate(good):
        lay({str(number): files[name]}, corpus / str(number))

    def one(data: bytes) -> None:
        lay({**good[0], name: data}, place / "case")
        try:
            quietly(kind, place / "case")
        except FactoredASRError:
            pass

    folders = [str(corpus / str(number)) for number in range(len(good))]
    atheris.Setup([sys.argv[0], *rest, *folders], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
