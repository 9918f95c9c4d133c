"""Section `[risk_guardian.ladders]`: the ladders as data (RSK-04 to RSK-08). The defaults are those of fx."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from common.model.enums import Severity, TradingState

ACTIVE, REDUCING, HALTED = TradingState


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rung: above `trigger` it acts, back under `release` it lets go."""

    trigger: Annotated[float, msgspec.Meta(gt=0, description="observed value above which the level acts")]
    release: Annotated[
        float, msgspec.Meta(ge=0, description="observed value under which it lets go, below the trigger: hysteresis")
    ]
    exposure_factor: Annotated[float, msgspec.Meta(ge=0, le=1, description="positions are cut to this share")] = 1.0
    close_most_volatile: Annotated[
        bool,
        msgspec.Meta(description="cut by closing the most volatile positions first, instead of a share of each"),
    ] = False
    stop_factor: Annotated[float, msgspec.Meta(gt=0, le=1, description="stops are tightened to this share")] = 1.0
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1, description="signals weaker than this open nothing")] = (
        0.0
    )
    state: Annotated[TradingState, msgspec.Meta(description="what may still be traded on this level")] = ACTIVE
    lift_after_days: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=3650,
            description="after so long on this level its trading state is lifted and only its cuts stay, else a book without "
            "positions could never recover; 0: never",
        ),
    ] = 0
    hold_days: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=3650,
            description="it lets go only after so many days on it: where the cut itself lowers what is observed",
        ),
    ] = 0
    manual: Annotated[bool, msgspec.Meta(description="only an operator's resume ends it")] = False
    severity: Annotated[Severity, msgspec.Meta(description="of the alert when the level is reached")] = Severity.WARNING

    def __post_init__(self) -> None:
        if self.release >= self.trigger:
            raise ValueError(f"Expected a release below the trigger {self.trigger:g}, got {self.release:g}")


# Stops tighten and positions shrink before new risk is refused; the last rung closes all, since what the third leaves would
# run on with nobody to look after it: in a halt no exit of a strategy passes.
DRAWDOWN: Final = (
    Level(trigger=0.05, release=0.04, exposure_factor=0.75, stop_factor=0.5),
    Level(
        trigger=0.10,
        release=0.08,
        exposure_factor=0.5,
        stop_factor=0.5,
        state=REDUCING,
        lift_after_days=30,
        severity=Severity.CRITICAL,
    ),
    Level(
        trigger=0.15,
        release=0.12,
        exposure_factor=0.25,
        stop_factor=0.5,
        state=HALTED,
        manual=True,
        severity=Severity.CRITICAL,
    ),
    Level(trigger=0.20, release=0.17, exposure_factor=0.0, state=HALTED, manual=True, severity=Severity.CRITICAL),
)
VOLATILITY: Final = (
    Level(trigger=2.0, release=1.6, exposure_factor=0.7, min_confidence=0.6),
    Level(
        trigger=3.0,
        release=2.4,
        exposure_factor=0.4,
        close_most_volatile=True,
        min_confidence=0.6,
        stop_factor=0.5,
        state=REDUCING,
        severity=Severity.CRITICAL,
    ),
)
# Both release under what their own cut makes of the VaR, else each cut would end its episode. The second closes 30 % of what the
# first has left.
VAR: Final = (
    Level(trigger=0.003, release=0.002, exposure_factor=0.75),
    Level(trigger=0.005, release=0.0025, exposure_factor=0.525, state=HALTED, manual=True, severity=Severity.CRITICAL),
)
CORRELATION: Final = (
    Level(trigger=0.9, release=0.8, exposure_factor=0.0, state=REDUCING, hold_days=1, severity=Severity.CRITICAL),
)
DAILY_LOSS: Final = (Level(trigger=0.02, release=0.015, state=REDUCING),)
CONNECTION: Final = (
    Level(trigger=60.0, release=1.0, state=REDUCING),
    Level(trigger=300.0, release=1.0, state=HALTED, severity=Severity.CRITICAL),
)


class Ladders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ladder for each metric, each with its levels in rising order; all together combine to the most restrictive. The order
    of the fields is the order of evaluation.
    """

    drawdown: Annotated[
        tuple[Level, ...], msgspec.Meta(description="RSK-04: loss from the peak of the equity, fraction of the peak")
    ] = DRAWDOWN
    volatility: Annotated[
        tuple[Level, ...], msgspec.Meta(description="RSK-05: current over normal volatility of the book, a ratio")
    ] = VOLATILITY
    var: Annotated[tuple[Level, ...], msgspec.Meta(description="RSK-06: one-day VaR at 95 %, fraction of equity")] = VAR
    correlation: Annotated[
        tuple[Level, ...],
        msgspec.Meta(
            description="RSK-07: mean absolute correlation of the market, or of what is held where that is higher"
        ),
    ] = CORRELATION
    daily_loss: Annotated[
        tuple[Level, ...],
        msgspec.Meta(
            description="RSK-07: largest loss of the UTC day, from the last equity of the day before; zero again with the next day"
        ),
    ] = DAILY_LOSS
    connection: Annotated[
        tuple[Level, ...], msgspec.Meta(description="RSK-07: seconds of data time that the venue has been unusable")
    ] = CONNECTION
    stress: Annotated[
        tuple[Level, ...], msgspec.Meta(description="RSK-10: loss in the worst stress scenario, fraction of equity")
    ] = ()

    def __post_init__(self) -> None:
        for name in METRICS:
            triggers = [level.trigger for level in getattr(self, name)]
            if triggers != sorted(set(triggers)):
                raise ValueError(f"Expected {name} triggers in rising order, got {triggers}")
            if name in FRACTIONS and triggers and triggers[-1] > 1:
                raise ValueError(f"Expected {name} triggers of at most 1 (fractions), got {triggers[-1]:g}")


METRICS: Final = Ladders.__struct_fields__
FRACTIONS: Final = frozenset({"drawdown", "correlation", "daily_loss"})
