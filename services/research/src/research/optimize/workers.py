"""Who computes trials: this process, processes of this machine, or a Dask cluster. All of them compute the same."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Final

from common.errors import ConfigError
from common.version import BUILD
from research.optimize.measure import Measured, Task, measure

LOST: Final = (BrokenProcessPool, CancelledError, EOFError, ConnectionError)
_ADDRESS: Final = re.compile(r"(tcp|tls|ucx)://\S+:\d+")


class Pool:
    """`submit` hands out a task; `size` says how many to have under way, and may change as workers come and go."""

    def __init__(self, submit: Callable[[Task], Future[Measured]], size: Callable[[], int]) -> None:
        self.submit: Final = submit
        self.size: Final = size


@contextmanager
def workers(wanted: str) -> Iterator[Pool]:
    """Of "1", "4" or "tcp://host:8786". Raises ConfigError for anything else and a cluster that does not answer."""
    if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= 1024:
        number = int(wanted)
        with here() if number == 1 else processes(number) as pool:
            yield pool
        return
    if not _ADDRESS.fullmatch(wanted):
        raise ConfigError(f"--workers {wanted}: expected a number of processes, or a Dask scheduler, tcp://host:8786")
    with cluster(wanted) as pool:
        yield pool


@contextmanager
def here() -> Iterator[Pool]:
    """One task at a time, in this process."""

    def submit(task: Task) -> Future[Measured]:
        future: Future[Measured] = Future()
        try:
            future.set_result(measure(task))
        except Exception as error:  # noqa: BLE001 whoever asks for the result gets it
            future.set_exception(error)
        return future

    yield Pool(submit, lambda: 1)


@contextmanager
def processes(number: int) -> Iterator[Pool]:
    """Fresh processes, which end with this one, however it ends."""
    pool = ProcessPoolExecutor(number, mp_context=get_context("spawn"), initializer=_obey)
    try:
        yield Pool(lambda task: pool.submit(measure, task), lambda: number)
    except BaseException:
        for process in list((pool._processes or {}).values()):  # noqa: SLF001 a run cannot be canceled otherwise
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def cluster(address: str) -> Iterator[Pool]:
    """The workers of a Dask scheduler, which need this very version of Ballast and the data at the same path."""
    import distributed

    try:
        client: Any = distributed.Client(address, timeout=10, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        expected = "expected a Dask scheduler (`dask scheduler`) of the same version"
        raise ConfigError(f"--workers {address}: {str(error) or type(error).__name__}; {expected}") from None
    with client:
        _same_build(client, address)
        executor = client.get_executor(pure=False)
        yield Pool(lambda task: executor.submit(measure, task), lambda: max(1, sum(client.nthreads().values())))


def _same_build(client: Any, address: str) -> None:
    """Raises ConfigError naming the worker that lacks Ballast or has another version."""
    try:
        builds = client.run(_build)
    except Exception as error:  # noqa: BLE001 whatever its import raises
        raise ConfigError(f"--workers {address}: a worker cannot import ballast-research: {error}") from None
    if not builds:
        raise ConfigError(f"--workers {address}: the cluster has no workers; start some with `dask worker {address}`")
    for worker, build in builds.items():
        if build != BUILD:
            raise ConfigError(f"--workers {address}: {worker} has Ballast {build}; expected {BUILD}")


def _build() -> str:
    return BUILD


def _obey() -> None:
    """Ctrl-C is for the process that asks; its end is ours too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
