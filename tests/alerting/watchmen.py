"""Prometheus and Alertmanager as processes, with the shipped files: only addresses differ, and how long nobody may answer."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml
from tests.alerting.webhook import Webhook

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
MISSING: Final = (
    "needs prometheus and prometheus-alertmanager (Debian: apt-get install prometheus prometheus-alertmanager)"
)
ESCALATE_AFTER_S: Final = 300
SILENCED_S: Final = 600
# As deployed: what fired while Alertmanager was away, or before it was found, is told again after so long.
RESEND: Final = "--rules.alert.resend-delay=15s"
_READY_WITHIN_S: Final = 30.0


def alertmanager() -> str | None:
    """Debian calls it by another name."""
    return shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")


def installed() -> bool:
    return bool(shutil.which("prometheus") and alertmanager())


def configuration(secrets: Mapping[str, str], escalate_after_s: int = ESCALATE_AFTER_S) -> str:
    """alertmanager.yml as `deploy/alertmanager/start` makes it of these secrets."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in secrets.items():
            (Path(folder) / name).write_text(text)
        start = DEPLOY / "alertmanager" / "start"
        env = {**os.environ, "ALERT_SECRETS": folder}
        done = subprocess.run(["/bin/sh", start, "--print"], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{done.returncode}: {done.stderr}")
    return done.stdout.replace("group_wait: 5m", f"group_wait: {escalate_after_s}s")


class Watchmen:
    """Scrapes `targets` ("host:port" by service and instance) and tells `webhook`, from start to exit."""

    def __init__(self, targets: Mapping[str, str], webhook: Webhook, escalate_after_s: int = ESCALATE_AFTER_S) -> None:
        self._targets = targets
        self._webhook = webhook
        self._escalate_after_s = escalate_after_s
        self._stack = ExitStack()
        self._folder = Path()
        self.prometheus = f"http://127.0.0.1:{_free_port()}"
        self.alertmanager = f"http://127.0.0.1:{_free_port()}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ballast-alerts-")))
            self._start(stack, *self._alertmanager())
            self._start(stack, *self._prometheus())
            _until_ready(self.alertmanager, self.prometheus)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query's result."""
        path = urllib.request.quote(expression)  # type: ignore[attr-defined]
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?query={path}", timeout=10) as answer:
            body: dict[str, Any] = json.load(answer)
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    def firing(self) -> set[str]:
        return {each["metric"]["alertname"] for each in self.query('ALERTS{alertstate="firing"}')}

    def silence(self, **labels: str) -> None:
        """What a person does who takes care of it."""
        now = time.time()
        begin, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + shift)) for shift in (-1, SILENCED_S))
        matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
        silence = {"matchers": matchers, "startsAt": begin, "endsAt": end, "createdBy": "drill", "comment": "seen"}
        url, kind = f"{self.alertmanager}/api/v2/silences", {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(silence).encode(), kind), timeout=10).close()

    def _start(self, stack: ExitStack, name: str, argv: list[str]) -> None:
        log = stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(argv, stdout=log, stderr=log)
        stack.callback(_end, process)

    def _alertmanager(self) -> tuple[str, list[str]]:
        config = self._folder / "alertmanager.yml"
        urls = {"alert_webhook_url": self._webhook.url, "alert_watchdog_url": self._webhook.url}
        config.write_text(configuration(urls, self._escalate_after_s))
        return "alertmanager", [
            str(alertmanager()),
            f"--config.file={config}",
            f"--storage.path={self._folder / 'alertmanager'}",
            f"--web.listen-address={self.alertmanager.removeprefix('http://')}",
            "--cluster.listen-address=",
        ]

    def _prometheus(self) -> tuple[str, list[str]]:
        config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["alerting"]["alertmanagers"] = _at(self.alertmanager)
        config["scrape_configs"] = [
            {"job_name": "ballast", "static_configs": [_target(name, at) for name, at in self._targets.items()]},
            {"job_name": "prometheus", "static_configs": _at(self.prometheus)[0]["static_configs"]},
            {"job_name": "alertmanager", "static_configs": _at(self.alertmanager)[0]["static_configs"]},
        ]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (self._folder / "rules").mkdir()
        for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
            text = path.read_text()
            text = text.replace(f'"CRITICAL"}}) > {ESCALATE_AFTER_S}', f'"CRITICAL"}}) > {self._escalate_after_s}')
            (self._folder / "rules" / path.name).write_text(text)
        return "prometheus", [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            f"--web.listen-address={self.prometheus.removeprefix('http://')}",
            RESEND,
        ]


def _target(name: str, address: str) -> dict[str, Any]:
    return {"targets": [address], "labels": {"service": name.partition("-")[0]}}


def _at(url: str) -> list[dict[str, Any]]:
    return [{"static_configs": [{"targets": [url.removeprefix("http://")]}]}]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _until_ready(*urls: str) -> None:
    end = time.monotonic() + _READY_WITHIN_S
    for url in urls:
        while True:
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > end:
                    raise AssertionError(f"{url} is not ready within {_READY_WITHIN_S:g} s") from None
                time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
