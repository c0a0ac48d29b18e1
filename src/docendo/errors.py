"""The errors users meet: each says what happened, to which input, and what to do next."""

from __future__ import annotations


class DocendoError(Exception):
    """Anything a user can act on; the command line shows it without a traceback and exits with `exit_code`."""

    exit_code = 1


class DataError(DocendoError):
    """A problem set, lesson file or row of one that cannot be used; the message names file, line and field."""

    exit_code = 2


class ConfigError(DocendoError):
    """Settings that cannot be used."""

    exit_code = 2


class ModelError(DocendoError):
    """A model that cannot be loaded or cannot answer: wrong checksum, missing file, unsupported feature."""

    exit_code = 3


class UnspeakableError(ModelError):
    """A text with words that the model's tokenizer does not know."""


class StoreError(DocendoError):
    """A run folder that cannot be read or written: another version, a full disk, not a run at all."""

    exit_code = 4


class GradingError(DocendoError):
    """An answer that the grader could not judge within its limits of time and memory."""
