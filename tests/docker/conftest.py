"""Images and containers, on a Docker engine of the tests' own: `make test-docker`, and only there.

Skipped, with the reason, where no engine can run. What it is made of: tests/support/docker_engine.py and docker_images.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import docker_images
from support.docker_engine import Engine, Unavailable


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if "docker" in config.getoption("markexpr") else True


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    began = time.monotonic()
    try:
        running = Engine().__enter__()
    except Unavailable as reason:
        pytest.skip(f"no Docker engine: {reason}")
    print(f"\nengine: {time.monotonic() - began:.1f} s")
    try:
        yield running
    finally:
        running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built, with the wheels for it."""
    folder = tmp_path_factory.mktemp("project")
    docker_images.copy_project(folder)
    began = time.monotonic()
    base = docker_images.make_base(engine)
    print(f"\nbase {docker_images.base_image()}: {base}, {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    wheels = docker_images.make_wheelhouse(engine, folder / "wheelhouse")
    print(f"wheelhouse: {wheels} files in {time.monotonic() - began:.0f} s")
    return folder


@pytest.fixture(scope="session")
def images(engine: Engine, project: Path) -> dict[str, tuple[float, int]]:
    """All of ours, built; (seconds, bytes) of each."""
    built = docker_images.build(engine, project)
    for name, (seconds, size) in built.items():
        print(f"image {name:14} {size / 1e6:4.0f} MB, built in {seconds:3.0f} s")
    return built


@pytest.fixture(scope="session")
def servers(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Whether the image of each server is pulled, kept, or a stand-in."""
    made = docker_images.make_servers(engine, tmp_path_factory.mktemp("standins"))
    print("\nservers:", ", ".join(f"{name} {how}" for name, how in made.items()))
    return made
