"""decode(encode(x)) == x for every value a contract allows, and what is encoded meets the published schema."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import jsonschema
import msgspec.inspect as mi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuepoint.ops.schema_documents import contracts, json_schema
from cuepoint.schemas.codec import decoder, encode, type_name

_SIZE = 3  # of lists and dicts: enough to be wrong in


def _float(kind: mi.FloatType) -> st.SearchStrategy[float]:
    low, high = kind.ge if kind.gt is None else kind.gt, kind.le if kind.lt is None else kind.lt
    return st.floats(low, high, exclude_min=kind.gt is not None, allow_nan=False, allow_infinity=False, width=64)


def _text(kind: mi.StrType) -> st.SearchStrategy[str]:
    least, most = kind.min_length or 0, min(kind.max_length or 40, 40)
    if kind.pattern is not None:
        return st.from_regex(kind.pattern.replace("$", r"\Z"), fullmatch=True).filter(lambda s: least <= len(s) <= most)
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=most)


def _struct(kind: mi.StructType) -> st.SearchStrategy[Any]:
    fields = {field.name: strategy(field.type) for field in kind.fields}
    required = {field.name: fields[field.name] for field in kind.fields if field.required}
    optional = {name: item for name, item in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind.cls(**given))


def strategy(kind: mi.Type) -> st.SearchStrategy[Any]:
    """Values of a msgspec type within its bounds."""
    match kind:
        case mi.Metadata():
            return strategy(kind.type)
        case mi.StructType():
            return st.deferred(lambda: _struct(kind))
        case mi.UnionType():
            return st.one_of([strategy(member) for member in kind.types])
        case mi.StrType():
            return _text(kind)
        case mi.FloatType():
            return _float(kind)
        case mi.IntType():
            return st.integers(-(2**63) if kind.ge is None else kind.ge, 2**63 - 1 if kind.le is None else kind.le)
        case mi.ListType():
            most = min(kind.max_length or _SIZE, _SIZE)
            return st.lists(strategy(kind.item_type), min_size=kind.min_length or 0, max_size=most)
        case mi.DictType():
            return st.dictionaries(strategy(kind.key_type), strategy(kind.value_type), max_size=_SIZE)
        case mi.LiteralType():
            return st.sampled_from(list(kind.values))
        case mi.DateType():
            return st.dates()
        case mi.DateTimeType():
            zones = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-5)), *([] if kind.tz else [None])])
            return st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=zones)
        case mi.BytesType():
            return st.binary(max_size=40)
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
    raise NotImplementedError(f"no strategy for {kind}")


@pytest.mark.parametrize("kind", contracts(), ids=type_name)
def test_what_is_encoded_decodes_to_the_same_value_and_meets_the_schema(kind: type) -> None:
    judge = jsonschema.Draft202012Validator(json_schema(kind))
    read = decoder(kind)

    @settings(max_examples=60, deadline=None)
    @given(strategy(mi.type_info(kind)))
    def holds(value: Any) -> None:
        wire = encode(value)
        assert read.decode(wire) == value
        judge.validate(json.loads(wire))

    holds()
