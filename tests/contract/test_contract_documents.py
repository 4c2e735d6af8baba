"""`cuepoint schema`: the documents are current, and judges that we did not write accept them."""

from __future__ import annotations

import gzip
import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cuepoint.ops import schema_documents
from cuepoint.ops.schema_documents import asyncapi, contracts, json_schema
from cuepoint.ops.schema_examples import EXAMPLES
from cuepoint.ops.topic_flow import FLOW
from cuepoint.schemas.codec import encode, type_name
from cuepoint.schemas.topics import AD_RULES, TOPICS

HERE = Path(__file__).parent
COMMITTED = HERE.parents[1] / "docs" / "contracts"
GOLDEN = sorted((HERE / "examples").glob("*.json"))


def judge(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def test_the_committed_documents_are_current(tmp_path: Path) -> None:
    written = schema_documents.write_documents(tmp_path)
    assert {path.name for path in written} == {path.name for path in COMMITTED.iterdir()}
    stale = [path.name for path in written if path.read_bytes() != (COMMITTED / path.name).read_bytes()]
    assert not stale, "run: make documents"


def test_writing_twice_gives_equal_bytes() -> None:
    assert schema_documents.documents() == schema_documents.documents()


@pytest.mark.parametrize("kind", contracts(), ids=type_name)
def test_a_schema_is_valid_and_takes_its_examples(kind: type) -> None:
    schema = judge(json_schema(kind))
    mine = [encode(example) for example in EXAMPLES if type(example) is kind]
    golden = [path.read_bytes() for path in GOLDEN if json.loads(path.read_bytes())["type"] == type_name(kind)]
    assert mine
    assert golden
    for value in mine + golden:
        schema.validate(json.loads(value))


@pytest.mark.parametrize("kind", contracts(), ids=type_name)
def test_a_schema_refuses_what_the_decoder_refuses(kind: type) -> None:
    schema = judge(json_schema(kind))
    good = json.loads(encode(next(example for example in EXAMPLES if type(example) is kind)))
    assert not schema.is_valid(good | {"type": "something-else.v1"})
    for name in json_schema(kind)["required"]:
        assert not schema.is_valid({key: value for key, value in good.items() if key != name}), name
    for name, value in good.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            assert not schema.is_valid(good | {name: {"not": "this"}}), name


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    """The schema is that of the AsyncAPI Initiative in @asyncapi/specs 6.11.1, unchanged (Apache-2.0)."""
    official = json.loads(gzip.decompress((HERE / "asyncapi-3.0.0.schema.json.gz").read_bytes()))
    validator = jsonschema.Draft7Validator(official)
    assert [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(asyncapi())] == []
    broken = asyncapi()
    broken["channels"]["changes"]["messages"]["Change"]["payload"] = 3
    assert not validator.is_valid(broken)


def test_the_asyncapi_document_is_read_by_a_parser() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydantic's, of the parser's own field names
        from asyncapi3 import AsyncAPI3
    document = AsyncAPI3.model_validate(asyncapi())
    assert {channel.address for channel in document.channels.root.values()} == {topic.name for topic in TOPICS}


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [found for item in value for found in references(item)]
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [found for item in value.values() for found in references(item)]
        return []

    found = references(document)
    assert len(found) > len(TOPICS)
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_examples_of_the_asyncapi_document_meet_their_payloads() -> None:
    document = asyncapi()
    schemas = {"components": document["components"]}
    for name, channel in document["channels"].items():
        for message in channel["messages"].values():
            assert message["examples"], (name, message["name"])
            for example in message["examples"]:
                judge(schemas | message["payload"]).validate(example["payload"])


def test_every_topic_has_its_ends() -> None:
    assert set(FLOW) == set(TOPICS)
    assert all(ends.writers and ends.readers for ends in FLOW.values())


AGENTS = sorted(p.stem for p in (HERE.parents[1] / "agents").glob("*.py") if p.stem not in {"__init__", "agent"})


@pytest.mark.parametrize("name", AGENTS)
def test_the_readers_of_the_topics_are_what_the_agents_say(name: str) -> None:
    module = importlib.import_module(f"cuepoint.agents.{name}")
    own = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
    read = {topic for agent in own for topic in getattr(agent, "topics", ())}
    told = {topic for topic, ends in FLOW.items() if name in ends.readers}
    assert read == told - {AD_RULES}  # rules are read whole by every session worker: streams/rules_feed.py


def test_no_server_of_the_asyncapi_document_names_a_secret() -> None:
    assert "security" not in json.dumps(asyncapi()["servers"])
    assert asyncapi()["servers"]["broker"]["host"] == "{host}:{port}"
