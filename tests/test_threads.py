"""The limit of matrix threads: held by all users at once, and kept by forked processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from factored_asr.acoustic.threads import blas_threads

FORK = """
import os, signal, threading, time
import numpy
from threadpoolctl import threadpool_info
from factored_asr.acoustic import threads

def of_blas():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

def hold():
    with threads._lock:
        held.set()
        done.wait()

held, done = threading.Event(), threading.Event()
threading.Thread(target=hold).start()
held.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    with threads.blas_threads():
        inside = of_blas()
    print(inside, of_blas(), flush=True)
    os._exit(0)
_, status = os.waitpid(pid, 0)
done.set()
print(status)
"""


def of_blas() -> list[int]:
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_the_limit_is_lifted_by_the_last_user() -> None:
    before = of_blas()
    with blas_threads():
        with blas_threads():
            assert set(of_blas()) == {1}
        assert set(of_blas()) == {1}
    assert of_blas() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_keeps_the_limit() -> None:
    """A thread of the parent holds the lock meanwhile; in the child nothing would free it."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True,
                          text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["{1} {1}", "0"]
