"""Writes what docker-compose.yml and Kubernetes mount: keys, passwords, server configuration, a profile's effective configuration.

Secrets that exist are kept, so a second run changes nothing but the profile. With `--tls`, NATS is spoken over TLS: an
authority is made, signs one certificate and is forgotten, so that nobody can sign another; the next `--tls` makes new ones.

    .venv/bin/python deploy/make_secrets.py [PROFILE [FOLDER]] [--tls HOST...]
"""

from __future__ import annotations

import argparse
import ipaddress
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from ballast_cli.configuration import effective
from common.errors import BallastError, ConfigError
from common.runtime import nats_config
from common.runtime.login import is_seed, new_seed, public_key

FOLDER: Final = Path(__file__).parent / "secrets"
MOUNTED: Final = "/run/secrets"  # where containers find them, each under its name
SPEED: Final = "5"  # slices a second, so that there is something to watch
GATEWAY: Final = "gateway"  # the name under which Prometheus asks for its metrics

CA, CERTIFICATE, KEY = "nats_ca", "nats_cert", "nats_key"
VALID_DAYS: Final = 730

REDIS_CONF: Final = """\
port 6379
requirepass "{password}"
appendonly no
save ""
maxmemory 96mb
maxmemory-policy noeviction
"""

# The servers of a cluster show their certificate to one another: it is a client's, too.
OPENSSL_CONF: Final = """\
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = Ballast NATS
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {hosts}
"""


def main(profile: str, folder: Path, hosts: Sequence[str]) -> None:
    """`hosts` get a new certificate; without any, one that is there stays. Raises ConfigError."""
    config = _config(profile)
    folder.mkdir(mode=0o700, exist_ok=True)
    keys = {user: public_key(_kept(folder / f"nats_{user}", new_seed, is_seed)) for user in nats_config.USERS}
    redis, postgres = _password(folder / "redis_password"), _password(folder / "postgres_password")
    _password(folder / "gateway_password")
    _password(folder / "grafana_password")
    _kept(folder / "alert_webhook_url", str, lambda text: True)  # empty: alerts are to be seen, and told to nobody
    if hosts:
        _certify(folder, hosts)
    tls = nats_config.Tls(*(f"{MOUNTED}/{name}" for name in (CERTIFICATE, KEY, CA)))
    nats = nats_config.server_config(
        "0.0.0.0",  # noqa: S104 inside the container
        4222,
        "127.0.0.1:8222",
        "/var/tmp",  # noqa: S108 inside the container
        keys,
        tls=tls if (folder / CERTIFICATE).is_file() else None,
    )
    for name, content in {
        "nats.conf": _json(nats),
        "redis.conf": REDIS_CONF.format(password=redis),
        "redis_url": f"redis://:{redis}@redis:6379/0",
        "postgres_dsn": f"postgresql://ballast:{postgres}@postgres:5432/ballast",
        "config.json": _json(config),
    }.items():
        _write(folder / name, content)
    print(f"{folder}: {len(list(folder.iterdir()))} files for profile {profile}")
    if hosts:
        print(
            f"NATS speaks TLS as {', '.join(hosts)} for {VALID_DAYS} days; clients need BALLAST_NATS_CA_FILE={MOUNTED}/{CA}"
        )


def _config(profile: str) -> dict[str, Any]:
    config = effective(profile, speed=SPEED)
    return {**config, "gateway": {**config["gateway"], "hosts": [*config["gateway"]["hosts"], GATEWAY]}}


def _password(path: Path) -> str:
    return _kept(path, lambda: secrets.token_urlsafe(24), bool)


def _kept(path: Path, make: Callable[[], str], fits: Callable[[str], bool]) -> str:
    """The secret of last time, or a new one where there is none of that kind."""
    if not path.is_file() or not fits(path.read_text()):
        _write(path, make())
    return path.read_text()


def _certify(folder: Path, hosts: Sequence[str]) -> None:
    with TemporaryDirectory() as place:
        at = Path(place)
        conf = at / "openssl.conf"
        conf.write_text(OPENSSL_CONF.format(hosts=", ".join(map(_alternative_name, hosts))))
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-config", str(conf))
        days = ("-days", str(VALID_DAYS), "-sha256")
        ca = ("-subj", "/CN=Ballast NATS authority", "-keyout", f"{at}/ca_key", "-out", f"{at}/{CA}")
        _openssl("req", "-x509", *new_key, *days, *ca)
        _openssl("req", "-new", *new_key, "-keyout", f"{at}/{KEY}", "-out", f"{at}/request")
        signed_by = ("-CA", f"{at}/{CA}", "-CAkey", f"{at}/ca_key", "-set_serial", str(secrets.randbits(120)))
        extensions = ("-extfile", str(conf), "-extensions", "server")
        _openssl("x509", "-req", "-in", f"{at}/request", *signed_by, *days, *extensions, "-out", f"{at}/{CERTIFICATE}")
        for name in (CA, CERTIFICATE, KEY):
            _write(folder / name, (at / name).read_text())


def _alternative_name(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        if not host.replace("-", "").replace(".", "").replace("*", "").isalnum():
            raise ConfigError(f"--tls {host!r}: expected the name or the address of a host") from None
        return f"DNS:{host}"


def _openssl(*arguments: str) -> None:
    """The command line is on every machine that deploys; a Python package would be one more to trust."""
    binary = shutil.which("openssl")
    if binary is None:
        raise ConfigError("--tls: openssl is not installed")
    done = subprocess.run((binary, *arguments), capture_output=True, text=True, check=False)  # noqa: S603 no shell
    if done.returncode:
        raise ConfigError(f"openssl {arguments[0]} failed: {done.stderr.strip()[-300:]}")


def _write(path: Path, content: str) -> None:
    """Readable by every container that is given the file; the folder itself is closed to other users of this machine."""
    path.unlink(missing_ok=True)
    path.write_text(content)
    path.chmod(0o444)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes the secrets and the configuration of a deployment.")
    parser.add_argument("profile", nargs="?", default="fx")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--tls", nargs="+", default=[], metavar="HOST", help="names and addresses NATS is reached by")
    given = parser.parse_args()
    try:
        main(given.profile, given.folder, given.tls)
    except BallastError as error:
        sys.exit(str(error))
