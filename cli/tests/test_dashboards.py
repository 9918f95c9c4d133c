"""deploy/grafana: what the code makes, complete, and about nothing that does not exist. That it shows data: tests/integration."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ballast_cli.main import app
from common.runtime.metrics import METRICS

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy/grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FILES}
RULES = [
    rule
    for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
# Of prometheus_client and of Prometheus itself.
FOREIGN = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "up",
    "ALERTS",
}
OF_ALL = {"job", "instance", "service", "le", "slo", "alertstate", "alertname"}  # labels that no metric has to declare
NOT_SHOWN = {
    "ballast_gross_exposure": "its share of equity says more",
    "ballast_lease_taken_total": "the timeline of leaders shows it",
    "ballast_tape_last_seq": "how far behind it is says more",
    "ballast_websocket_clients": "no number of them is bad",
}
KINDS = {metric.name: metric for metric in METRICS}
pytestmark = pytest.mark.req("MON-01", "PLT-05")


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


ALL_PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}") for name, board in BOARDS.items() for panel in panels(board)
]


def queries() -> Iterator[str]:
    for board in BOARDS.values():
        yield from (target["expr"] for panel in panels(board) for target in panel["targets"])
        yield from (mark["expr"] for mark in board["annotations"]["list"])
        yield from (variable["query"] for variable in board["templating"]["list"] if variable["type"] == "query")


def links(board: dict[str, Any]) -> Iterator[str]:
    yield from (link["url"] for link in board["links"] if link["type"] == "link")
    yield from (link["url"] for panel in panels(board) for link in panel["fieldConfig"]["defaults"].get("links", ()))


def names(expr: str) -> set[str]:
    """Metrics and recorded series of a query: words that are neither functions nor labels nor values."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|on|without|group_left)\s*\([^)]*\)', " ", expr)
    bare = re.sub(r"label_values\(([^,]*),[^)]*\)", r"\1", bare)
    words = re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare)
    return set(words) - {"or", "and", "unless", "by", "bool", "on"}


def base(name: str) -> str:
    """A histogram's name without the suffix of its series."""
    short = re.sub(r"_(bucket|sum|count)$", "", name)
    return short if short in KINDS and KINDS[short].kind == "histogram" else name


def test_the_files_are_what_the_code_makes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.dashboards", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_file_changed_by_hand_and_a_file_of_nobody_are_found_and_put_right(tmp_path: Path) -> None:
    def tool(*arguments: str) -> tuple[int, str]:
        code = f"import tools.dashboards.__main__ as it; from pathlib import Path; it.FOLDER = Path({str(tmp_path)!r})"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; raise SystemExit(it.main())", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    assert tool()[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FILES}
    (tmp_path / "risk.json").write_text("{}")
    (tmp_path / "mine.json").write_text("{}")
    code, said = tool("--check")
    assert code == 1
    assert [line.split()[0] for line in said.splitlines()] == [
        f"deploy/grafana/dashboards/{x}.json" for x in ("mine", "risk")
    ]
    assert tool()[0] == 0
    assert tool("--check") == (0, "")
    assert not (tmp_path / "mine.json").exists()


def test_the_dashboards_are_those_of_the_specification_each_with_its_uid() -> None:
    uids = {name: board["uid"] for name, board in BOARDS.items()}
    assert uids == {name: f"ballast-{name}" for name in BOARDS}
    wanted = {"overview", "trading", "risk", "execution", "market-data-and-sessions", "services", "servers"}
    assert set(BOARDS) == wanted
    assert all(len(uid) <= 40 for uid in uids.values())  # Grafana's bound


@pytest.mark.parametrize("panel", ALL_PANELS)
def test_a_panel_has_a_unit_thresholds_legends_and_says_what_to_do(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    steps = defaults["thresholds"]["steps"]

    assert panel["title"]
    assert defaults["unit"]
    assert len(panel["description"]) > 60
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert all(target["legendFormat"] for target in panel["targets"])
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert steps[0]["value"] is None
    bounds = [step["value"] for step in steps[1:]]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_page_has_rows_few_panels_that_do_not_overlap_and_no_title_twice(board: dict[str, Any]) -> None:
    shown, titles = list(panels(board)), [panel["title"] for panel in panels(board)]
    taken = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert board["panels"][0]["type"] == "row"
    assert len(shown) <= 16
    assert len(titles) == len(set(titles))
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23
    assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))


def test_everything_asked_for_exists() -> None:
    asked = {name for query in queries() for name in names(query)}
    recorded = {name for name in asked if ":" in name}

    assert len(asked) > 60
    assert recorded <= RECORDED
    assert {base(name) for name in asked - recorded} <= set(KINDS) | FOREIGN


