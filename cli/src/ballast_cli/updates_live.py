"""What `ballast params` asks of a running system, and tells it: results, whether a change may begin, and the history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from common.errors import TapeError
from common.messages.control import ParameterMoved, ParametersChanged, RunStarted
from common.model.time import NS_PER_DAY
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.supervisor import Status
from research.updates import store
from research.updates.course import Results
from research.updates.plan import Change, Ledger, Moment

# The first equity of the run, then the last one of every UTC day; a midnight closes the day before it.
_DAYS: Final = f"""
    (SELECT seq, ts_event, equity, gross_exposure FROM portfolio_steps WHERE equity IS NOT NULL ORDER BY seq LIMIT 1)
    UNION ALL
    SELECT * FROM (
        SELECT DISTINCT ON ((ts_event - 1) / {NS_PER_DAY}) seq, ts_event, equity, gross_exposure
        FROM portfolio_steps WHERE equity IS NOT NULL ORDER BY (ts_event - 1) / {NS_PER_DAY}, seq DESC
    ) AS days
"""  # noqa: S608 a number of ours
_CONFIG: Final = "SELECT config FROM runs ORDER BY seq DESC LIMIT 1"
_NEWEST: Final = """
    SELECT ts_event, gross_exposure FROM portfolio_steps WHERE equity IS NOT NULL ORDER BY seq DESC LIMIT 1
"""


def results(home: Path) -> Results:
    """Of the run on the tape, days that are over. Raises TapeError where nothing runs here, or nothing has been recorded."""
    if Status.load(home) is None:
        raise TapeError(f"{home}: nothing runs here whose results could be watched; name a kept run with --results")
    config, rows = asyncio.run(_results(Endpoints.load(home)))
    rows.sort(key=itemgetter("seq"))
    if config is None:
        raise TapeError(f"{home}: the recorder knows of no run yet")
    ended = rows[:-1] if rows and rows[-1]["ts_event"] % NS_PER_DAY else rows
    return Results(config=json.loads(config), equity=tuple(float(row["equity"]) for row in ended))


def moment(home: Path) -> Moment:
    """How the system in this home is: the time of its last step, and whether it holds anything."""
    if Status.load(home) is None:
        return Moment()
    row = asyncio.run(_newest(Endpoints.load(home)))
    return Moment() if row is None else Moment(ts_ns=row["ts_event"], flat=row["gross_exposure"] == 0)


def tell(home: Path, profile: str) -> bool:
    """Puts what is not yet there of the history on the tape of the running system, for parameter_history. False where nothing
    runs, or it does not answer: the ledger keeps it, and the next command tries again.
    """
    if Status.load(home) is None:
        return False
    with store.locked(home):
        ledger = store.load(home, profile)
        try:
            asyncio.run(_tell(Endpoints.load(home), ledger))
        except TapeError:
            return False
        store.save(home, msgspec.structs.replace(ledger, told=len(ledger.history)))
    return True


async def _results(endpoints: Endpoints) -> tuple[str | None, list[Any]]:
    async with _history(endpoints) as connection:
        return await connection.fetchval(_CONFIG), await connection.fetch(_DAYS)


async def _newest(endpoints: Endpoints) -> Any:
    async with _history(endpoints) as connection:
        return await connection.fetchrow(_NEWEST)


@asynccontextmanager
async def _history(endpoints: Endpoints) -> AsyncIterator[asyncpg.Connection]:
    """What the recorder has written. Raises TapeError where PostgreSQL does not answer."""
    try:
        connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise TapeError(f"PostgreSQL: {error}") from error


async def _tell(endpoints: Endpoints, ledger: Ledger) -> None:
    tape = await NatsTape.connect(endpoints.login("operator"))
    try:
        begun = await tape.last([f"{RunStarted.TYPE}.>"])
        if begun is None:
            raise TapeError("no run on the tape yet")
        run = decode(decode_envelope(begun.payload))
        assert isinstance(run, RunStarted)
        for change in ledger.history[ledger.told :]:
            message = _message(change, ledger.profile, run.book)
            identity = f"{message.TYPE}:{change.id}"
            stored = await tape.append(subject(message), envelope("operator", message, identity, cause=None))
            await asyncio.wait([stored], timeout=5.0)
            if not stored.done() or stored.cancelled():
                raise TapeError("NATS did not acknowledge")
            stored.result()
    finally:
        await tape.close()


def _message(change: Change, profile: str, book: str) -> ParametersChanged:
    moved = tuple(
        ParameterMoved(key=each.key, before=_json(each.before), after=_json(each.after)) for each in change.moved
    )
    return ParametersChanged(
        ts_event=change.ts_ns,
        book=book,
        profile=profile,
        change_id=change.id,
        plan=change.plan,
        action=change.action.value,
        step=change.step,
        steps=change.steps,
        moved=moved,
        author=change.author,
        reason=change.reason,
        evidence=change.evidence,
    )


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
