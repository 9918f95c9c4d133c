"""The rules as files: well formed, in agreement with the code, each alert seen to fire and to be silent; who is told of what."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.alerting.watchmen import DEPLOY, configuration
from tools import alerts

from common.contracts import DECIDING, INPUTS, LEASED

PROMETHEUS = DEPLOY / "prometheus"
PROMTOOL = pytest.mark.skipif(
    not shutil.which("promtool"), reason="needs promtool (Debian: apt-get install prometheus)"
)
AMTOOL = pytest.mark.skipif(
    not shutil.which("amtool"), reason="needs amtool (Debian: apt-get install prometheus-alertmanager)"
)
URLS = {"alert_webhook_url": "https://example.org/a?b=1&c=2|3", "alert_escalation_url": "https://example.org/boss"}


def run(*argv: str | Path) -> str:
    done = subprocess.run([*argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.req("MON-01")
@PROMTOOL
def test_prometheus_accepts_the_configuration_and_every_rule() -> None:
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    run("promtool", "check", "rules", *sorted((PROMETHEUS / "rules").glob("*.yml")))


@pytest.mark.req("MON-01", "MON-03", "RSK-12")
@PROMTOOL
@pytest.mark.parametrize("path", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_are_silent_when_they_should(path: Path) -> None:
    run("promtool", "test", "rules", path)


@pytest.mark.req("MON-01", "MON-05", "RSK-12")
def test_every_alert_is_complete_its_metrics_exist_and_promtool_saw_it_fire_and_be_silent() -> None:
    assert list(alerts.problems()) == []


PLANTED = {
    "no service exports ballast_lies_total": ("expr", "ballast_lies_total > 0"),
    "no rule records system:ballast_lies:rate5m": ("expr", "system:ballast_lies:rate5m > 0"),
    "ballast_ready has no label flavor": ("expr", 'ballast_ready{flavor="x"} > 0'),
    "severity is none of": ("labels", {"severity": "urgent"}),
    "description is no sentence": ("annotations", {"summary": "It is bad.", "runbook_url": "docs/runbooks/halted.md"}),
    "there is no run-book": ("annotations", {"summary": "Bad.", "description": "Bad.", "runbook_url": "docs/x.md"}),
    "no test in which it fires": ("alert", "SomethingElse"),
    "no test in which it is silent": ("alert", "SomethingElse"),
}


@pytest.mark.parametrize("problem", PLANTED)
def test_a_rule_that_is_wrong_is_found(problem: str, tmp_path: Path) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    path = tmp_path / "prometheus" / "rules" / "services.yml"
    content = yaml.safe_load(path.read_text())
    key, value = PLANTED[problem]
    rule = next(rule for group in content["groups"] for rule in group["rules"] if rule["alert"] == "RedisDown")
    rule[key] = value
    path.write_text(yaml.safe_dump(content))
    assert any(problem in found for found in alerts.problems(tmp_path / "prometheus"))


def test_the_services_named_in_rules_are_those_of_the_contracts() -> None:
    services = set(INPUTS) - {"operator"}
    expressions = {rule.get("alert") or rule["record"]: rule["expr"] for rule in alerts.rules(PROMETHEUS)}
    down = expressions["ServiceDown"]
    assert all(f'service="{name}"' in down for name in services)
    assert down.count("absent(") == len(services)
    assert f'service=~"{"|".join(DECIDING)}"' in expressions["system:ballast_serving:bool"]
    assert f"== bool {len(DECIDING)}" in expressions["system:ballast_serving:bool"]
    assert f'service=~"{"|".join(LEASED)}"' in expressions["NoLeader"]


def test_every_service_and_standby_is_scraped_under_the_name_of_its_service() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    (job,) = (each for each in config["scrape_configs"] if each["job_name"] == "ballast")
    targets = {target for group in job["static_configs"] for target in group["targets"]}
    names = {*(set(INPUTS) - {"operator"}), *(f"{name}_standby" for name in LEASED)}
    assert targets == {f"{name}:8080" for name in names}
    assert job["relabel_configs"][0]["regex"] == "([a-z_]+?)(_standby)?:.*"


@pytest.mark.req("RSK-12")
@AMTOOL
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=Watchdog severity=info", "watchdog"),
        ("alertname=ServiceDown severity=critical service=regime", "escalation,on_call"),
        ("alertname=TradingHalted severity=critical in_band=true", "on_call"),
        ("alertname=CriticalAlertUnacknowledged severity=critical", "escalation,on_call"),
        ("alertname=TapeLag severity=warning", "on_call"),
        ("alertname=HighSlippage severity=info", "on_call"),
    ],
)
def test_who_is_told_depends_on_how_bad_it_is(labels: str, receivers: str, tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(configuration(URLS))
    told = run("amtool", "config", "routes", "test", f"--config.file={path}", *labels.split())
    assert told.strip() == receivers


@AMTOOL
@pytest.mark.parametrize(
    "secrets", [URLS, {"alert_webhook_url": "http://127.0.0.1:1/x\n"}, {"alert_webhook_url": ""}, {}]
)
def test_alertmanager_accepts_the_configuration_whatever_secrets_there_are(
    secrets: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(configuration(secrets))
    run("amtool", "check-config", path)


def test_urls_come_from_the_secrets_letter_by_letter_and_the_second_line_is_the_first_where_it_is_missing() -> None:
    assert webhooks(URLS) == {"on_call": URLS["alert_webhook_url"], "escalation": URLS["alert_escalation_url"]}
    first = URLS["alert_webhook_url"]
    assert webhooks({"alert_webhook_url": first}) == {"on_call": first, "escalation": first}
    assert webhooks({}) == {}


@pytest.mark.parametrize("url", ['http://x/"', "ftp://example.org", "http://x/ y"])
def test_a_url_that_is_none_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(AssertionError, match="78: WEBHOOK_URL: the URL must"):
        configuration({"alert_webhook_url": url})


def test_every_alert_that_an_inhibition_names_exists() -> None:
    names = {alert.name for alert in alerts.alerts(PROMETHEUS)}
    for rule in yaml.safe_load(configuration({}))["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, _, value = matcher.replace("=~", "=").partition("=")
            if label == "alertname":
                assert set(value.strip('"').split("|")) <= names


def webhooks(secrets: dict[str, str]) -> dict[str, str]:
    receivers = yaml.safe_load(configuration(secrets))["receivers"]
    return {each["name"]: each["webhook_configs"][0]["url"] for each in receivers if "webhook_configs" in each}
