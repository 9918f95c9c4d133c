"""A feed and the core that makes slices of it: what a run reads instead of a tape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from common.messages.base import Message
from common.model.account import Account
from common.model.run import Run
from common.runtime.settings import section
from market_data.core import MarketData, opening
from market_data.events import schedule_of
from market_data.feed import Feed
from market_data.feeds import LIVE, open_feed
from market_data.settings import Settings
from market_data.state import State

if TYPE_CHECKING:
    from market_data.live.source import LiveSource


class FeedSource:
    """A feed and the core that makes slices of it."""

    def __init__(
        self, settings: Settings, feed: Feed, run: Run | None = None, account: Account | None = None, config: str = ""
    ) -> None:
        self.settings: Final = settings
        self.feed: Final = feed
        self._run = run or Run()
        self._account = account or Account()
        self._config = config
        self.schedule: Final = schedule_of(settings)
        self._core = MarketData(settings, feed.instruments, feed.base_timeframes)

    @property
    def state(self) -> State:
        return self._core.state

    @state.setter
    def state(self, value: State) -> None:
        self._core.state = value

    @property
    def notes(self) -> tuple[str, ...]:
        """What the feed chose, merged or left out."""
        return self.feed.notes

    def opening(self) -> Sequence[Message]:
        """The run and its instruments."""
        feed, began = self.feed, self._run.start_ns or 0
        return opening(
            self.settings, self._run, self._account, self._config, feed.instruments, feed.base_timeframes, began
        )

    def steps(self, skip: int) -> Iterator[Sequence[Message]]:
        """What each step of the feed makes us say; the last item is the end of the data."""
        for raw in islice(self.feed.steps(), skip, None):
            said = self._core.handle_step(raw)
            yield said if self.schedule is None else self.schedule.beside(said, self.state)
        yield self._core.finish()

    def messages(self) -> Iterator[Message]:
        """All of it in order: what a backtest iterates."""
        yield from self.opening()
        for said in self.steps(0):
            yield from said


def source_of(config: Mapping[str, Any]) -> FeedSource | LiveSource:
    """As the service reads it: live where the run says so, else recorded."""
    run = section(config, "run", Run)
    if run.data != LIVE:
        return source(config)
    from market_data.live.source import LiveSource

    settings, account = section(config, "market_data", Settings), section(config, "account", Account)
    return LiveSource(settings, run, account, msgspec.json.encode(config).decode())


def source(config: Mapping[str, Any]) -> FeedSource:
    """Recorded data, for whoever reads all of it: from sections `[market_data]`, `[account]` and `[run]`; the whole configuration goes on the tape with the run."""
    settings, run = section(config, "market_data", Settings), section(config, "run", Run)
    feed = open_feed(run.data, settings=settings, start_ns=run.start_ns, end_ns=run.end_ns)
    return FeedSource(settings, feed, run, section(config, "account", Account), msgspec.json.encode(config).decode())
