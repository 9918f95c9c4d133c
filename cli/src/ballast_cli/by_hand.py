"""`ballast order`, `amend`, `cancel`, `scope`, `acknowledge`: what a person may tell a running system besides `halt`."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from ballast_cli.arguments import Json, OrderId, Reason, home, obeyed

by_hand = typer.Typer()
Px = Annotated[str | None, typer.Option(help="price")]


class Buy(StrEnum):
    BUY = "buy"
    SELL = "sell"


@by_hand.command()
def order(
    symbol: Annotated[str, typer.Argument(help="instrument id, or symbol where only one venue has it")],
    side: Annotated[Buy, typer.Argument(help="buy or sell")],
    qty: Annotated[str, typer.Argument(help="units")],
    limit: Px = None,
    stop: Px = None,
    stop_loss: Annotated[str | None, typer.Option(help="out at a loss here, as soon as the order fills")] = None,
    take_profit: Annotated[str | None, typer.Option(help="out with a profit here; one exit cancels the other")] = None,
    ref: Annotated[str | None, typer.Option(help="the price that you see; otherwise the last one on the tape")] = None,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="only ever shrinks a position")] = False,
    post_only: Annotated[bool, typer.Option("--post-only", help="waits in the book, or is canceled")] = False,
    as_json: Json = False,
) -> None:
    """Propose an order by hand; the guardian judges it like anybody's."""
    from ballast_cli.orders import Prices
    from ballast_cli.orders import order as command
    from common.model.enums import Side

    prices = Prices(limit, stop, stop_loss, take_profit, ref)
    wanted = command(home(), symbol, Side(side.upper()), qty, prices, reduce_only=reduce_only, post_only=post_only)
    obeyed(asyncio.run(wanted), as_json)


@by_hand.command()
def amend(
    order_id: OrderId,
    qty: Annotated[str | None, typer.Option(help="units of the whole order, the filled part included")] = None,
    limit: Px = None,
    stop: Px = None,
    as_json: Json = False,
) -> None:
    """Another quantity or price for a working order; the guardian judges it."""
    from ballast_cli.orders import amend as command

    obeyed(asyncio.run(command(home(), order_id, qty, limit, stop)), as_json)


@by_hand.command()
def cancel(order_id: OrderId, reason: Reason = "canceled by the operator", as_json: Json = False) -> None:
    """Take a working order off the market."""
    from ballast_cli.orders import cancel as command

    obeyed(asyncio.run(command(home(), order_id, reason)), as_json)


@by_hand.command()
def scope(
    halted: Annotated[bool, typer.Option("--halt/--resume", help="no new risk, or again")],
    reason: Reason,
    strategy: Annotated[str, typer.Option(help="strategy id; left out: any")] = "",
    instrument: Annotated[str, typer.Option(help="instrument id or symbol; left out: any")] = "",
    as_json: Json = False,
) -> None:
    """Halt or resume one strategy, one instrument, or one strategy in one instrument; getting out stays possible."""
    from ballast_cli.orders import scope as command

    obeyed(asyncio.run(command(home(), strategy, instrument, reason, halted=halted)), as_json)


@by_hand.command()
def acknowledge(alert_id: Annotated[str, typer.Argument(help="alert id")], as_json: Json = False) -> None:
    """Say that somebody takes care of an alert, so that it does not escalate."""
    from ballast_cli.orders import acknowledge as command

    obeyed(asyncio.run(command(home(), alert_id)), as_json)
