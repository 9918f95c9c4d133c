"""Who may come in: one generated password, a login link that works once, a cookie signed with the password."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Mapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

from common.errors import ConfigError
from common.runtime.environment import read_secret

USER: Final = "admin"
COOKIE: Final = "ballast_session"
COOKIE_FLAGS: Final = "HttpOnly; SameSite=Strict; Path=/; Max-Age=604800"
PASSWORD_FILE: Final = "BALLAST_GATEWAY_PASSWORD_FILE"  # noqa: S105 the name of a variable


class Keys:
    """The password and the login token, in files that only their owner can read. Comparisons take constant time."""

    def __init__(self, password_file: Path, token_file: Path) -> None:
        self._password = read_secret(password_file)
        self._token_file = token_file
        self._session = hmac.new(self._password.encode(), b"ballast session", sha256).hexdigest()

    @staticmethod
    def of_home(home: Path, variables: Mapping[str, str]) -> Keys:
        """Makes up what is missing below `home`. Raises ConfigError when that cannot be written or read."""
        given = variables.get(PASSWORD_FILE)
        password_file = Path(given) if given else _made(home / "secrets" / "gateway_password")
        return Keys(password_file, _made(home / "secrets" / "gateway_token"))

    def open_with_password(self, user: str, password: str) -> bool:
        return _same(user, USER) & _same(password, self._password)

    def open_with_token(self, token: str) -> bool:
        """At most once for each token: the file then holds another."""
        if not _same(token, read_secret(self._token_file)):
            return False
        _write(self._token_file)
        return True

    def user(self, headers: Mapping[str, str]) -> str | None:
        """Whose request this is, by cookie or HTTP Basic; None when it is nobody's."""
        cookie, authorization = headers.get("cookie", ""), headers.get("authorization", "")
        allowed = _same(_cookie(cookie), self._session) or self.open_with_password(*_basic(authorization))
        return USER if allowed else None

    def cookie(self) -> str:
        """The value of Set-Cookie for somebody who has just proved to be allowed in."""
        return f"{COOKIE}={self._session}; {COOKIE_FLAGS}"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:  # not base64, not ASCII, or not UTF-8 behind it
        return "", ""
    return user, password


def _made(path: Path) -> Path:
    if not path.exists():
        _write(path)
    return path


def _write(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}; or name a file in {PASSWORD_FILE}") from None
