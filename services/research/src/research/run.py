"""One backtest, from a configuration to what it amounts to: what every experiment of this package is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from common.messages.base import Message
from research.backtest import backtest
from research.fast.engine import Stretch, fast
from research.summary import Summary

Watcher = Callable[[Message], None]


def run(
    config: Mapping[str, Any],
    *,
    resume_after_days: int | None = None,
    watchers: Sequence[Watcher] = (),
    plain: bool = False,
) -> Summary:
    """The whole system over the data that `config` names. Each of `watchers` sees every message of the steps that are handled, in
    tape order: those at which something can happen, and the first and the last of every UTC day. With `plain`, or where the fast
    engine cannot do it (`research.fast.engine.fast`), all steps are handled; orders, fills and equity are the same.

    Raises ConfigError and DataError.
    """
    engine, messages = stream(config, resume_after_days=resume_after_days, plain=plain)
    summary = Summary(engine)
    for message in messages:
        if isinstance(message, Stretch):
            summary.pass_over(message)
            continue
        summary.see(message)
        for watch in watchers:
            watch(message)
    return summary


def stream(
    config: Mapping[str, Any], *, resume_after_days: int | None = None, plain: bool = False
) -> tuple[str, Iterator[Message | Stretch]]:
    """The engine that runs, "fast" or "plain", and what it says: messages in tape order, and between them, from the fast one, what
    it skipped (for `Summary.pass_over`).
    """
    quick = None if plain else fast(config, resume_after_days=resume_after_days)
    return ("plain", backtest(config, resume_after_days=resume_after_days)) if quick is None else ("fast", quick)
