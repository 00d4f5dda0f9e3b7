"""``python -m factored_asr`` is the same as the command ``factored-asr``."""

import sys

from factored_asr.cli import main

if __name__ == "__main__":
    sys.exit(main())
