"""Fitted models of regimes, as a file: made offline by `ballast regime fit`, only read by the service."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from common.errors import ConfigError
from common.model.time import Timeframe

BUILTIN: Final = "builtin"
ANY: Final = "*"  # an instrument that has no model of its own
TRENDS: Final = 3  # bull, bear, sideways
STATES: Final = 2 * TRENDS  # each of them calm and turbulent: bull calm, bull turbulent, bear calm, ...
WEIGHTS: Final = 6  # of a chance of change
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Six = Annotated[tuple[float, ...], Meta(min_length=STATES, max_length=STATES)]
SixPositive = Annotated[tuple[Positive, ...], Meta(min_length=STATES, max_length=STATES)]
SixProbabilities = Annotated[tuple[Probability, ...], Meta(min_length=STATES, max_length=STATES)]


class Hidden(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hidden Markov model of six states. In each, a return has the mean `drifts` and the mean square `variances`, the log of the
    true range the mean `spans` and the standard deviation `deviations`; both in units of the usual ones. Rows of
    `transition` are from.

    Within a state volatility clusters all the same: every state's variance is driven by the returns seen, as in the
    Markov-switching GARCH of Haas, Mittnik and Paolella (2004), by `alpha` and `beta`, and ranges are judged in its units.
    """

    start: SixProbabilities
    transition: Annotated[tuple[SixProbabilities, ...], Meta(min_length=STATES, max_length=STATES)]
    drifts: Six
    variances: SixPositive
    spans: Six
    deviations: SixPositive
    alpha: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0
    beta: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError where probabilities do not add up to 1, or variance would grow without end."""
        if self.alpha + self.beta >= 1.0:
            raise ValueError("Expected alpha + beta < 1")
        if any(abs(sum(row) - 1.0) > 1e-6 for row in (self.start, *self.transition)):
            raise ValueError("Expected probabilities that add up to 1")


class Garch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """GARCH(1,1) of returns in units of the usual one: h' = omega + alpha r^2 + beta h."""

    omega: Positive
    alpha: Annotated[float, Meta(ge=0.0, lt=1.0)]
    beta: Annotated[float, Meta(ge=0.0, lt=1.0)]

    def __post_init__(self) -> None:
        """Raises ValueError where variance would grow without end."""
        if self.alpha + self.beta >= 1.0:
            raise ValueError("Expected alpha + beta < 1")


class Chance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logistic regression of "trend or volatility changes within so many hours" on: one, the logit of leaving the state by the
    transition matrix, the logit of turbulence, the log of forecast over usual volatility, of volatility now over lately, of
    volume now over lately (0 where there is none).
    """

    weights: Annotated[tuple[float, ...], Meta(min_length=WEIGHTS, max_length=WEIGHTS)]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one instrument, or of any (`*`), on one timeframe.

    Usual are the mean absolute return and the geometric mean of true ranges over about `scale_bars`, times a factor of the hour of
    the day that every series learns by itself. `explained` of what the filter expects of a bar's range, turbulence and clusters,
    is kept out of both: a year of turbulence does not become the usual. The evidence of a return is weighed by the range of its
    own bar (`blend`) and of those lately (1 - `blend`), and by `move_evidence`; that of the range by `span_evidence`.
    """

    instrument_id: str
    timeframe: Timeframe
    hidden: Hidden
    garch: Garch
    scale_bars: Annotated[int, Meta(ge=10, le=1_000_000)] = 10_000
    span_evidence: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0
    move_evidence: Annotated[float, Meta(ge=0.0, le=100.0)] = 2.0
    blend: Probability = 0.5
    explained: Probability = 0.0
    warmup: Annotated[int, Meta(ge=2, le=100_000)] = 60
    change_24h: Chance | None = None  # without: what the transition matrix says
    change_48h: Chance | None = None


class Models(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a models file (JSON). `fitted_on` says in words on what."""

    fitted_on: str = ""
    models: tuple[Model, ...] = ()

    def find(self, instrument_id: str, timeframe: Timeframe) -> int:
        """The place of the model of this series, its own before that of any; -1 where there is none."""
        for wanted in (instrument_id, ANY):
            for place, model in enumerate(self.models):
                if model.timeframe is timeframe and model.instrument_id == wanted:
                    return place
        return -1


def load_models(given: str) -> Models:
    """`given` is a file's name, or its content; `builtin` is what ships, empty is no model. Raises ConfigError."""
    if not given:
        return Models()
    try:
        return msgspec.json.decode(_content(given), type=Models)
    except msgspec.MsgspecError as error:
        name = "the content given" if given.startswith("{") else repr(given)
        raise ConfigError(f"regime.models = {name}: {error}; expected a file of `ballast regime fit`") from None


def _content(given: str) -> bytes:
    """The JSON that `given` stands for. Raises ConfigError where its file cannot be read."""
    if given.startswith("{"):
        return given.encode()
    if given == BUILTIN:
        return files("regime").joinpath("builtin_models.json").read_bytes()
    try:
        return Path(given).read_bytes()
    except OSError as error:
        raise ConfigError(f"regime.models = {given!r}: cannot be read: {error.strerror}") from None
