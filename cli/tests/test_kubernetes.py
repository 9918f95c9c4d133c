"""deploy/k8s: what is rendered, and that the checks find what they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.manifests import cluster, needs_kubectl, rendered
from tools.kubernetes import rendering
from tools.kubernetes.checks import VERSIONS, complaints, invalid
from tools.kubernetes.model import SERVICES, Cluster, Object
from tools.kubernetes.rendering import ROOT, render

pytestmark = [pytest.mark.req("PLT-05"), needs_kubectl]


@pytest.fixture(scope="module")
def live() -> Cluster:
    return cluster("overlays/live")


@pytest.fixture(scope="module")
def paper() -> Cluster:
    return cluster("overlays/paper")


def test_base_every_overlay_and_every_component_on_the_base_render_and_agree_with_the_code() -> None:
    components = {f"base with/{path.name}" for path in (ROOT / "deploy/k8s/components").iterdir()}

    assert {one.name for one in rendered()} == {"base", "overlays/paper", "overlays/live", *components}
    assert list(complaints(rendered())) == []


def test_every_object_is_valid_on_three_versions_of_kubernetes() -> None:
    assert len(VERSIONS) == 3
    assert list(invalid(rendered())) == []


def test_what_does_not_render_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "root"
    shutil.copytree(ROOT / "deploy", copy / "deploy")
    monkeypatch.setattr(rendering, "ROOT", copy)
    (copy / "deploy/k8s/base/regime.yaml").unlink()

    with pytest.raises(SystemExit, match=r"regime\.yaml"):
        render(tmp_path / "stage")


# --- what is in them -----------------------------------------------------------------------------------------------


def secrets_of(cluster: Cluster, workload: str) -> set[str]:
    volumes = cluster.pods[workload].spec["volumes"]
    sources = [source for volume in volumes for source in volume.get("projected", {}).get("sources", [volume])]
    return {one["secret"].get("name") or one["secret"]["secretName"] for one in sources if "secret" in one}


@pytest.mark.req("PLT-04")
def test_every_secret_is_given_to_one_workload_which_reads_all_of_it(live: Cluster) -> None:
    made = [name for name, _ in live.of("Secret")]
    given = [name for workload in live.pods for name in secrets_of(live, workload)]

    assert sorted(given) == sorted(made)
    assert live.keys("Secret", next(iter(secrets_of(live, "signals")))) == {"nats_signals"}


def test_a_changed_secret_has_another_name_so_that_its_readers_start_again(live: Cluster, paper: Cluster) -> None:
    assert secrets_of(live, "gateway") == secrets_of(paper, "gateway")  # made once for both
    assert all(
        name.rpartition("-")[2].isalnum() and len(name.rpartition("-")[2]) == 10 for name, _ in live.of("Secret")
    )


def quality(one: Object) -> bool:
    return all(app["resources"]["requests"] == app["resources"]["limits"] for app in one["containers"])


def test_live_reserves_what_trading_needs_and_lets_no_drain_take_it(live: Cluster, paper: Cluster) -> None:
    trading = [name for name, one in live.pods.items() if one.spec.get("priorityClassName") == "ballast-trading"]
    watching = {"prometheus", "alertmanager", "grafana"}

    assert set(trading) == set(live.pods) - watching
    assert {name for name, one in live.pods.items() if not quality(one.spec)} == watching | {"provision"}
    assert not any(one.spec.get("priorityClassName") for one in paper.pods.values())
    unmovable = {name for name, one in live.of("PodDisruptionBudget") if one["spec"].get("maxUnavailable") == 0}
    assert unmovable == {"market-data", "regime", "signals", "portfolio", "recorder", "postgres"}
    assert live.pods["nats"].owner["spec"]["replicas"] == 3
    assert paper.pods["nats"].owner["spec"]["replicas"] == 1


def test_live_still_trades_on_paper_and_says_so(live: Cluster) -> None:
    assert "no adapter to a live venue" in (ROOT / "deploy/k8s/overlays/live/kustomization.yaml").read_text()
    assert "still trades on paper" in (ROOT / "docs/deploy/kubernetes.md").read_text()


# --- what other programs say ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_configuration_and_the_rules_are_where_it_looks(live: Cluster, tmp_path: Path) -> None:
    (found,) = (one for name, one in live.of("ConfigMap") if "prometheus.yml" in one["data"])
    path = tmp_path / "prometheus.yml"
    path.write_text(found["data"]["prometheus.yml"])
    mounts = {one["name"]: one["mountPath"] for one in live.pods["prometheus"].app["volumeMounts"]}

    assert yaml.safe_load(path.read_text())["rule_files"] == [f"{mounts['rules']}/*.yml"]
    command = ["promtool", "check", "config", "--syntax-only", path]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def relabeled(labels: dict[str, str], rules: list[Object]) -> dict[str, str]:
    """As Prometheus does with the action `replace`, the only one used here."""
    for rule in rules:
        found = re.fullmatch(rule["regex"], ";".join(labels.get(name, "") for name in rule["source_labels"]))
        if found:
            template = re.sub(r"\$\{?(\d)\}?", r"\\g<\1>", rule.get("replacement", "$1"))
            labels = {**labels, rule["target_label"]: found.expand(template)}
    return labels


@pytest.mark.req("MON-01")
def test_every_pod_is_scraped_under_the_name_its_service_has_in_the_code(live: Cluster) -> None:
    (job,) = (one for one in live.facts.prometheus["scrape_configs"] if one["job_name"] == "ballast")
    headless = [name for name, one in live.of("Service") if one["spec"].get("clusterIP") == "None"]
    found = [
        {"__meta_dns_name": name, "__address__": "10.0.0.1:8080"}
        for one in job["dns_sd_configs"]
        for name in one["names"]
    ]
    fixed = [{"__address__": target} for one in job["static_configs"] for target in one["targets"]]
    labels = [relabeled(one, job["relabel_configs"]) for one in (*found, *fixed)]

    assert sorted(one["service"] for one in labels) == sorted(SERVICES)
    assert [one["service"] for one in labels if one.get("hours") == "always"] == ["market_data"]
    assert {one["__meta_dns_name"] for one in found} <= set(headless)  # or only ready pods would be found
