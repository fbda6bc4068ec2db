"""A daemon as a child process: started, ended, and never left behind by who started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_STOP_S = 30
_SHOWN = 800
_KEEPER = Path(__file__).with_name("keeper.py")


class Child:
    """One daemon in the care of a keeper, which ends it when this process is gone."""

    def __init__(self, log: Path) -> None:
        """What it says goes to `log`. Nothing is started yet."""
        self.log = log
        self.pid = 0
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._keeper is not None and self._keeper.poll() is None

    def launch(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start the process with this environment and nothing of the caller's."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", str(_KEEPER), str(os.getpid()), str(self.log), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches this process, which then stops the daemon
        )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline() or 0)

    def end(self) -> None:
        """Ask the daemon to end; `stop` waits for it."""
        if self._keeper is not None:
            self._keeper.terminate()

    def stop(self) -> None:
        """End the daemon, and wait for it. Idempotent."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.terminate()
        try:
            keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        assert keeper.stdout is not None
        keeper.stdout.close()

    def kill(self) -> None:
        """End the daemon as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def said(self) -> str:
        """The end of what it said, for an error's message."""
        if not self.log.exists():
            return "nothing"
        return self.log.read_text("utf-8", "replace")[-_SHOWN:].strip() or "nothing"
