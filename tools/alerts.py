"""Checks the rules of Prometheus against the code: `python tools/alerts.py`.

Every alert says how bad it is, what it means and which run-book helps, and that run-book exists; every metric that a rule reads is
exported with the labels it asks for; every alert has a case in which promtool saw it fire and one in which it was silent. Ends with 1 and
says what is wrong.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from common.runtime.metrics import METRICS

ROOT: Final = Path(__file__).resolve().parent.parent
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
SEVERITIES: Final = ("critical", "warning", "info")
TARGET_LABELS: Final = frozenset({"job", "instance", "service", "hours"})  # what a scrape adds
HISTOGRAM: Final = ("_bucket", "_count", "_sum")
LONGEST_SUMMARY: Final = 80
WATCHDOG: Final = "Watchdog"  # is never silent

_OURS: Final = re.compile(r"(?<![\w:])ballast_\w+(?![\w:])")
_RECORDED: Final = re.compile(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+\b")
_MATCHED: Final = re.compile(r"(?<![\w:])(ballast_\w+)\{([^}]*)\}")
_LABEL: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_TESTED: Final = re.compile(r'ALERTS\{([^}]*alertstate="firing"[^}]*)\}')
_MATCHER: Final = re.compile(r'(\w+)=~?"([^"]*)"')


class Alert(NamedTuple):
    """An alerting rule. `window` tells those of one name apart, empty for the others."""

    name: str
    window: str
    rule: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"{self.name} ({self.window})" if self.window else self.name


def rules(folder: Path) -> list[Mapping[str, Any]]:
    """Every rule of every group, in the order of the files."""
    return [
        rule
        for path in sorted((folder / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts(folder: Path) -> list[Alert]:
    return [
        Alert(rule["alert"], rule.get("labels", {}).get("window", ""), rule)
        for rule in rules(folder)
        if "alert" in rule
    ]


def exported() -> dict[str, frozenset[str]]:
    """Names as Prometheus sees them, with their labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in METRICS:
        labels = frozenset(metric.labels) | TARGET_LABELS
        names = [metric.name]
        if metric.kind == "histogram":
            names = [metric.name + suffix for suffix in HISTOGRAM]
            labels |= {"le"}
        if not metric.labels:  # what it really has: a histogram of values below zero has no sum and no count
            said = {sample.name for family in metric.collector.collect() for sample in family.samples}
            names = [name for name in names if name in said]
        found |= dict.fromkeys(names, labels)
    return found


def problems(folder: Path = PROMETHEUS, root: Path = ROOT) -> Iterator[str]:
    """A sentence for everything that is wrong."""
    every = rules(folder)
    recorded = {str(rule["record"]) for rule in every if "record" in rule}
    for rule in every:
        yield from _expression(rule, recorded)
    for alert in alerts(folder):
        yield from _texts(alert, root)
    yield from _untested(folder)


def _expression(rule: Mapping[str, Any], recorded: set[str]) -> Iterator[str]:
    name, expression, known = rule.get("alert") or rule.get("record"), str(rule["expr"]), exported()
    for metric in sorted(set(_OURS.findall(expression)) - set(known)):
        yield f"{name}: no service exports {metric}"
    for read in sorted(set(_RECORDED.findall(expression)) - recorded):
        yield f"{name}: no rule records {read}"
    for metric, matchers in _MATCHED.findall(expression):
        for label in _LABEL.findall(matchers):
            if label not in known.get(metric, {label}):
                yield f"{name}: {metric} has no label {label}"


def _texts(alert: Alert, root: Path) -> Iterator[str]:
    labels, notes = alert.rule.get("labels", {}), alert.rule.get("annotations", {})
    if labels.get("severity") not in SEVERITIES:
        yield f"{alert.title}: severity is none of {', '.join(SEVERITIES)}"
    for word in ("summary", "description"):
        if not str(notes.get(word, "")).endswith("."):
            yield f"{alert.title}: {word} is no sentence"
    if len(notes.get("summary", "")) > LONGEST_SUMMARY:
        yield f"{alert.title}: the summary is longer than {LONGEST_SUMMARY} characters"
    runbook = str(notes.get("runbook_url", ""))
    if not runbook.startswith("docs/runbooks/") or not (root / runbook).is_file():
        yield f"{alert.title}: there is no run-book {runbook!r}"


def _untested(folder: Path) -> Iterator[str]:
    fires, silent = cases(folder)
    for alert in alerts(folder):
        for kind, seen in (("fires", fires), ("is silent", silent)):
            if (alert.name, alert.window) not in seen:
                yield f"{alert.title}: no test in which it {kind}"


def cases(folder: Path) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(alerts with a test in which they fire, with one in which they do not), by name and window."""
    fires: set[tuple[str, str]] = set()
    silent: set[tuple[str, str]] = set()
    for path in sorted((folder / "tests").glob("*.yml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("promql_expr_test", ()):
                for matchers in _TESTED.findall(case["expr"]):
                    asked = dict(_MATCHER.findall(matchers))
                    names = {(asked["alertname"], window) for window in asked.get("window", "").split("|")}
                    (fires if case["exp_samples"] else silent).update(names)
    return fires, silent | {(WATCHDOG, "")}


def main() -> None:
    found = list(problems())
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{len(alerts(PROMETHEUS))} alerts, {len(found)} problems\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
