"""Studies in a real PostgreSQL, killed for real, and computed by a real Dask cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from common.errors import BallastError
from common.runtime.embedded import Endpoints
from common.runtime.embedded.home import Home
from research.optimize.storage import opened

pytestmark = pytest.mark.integration

BALLAST = str(Path(sys.executable).parent / "ballast")
# A year and a half of daily rates: a trial takes about a second.
SEARCH = ("--profile", "fx", "--data", "builtin", "--from", "2012-01-01", "--to", "2013-07-01", "--warmup-days", "200")


def command(verb: str, storage: str, *options: str) -> list[str]:
    return [BALLAST, verb, *SEARCH, "--storage", storage, *options, "--json"]


def answer(argv: Sequence[str], code: int = 0) -> dict[str, Any]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == code, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def decided(dsn: str, study: str) -> int:
    """Trials that are over, as the database has them; 0 while there are no tables."""
    with psycopg.connect(dsn) as connection:
        try:
            row = connection.execute(
                "SELECT count(*) FROM optuna.trials JOIN optuna.studies USING (study_id) "
                "WHERE study_name = %s AND state = 'COMPLETE'",
                (study,),
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    return row[0] if row else 0


def killed_after(argv: Sequence[str], dsn: str, study: str, trials: int, number: int) -> int:
    """Starts it, sends the signal when so many trials are decided, and returns its exit code."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 200
    while decided(dsn, study) < trials:
        assert process.poll() is None, (process.stderr or sys.stderr).read()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    return process.wait(60)


@pytest.mark.req("RES-05")
def test_a_study_goes_on_after_a_kill_and_after_ctrl_c_and_ends_as_one_that_was_left_alone(servers: Endpoints) -> None:
    dsn = servers.postgres_dsn_with_password()
    options = ("--trials", "7", "--local", "2", "--seed", "3")
    alone = answer(command("optimize", dsn, *options, "--study", "alone"))
    broken = command("optimize", dsn, *options, "--study", "broken")
    assert killed_after(broken, dsn, "broken", 2, signal.SIGKILL) == -signal.SIGKILL
    assert killed_after(broken, dsn, "broken", 4, signal.SIGINT) == 130
    resumed = answer(broken)
    assert resumed["decided"] == alone["decided"] == 9
    for said in (alone, resumed):
        said.pop("study")
        said["front"][0].pop("number")  # those that were interrupted have numbers too
    assert resumed == alone
    assert alone["front"][0]["luck"]["trials"] == 9
    assert alone["shipped_out_of_sample"]["fills"] > 0


@pytest.mark.req("RES-05")
def test_studies_lie_in_a_schema_of_their_own_and_have_one_owner_at_a_time(servers: Endpoints) -> None:
    dsn = servers.postgres_dsn_with_password()
    with opened(dsn, "owned"):
        with pytest.raises(BallastError, match="study owned: another process works on it"), opened(dsn, "owned"):
            pass
        with opened(dsn, "other"), psycopg.connect(dsn) as connection:
            found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'studies'").fetchall()
    assert found == [("optuna",)]
    with opened(dsn, "owned"):
        pass


@pytest.mark.req("RES-05")
def test_the_home_s_own_postgres_keeps_studies_whether_it_runs_or_not(home: Path) -> None:
    argv = [BALLAST, "optimize", *SEARCH, "--trials", "1", "--json"]
    environment = {**os.environ, "BALLAST_HOME": str(home)}
    first, second = (
        subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=200)
        for _ in range(2)
    )
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert Home(home).runner() is None


@pytest.mark.req("PLT-12")
def test_processes_and_a_dask_cluster_find_what_one_process_finds(servers: Endpoints, tmp_path: Path) -> None:
    dsn = servers.postgres_dsn_with_password()
    options = ("--trials", "5", "--sampler", "random", "--seed", "4")  # what is asked does not depend on what came back
    alone = answer(command("optimize", dsn, *options, "--study", "one"))
    pooled = answer(command("optimize", dsn, *options, "--study", "two", "--workers", "2"))
    with dask(tmp_path, workers=2) as address:
        spread = answer(command("optimize", dsn, *options, "--study", "dask", "--workers", address))
    for said in (alone, pooled, spread):
        said.pop("study")
    assert alone == pooled == spread
    assert alone["decided"] == 5


@pytest.mark.req("PLT-12")
def test_a_cluster_that_is_not_there_is_one_clear_line(servers: Endpoints, tmp_path: Path) -> None:
    dsn = servers.postgres_dsn_with_password()
    nobody = answer(command("optimize", dsn, "--study", "n", "--workers", "tcp://127.0.0.1:1"), code=78)
    assert nobody["error"].startswith("--workers tcp://127.0.0.1:1: ")
    with dask(tmp_path, workers=0) as address:
        empty = answer(command("optimize", dsn, "--study", "n", "--workers", address), code=78)
    assert "has no workers" in empty["error"]


@pytest.mark.req("RES-05")
def test_walk_forward_resumes_fold_by_fold_and_writes_its_page(servers: Endpoints, tmp_path: Path) -> None:
    dsn, page = servers.postgres_dsn_with_password(), tmp_path / "walk.md"
    options = ("--trials", "2", "--train", "9m", "--test", "5m", "--study", "walk", "--write", str(page))
    argv = command("walkforward", dsn, *options)
    assert killed_after(argv, dsn, "walk/1", 2, signal.SIGKILL) == -signal.SIGKILL
    walked = answer(argv)
    assert [fold["decided"] for fold in walked["folds"]] == [2, 2]
    assert walked["luck"]["trials"] == 4
    text = page.read_text()
    assert "| 2 | 2012-01-02 to " in text
    assert "deflated by 4 trials" in text
    assert answer(argv) == walked


@contextmanager
def dask(folder: Path, *, workers: int) -> Iterator[str]:
    """A scheduler and worker processes of their own, as on other machines; the address of the scheduler."""
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        _started(
            stack, "scheduler", "--scheduler-file", str(file), "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
        )
        until = time.monotonic() + 60
        while not file.is_file() or not file.read_text():
            assert time.monotonic() < until
            time.sleep(0.1)
        address: str = json.loads(file.read_text())["address"]
        for _ in range(workers):
            _started(
                stack,
                "worker",
                address,
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--local-directory",
                str(folder),
            )
        _joined(address, workers)
        yield address


def _joined(address: str, workers: int) -> None:
    import distributed

    with distributed.Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        if workers:
            client.wait_for_workers(workers, timeout=60)  # type: ignore[no-untyped-call]


def _started(stack: ExitStack, what: str, *arguments: str) -> None:
    argv = [sys.executable, "-m", "distributed.cli.dask_" + what, *arguments]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.kill)
