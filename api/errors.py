"""What can go wrong at the composition root; every message says what, where and what to do.

ApiError
├── HomeError      a home that is missing, of another role, or damaged
├── SettingError   a variable of the environment that is missing or contradicts the home
├── ReportError    a report's data or page that cannot be read or written
└── DemoError      a demo that cannot run, or was not run yet
"""

from __future__ import annotations

import errno

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system calls a full disk and a used-up quota. Neither knows the file's name."""


class ApiError(Exception):
    """Base of the errors of this package."""


class HomeError(ApiError):
    """A home that is missing, of another role, or damaged."""


class SettingError(ApiError):
    """A variable of the environment that is missing, unreadable, or contradicts the home."""


class DemoError(ApiError):
    """A demo that cannot run, or that was not run yet."""


class ReportError(ApiError):
    """A report's data that are missing or damaged, or a page that cannot be written."""
