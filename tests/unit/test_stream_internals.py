"""A moved attribute of aiokafka or Faust is named before anything runs."""

from __future__ import annotations

import pytest

from cuepoint.schemas.errors import ConfigurationError
from cuepoint.streams import internals
from cuepoint.streams.internals import NEEDED, check_internals


def test_all_are_where_they_are_needed() -> None:
    check_internals()


@pytest.mark.parametrize("owner", [owner for owner, _ in NEEDED], ids=lambda owner: owner.__name__)
def test_the_one_that_moved_is_named(owner: type, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [(each, (*names, "_moved_away") if each is owner else names) for each, names in NEEDED]
    monkeypatch.setattr(internals, "NEEDED", needed)
    with pytest.raises(ConfigurationError, match=rf"{owner.__qualname__} no longer has `_moved_away`"):
        check_internals()


def test_a_renamed_attribute_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fetcher:
        """As if aiokafka had renamed its buffer."""

        def __init__(self) -> None:
            self._closed = False
            self._buffers: dict[object, object] = {}

    monkeypatch.setattr(internals, "NEEDED", [(Fetcher, ("_closed", "_records"))])
    with pytest.raises(ConfigurationError, match="`_records`"):
        check_internals()
