"""Seeds, keys and the sentences in which a refused connection is explained. What a server does with them: tests/integration."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.runtime import nats_config
from common.runtime.environment import Environment
from common.runtime.login import Login, explain, is_seed, new_seed, public_key, read_seed

pytestmark = pytest.mark.req("PLT-04")


def environment(tmp_path: Path, **more: Path) -> Environment:
    return Environment(
        home=tmp_path,
        service="regime",
        nats_url="nats://here:4222",
        nats_user="regime",
        nats_seed_file=tmp_path / "seed",
        http_port=8080,
        config=tmp_path / "config.json",
        **more,
    )


def test_the_public_key_of_a_seed_is_what_nats_says_it_is() -> None:
    """The pair is from the documentation of nats-server."""
    seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
    assert public_key(seed) == "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_every_seed_is_new_and_looks_like_one() -> None:
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert all(map(is_seed, seeds))
    assert all(public_key(seed).startswith("U") for seed in seeds)
    assert not any(map(is_seed, ("", "SU", new_seed() + "A", new_seed().lower(), "SAAA" + new_seed()[4:])))


def test_a_login_is_read_from_the_environment_and_does_not_show_its_seed(tmp_path: Path) -> None:
    seed = new_seed()
    (tmp_path / "seed").write_text(seed + "\n")
    login = Login.of(environment(tmp_path, nats_ca_file=tmp_path / "ca"))
    assert login == Login("nats://here:4222", "regime", seed, tmp_path / "ca")
    assert seed not in repr(login)


def test_a_file_with_a_password_is_named_but_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text("the-password-of-old")
    with pytest.raises(ConfigError) as caught:
        read_seed(path)
    assert str(caught.value) == f"{path}: not the seed of an nkey; expected SU and 56 more letters and digits"


def test_the_environment_says_the_same_in_both_directions(tmp_path: Path) -> None:
    for told in (environment(tmp_path), environment(tmp_path, nats_ca_file=tmp_path / "ca")):
        assert Environment.from_os(told.variables()) == told
    with pytest.raises(ConfigError, match=r"^BALLAST_NATS_SEED_FILE: not set"):
        Environment.from_os({**environment(tmp_path).variables(), "BALLAST_NATS_SEED_FILE": ""})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Exception("nats: 'Authorization Violation'"), "the server does not know this user's key"),
        (
            ssl.SSLError(1, "wrong version number"),
            "the server does not begin with TLS, which BALLAST_NATS_CA_FILE demands",
        ),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_refused_connection_is_explained(error: Exception, said: str) -> None:
    assert explain(error).startswith(said)


def test_a_server_is_told_public_keys_and_nothing_secret() -> None:
    seeds = {user: new_seed() for user in nats_config.USERS}
    keys = {user: public_key(seed) for user, seed in seeds.items()}
    users = nats_config.authorization(keys)["users"]
    assert [user["nkey"] for user in users] == list(keys.values())
    assert all(set(user) == {"nkey", "permissions"} for user in users)


def test_cryptography_is_loaded_only_where_a_key_is_used() -> None:
    code = "import sys, common.runtime.service, common.runtime.nats_config; sys.exit('nkeys' in sys.modules or 'nacl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
