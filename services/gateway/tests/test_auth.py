"""Keys and doors."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from common.errors import ConfigError
from gateway.auth import COOKIE, PASSWORD_FILE, USER, Keys

pytestmark = pytest.mark.req("GTW-01")


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_password_and_token_are_made_once_and_only_for_their_owner(tmp_path: Path) -> None:
    Keys.of_home(tmp_path, {})
    files = [tmp_path / "secrets" / name for name in ("gateway_password", "gateway_token")]
    made = [file.read_text() for file in files]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert all(len(secret) >= 32 for secret in made)
    Keys.of_home(tmp_path, {})
    assert [file.read_text() for file in files] == made


def test_a_given_password_is_used_and_a_missing_one_is_named(tmp_path: Path) -> None:
    given = tmp_path / "given"
    with pytest.raises(ConfigError, match=str(given)):
        Keys.of_home(tmp_path, {PASSWORD_FILE: str(given)})
    given.write_text("correct horse\n")
    keys = Keys.of_home(tmp_path, {PASSWORD_FILE: str(given)})
    assert keys.open_with_password(USER, "correct horse")
    assert keys.user(basic(USER, "correct horse")) == USER
    assert keys.user(basic("root", "correct horse")) is None
    assert keys.user(basic(USER, "correct hörse")) is None


def test_the_cookie_opens_until_the_password_changes(tmp_path: Path) -> None:
    keys = Keys.of_home(tmp_path, {})
    cookie = {"cookie": keys.cookie().partition(";")[0]}
    assert keys.user(cookie) == USER
    assert Keys.of_home(tmp_path, {}).user(cookie) == USER
    assert keys.user({"cookie": f"{COOKIE}=forged"}) is None
    assert keys.user({"cookie": "é=;;;="}) is None
    (tmp_path / "secrets" / "gateway_password").write_text("another")
    assert Keys.of_home(tmp_path, {}).user(cookie) is None


def test_a_login_token_works_once(tmp_path: Path) -> None:
    keys = Keys.of_home(tmp_path, {})
    file = tmp_path / "secrets" / "gateway_token"
    token = file.read_text()
    assert not keys.open_with_token("")
    assert keys.open_with_token(token)
    assert not keys.open_with_token(token)
    assert keys.open_with_token(file.read_text())
