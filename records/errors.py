"""Errors of this package; a message names files, rows, fields and rules, never a patient's value.

RecordsError
├── ImportFailed      a file that cannot be read as the dictionary says
├── StoreError        the local store of records cannot be opened, read or written
└── CohortError       consents that do not fit the records
"""


class RecordsError(Exception):
    """Base of every error that this package raises."""


class ImportFailed(RecordsError):
    """A hospital's file cannot be read at all; single broken rows are quarantined instead."""


class StoreError(RecordsError):
    """The local store of records cannot be opened, read or written."""


class CohortError(RecordsError):
    """Consents do not fit the records."""
