"""What every dashboard has: a fixed uid, the data source as a variable, rows, halts as marks, links to its neighbors and to traces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model
from tools.dashboards.panels import SOURCE, Panel

OVERVIEW: Final = "ballast-overview"
TRADING: Final = "ballast-trading"
RISK: Final = "ballast-risk"
EXECUTION: Final = "ballast-execution"
MARKET_DATA: Final = "ballast-market-data-and-sessions"
SERVICES: Final = "ballast-services"
SERVERS: Final = "ballast-servers"

TRACES: Final = "traces"  # uid of the data source in deploy/grafana/provisioning
TAG: Final = "ballast"
HALTED: Final = 'max(ballast_trading_state{state="HALTED"}) == 1'
_SERVICE: Final = "${__field.labels.service}"


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice above the panels: one, several or all values of a label of a metric, which may have a selector."""

    name: str
    metric: str


def board(
    uid: str, title: str, description: str, rows: Sequence[Row], variables: Sequence[Variable] = ()
) -> model.Dashboard:
    """Panels are numbered in their order, so that a link to one of them survives as long as its place."""
    made = build.Dashboard(title).uid(uid).description(description).tags([TAG]).readonly()
    made.timezone("utc").time("now-1h", "now").refresh("10s").tooltip(model.DashboardCursorSync.CROSSHAIR)
    made.with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    for variable in variables:
        made.with_variable(_variable(variable))
    made.annotation(
        build.AnnotationQuery().name("Halts").datasource(SOURCE).enable(True).icon_color("red").expr(HALTED)
    )
    for link in _neighbors():
        made.link(link)
    number = 0
    for row in rows:
        number += 1
        made.with_row(build.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(panel.id(number))
    return made.build()


def to_board(uid: str, title: str) -> build.DashboardLink:
    """From a panel to another dashboard, at the same time."""
    return _link(title, f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}")


def to_service() -> build.DashboardLink:
    """From a line with the label `service` to that service."""
    return _link(
        "The service", f"/d/{SERVICES}?var-service={_SERVICE}&${{__url_time_range}}&${{datasource:queryparam}}"
    )


def to_instance() -> build.DashboardLink:
    """From a line with the labels `service` and `instance` to that one process."""
    return _link(
        "This instance",
        f"/d/{SERVICES}?var-service={_SERVICE}&var-instance=${{__field.labels.instance}}"
        "&${__url_time_range}&${datasource:queryparam}",
    )


def to_traces(service: str = _SERVICE) -> build.DashboardLink:
    """From a line to the traces in which that service has a part: a tick followed to its order."""
    return _link("Traces", _explore(service))


def _explore(service: str) -> str:
    """Grafana's own address for a search in Explore; variables stay as they are, the rest is quoted."""
    source = {"type": "jaeger", "uid": TRACES}
    query = {"refId": "A", "datasource": source, "queryType": "search", "service": "SERVICE"}
    pane = {"datasource": TRACES, "queries": [query], "range": {"from": "now-1h", "to": "now"}}
    text = quote(json.dumps({"a": pane}, separators=(",", ":")))
    return f"/explore?schemaVersion=1&orgId=1&panes={text.replace('SERVICE', service)}"


def _link(title: str, url: str) -> build.DashboardLink:
    return build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url)


def _neighbors() -> tuple[build.DashboardLink, ...]:
    home = build.DashboardLink("Overview").type(model.DashboardLinkType.LINK).icon("dashboard").url(f"/d/{OVERVIEW}")
    others = build.DashboardLink("Dashboards").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    traces = build.DashboardLink("Traces").type(model.DashboardLinkType.LINK).icon("bolt").url(_explore("market_data"))
    return home.keep_time(True), others.keep_time(True), traces


def _variable(variable: Variable) -> build.QueryVariable:
    query = f"label_values({variable.metric}, {variable.name})"
    made = build.QueryVariable(variable.name).label(variable.name.capitalize()).datasource(SOURCE).query(query)
    made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    return made.multi(True).include_all(True).all_value(".*").current(model.VariableOption(True, "All", "$__all"))
