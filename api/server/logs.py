"""Structured logs: one line of JSON an event.

Never a body, a consent's id, a patient's key, or who asked.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

Log = structlog.typing.FilteringBoundLogger


def make_log(stream: TextIO | None = None) -> Log:
    """A logger of its own, to stderr unless told: nothing global is changed."""
    found: Log = structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    return found


class ServerWords(logging.Handler):
    """What uvicorn says, as a line of ours: its words, never a traceback."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        words: Any = record.getMessage().splitlines() or [""]
        self._log.warning("server", words=words[0][:200])
