"""`ballast sessions`: which are open, what markets and trades do in them, and which hours have earned their place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ballast_cli import output
from ballast_cli.arguments import End, Json, Override, Profile, Start, home
from common.errors import ConfigError
from common.model.time import Timeframe, from_datetime, iso

if TYPE_CHECKING:
    from research.sessions.outcomes import Outcome
    from research.sessions.series import Prices
    from research.sessions.windows import Window

sessions = typer.Typer(
    help="Trading sessions: the clock, what happens in them, which hours to trade.", no_args_is_help=True
)

Data = Annotated[str | None, typer.Option(help="as of `ballast backtest`; default builtin-h1, or that of the run")]
Run = Annotated[str | None, typer.Option(help="take the trades of this kept run: id, a part of it, or latest")]
Symbols = Annotated[str, typer.Option(help="such as EUR-USD,GBP-USD; default those of the profile")]
Horizon = Annotated[int, typer.Option(min=1, max=1000, help="bars after which a signal is judged, without --run")]
Timeframes = Annotated[list[Timeframe] | None, typer.Option("--timeframe", help="1m to 1h, may be given again")]
_HOUR: Final = Timeframe.H1
_YEARS: Final = range(1900, 2200)


@sessions.command()
def now(
    at: Annotated[str | None, typer.Option(help="instead of now: a date and time, UTC")] = None, as_json: Json = False
) -> None:
    """Which sessions are open, and when the others open next."""
    from common.model.sessions import Calendar, is_open
    from common.model.trading_sessions import clock, edges_at, overlap, session

    ts = from_datetime(_moment(at))
    result = {
        "at": iso(ts),
        "session": session(ts),
        "overlap": overlap(ts) or None,
        "edges": [f"{name} {edge}" for name, edge in edges_at(ts)],
        "fx_week_open": is_open(Calendar.FX_WEEK, ts),
        "us_equities_open": is_open(Calendar.US_EQUITIES, ts),
        "sessions": {
            str(one.session): {
                "open": one.is_open(ts),
                "opens": iso(one.opens),
                "closes": iso(one.closes),
                "early_close": one.early,
            }
            for one in clock(ts)
        },
    }
    output.answer(result, as_json)


@sessions.command()
def report(
    profile: Profile = "fx",
    data: Data = None,
    config: Override = None,
    start: Start = None,
    end: End = None,
    symbols: Symbols = "",
    timeframe: Timeframes = None,
    run: Run = None,
    horizon: Horizon = 4,
    page: Annotated[Path | None, typer.Option("--report", help="write it as one HTML page to this file")] = None,
    folder: Annotated[Path | None, typer.Option("--csv", help="write its tables to this folder")] = None,
    as_json: Json = False,
) -> None:
    """What a market does in each session, overlap and hour, what entries came to, and what follows from that."""
    from ballast_cli.runs import check
    from research.sessions import page as html
    from research.sessions import report as tables

    check(page)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigError(f"--csv {folder}: a file; expected a folder")
    settings = _settings(profile, data, config, start, end, symbols, run)
    prices, outcomes, source = _gather(settings, timeframe or [_HOUR], run, horizon)
    made = tables.build(prices, outcomes, source)
    if page is not None:
        html.write(page, made, f"Sessions of {settings['run']['data'].rpartition('/')[2]}")
    written = tables.export(made, folder) if folder is not None else []
    result = tables.plain(made)
    if as_json:
        output.answer(result, as_json)
        return
    rows = {name: len(result[name]) for name in tables.TABLES}
    head = {key: result[key] for key in ("from", "to", "source")}
    output.answer({**head, "rows": rows, "page": page and str(page), "csv": written or None}, as_json)
    for sentence in made.recommendations:
        output.out.print(f"- {sentence}", markup=False, soft_wrap=True)


@sessions.command()
def learn(
    profile: Profile = "fx",
    data: Data = None,
    config: Override = None,
    start: Start = None,
    end: End = None,
    symbols: Symbols = "",
    timeframe: Timeframes = None,
    run: Run = None,
    horizon: Horizon = 4,
    by: Annotated[str, typer.Option(help="hour or session")] = "hour",
    zone: Annotated[str, typer.Option(help="IANA time zone of the hours")] = "UTC",
    always: Annotated[str, typer.Option(help="never left out: hours such as 7-16,20, or sessions")] = "",
    never: Annotated[str, typer.Option(help="always left out")] = "",
    outside: Annotated[float, typer.Option(min=0, max=1, help="`outside_factor` of the file")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="write what has earned its place, as TOML for --config")] = None,
    as_json: Json = False,
) -> None:
    """Learn which hours to trade, and test walk-forward whether that has paid. What has not is not written."""
    from ballast_cli.runs import check
    from research.sessions import windows, windows_file
    from research.sessions.outcomes import tables

    check(out, "--out")
    if by not in tuple(windows.By):
        raise typer.BadParameter(f"got {by}; expected hour or session", param_hint="--by")
    kind = windows.By(by)
    wishes = windows.Preferences(
        windows_file.preferred(always, kind, "--always"), windows_file.preferred(never, kind, "--never")
    )
    settings = _settings(profile, data, config, start, end, symbols, run)
    _, outcomes, source = _gather(settings, timeframe or [_HOUR], run, horizon)
    learned = tables(outcomes)
    found = windows.learn(learned, kind, zone=_zone(zone), wishes=wishes)
    written: list[str] = []
    if out is not None:
        source = f"{source}, data {settings['run']['data'].rpartition('/')[2]}"
        written = windows_file.write(out, found, kind, zone=zone, outside_factor=outside, source=source)
    if as_json:
        parts = [part._asdict() for table in learned for part in windows.parts_of(table, kind, zone=zone) if part.n]
        output.answer({"windows": [one._asdict() for one in found], "written": written, "parts": parts}, as_json)
        return
    output.answer({one.instrument_id: _in_words(one) for one in found} or {"windows": "no outcomes"}, as_json)
    output.out.print(f"written to {out}" if written else "no file written: no window has earned its place")


def _settings(
    profile: str,
    data: str | None,
    config: Path | None,
    start: str | None,
    end: str | None,
    symbols: str,
    run: str | None,
) -> dict[str, Any]:
    from ballast_cli.configuration import effective

    if run is not None and data is None:
        from research.runs import find

        kept = json.loads((find(home(), run) / "config.json").read_text(encoding="utf-8"))
        profile, data = kept["run"]["profile"], kept["run"]["data"]
    settings = effective(profile, override=config, data=data or "builtin-h1", start=start, end=end)
    if symbols:
        settings["market_data"]["symbols"] = [symbol.strip() for symbol in symbols.split(",")]
    return settings


def _gather(
    settings: dict[str, Any], timeframes: list[Timeframe], run: str | None, horizon: int
) -> tuple[list[Prices], list[Outcome], str]:
    """Prices, what entries came to, and in words what they are."""
    from common.errors import DataError
    from research.fast.market import load_market
    from research.sessions.outcomes import of_run, of_signals
    from research.sessions.series import prices_of

    settings["market_data"]["timeframes"] = sorted({*settings["market_data"]["timeframes"], *map(str, timeframes)})
    settings["signals"]["timeframes"] = list(map(str, timeframes))
    market = load_market(settings)
    if market is None:
        raise DataError("data of ticks: sessions are read from bars; expected a directory of bars")
    prices = prices_of(market, settings, timeframes)
    if run is not None:
        from research.runs import find

        return prices, of_run(find(home(), run)), "trades"
    outcomes, _ = of_signals(settings, market, prices, horizon)
    return prices, outcomes, f"signals judged {horizon} bars later"


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at {text}: expected a date and time such as 2024-01-10T14:00") from None
    if moment.year not in _YEARS:
        raise ConfigError(f"--at {text}: expected a year from {_YEARS.start} to {_YEARS.stop - 1}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ConfigError(f"--zone {name}: expected an IANA time zone such as Europe/London") from None
    return name


def _in_words(one: Window) -> str:
    inside = ", ".join(one.parts) or "none"
    told = f"{one.window_bps:+,.0f} bps instead of {one.always_bps:+,.0f} on {one.seen_later:,} later outcomes"
    chance = "" if one.p_value is None else f", p = {one.p_value:.4f}"
    return (
        f"{'EARNED' if one.earned else 'not earned'}: {inside}; {told}{chance}{'' if one.earned else '; ' + one.reason}"
    )
