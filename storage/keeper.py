"""Keeps one child process, and ends it when the process that asked for it is gone.

Run as `python -I storage/keeper.py PARENT LOG COMMAND…`; standard library only, so that it starts
at once. It prints the child's process id.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

_TICK_S = 0.2
_STOP_S = 20
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Runs until the child ends, the parent is gone, or SIGTERM comes."""
    parent, log, *command = arguments
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with Path(log).open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
    print(child.pid, flush=True)  # noqa: T201
    while child.poll() is None and os.getppid() == int(parent):
        if stopping.wait(_TICK_S):
            break
    child.terminate()
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return 0


def _die_with_parent() -> None:
    # Linux: the kernel ends the child also when this keeper is killed by -9.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
