"""What Ballast is made of: pinned, licensed, listed; and that whatever is not is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tools.supply_chain import licenses, lock, scanners
from tools.supply_chain.licenses import Use
from tools.supply_chain.lock import Package
from tools.supply_chain.sbom import sbom
from tools.supply_chain.scanners import Finding

DIGEST = f"sha256:{'0' * 64}"
SMALL = ("ballast-common", "ballast-workspace", "msgspec", "pytest", "structlog")


@pytest.fixture(scope="module")
def locked() -> list[Package]:
    return lock.read()


@pytest.fixture(scope="module")
def uses(locked: list[Package]) -> list[Use]:
    return licenses.uses(locked)


# --- the lock ----------------------------------------------------------------------------------------------------------
def test_everything_is_pinned_by_hash_and_every_installation_checks_it() -> None:
    assert list(lock.complaints()) == []


@pytest.mark.parametrize(
    ("package", "sentence"),
    [
        (Package("left", "1", "git", (), ()), "uv.lock: left comes from git, not from the index"),
        (Package("left", "1", "registry", (), ()), "uv.lock: left 1 has no file"),
        (Package("left", "1", "registry", (("left.whl", ""),), ()), "uv.lock: left.whl has no SHA-256"),
        (Package("left", "1", "registry", (("left.whl", "md5:0"),), ()), "uv.lock: left.whl has no SHA-256"),
    ],
)
def test_a_package_that_could_be_another_one_tomorrow_is_named(package: Package, sentence: str) -> None:
    assert list(lock.unpinned([package])) == [sentence]


def test_a_tool_without_version_or_hash_is_named() -> None:
    text = f"# why\nuv==1 \\\n    --hash={DIGEST}\nruff==2\nblack>=3 --hash={DIGEST}\n"
    assert list(lock.unpinned_tools("x.txt", text)) == [
        "x.txt: ruff==2 has no SHA-256",
        "x.txt: black>=3 has no version",
    ]


def test_an_installation_without_hashes_is_named() -> None:
    good = "pip install --require-hashes -r x.txt\nuv sync --locked\nuv pip install --no-deps /tmp/own/*.whl\n"
    assert list(lock.unchecked_installs("x", good)) == []
    assert list(lock.unchecked_installs("x", "RUN pip install \\\n  flask")) == [
        "x: 'RUN pip install flask' checks no hashes"
    ]


def test_an_image_holds_what_its_service_imports_and_nothing_of_developers() -> None:
    images = lock.in_images()
    assert images["numpy"] == set(lock.SERVICES)
    assert images["fastapi"] == {"gateway"}
    assert not {"pytest", "psycopg", "colorama", "ballast-common"} & set(images)


# --- licences ----------------------------------------------------------------------------------------------------------
def test_every_licence_is_known_and_allowed_where_its_package_is_used(uses: list[Use]) -> None:
    assert list(licenses.complaints(uses)) == []
    assert {use.where for use in uses} == {"image", "installed", "development"}


@pytest.mark.parametrize(
    ("spelled", "where", "may"),
    [
        ("MIT", "image", True),
        ("GPL-3.0 OR MIT", "image", True),
        ("MIT AND GPL-3.0", "image", False),
        ("LGPL-3.0-only", "image", False),
        ("LGPL-3.0-only", "installed", True),
        ("GPL-3.0", "installed", False),
        ("GPL-3.0", "development", True),
        ("AGPL-3.0-only", "development", False),
        ("(MIT OR GPL-3.0) AND Zlib", "image", False),  # not understood is not allowed
    ],
)
def test_a_licence_is_judged_by_where_its_package_goes(spelled: str, where: str, may: bool) -> None:
    assert licenses.allowed(spelled, where) is may


def test_a_package_of_unknown_or_forbidden_licence_is_named() -> None:
    found = [Use("odd", "1", None, "image", ()), Use("strict", "2", "AGPL-3.0-only", "development", ())]
    unknown, forbidden = licenses.complaints(found)
    assert unknown.startswith("odd 1: its licence is unknown")
    assert forbidden == "strict 2: AGPL-3.0-only is not among what may be used here (development)"
    assert licenses.license_of("there-is-no-such-package") is None


def test_the_page_of_licences_is_up_to_date(uses: list[Use]) -> None:
    assert (lock.ROOT / "docs/licenses.md").read_text() == licenses.page(uses)


# --- the bill of materials ---------------------------------------------------------------------------------------------
def test_the_bill_names_every_package_once_with_licence_use_and_files(locked: list[Package], uses: list[Use]) -> None:
    bom = json.loads(sbom(locked, uses))
    parts = {part["bom-ref"]: part for part in (*bom["components"], bom["metadata"]["component"])}
    assert set(parts) == {f"{package.name}=={package.version}" for package in locked}
    assert all(part["licenses"] for part in parts.values())
    assert {entry["ref"] for entry in bom["dependencies"]} == set(parts)
    assert {ref for entry in bom["dependencies"] for ref in entry["dependsOn"]} <= set(parts)
    (fastapi,) = (part for part in bom["components"] if part["name"] == "fastapi")
    assert {"name": "ballast:image", "value": "gateway"} in fastapi["properties"]
    assert all(len(file["hashes"][0]["content"]) == 64 for file in fastapi["externalReferences"])


def test_the_same_lock_gives_the_same_bytes(locked: list[Package], uses: list[Use]) -> None:
    assert sbom(locked, uses) == sbom(list(locked), list(reversed(uses)))


def test_the_bill_is_valid_cyclonedx(locked: list[Package], uses: list[Use]) -> None:
    """On a few packages: the validator takes minutes for all of them."""
    few = [package._replace(needs=(), files=package.files[:2]) for package in locked if package.name in SMALL]
    text = sbom(few, uses)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace("SHA-256", "SHA-0")) is not None


# --- scanners ----------------------------------------------------------------------------------------------------------
def test_a_finding_without_excuse_and_an_excuse_without_finding_are_named() -> None:
    new, old, known = Finding("a.py", "B602", ""), Finding("b.py", "B608", ""), Finding("c.py", "B105", "")
    sample = Finding("d.md", "Secret Keyword", "0a1b2c3d")
    sentences = scanners.judge(
        [new, known, sample, sample], {old: "once", known: "a name"}, {"0a1b2c3d": "", "ffff": ""}
    )
    place = "tools/supply_chain/scanners.py: "
    assert list(sentences) == [
        "a.py: B602",
        f"{place}b.py no longer needs its excuse for B608",
        f"{place}nothing is ffff any longer",
    ]


def test_planted_weaknesses_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weak.py").write_text("import subprocess\nsubprocess.run(input(), shell=True)\nassert True\n")
    assert scanners.bandit(["weak.py"], tmp_path) == {Finding("weak.py", "B602", "")}

    monkeypatch.setattr(scanners, "ROOT", tmp_path)
    (tmp_path / "keys.py").write_text(f'aws = "AKIA{"QWERTYUIOPASDFGH"}"\n')
    (found,) = scanners._secrets(["keys.py"])
    assert (found.file, found.rule) == ("keys.py", "AWS Access Key")
    assert len(found.what) == 8
