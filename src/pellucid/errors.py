"""What can go wrong, as a tree. Each message names the thing, the value and the cure.

PellucidError
├── UsageError        a setting, name or combination that cannot be meant
│   └── LookupFailed  a name that no catalogue knows, with the nearest ones
├── DataError         a file or label that cannot be used
│   ├── ImageError    an image that cannot be read within the limits
│   └── OfflineError  a named set or file that could not be fetched
├── ModelError        a model file or checkpoint that does not fit or is damaged
└── TrainingError     training cannot go on
    └── NonFiniteError  a loss or gradient that is not a number
"""

__all__ = [
    "DataError",
    "ImageError",
    "LookupFailed",
    "ModelError",
    "NonFiniteError",
    "OfflineError",
    "PellucidError",
    "TrainingError",
    "UsageError",
]


class PellucidError(Exception):
    """Anything that pellucid refuses. The command line prints its message and exits with 2."""


class UsageError(PellucidError):
    """A setting, name or combination of them that cannot be meant."""


class LookupFailed(UsageError):  # noqa: N818  (it is one: the name was looked up and not found)
    """A name that is in no catalogue."""


class DataError(PellucidError):
    """A file or label that cannot be used."""


class ImageError(DataError):
    """An image that cannot be read within the limits.

    `reason` says what is wrong with it, `cure` what its owner can do.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason} ({cure})")
        self.reason = reason
        self.cure = cure


class OfflineError(DataError):
    """A file that had to be fetched and could not be."""


class ModelError(PellucidError):
    """A model file or checkpoint that does not fit or is damaged."""


class TrainingError(PellucidError):
    """Training cannot go on from here."""


class NonFiniteError(TrainingError):
    """A loss or gradient that is not a number; the last good state is kept."""
