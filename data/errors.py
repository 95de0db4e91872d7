"""The errors that users see. Our own hierarchy:

FeedbackError
├── TaxonomyError      the taxonomy file is wrong
├── DataError          a file of rows, a source or an archive is wrong
├── ConfigError        a training configuration or a base is wrong
├── ModelFolderError   a model folder is missing, altered or of another version
└── MessageError       one message cannot be classified

Only the command line and the service turn them into exit codes and HTTP statuses.
"""


class FeedbackError(Exception):
    """Something the user can mend; the message says what, where and what to do."""


class TaxonomyError(FeedbackError):
    """The taxonomy file cannot be read or contradicts itself."""


class DataError(FeedbackError):
    """A file of rows, a source or an archive cannot be read or is wrong."""


class ConfigError(FeedbackError):
    """A training configuration or a base cannot be used."""


class ModelFolderError(FeedbackError):
    """A model folder is missing, incomplete, altered, or of a format that is not known."""


class MessageError(FeedbackError):
    """One message cannot be classified (empty after mending, over the length limit)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """Stable, for programs: `empty`, `too_long`, `not_text`."""
