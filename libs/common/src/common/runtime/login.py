"""Who logs in to NATS, and how: an nkey, whose seed stays here and of which the server knows the public half only.

With a CA file the connection begins with TLS: whoever sits in between cannot talk the client into plain text. The server
must then be configured with `handshake_first` (`nats_config.server_config` does that).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from common.errors import ConfigError
from common.runtime.environment import NATS_CA_FILE, Environment, read_secret

if TYPE_CHECKING:  # who only wants to know who logs in need not load the client
    from nats.aio.client import Client

CLOSE_WITHIN_S: Final = 1.0
# Said to the error callback alone, not where it was tried.
_FORBIDDEN: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"')
_SEED: Final = re.compile(r"SU[A-Z2-7]{56}")


def inbox_prefix(user: str) -> str:
    """Where the replies to `user` arrive; no other user can listen there, so that no service reads another's replies."""
    return f"_INBOX_{user}"


@dataclass(frozen=True, slots=True)
class Login:
    """Where (several servers of one cluster separated by commas), as whom and with which seed."""

    url: str
    user: str
    seed: str = field(repr=False)
    ca_file: Path | None = None

    @staticmethod
    def of(environment: Environment) -> Login:
        """As a service was told. Raises ConfigError naming the file that is wrong."""
        seed = read_seed(environment.nats_seed_file)
        return Login(environment.nats_url, environment.nats_user, seed, environment.nats_ca_file)

    def options(self) -> dict[str, Any]:
        """Keyword arguments for nats-py's `connect`. Raises ConfigError when the CA file cannot be read."""
        tls = {"tls": _trusting(self.ca_file), "tls_handshake_first": True} if self.ca_file else {}
        prefix = inbox_prefix(self.user).encode()
        return {"nkeys_seed_str": self.seed, "name": self.user, "inbox_prefix": prefix, **tls}


def is_seed(text: str) -> bool:
    """Whether it looks like the seed of a user's nkey."""
    return _SEED.fullmatch(text) is not None


def read_seed(path: Path) -> str:
    """Raises ConfigError naming the file, never its content."""
    seed = read_secret(path)
    if not is_seed(seed):
        raise ConfigError(f"{path}: not the seed of an nkey; expected SU and 56 more letters and digits")
    return seed


def new_seed() -> str:
    """Of a user that did not exist before."""
    import nkeys  # type: ignore[import-untyped]  # with its cryptography 20 ms, which only few processes need

    return str(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode())


def public_key(seed: str) -> str:
    """What a server may know of it."""
    import nkeys

    return str(nkeys.from_seed(bytearray(seed.encode())).public_key.decode())


def explain(error: BaseException) -> str:
    """Why a connection was refused or broke, in one clause."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted ({error.verify_message}); expected one of {NATS_CA_FILE}"
    if isinstance(error, ssl.SSLError):
        return f"the server does not begin with TLS, which {NATS_CA_FILE} demands ({error})"
    said = str(error) or type(error).__name__
    if "authorization violation" in said.lower():
        return "the server does not know this user's key (Authorization Violation)"
    return said


def forbidden(error: Exception, user: str) -> ConfigError | None:
    """What `user` may not do, if that is what nats-py's error callback was told; the subject comes in lower case."""
    found = _FORBIDDEN.search(str(error))
    if found is None:
        return None
    verb = "publish on" if found[1] == "publish" else "subscribe to"
    return ConfigError(f"NATS user {user} may not {verb} {found[2]}: its rights and common/contracts.py differ")


async def close(client: Client) -> None:
    """Ends a connection, within a second: of one whose TLS handshake failed nats-py would await the end for ever."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await client.close()


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # an SSLError, too: a file without a certificate
        reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"{NATS_CA_FILE} = {ca_file}: cannot be used: {reason}") from None
