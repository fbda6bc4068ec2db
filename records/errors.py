"""Errors of this package; a message names files, rows, fields and rules, never a patient's value.

RecordsError
├── ImportFailed      a file that cannot be read as the dictionary says
├── CaseRefused       a case at the bedside that is not one of the dictionary
├── ImageError        a file that is no picture of the kind that is read here
├── DataMissing       a public data set that is not on this machine and cannot be had
├── StoreError        the local store of records cannot be opened, read or written
└── CohortError       consents that do not fit the records
"""


class RecordsError(Exception):
    """Base of every error that this package raises."""


class ImportFailed(RecordsError):
    """A hospital's file cannot be read at all; single broken rows are quarantined instead."""


class CaseRefused(RecordsError):
    """A case at the bedside lacks fields, has others, or values that cannot be."""


class ImageError(RecordsError):
    """A file is no 8-bit grey PNG, or is damaged."""


class DataMissing(RecordsError):
    """A public data set is not on this machine, differs from its digest, or cannot be had."""


class StoreError(RecordsError):
    """The local store of records cannot be opened, read or written."""


class CohortError(RecordsError):
    """Consents do not fit the records."""
