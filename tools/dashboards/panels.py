"""Three kinds of panels, and what all of them have: a unit, what to do when it looks bad, from where on it does, a legend."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import QueryEditorMode

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, ORANGE, RED, BLUE, GRAY = "green", "orange", "red", "blue", "gray"
HEIGHT: Final = 8
LOW: Final = 4  # of a number
LIMIT: Final = "limit"  # how the legend of a limit begins

Panel = timeseries.Panel | stat.Panel | statetimeline.Panel
AnyPanel = TypeVar("AnyPanel", timeseries.Panel, stat.Panel, statetimeline.Panel)
States = Mapping[int, tuple[str, str]]  # value: (text, color)
YES_NO: Final[States] = {0: ("no", RED), 1: ("yes", GREEN)}


@dataclass(frozen=True, slots=True)
class Bound:
    """From where on a panel looks bad. A bound without values says that no number is bad by itself."""

    warning: float | None = None
    critical: float | None = None
    low_is_bad: bool = False

    def steps(self) -> list[model.Threshold]:
        """Grafana's: a color from a value up, the first from minus infinity."""
        if self.low_is_bad:
            marks = ((None, RED), (self.critical, ORANGE), (self.warning, GREEN))
        else:
            marks = ((None, GREEN), (self.warning, ORANGE), (self.critical, RED))
        return [model.Threshold(value, color) for value, color in marks if value is not None or color is marks[0][1]]


UNBOUND: Final = Bound()


def above(warning: float, critical: float | None = None) -> Bound:
    return Bound(warning, critical)


def below(warning: float, critical: float) -> Bound:
    """Orange below `warning`, red below `critical`."""
    return Bound(warning, critical, low_is_bad=True)


def red_from(critical: float) -> Bound:
    return Bound(critical=critical)


@dataclass(frozen=True, slots=True)
class Series:
    """One query. `legend` names its lines, `{{label}}` is replaced."""

    expr: str
    legend: str


def limit(expr: str, what: str = "") -> Series:
    """What the others must not cross: drawn dashed and red."""
    return Series(expr, f"{LIMIT} {what}".strip())


def configured(name: str, what: str = "") -> Series:
    """A limit of the guardian as configured; no line where it is off."""
    return limit(f'max(ballast_limit_ratio{{limit="{name}"}})', what)


# --- queries ---------------------------------------------------------------------------------------------------------


def rate(metric: str, *by: str) -> str:
    """A second, summed over what is not named. `metric` may have a selector."""
    return f"sum by ({', '.join(by)}) (rate({metric}[$__rate_interval]))"


def per_minute(metric: str, *by: str) -> str:
    return f"60 * {rate(metric, *by)}"


def quantile(q: float, metric: str, *by: str, where: str = "") -> str:
    """Of a histogram, named without `_bucket`; NaN while nothing is observed."""
    return f"histogram_quantile({q:g}, {rate(f'{metric}_bucket{where}', *by, 'le')})"


def age(metric: str, *by: str) -> str:
    """Seconds since a time stamp."""
    return f"time() - max by ({', '.join(by)}) ({metric})"


# --- panels ------------------------------------------------------------------------------------------------------------


def chart(
    title: str,
    unit: str,
    what_to_do: str,
    *series: Series,
    bound: Bound = UNBOUND,
    links: Sequence[build.DashboardLink] = (),
    stacked: bool = False,
    width: int = 8,
) -> timeseries.Panel:
    """Lines over time."""
    panel = timeseries.Panel().legend(
        build_common.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
    panel.tooltip(
        build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )
    panel.line_width(1).fill_opacity(30 if stacked else 5).show_points(common.VisibilityMode.NEVER)
    if stacked:
        panel.stacking(build_common.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if bound is not UNBOUND:
        panel.thresholds_style(build_common.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED))
    if any(one.legend.startswith(LIMIT) for one in series):
        panel.override_by_regexp(f"/^{LIMIT}/", _as_limit())
    return _all_have(panel, title, unit, what_to_do, series, bound.steps(), links).span(width).height(HEIGHT)


def number(
    title: str,
    unit: str,
    what_to_do: str,
    series: Series,
    *,
    bound: Bound = UNBOUND,
    states: States | None = None,
    links: Sequence[build.DashboardLink] = (),
    width: int = 4,
) -> stat.Panel:
    """The newest value, its background in the color of its bound, or of its state."""
    panel = stat.Panel().color_mode(common.BigValueColorMode.BACKGROUND).graph_mode(common.BigValueGraphMode.AREA)
    panel.reduce_options(build_common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    if states:
        panel.mappings([_mapping(states)]).graph_mode(common.BigValueGraphMode.NONE)
    steps = _steps(states) if states else bound.steps()
    return _all_have(panel, title, unit, what_to_do, (series,), steps, links).span(width).height(LOW)


def timeline(
    title: str,
    what_to_do: str,
    *series: Series,
    states: States = YES_NO,
    links: Sequence[build.DashboardLink] = (),
    width: int = 8,
) -> statetimeline.Panel:
    """Which state held when, a bar for each line."""
    panel = statetimeline.Panel().mappings([_mapping(states)]).show_value(common.VisibilityMode.AUTO).merge_values(True)
    panel.row_height(0.8).fill_opacity(70)
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    return _all_have(panel, title, "none", what_to_do, series, _steps(states), links).span(width).height(HEIGHT)


def _all_have(
    panel: AnyPanel,
    title: str,
    unit: str,
    what_to_do: str,
    series: Sequence[Series],
    steps: list[model.Threshold],
    links: Sequence[build.DashboardLink],
) -> AnyPanel:
    panel.title(title).description(what_to_do).unit(unit).datasource(SOURCE)
    panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    for letter, one in zip(string.ascii_uppercase, series, strict=False):
        query = prometheus.Dataquery().expr(one.expr).legend_format(one.legend).ref_id(letter).range()
        panel.with_target(query.editor_mode(QueryEditorMode.CODE))
    if links:
        panel.data_links(list(links))
    return panel


def _as_limit() -> list[model.DynamicConfigValue]:
    return [
        model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": RED}),
        model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
        model.DynamicConfigValue("custom.fillOpacity", 0),
    ]


def _steps(states: States) -> list[model.Threshold]:
    """The colors of the states once more, where a panel shows no text."""
    first, *rest = sorted(states.items())
    return [model.Threshold(None, first[1][1]), *(model.Threshold(value, color) for value, (_, color) in rest)]


def _mapping(states: States) -> model.ValueMap:
    return model.ValueMap({str(value): model.ValueMappingResult(*state) for value, state in states.items()})
