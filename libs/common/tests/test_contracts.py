"""What was once written to the tape stays readable, and every message has its place in the table of contracts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from common.contracts import DOMAINS, FROM_OUTSIDE, INPUTS, ROUTES, own_pattern, pattern, publishes
from common.messages import MESSAGES, Message
from common.runtime import codec, subjects
from common.testing.builders import EXAMPLES, a, envelope
from common.version import BUILD
from common.version import CONTRACTS as CONTRACTS_OF_THIS_BUILD

CONTRACTS = Path(__file__).parent.parent / "contracts"
ROOT = Path(__file__).parents[3]
GOLDEN = sorted((CONTRACTS / "golden").glob("*.jsonl"))
SERVICES = set(INPUTS) - {"operator"}

every_message = pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.TYPE)


@pytest.mark.req("PLT-02")
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_line_of_a_golden_file_still_decodes(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        kept = codec.decode_envelope(line)
        assert (kept.type, type(codec.decode(kept)).TYPE) == (path.stem, path.stem)


@pytest.mark.req("PLT-02")
@every_message
def test_the_latest_golden_line_is_what_this_build_writes_byte_for_byte(kind: type[Message]) -> None:
    line = (CONTRACTS / "golden" / f"{kind.TYPE}.jsonl").read_bytes().splitlines()[-1]
    read = codec.decode_envelope(line)
    again = msgspec.structs.replace(read, data=msgspec.Raw(codec.encode(codec.decode(read))))
    assert codec.encode_envelope(again) == line
    assert codec.decode(read) == a(kind)


@pytest.mark.req("PLT-02")
def test_the_schemas_on_disk_are_those_of_the_code() -> None:
    on_disk = {path.stem: json.loads(path.read_text()) for path in CONTRACTS.glob("*.json")}
    assert on_disk == json.loads(json.dumps(codec.schemas()))


@pytest.mark.req("PLT-02")
def test_what_a_process_says_that_it_is_is_what_it_was_built_from() -> None:
    assert codec.fingerprint() == CONTRACTS_OF_THIS_BUILD
    manifests = [tomllib.loads(path.read_text()) for path in ROOT.glob("*/*/pyproject.toml")]
    manifests.append(tomllib.loads((ROOT / "cli/pyproject.toml").read_text()))
    assert {manifest["project"]["version"] for manifest in manifests} == {BUILD}
    assert len(manifests) > 9


@pytest.mark.req("PLT-02")
def test_the_fingerprint_changes_with_the_shape_of_a_message_and_not_with_words_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schemas, before = codec.schemas(), codec.fingerprint()
    words, shape = json.loads(json.dumps(schemas)), json.loads(json.dumps(schemas))
    words["order.denied.v1"]["$defs"]["OrderDenied"]["description"] = "anything else"
    shape["order.denied.v1"]["$defs"]["OrderDenied"]["properties"]["detail"]["type"] = "integer"
    monkeypatch.setattr(codec, "schemas", lambda: words)
    assert codec.fingerprint() == before
    monkeypatch.setattr(codec, "schemas", lambda: shape)
    assert codec.fingerprint() != before


@every_message
def test_the_example_of_a_message_leaves_no_optional_field_empty(kind: type[Message]) -> None:
    assert [name for name in kind.__struct_fields__ if getattr(a(kind), name) in (None, "", ())] == []


@every_message
def test_a_message_type_ends_in_its_version_and_starts_with_a_domain_of_the_tape(kind: type[Message]) -> None:
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+\.v[1-9]\d*", kind.TYPE)
    assert kind.TYPE.split(".")[0] in DOMAINS


def test_every_message_has_a_route_an_example_and_a_type_of_its_own() -> None:
    assert set(ROUTES) == set(MESSAGES)
    assert set(MESSAGES) <= set(EXAMPLES)
    assert len({kind.TYPE for kind in MESSAGES}) == len(MESSAGES)


@every_message
def test_every_message_has_a_known_publisher_and_a_listener(kind: type[Message]) -> None:
    assert ROUTES[kind].publishers
    assert all(kind in publishes(service) for service in ROUTES[kind].publishers)
    assert set(ROUTES[kind].publishers) <= set(INPUTS)
    assert [service for service in SERVICES if kind in INPUTS[service]]


@pytest.mark.req("RSK-01")
def test_only_the_guardian_may_approve_an_order() -> None:
    approval = next(kind for kind in MESSAGES if kind.TYPE == "order.approved.v1")
    assert ROUTES[approval].publishers == ("risk_guardian",)


@every_message
def test_the_subject_of_an_example_matches_the_pattern_of_its_type_and_no_other(kind: type[Message]) -> None:
    subject = subjects.subject(a(kind))
    assert [other for other in MESSAGES if _matches(pattern(other), subject)] == [kind]


@every_message
def test_two_publishers_of_one_type_speak_on_subjects_of_their_own(kind: type[Message]) -> None:
    publishers = [service for service in ROUTES[kind].publishers if kind not in FROM_OUTSIDE]
    owned = [own_pattern(kind, service) for service in publishers]
    assert len(set(owned)) == len(publishers)
    assert [owner for owner in owned if _matches(owner, subjects.subject(a(kind)))] == owned[:1]


@pytest.mark.parametrize("token", ["", "a.b", "a b", "*", ">", "fx\n", "ü"])
def test_an_id_that_is_not_one_subject_token_is_refused(token: str) -> None:
    halt = next(kind for kind in MESSAGES if kind.TYPE == "cmd.risk_guardian.halt.v1")
    with pytest.raises(ValueError, match="cannot be a subject token"):
        subjects.subject(a(halt, book=token))


def test_an_envelope_keeps_the_place_of_its_cause() -> None:
    sent = envelope(a(MESSAGES[0]), cause_seq=12, cause_index=3)
    read = codec.decode_envelope(codec.encode_envelope(sent))
    assert (read.cause_seq, read.cause_index) == (12, 3)


def _matches(wanted: str, subject: str) -> bool:
    """What NATS does with a filter that may end in `>`: one token or more."""
    if wanted.endswith(".>"):
        return subject.startswith(wanted.removesuffix(">"))
    return subject == wanted