def test_labels_are_those_that_the_metrics_have() -> None:
    for query in queries():
        used = {label for group in re.findall(r"\bby \(([^)]*)\)", query) for label in re.findall(r"\w+", group)}
        used |= {
            label for group in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)\s*(?:=|!)", group)
        }
        own = {label for name in names(query) if base(name) in KINDS for label in KINDS[base(name)].labels}
        if not any(":" in name for name in names(query)):
            assert used <= own | OF_ALL, query


def test_rates_are_taken_of_what_only_rises() -> None:
    for query in queries():
        for name in re.findall(r"rate\((\w+)", query):
            assert base(name) in FOREIGN or KINDS[base(name)].kind in {"counter", "histogram"}, query


def test_every_metric_is_looked_at_by_a_dashboard_or_an_alert() -> None:
    asked = {base(name) for query in (*queries(), *(rule["expr"] for rule in RULES)) for name in names(query)}
    assert {metric.name for metric in METRICS} - asked == set(NOT_SHOWN)


def test_links_lead_to_dashboards_that_exist_and_from_the_overview_to_service_instance_and_trace() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    for board in BOARDS.values():
        for url in links(board):
            assert url.startswith("/explore?") or re.match(r"/d/([\w-]+)", url)[1] in uids, url  # type: ignore[index]
    to_service = "/d/ballast-services?var-service=${__field.labels.service}"
    assert any(url.startswith(to_service) for url in links(BOARDS["overview"]))
    assert any("&var-instance=${__field.labels.instance}" in url for url in links(BOARDS["services"]))
    for board in BOARDS.values():
        assert "/d/ballast-overview" in links(board)
        assert any(url.startswith("/explore?") and "traces" in url for url in links(board))


def test_a_link_by_a_label_is_only_on_panels_whose_lines_have_it() -> None:
    for board in BOARDS.values():
        for panel in panels(board):
            wanted = {label for url in panel_links(panel) for label in re.findall(r"__field\.labels\.(\w+)", url)}
            main = panel["targets"][0]["expr"]
            for label in wanted:
                grouped = re.findall(r"by \(([^)]*)\)", main)
                kept = all(label in group for group in grouped) if grouped else True
                assert kept, (board["uid"], panel["title"], label)


def panel_links(panel: dict[str, Any]) -> list[str]:
    return [link["url"] for link in panel["fieldConfig"]["defaults"].get("links", ())]


def test_every_variable_is_used_and_every_used_one_is_there() -> None:
    for board in BOARDS.values():
        variables = {variable["name"] for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?([a-z]+)\}?", json.dumps([board["panels"], board["templating"]])))
        used -= {"__field", "__url", "__rate"}
        assert used >= variables, board["uid"]
        assert "datasource" in variables
    assert {"service", "instance"} <= {variable["name"] for variable in BOARDS["services"]["templating"]["list"]}


def test_run_books_and_commands_that_panels_name_exist() -> None:
    commands = typer.main.get_command(app)
    said = " ".join(panel["description"] for board in BOARDS.values() for panel in panels(board))
    books, verbs = set(re.findall(r"docs/[\w/.-]+\.md", said)), set(re.findall(r"`ballast ([\w-]+)", said))

    assert len(books) > 8
    assert all((ROOT / book).is_file() for book in books)
    assert len(verbs) > 5
    assert verbs <= set(commands.commands)  # type: ignore[attr-defined]


def test_a_limit_is_drawn_as_one_and_belongs_to_a_panel_with_something_below_it() -> None:
    limits = 0
    for board in BOARDS.values():
        for panel in panels(board):
            legends = [target["legendFormat"] for target in panel["targets"]]
            if any(legend.startswith("limit") for legend in legends):
                limits += 1
                assert not legends[0].startswith("limit")
                assert panel["fieldConfig"]["overrides"][0]["matcher"] == {"id": "byRegexp", "options": "/^limit/"}
    assert limits > 10


def test_grafana_finds_its_data_sources_and_dashboards_where_they_are_mounted() -> None:
    provisioning = GRAFANA / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources/datasources.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/dashboards.yml").read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounted = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"] if volume.startswith("./"))

    assert {source["uid"]: source["type"] for source in sources} == {"prometheus": "prometheus", "traces": "jaeger"}
    assert all(re.match(r"http://(\w+):", source["url"])[1] in compose for source in sources)  # type: ignore[index]
    assert mounted["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert sources[0]["jsonData"]["timeInterval"] == scraped


def test_the_memory_limit_drawn_is_that_of_the_containers() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    (memory,) = (panel for panel in panels(BOARDS["services"]) if panel["title"] == "Memory")
    mebibytes = re.search(r"vector\((\d+) \* 1024 \* 1024\)", memory["targets"][1]["expr"])

    assert mebibytes
    assert {compose[name]["mem_limit"] for name in ("risk_guardian", "execution", "gateway")} == {f"{mebibytes[1]}m"}
