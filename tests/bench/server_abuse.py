"""A server under abuse: 2,000 sessions with sudden disconnects, partial frames, invalid JSON, text
for sound, uploads of a gigabyte, slow readers; 200 at once. Bars: no worker dies, every valid
request is answered right, and the memory of the last tenth is at most 5 % above the first's.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from common import parser, report

sys.path.insert(0, str(Path(__file__).parents[1]))

from server_streams import SOUNDS, memory
from support.abuse import abuse
from support.server import running


def main() -> None:
    """Run tenths of the sessions one after the other."""
    made = parser(__doc__)
    made.add_argument("--sessions", type=int, default=2000)
    made.add_argument("--at-once", type=int, default=200)
    made.add_argument("--workers", default="2")
    made.add_argument("--model", default="en-us-network")
    options = made.parse_args()
    rows, wrong, busy = [], 0, 0
    with running("--wyoming-port", "0", "--workers", options.workers, "--max-sessions", "400",
                 model=options.model) as server:
        workers = server.workers()
        for tenth in range(1, 11):
            began = time.monotonic()
            seen = abuse(server.url, server.wyoming, SOUNDS / "music_stop.wav", "stop the music",
                         options.sessions // 10, options.at_once)
            seconds = time.monotonic() - began
            time.sleep(1)
            wrong, busy = wrong + len(seen.wrong), busy + seen.busy
            rows.append([str(tenth), f"{memory(server.process.pid):.0f}", f"{seconds:.1f}",
                         str(len(seen.wrong)), str(seen.busy)])
            print(rows[-1], *seen.wrong[:3], flush=True)
        died = set(workers) != set(server.workers())
    report(options, "A server under abuse", rows,
           ["tenth", "MB", "seconds", "wrong answers", "503"])  # fmt: skip
    growth = float(rows[-1][1]) / float(rows[0][1]) - 1
    print(f"memory {growth:+.1%}, {wrong} wrong, {busy} busy, workers died: {died}")


if __name__ == "__main__":
    main()
