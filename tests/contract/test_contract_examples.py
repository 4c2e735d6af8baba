"""Golden messages as they stand on the wire. They are kept for ever: what was once written must stay readable.

To add a field or a contract, add a file and its line in SHA256SUMS; never change or remove one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from cuepoint.ops.schema_documents import contracts
from cuepoint.schemas.codec import decoder, encode, explain, type_name

FOLDER = Path(__file__).parent / "examples"
FILES = sorted(FOLDER.glob("*.json"))
BY_TYPE = {type_name(contract): contract for contract in contracts()}
MINIMAL = [path for path in FILES if path.stem.endswith((".minimal", ".at-start"))]


def wire(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def contract_of(path: Path) -> type:
    return BY_TYPE[str(wire(path)["type"])]


def test_no_golden_message_was_changed_or_removed() -> None:
    listed = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES}
    assert found == listed


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_message_decodes_and_survives_a_round_trip(path: Path) -> None:
    kind = contract_of(path)
    value = decoder(kind).decode(path.read_bytes())
    assert type(value) is kind
    again = encode(value)
    assert decoder(kind).decode(again) == value
    assert encode(decoder(kind).decode(again)) == again


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_field_of_a_golden_message_is_lost(path: Path) -> None:
    """Fields that the decoder did not know would be dropped in silence: all must be set on the struct."""
    kind, given = contract_of(path), wire(path)
    names = {field.encode_name for field in msgspec.structs.fields(kind)} | {"type"}
    assert set(given) <= names
    value = json.loads(encode(decoder(kind).decode(path.read_bytes())))
    defaults = {name: item for name, item in given.items() if name not in value}
    plain = {f.encode_name: f.default for f in msgspec.structs.fields(kind)}
    assert all(plain[name] == item for name, item in defaults.items())


@pytest.mark.parametrize("kind", contracts(), ids=type_name)
def test_every_field_stands_in_some_golden_message(kind: type) -> None:
    seen = set().union(*(wire(path) for path in FILES if contract_of(path) is kind))
    assert {field.encode_name for field in msgspec.structs.fields(kind)} <= seen


@pytest.mark.parametrize("path", MINIMAL, ids=lambda path: path.stem)
def test_an_unknown_version_is_refused_at_its_type(path: Path) -> None:
    kind, given = contract_of(path), wire(path)
    name = str(given["type"]).rsplit(".", 1)[0]
    for other in (f"{name}.v2", name, "", f"{name}.v1 "):
        with pytest.raises(msgspec.ValidationError) as refused:
            decoder(kind).decode(json.dumps(given | {"type": other}).encode())
        error = explain(refused.value)
        assert (error.code, error.field) == ("unknown_version", "$.type")


@pytest.mark.parametrize("path", MINIMAL, ids=lambda path: path.stem)
def test_a_missing_field_is_named(path: Path) -> None:
    kind, given = contract_of(path), wire(path)
    for field in (field for field in msgspec.structs.fields(kind) if field.required):
        lacking = {name: item for name, item in given.items() if name != field.encode_name}
        with pytest.raises(msgspec.ValidationError) as refused:
            decoder(kind).decode(json.dumps(lacking).encode())
        assert explain(refused.value).field == f"$.{field.encode_name}"


@pytest.mark.parametrize("path", MINIMAL, ids=lambda path: path.stem)
def test_cut_off_anywhere_a_message_is_malformed_and_never_misread(path: Path) -> None:
    whole = json.dumps(wire(path)).encode()
    for length in range(len(whole)):
        with pytest.raises(msgspec.DecodeError) as refused:
            decoder(contract_of(path)).decode(whole[:length])
        assert explain(refused.value).code == "malformed"
