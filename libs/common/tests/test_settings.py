"""Configuration: what ships is valid, a user's file goes over it, and a mistake is named with key, value and bound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from common.errors import ConfigError
from common.model.account import Account
from common.model.run import Run
from common.runtime import http
from common.runtime.settings import load, profile_names, section


class Rung(msgspec.Struct, forbid_unknown_fields=True):
    trigger: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    rungs: tuple[Rung, ...] = ()
    deep: Rung = msgspec.field(default_factory=Rung)


@pytest.mark.req("PLT-07")
@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ({"share": 1.5}, "risk.share = 1.5: expected `float` <= 1.0"),
        ({"share": "much"}, "risk.share = 'much': expected `float`, got `str`"),
        ({"deep": {"trigger": 0}}, "risk.deep.trigger = 0: expected `float` > 0.0"),
        ({"rungs": [{"trigger": 0.5}, {"trigger": 2.0}]}, "risk.rungs.1.trigger = 2.0: expected `float` <= 1.0"),
        ({"sahre": 0.5}, "risk.sahre = 0.5: unknown key"),
        (5, "risk = 5: expected `object`, got `int`"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_was_expected(raw: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        section({"risk": raw}, "risk", Settings)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("name", "kind", "raw", "complaint"),
    [
        ("run", Run, {"speed": "warp"}, "expected a speed such as"),
        ("account", Account, {"starting_cash": "-5"}, "expected a finite amount > 0"),
        ("account", Account, {"id": "a b"}, "account.id = 'a b': expected `str` matching regex"),
    ],
)
def test_nouns_of_the_configuration_are_checked_the_same_way(name: str, kind: Any, raw: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        section({name: raw}, name, kind)
    assert complaint in str(refused.value)


def test_a_section_that_is_absent_has_its_defaults() -> None:
    assert section({}, "risk", Settings) == Settings()


@pytest.mark.req("PLT-07")
@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_that_ships_is_valid_toml_with_an_account(profile: str) -> None:
    assert section(load(profile), "account", Account).starting_cash > 0


@pytest.mark.parametrize("written", ["inf", "-inf", "nan", "1e300"])
def test_what_is_no_bound_at_all_is_refused_wherever_it_stands(tmp_path: Path, written: str) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(f"[risk]\nlevels = [{{ trigger = {written} }}]\n")
    with pytest.raises(ConfigError, match=r"risk\.levels\.0\.trigger = .*: expected a finite number, at most 1e\+15"):
        section(load("fx", mine), "risk", Settings)


@pytest.mark.req("PLT-07")
def test_a_users_file_goes_over_the_profile_key_by_key(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[account]\nstarting_cash = 5\n[risk_guardian.limits]\nsession = "always"\n')
    merged = load("fx", mine)
    assert merged["account"] == {**load("fx")["account"], "starting_cash": 5}
    assert merged["risk_guardian"]["limits"]["session"] == "always"
    assert merged["market_data"] == load("fx")["market_data"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot be read: No such file"), (b"= 5", "not valid TOML"), (b"\xff", "not valid TOML")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    mine = tmp_path / "mine.toml"
    if content is not None:
        mine.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint) as refused:
        load("fx", mine)
    assert str(mine) in str(refused.value)


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"'gold' does not exist; expected one of crypto, crypto-perp, fx, multi-asset"
    ):
        load("gold")


@pytest.mark.req("PLT-06")
def test_a_service_answers_for_its_health_and_frees_its_port() -> None:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    health = http.Health("portfolio", "1.0")
    stop = http.serve(health, "127.0.0.1", 0)
    port = health.info["port"]

    def ask(path: str) -> tuple[int, bytes]:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
                return reply.status, reply.read()
        except HTTPError as refused:
            return refused.code, refused.read()

    assert ask("/health/ready") == (503, b'{"ready":false,"waits_for":{"start":"the process is starting"}}')
    health.waits_for.clear()
    assert ask("/health/ready") == (200, b'{"ready":true,"waits_for":{}}')
    assert ask("/health/live")[0] == 200
    health.loop_seen -= http.STALLED_AFTER_S + 1
    assert ask("/health/live")[0] == 503
    assert b'"service":"portfolio","build":"1.0"' in ask("/info")[1]
    assert ask("/metrics")[0] == 200
    assert ask("/else")[0] == 404
    stop()
    http.serve(http.Health("again", "1.0"), "127.0.0.1", port)()
