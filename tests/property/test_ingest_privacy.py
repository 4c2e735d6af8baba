"""Groups in place of persons: totals are kept, nobody stands alone, and more company never tells less."""

from __future__ import annotations

import datetime as dt
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuepoint.models.ingest_privacy import HIERARCHY, NOBODY, Group, Tally, age_band, merge_small, merge_to_size

GROUPS = st.builds(
    Group,
    region=st.sampled_from(["", "US-NY", "US-CA"]),
    gender=st.sampled_from(["female", "male", "unknown"]),
    age_band=st.sampled_from(["18-24", "25-34", "unknown"]),
    context=st.sampled_from(["search", "playlist"]),
    container=st.sampled_from(["", "p1", "p2"]),
    device=st.sampled_from(["phone", "unknown"]),
)
ROWS = st.lists(st.tuples(GROUPS, st.integers(0, 30), st.integers(1, 5), st.integers(0, 300)), max_size=120)


def tallies(rows: list[tuple[Group, int, int, int]]) -> dict[Group, Tally]:
    """Rows of (group, person, streams, seconds) as the spool adds them up."""
    found: dict[Group, Tally] = {}
    for group, person, count, seconds in rows:
        tally = found.setdefault(group, Tally(members=array("Q")))
        tally.add(Tally(count, seconds, 0, array("Q", [person])))
    return found


@given(ROWS, st.integers(1, 12))
def test_no_cell_tells_of_fewer_than_k_and_totals_are_kept(rows: list[tuple[Group, int, int, int]], k: int) -> None:
    merged = merge_small(tallies(rows), k)
    assert all(len(tally.members or ()) >= k for tally in merged.values())
    told = sum(tally.count for tally in merged.values())
    left_out = sum(row[2] for row in rows) - told
    assert left_out >= 0
    everybody = {person for _, person, _, _ in rows}
    if len(everybody) < k:
        assert merged == {}
    told_persons = {person for tally in merged.values() for person in tally.members or ()}
    if left_out:  # those left out were too few together
        outside = [row for row in rows if row[1] not in told_persons]
        assert len({row[1] for row in outside}) < k
    else:
        assert sum(tally.played_seconds for tally in merged.values()) == sum(row[3] for row in rows)
        assert told_persons == everybody


@given(ROWS, st.integers(1, 12))
def test_a_cell_of_enough_persons_stays_what_it_was(rows: list[tuple[Group, int, int, int]], k: int) -> None:
    given_, merged = tallies(rows), merge_small(tallies(rows), k)
    for group, tally in given_.items():
        if tally.persons >= k:
            assert merged[group].count >= tally.count
            assert set(tally.members or ()) <= set(merged[group].members or ())


@given(ROWS, st.integers(1, 8))
def test_what_is_told_of_a_group_is_a_step_of_the_hierarchy(rows: list[tuple[Group, int, int, int]], k: int) -> None:
    coarser = set(tallies(rows))
    for names in HIERARCHY:
        coarser |= {group._replace(**{name: getattr(NOBODY, name) for name in names}) for group in coarser}
    assert set(merge_small(tallies(rows), k)) <= coarser


@given(ROWS, st.integers(1, 6), st.integers(1, 4))
def test_cells_can_be_held_to_a_number(rows: list[tuple[Group, int, int, int]], k: int, most: int) -> None:
    merged = merge_to_size(tallies(rows), k, most)
    assert len(merged) <= most
    assert all(tally.persons >= k for tally in merged.values())


def test_the_same_person_in_two_merged_cells_counts_once() -> None:
    rows = [(Group(gender="male"), person, 1, 0) for person in range(6)]
    rows += [(Group(gender="female"), person, 1, 0) for person in range(4, 9)]
    assert merge_small(tallies(rows), 10) == {}  # nine persons, though the cells' sizes add up to eleven
    merged = merge_small(tallies([*rows, (Group(), 99, 1, 0)]), 10)
    assert [(group, tally.count, tally.cell(group).consumers) for group, tally in merged.items()] == [(NOBODY, 12, 10)]


def test_without_persons_streams_are_the_most_there_can_be() -> None:
    assert merge_small({Group(gender="male"): Tally(9)}, 10) == {}
    merged = merge_small({Group(gender="male"): Tally(9), Group(gender="female"): Tally(30, listeners=4)}, 10)
    assert [(group, tally.count) for group, tally in merged.items()] == [(NOBODY, 39)]
    assert Tally(12).cell(NOBODY).consumers is None
    assert Tally(12, listeners=11).cell(NOBODY).consumers == 11


@pytest.mark.parametrize(
    ("born", "band"),
    [(2003, "0-17"), (2002, "18-24"), (1996, "18-24"), (1995, "25-34"), (1955, "65+"), (1850, "unknown")],
)
def test_age_bands_are_those_of_the_day_of_the_streams(born: int, band: str) -> None:
    assert age_band(born, dt.date(2020, 6, 1)) == band == age_band(born, dt.date(2020, 12, 31))
