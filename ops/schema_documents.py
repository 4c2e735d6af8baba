"""The contracts as documents others can use: a JSON Schema each, and one AsyncAPI 3.0 document of the topics.

Both are made from the msgspec structs of ``schemas/``: they cannot say what the decoder does not.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from cuepoint import __version__
from cuepoint.ops.schema_examples import EXAMPLES
from cuepoint.ops.topic_flow import FLOW
from cuepoint.schemas.base import Contract
from cuepoint.schemas.codec import encode, type_name
from cuepoint.schemas.topics import TOPICS, Topic

Json = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI_FILE = "asyncapi.json"
_RECEIVED_FROM_OUTSIDE = {"ingest", "api", "simulate"}  # writers that hand on what others sent


def contracts() -> list[type[Contract]]:
    """Every contract that stands in a topic, each once, in the order of the topics."""
    return list(dict.fromkeys(message for topic in TOPICS for message in topic.messages))


def _tidy(value: Any) -> Any:
    """Docstrings without their indentation, and no ``discriminator``: OpenAPI's word, unknown to JSON Schema and
    another thing in AsyncAPI (the constant tag in each branch says the same)."""
    if isinstance(value, dict):
        return {
            name: inspect.cleandoc(item) if name == "description" and isinstance(item, str) else _tidy(item)
            for name, item in value.items()
            if not (name == "discriminator" and isinstance(item, dict) and "propertyName" in item)
        }
    return [_tidy(item) for item in value] if isinstance(value, list) else value


def _references(value: Any, prefix: str) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].removeprefix(prefix)} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item, prefix) for item in value.values()))
    return set().union(*(_references(item, prefix) for item in value)) if isinstance(value, list) else set()


def json_schema(contract: type[Contract]) -> Json:
    """JSON Schema (draft 2020-12) of one contract, complete in itself.

    >>> json_schema(contracts()[0])["required"]
    ['type', 'asset_id', 'day', 'dsp', 'count']
    """
    _, components = msgspec.json.schema_components([contract], ref_template="#/$defs/{name}")
    body = _tidy(components.pop(contract.__name__))
    needed, reached = _references(body, "#/$defs/"), set[str]()
    while needed - reached:
        name = min(needed - reached)
        reached.add(name)
        needed |= _references(components[name], "#/$defs/")
    document = {"$schema": DIALECT, "$id": f"urn:cuepoint:{type_name(contract)}", **body}
    return document | ({"$defs": {name: _tidy(components[name]) for name in sorted(reached)}} if reached else {})


def _headers() -> Json:
    """CloudEvents 1.0, Kafka binary content mode: attributes in ``ce_`` headers, the value stays plain JSON."""
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes (Kafka protocol binding, binary content mode)",
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": text | {"description": "the same id, the same content: a repeat is recognised by it"},
            "ce_source": text | {"description": "which agent said it"},
            "ce_type": text | {"description": "the value's `type`"},
            "content-type": {"type": "string", "const": "application/json"},
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
    }


def _is_result(topic: Topic) -> bool:
    return not _RECEIVED_FROM_OUTSIDE & set(FLOW[topic].writers)


def _message(contract: type[Contract], *, key: str, result: bool) -> Json:
    doc = inspect.cleandoc(contract.__doc__ or "")
    message: Json = {
        "name": type_name(contract),
        "title": contract.__name__,
        "summary": doc.splitlines()[0],
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{contract.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
        "examples": [
            {"name": type_name(contract), "payload": json.loads(encode(example))}
            for example in EXAMPLES
            if type(example) is contract
        ],
    }
    return message | ({"headers": {"$ref": "#/components/schemas/CloudEventsHeaders"}} if result else {})


def _short(topic: Topic) -> str:
    """``cuepoint.trend-records.v1`` is channel ``trend-records``."""
    return topic.name.removeprefix("cuepoint.").rsplit(".", 1)[0]


def _channel(topic: Topic) -> Json:
    kafka: Json = {"bindingVersion": "0.5.0"}
    if topic.partitions is not None:
        kafka["partitions"] = topic.partitions
    if topic.compacted:
        kafka["topicConfiguration"] = {"cleanup.policy": ["compact"]}
    ends = FLOW[topic]
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Written by {', '.join(ends.writers)}; read by {', '.join(ends.readers)}.",
        "messages": {
            contract.__name__: _message(contract, key=topic.key, result=_is_result(topic))
            for contract in topic.messages
        },
        "bindings": {"kafka": kafka},
    }


def _operations(topic: Topic) -> Json:
    """What Cuepoint's own processes do with a topic: an operation for each agent or command at its ends."""
    channel = _short(topic)
    messages = [{"$ref": f"#/channels/{channel}/messages/{contract.__name__}"} for contract in topic.messages]
    return {
        f"{who}-{action}-{channel}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": messages,
        }
        for action, names in (("send", FLOW[topic].writers), ("receive", FLOW[topic].readers))
        for who in names
    }


def asyncapi() -> Json:
    """The AsyncAPI 3.0 document of all topics. The broker's address is a variable: no host and no secret is in it."""
    _, components = msgspec.json.schema_components(contracts(), ref_template="#/components/schemas/{name}")
    schemas = {name: _tidy(components[name]) for name in sorted(components)}
    operations: Json = {}
    for topic in TOPICS:
        operations |= _operations(topic)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cuepoint",
            "version": __version__,
            "description": "Trend records and player events in, alerts and ad decisions out.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}:{port}",
                "protocol": "kafka",
                "description": "The address is the setting CUEPOINT_BROKER.",
                "variables": {"host": {"default": "localhost"}, "port": {"default": "9092"}},
            }
        },
        "channels": {_short(topic): _channel(topic) for topic in TOPICS},
        "operations": operations,
        "components": {"schemas": schemas | {"CloudEventsHeaders": _headers()}},
    }


def _text(document: Json) -> str:
    return f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"


def asyncapi_text() -> str:
    """The AsyncAPI document as JSON text, equal bytes for equal contracts."""
    return _text(asyncapi())


def documents() -> dict[str, str]:
    """File name to text of every document."""
    schemas = {f"{type_name(contract)}.schema.json": _text(json_schema(contract)) for contract in contracts()}
    return {ASYNCAPI_FILE: asyncapi_text(), **schemas}


def write_documents(folder: Path) -> list[Path]:
    """Write every document into ``folder`` (made if missing) and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written
