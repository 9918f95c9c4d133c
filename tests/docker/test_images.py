"""The images as they are built: small, unprivileged, complete, and nothing in them that does not belong there."""

from __future__ import annotations

import json

import pytest
from support.docker_engine import Engine
from support.docker_images import OURS, inspect

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800), pytest.mark.req("PLT-05")]
MAX_BYTES = 350_000_000
AS_COMPOSE = ("--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")


def in_image(engine: Engine, service: str, code: str) -> str:
    tmpfs = ("--tmpfs", "/tmp:mode=1777,size=128m")
    done = engine.docker("run", *AS_COMPOSE, *tmpfs, "--entrypoint", "python", f"ballast/{service}", "-c", code)
    return done.stdout.strip()


def test_every_image_is_below_350_mb(images: dict[str, tuple[float, int]]) -> None:
    assert set(images) == set(OURS)
    assert {name: size for name, (_, size) in images.items() if size >= MAX_BYTES} == {}


@pytest.mark.usefixtures("images")
def test_every_image_is_unprivileged_has_a_healthcheck_and_no_shell(engine: Engine) -> None:
    for service in OURS:
        config = inspect(engine, f"ballast/{service}")["Config"]
        assert int(config["User"].split(":")[0]) > 10_000
        assert config["Healthcheck"]["Test"][0] == "CMD"
        found = in_image(
            engine, service, "import shutil; print(*map(shutil.which, ['sh', 'apt-get', 'pip', 'wget', 'perl']))"
        )
        assert set(found.split()) == {"None"}, service


@pytest.mark.usefixtures("images")
def test_every_image_has_its_own_service_and_no_other(engine: Engine) -> None:
    code = (
        "import json, importlib.util as u, importlib, os\n"
        f"names = {[*OURS, 'ballast_cli', 'research', 'pytest']}\n"
        "importlib.import_module(os.environ['BALLAST_SERVICE'] + '.__main__')\n"
        "print(json.dumps([name for name in names if u.find_spec(name)]))"
    )
    for service in OURS:
        assert json.loads(in_image(engine, service, code).splitlines()[-1]) == [service]


@pytest.mark.usefixtures("images")
def test_what_an_image_lacks_to_run_is_said_in_one_line(engine: Engine) -> None:
    done = engine.docker("run", *AS_COMPOSE, "--tmpfs", "/tmp:mode=1777", "ballast/regime", check=False)

    assert done.returncode == 78
    assert len(done.stderr.strip().splitlines()) == 1
    assert "BALLAST_NATS_URL: not set" in done.stderr


@pytest.mark.usefixtures("images")
def test_kernels_come_compiled_with_the_image(engine: Engine) -> None:
    code = (
        "import shutil; shutil.copytree('/app/kernels', '/tmp/kernels')\n"
        "from importlib.metadata import entry_points\n"
        "from numba.core import event\n"
        "modules = [entry.load() for entry in entry_points(group='ballast.kernels')]\n"
        "with event.install_recorder('numba:compile') as compiled:\n"
        "    for module in modules: module.warm()\n"
        "print(len(modules), len(compiled.buffer))"
    )
    for service in ("regime", "signals"):
        modules, compiled = in_image(engine, service, code).split()
        assert (int(modules) > 0, int(compiled)) == (True, 0), service
