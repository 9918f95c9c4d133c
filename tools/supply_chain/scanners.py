"""bandit and detect-secrets on everything that could be committed, at zero: what they find and is right is listed with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from tools.supply_chain.lock import ROOT

BANDIT: Final = Path(sys.executable).parent / "bandit"
OUR_CODE: Final = ("libs", "services", "cli", "deploy", "tools")
# Rules that do not fit, whatever they find.
SWITCHED_OFF: Final[Mapping[str, str]] = {
    "B101": "assertions state what the code around them guarantees; what comes from outside is checked by raising",
    "B404": "importing subprocess runs nothing; every call of it is looked at by B602, B605 and B607",
    "B603": "a call without a shell is what should be; none of them is given a stranger's word as the program",
}
# Not read for secrets: digests by the thousand, pictures, prices, and what is written from files that are read.
UNREAD: Final = (
    "uv.lock",
    "tools/checkov.txt",
    "libs/common/contracts/",
    "libs/common/src/common/version.py",
    "deploy/grafana/dashboards/",
)
UNREAD_ENDINGS: Final = (".gz", ".png")
_CHUNK: Final = 40


class Finding(NamedTuple):
    """What a scanner has found: in which file, by which rule, and the words or (of a secret) the start of its digest."""

    file: str
    rule: str
    what: str


# Looked at, and right. What is no longer found must go from here.
EXCUSED: Final[Mapping[Finding, str]] = {
    Finding(
        "cli/src/ballast_cli/readiness/keeping.py", "B608", ""
    ): "names of tables from the manifest, which was checked",
    Finding("cli/src/ballast_cli/updates_live.py", "B608", ""): "only constants of the module are put together",
    Finding("deploy/image/start.py", "B606", ""): "exec of this very interpreter",
    Finding("deploy/make_secrets.py", "B104", ""): "what Redis listens on inside its container",
    Finding("deploy/make_secrets.py", "B108", ""): "where the volume of the NATS container is",
    Finding("libs/common/src/common/runtime/backup/restore.py", "B608", ""): "names of tables from our own list",
    Finding("libs/common/src/common/runtime/backup/tables.py", "B608", ""): "names of tables from our own list",
    Finding("services/execution/src/execution/adapters/wire.py", "B105", ""): "the name of a header",
    Finding("services/recorder/src/recorder/store.py", "B608", ""): "names of tables and columns from our own list",
    Finding("tools/kubernetes/agreement.py", "B104", ""): "what a manifest is compared with",
}

# What looks like a secret and is none, by the start of its SHA-1, wherever it stands.
NO_SECRETS: Final[Mapping[str, str]] = {
    "5baa61e4": "the word password, where the form of an address is shown",
    "cc74012a": "the name of the folder deploy/secrets",
    "fec402a1": "the name of a Secret: postgres",
    "812c4e60": "the name of a Secret: redis",
    "673b2ced": "the name of a Secret: alertmanager",
    "697ad139": "the name of a Secret: grafana",
    "7da3616a": "a sample of a fingerprint of contracts",
    "e5e9fa1b": "a password that a test wants not to be logged",
    "90607200": "a password that a test wants not to be logged",
    "728a004b": "the seed that NATS shows in its documentation, with the public key a test expects of it",
    "3eff0fb7": "a password that a test plants",
    "a4b48a81": "a wrong password, which a test is refused with",
    "ccc04b38": "the name of a file of prices",
    "9664fa22": "the name of a file of prices",
    "e18bae93": "the name of a file of prices",
    "eb3ca303": "a wrong key, which a test is refused with",
    "27d867ec": "a wrong key, which a test is refused with",
    "b3dff20e": "a key that tests want not to be logged",
}


def complaints(excused: Mapping[Finding, str] = EXCUSED, words: Mapping[str, str] = NO_SECRETS) -> Iterator[str]:
    """A sentence for every finding that is not excused, and for every excuse that nothing needs."""
    files = committable()
    with ThreadPoolExecutor(2) as both:
        code = both.submit(bandit, OUR_CODE)
        texts = both.submit(secrets, [name for name in files if _read(name)])
        found = {*code.result(), *texts.result()}
    yield from judge(found, excused, words)


def judge(found: Iterable[Finding], excused: Mapping[Finding, str], words: Mapping[str, str]) -> Iterator[str]:
    unique = set(found)
    said = {finding.what for finding in unique}
    for finding in sorted(unique - set(excused)):
        if finding.what not in words:
            yield f"{finding.file}: {finding.rule} {finding.what}".rstrip()
    for finding in sorted(set(excused) - unique):
        yield f"tools/supply_chain/scanners.py: {finding.file} no longer needs its excuse for {finding.rule}"
    for word in sorted(set(words) - said):
        yield f"tools/supply_chain/scanners.py: nothing is {word} any longer"


def committable() -> list[str]:
    """Every file that git has or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git ls-files: {done.stderr.strip()}")
    return sorted(name for name in set(done.stdout.splitlines()) if (ROOT / name).is_file())


def _read(name: str) -> bool:
    return not name.startswith(UNREAD) and not name.endswith(UNREAD_ENDINGS)


def bandit(folders: Iterable[str], root: Path = ROOT) -> set[Finding]:
    """Of code that is not tests."""
    skipped = ",".join(SWITCHED_OFF)
    command = [str(BANDIT), "-q", "-r", *folders, "-s", skipped, "-x", "*/tests/*,*/testing/*", "-f", "json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"bandit: {done.stderr.strip()}") from None
    unread = {Finding(error["filename"], "bandit", error["reason"]) for error in result["errors"]}
    return unread | {Finding(one["filename"].removeprefix("./"), one["test_id"], "") for one in result["results"]}


def secrets(names: list[str]) -> set[Finding]:
    """What looks like a secret. The finding holds the start of its SHA-1, not the secret."""
    chunks = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
    with ProcessPoolExecutor(2) as workers:
        return {finding for found in workers.map(_secrets, chunks) for finding in found}


def _secrets(names: list[str]) -> list[Finding]:
    with default_settings():
        return [
            Finding(name, secret.type, secret.secret_hash[:8])
            for name in names
            for secret in scan_file(str(ROOT / name))
        ]
