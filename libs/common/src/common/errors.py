"""Errors a user can act on. Anything else that is raised is a bug and ends the process."""

from __future__ import annotations


class BallastError(Exception):
    """Base of all errors that are shown to a user as one line, without a traceback."""


class ConfigError(BallastError):
    """A setting is missing, unknown or out of bounds."""


class DataError(BallastError):
    """A data file or directory cannot be read as what it claims to be."""


class PortError(BallastError):
    """The address to listen on is not to be had: now, or at all."""


class DecodeError(BallastError):
    """Bytes on the wire are not a message this build understands."""


class TapeError(BallastError):
    """The tape is unreachable, broken or refuses an operation."""
