"""The peak of a process tree's memory: proportional set sizes, so that nothing counts twice."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_EVERY_S = 0.25


def run_watched(command: Sequence[str | Path], env: Mapping[str, str]) -> float:
    """Run a command to its end; the most MiB that it and its descendants held at once.

    Raises subprocess.CalledProcessError, with what it said.
    """
    process = subprocess.Popen(
        [str(word) for word in command],
        env=dict(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    over, peaks = threading.Event(), [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, over, peaks))
    watcher.start()
    try:
        _, said = process.communicate()
    finally:
        over.set()
        watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return peaks[0]


def _watch(pid: int, over: threading.Event, peaks: list[float]) -> None:
    while not over.wait(_EVERY_S):
        peaks[0] = max(peaks[0], sum(map(_mib, _tree(pid))))


def _tree(pid: int) -> list[int]:
    """The process and its descendants; one whose parent ended is no longer of the tree."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, ())
    return found


def _mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
