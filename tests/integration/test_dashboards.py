"""Every query of every dashboard, asked of a real Prometheus that scrapes the real system under load, with the real rules."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from support.system import System, ballast, until

from common.contracts import INPUTS, LEASED
from common.messages import OrderDenied, OrderFilled
from common.runtime.supervisor import Status

ROOT = Path(__file__).parents[2]
PROMETHEUS = shutil.which("prometheus")
RUN = ("--from", "2007-01-01", "--speed", "10")
INSTANCES = {name: 2 if name in LEASED else 1 for name in INPUTS if name != "operator"}
CHOICES = {"$__rate_interval": "20s", "$service": ".*", "$instance": ".*", "$strategy": ".*", "$instrument": ".*"}
LIMITS = """
[risk_guardian.limits]
max_var_95_1d = 0.5
max_es_95_1d = 0.5
max_heat = 0.9
max_drawdown = 0.9
max_stress_loss = 5.0
"""  # all that can be drawn is on, and wide enough to stop nothing

_FEATURE = "a feature that has failed once"
# What shows nothing here: dashboard, panel and line, and what would make it appear.
NEEDS_FAULT: dict[tuple[str, str, str], str] = {
    ("ballast-execution", "Refused by execution, a minute", "{{code}}"): "an approval that execution cannot obey",
    (
        "ballast-execution",
        "Since the last comparison",
        "age",
    ): "a venue outside: the paper venue keeps no book of its own",
    ("ballast-market-data-and-sessions", "Features of regime and signals", "{{service}} {{feature}}"): _FEATURE,
    ("ballast-trading", "Features", "{{service}} {{feature}}"): _FEATURE,
}


class Query(NamedTuple):
    board: str
    panel: str
    legend: str
    expr: str


class Prometheus:
    """A real one, with the rules of deploy/prometheus, asking every service once a second."""

    def __init__(self, folder: Path, home: Path, port: int) -> None:
        self._folder, self._home, self._port = folder, home, port
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20)

    @contextmanager
    def running(self) -> Iterator[None]:
        assert PROMETHEUS
        (self._folder / "prometheus.yml").write_text(json.dumps(self._config()))
        command = (
            PROMETHEUS,
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=error",
        )
        process = subprocess.Popen(command)
        try:
            until(self._answers, "Prometheus answers", 30)
            yield
        finally:
            process.terminate()
            process.wait(20)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return self._client.get(f"http://127.0.0.1:{self._port}/-/ready").is_success
        return False

    def _config(self) -> dict[str, Any]:
        """The one that is deployed, but faster, and with the ports of this machine."""
        config: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
        status = Status.load(self._home)
        assert status
        ports = {name: process.http_port for name, process in status.processes.items() if process.http_port}
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = self._rules()
        config["scrape_configs"] = [
            {
                "job_name": "ballast",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name.removesuffix("-2")}}
                    for name, port in ports.items()
                ],
            }
        ]
        del config["alerting"]
        return config

    def _rules(self) -> list[str]:
        """Those that are deployed, every group as often as this is asked."""
        files = []
        for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml")):
            rules = yaml.safe_load(path.read_text())
            rules["groups"] = [{**group, "interval": "1s"} for group in rules["groups"]]
            files.append(self._folder / path.name)
            files[-1].write_text(json.dumps(rules))
        return [str(file) for file in files]

    def up(self) -> dict[str, int]:
        """How many instances of each service answer."""
        found: dict[str, int] = {}
        for series in self._ask("/query", query="up == 1"):
            service = series["metric"]["service"]
            found[service] = found.get(service, 0) + 1
        return found

    def numbers(self, expr: str, since: float) -> list[float]:
        """In the answer to a query over time; what is NaN is no number. Raises AssertionError with its complaint."""
        series = self._ask("/query_range", query=expr, start=since, end=time.time(), step="2s")
        values = (float(value) for one in series for _, value in one["values"])
        return [value for value in values if not math.isnan(value)]

    def label_values(self, selector: str, label: str) -> set[str]:
        answer = self._client.get(f"/label/{label}/values", params={"match[]": selector}).json()
        return set(answer["data"])

    def _ask(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = self._client.post(path, data=parameters).json()
        assert answer["status"] == "success", answer["error"]
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


def chosen(text: str) -> str:
    """With every variable at `All`, as Grafana would ask."""
    for variable, value in CHOICES.items():
        text = text.replace(variable, value)
    assert "$" not in text, text
    return text


def boards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))]


def queries() -> Iterator[Query]:
    for board in boards():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Query(board["uid"], panel["title"], target["legendFormat"], chosen(target["expr"]))
        for mark in board["annotations"]["list"]:
            yield Query(board["uid"], "annotations", mark["name"], chosen(mark["expr"]))


@contextmanager
def visitors(home: Path) -> Iterator[None]:
    """Somebody looks at the console again and again; somebody else has the wrong password."""
    status = Status.load(home)
    assert status
    url = f"http://127.0.0.1:{status.processes['gateway'].http_port}/api/v1"
    password = (home / "secrets/gateway_password").read_text()
    over = threading.Event()

    def visit() -> None:
        with httpx.Client(base_url=url, auth=("admin", password), timeout=10) as client:
            while not over.wait(0.2):
                for path in ("/status", "/orders", "/nothing"):
                    with suppress(httpx.TransportError):
                        client.get(path)
                with suppress(httpx.TransportError):
                    client.get("/status", auth=("admin", "wrong"))

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.req("MON-01", "PLT-05")
@pytest.mark.timeout(400)
@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed: the dashboards' queries are not asked")
def test_every_panel_shows_something_while_the_system_trades_and_is_halted_and_goes_on(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "limits.toml").write_text(LIMITS)
    prometheus = Prometheus(tmp_path, home, _free_port())
    with System(home, *RUN, "--standby", "--config", str(tmp_path / "limits.toml")) as system, prometheus.running():
        since = time.time()
        until(lambda: prometheus.up() == INSTANCES, "every service is scraped", 60)
        _trade_halt_and_go_on(system)
        _variables_have_values(prometheus)
        _all_show_something(prometheus, since)


def _trade_halt_and_go_on(system: System) -> None:
    with visitors(system.home):
        until(lambda: len(system.said(OrderFilled)) > 5, "orders are filled", 90)
        assert ballast(system.home, "halt", "--reason", "drill")["confirmed"]
        ballast(system.home, "order", "EUR-USD", "buy", "1000", check=False)
        until(lambda: bool(system.said(OrderDenied)), "an order is denied", 30)
        time.sleep(3)
        assert ballast(system.home, "resume", "--reason", "drill is over")["confirmed"]
        time.sleep(15)


def _all_show_something(prometheus: Prometheus, since: float) -> None:
    asked = list(queries())
    failed, empty, flat = [], [], []
    for query in asked:
        try:
            numbers = prometheus.numbers(query.expr, since)
        except AssertionError as error:
            failed.append((query, str(error)))
            continue
        if not numbers:
            empty.append(query)
        elif not any(numbers):
            flat.append(query)
    _report(asked, empty, flat)
    assert failed == []
    assert [query for query in empty if query[:3] not in NEEDS_FAULT] == []
    assert set(NEEDS_FAULT) <= {query[:3] for query in asked}, "faults of panels that are gone"
    assert prometheus.numbers("ballast_no_such_metric", since) == []
    with pytest.raises(AssertionError, match="parse error"):
        prometheus.numbers("sum(", since)


def _report(asked: list[Query], empty: list[Query], flat: list[Query]) -> None:
    panels = {query[:2] for query in asked if query.panel != "annotations"}
    print(
        f"\n{len(panels)} panels, {len(asked)} queries; {len(asked) - len(empty)} show data, {len(flat)} of them only 0"
    )
    for query in flat:
        print(f"  only 0: {query.board}, {query.panel}, {query.legend}")
    for query in empty:
        print(f"  empty: {query.board}, {query.panel}, {query.legend}: needs {NEEDS_FAULT.get(query[:3], '?')}")


def _variables_have_values(prometheus: Prometheus) -> None:
    for board in boards():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = (
                    chosen(variable["query"]).removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
                )
                assert prometheus.label_values(metric, label), (board["uid"], variable["name"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
