"""Where in a user's file an error arose."""

from __future__ import annotations

import traceback


def place(error: Exception, file: str) -> str:
    """`file:line`, the line as deep as the error goes in that file; `file:?` where it never was there."""
    if isinstance(error, SyntaxError) and error.filename == file and error.lineno:
        return f"{file}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}:{lines[-1] if lines and lines[-1] else '?'}"
