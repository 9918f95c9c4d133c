"""One part that fails must not stop the rest: whatever a core can do without runs behind this (PLT-08).

It is in the core, not in the shell: that a feature failed decides about orders, so a replay must find it again.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Final, TypeVar

import msgspec

from common.messages.control import EnableFeature, FeatureChanged
from common.model.time import NS_PER_HOUR

T = TypeVar("T")

_LONGEST_REASON: Final = 300
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{4,}")  # differs from run to run


class IsolationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`isolation` of a service's section."""

    disable_after: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="steps in a row with a failure after which a feature is off")
    ] = 3
    cool_down_hours: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=8760, description="market time after which a feature is tried again; 0: only an operator does that"
        ),
    ] = 168


class Feature(msgspec.Struct):
    """A feature that has failed at least once; one that never did has no entry.

    `failures` counts steps in a row, not calls: a strategy that stumbles over one instrument of seven fails in that step.
    """

    failures: int = 0
    total: int = 0
    asked_ns: int = 0  # the last step in which it ran
    failed_ns: int = -1
    disabled_since_ns: int | None = None
    reason: str = ""


Features = dict[str, Feature]


class Isolation:
    """Runs features, counts their failures and switches them off. What it counts lies in the caller's state; its own memory,
    the changes not yet said, is empty between two messages.
    """

    def __init__(self, service: str, settings: IsolationSettings) -> None:
        self._service = service
        self._settings = settings
        self._cool_down_ns = settings.cool_down_hours * NS_PER_HOUR
        self._changes: list[tuple[str, bool, int, str]] = []

    def attempt(
        self, features: Features, name: str, ts: int, call: Callable[[], T], otherwise: T, *, file: str = ""
    ) -> T:
        """What `call` returns; `otherwise` when it raises or the feature is off. `file` is the feature's own, for the blame.

        A call that raises must leave nothing half done: it returns what to do, the caller does it. An exhausted memory is
        the process's failure, not the feature's, and passes like everything that is no Exception.
        """
        feature = features.get(name)
        if feature is not None and not self._may_run(feature, name, ts):
            return otherwise
        try:
            return call()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a user's code raises)
            self._count(features.setdefault(name, Feature()), name, ts, blame(error, file))
            return otherwise

    def enable(self, features: Features, command: EnableFeature) -> None:
        """On again, on probation: one more failure and it is off. Nothing for other services or what is not off."""
        feature = features.get(command.feature)
        if command.service == self._service and feature is not None and feature.disabled_since_ns is not None:
            self._on_probation(feature, command.feature, f"{command.author}: {command.reason}")

    def said(self, book: str, ts: int) -> tuple[FeatureChanged, ...]:
        """What changed since it was last asked: a feature's first failure ever, off, on again."""
        if not self._changes:
            return ()
        changes, self._changes = self._changes, []
        return tuple(
            FeatureChanged(
                ts_event=ts,
                book=book,
                service=self._service,
                feature=name,
                enabled=enabled,
                failures=total,
                reason=reason,
            )
            for name, enabled, total, reason in changes
        )

    def _may_run(self, feature: Feature, name: str, ts: int) -> bool:
        since = feature.disabled_since_ns
        if since is not None:
            if not self._cool_down_ns or ts - since < self._cool_down_ns:
                return False
            self._on_probation(feature, name, f"tried again after {self._settings.cool_down_hours} h")
        if feature.asked_ns != ts:
            if feature.failed_ns != feature.asked_ns:
                feature.failures = 0
            feature.asked_ns = ts
        return True

    def _count(self, feature: Feature, name: str, ts: int, reason: str) -> None:
        feature.total += 1
        feature.reason = reason
        if feature.failed_ns != ts:
            feature.failures += 1
        feature.asked_ns = feature.failed_ns = ts
        if feature.failures >= self._settings.disable_after:
            feature.disabled_since_ns = ts
            self._changes.append((name, False, feature.total, reason))
        elif feature.total == 1:
            self._changes.append((name, True, 1, f"failed: {reason}"))

    def _on_probation(self, feature: Feature, name: str, reason: str) -> None:
        feature.disabled_since_ns = None
        feature.failures = self._settings.disable_after - 1
        self._changes.append((name, True, feature.total, reason))


def is_off(features: Features, name: str) -> bool:
    """Whether the feature is switched off."""
    feature = features.get(name)
    return feature is not None and feature.disabled_since_ns is not None


def blame(error: Exception, file: str = "") -> str:
    """`ZeroDivisionError: division by zero (mine.py:12)`: nothing in it depends on the machine or the run."""
    path, _, line = place(error, file).rpartition(":")
    what = " ".join("".join(traceback.format_exception_only(error)).split())
    return f"{_ADDRESS.sub('0x', what)[:_LONGEST_REASON]} ({PurePath(path).name}:{line})"


def place(error: Exception, file: str = "") -> str:
    """`file:line`, the line as deep as the error goes in that file, `file:?` where it never was there; without a file the
    innermost line of all.
    """
    if isinstance(error, SyntaxError) and error.filename == file and error.lineno:
        return f"{file}:{error.lineno}"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not file:
        return "{}:{}".format(*frames[-1]) if frames else "?:?"
    lines = [line for name, line in frames if name == file]
    return f"{file}:{lines[-1] if lines else '?'}"
