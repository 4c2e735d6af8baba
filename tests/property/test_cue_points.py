"""Cue points: sections of SCTE 35 that threefive wrote, manifests that carry them, logs of times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from threefive import Cue, SegmentationDescriptor
from threefive.encode import mk_splice_insert, mk_time_signal

from cuepoint.models.cue_log import read_cue_log
from cuepoint.models.hls_cues import read_manifest_cues
from cuepoint.models.scte35_section import Splice, section_of, splices
from cuepoint.schemas.errors import ContractError

# The examples of ANSI/SCTE 35 2019, section 14: splice_insert (14.2), time_signal placement opportunity start (14.1).
INSERT = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo="
SIGNAL = "/DA0AAAAAAAA///wBQb+cr0AUAAeAhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIAmsnRfg=="
EVENT = st.integers(0, 2**32 - 1)
TICKS = st.integers(0, 2**33 - 1)


def test_the_standards_own_examples() -> None:
    (insert,) = splices(section_of(INSERT))
    assert insert == Splice(0x4800008F, True, pytest.approx(21514.559, abs=1e-3), pytest.approx(60.293, abs=1e-3))
    (signal,) = splices(section_of(SIGNAL))
    assert signal == Splice(0x4800008E, True, pytest.approx(21388.766, abs=1e-3), pytest.approx(307.0, abs=1e-3))


@given(EVENT, TICKS, st.none() | TICKS)
def test_a_splice_insert_of_threefive_is_read_as_it_reads_it(event_id: int, pts: int, length: int | None) -> None:
    cue = mk_splice_insert(1, pts / 90_000, None if length is None else length / 90_000, out=True)
    cue.command.splice_event_id = event_id
    theirs = Cue(cue.encode())
    theirs.decode()
    (ours,) = splices(section_of(cue.encode()))
    assert (ours.event_id, ours.out) == (theirs.command.splice_event_id, theirs.command.out_of_network_indicator)
    assert ours.pts_s == pytest.approx(theirs.command.pts_time, abs=1e-5)
    assert (ours.duration_s is None) == (not theirs.command.duration_flag)
    if ours.duration_s is not None:
        assert ours.duration_s == pytest.approx(theirs.command.break_duration, abs=1e-5)


@given(
    EVENT,
    st.integers(1, 2**33 - 1),
    st.sampled_from([0x10, 0x22, 0x23, 0x30, 0x31, 0x34, 0x35, 0x36, 0x50]),
    st.booleans(),
)
def test_a_time_signal_is_a_break_where_its_segmentation_says_so(event: int, pts: int, kind: int, timed: bool) -> None:
    cue = mk_time_signal(pts / 90_000)
    segmentation = SegmentationDescriptor()
    segmentation.load(
        {
            "segmentation_event_id": hex(event),
            "segmentation_event_cancel_indicator": False,
            "segmentation_event_id_compliance_indicator": True,
            "program_segmentation_flag": True,
            "segmentation_duration_flag": timed,
            "segmentation_duration": 30.0,
            "delivery_not_restricted_flag": True,
            "segmentation_upid_type": 0,
            "segmentation_upid_length": 0,
            "segmentation_upid": "",
            "segmentation_type_id": kind,
            "segment_num": 0,
            "segments_expected": 0,
        }
    )
    cue.descriptors.append(segmentation)
    found = splices(section_of(cue.encode()))
    if kind in (0x10, 0x50):
        assert found == []
    else:
        expected = pytest.approx(pts / 90_000, abs=1e-4)
        assert found == [Splice(event, kind in (0x22, 0x30, 0x34, 0x36), expected, 30.0 if timed else None)]


@given(st.binary(max_size=60), st.integers(0, 49), st.integers(1, 255))
def test_what_is_broken_is_refused_with_a_reason(noise: bytes, place: int, flip: int) -> None:
    good = section_of(INSERT)
    broken = good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :]
    for section in (noise, good[:place], broken):
        try:
            found = splices(section)
        except ValueError as error:
            assert str(error)
        else:
            assert found == []
    with pytest.raises(ValueError, match="neither"):
        section_of("no section at all!")


def manifest(*lines: str) -> str:
    head = ["#EXTM3U", "#EXT-X-TARGETDURATION:10", "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z"]
    return "\n".join(
        [*head, *(f"{line}\n#EXTINF:10,\nsegment{n}.ts" for n, line in enumerate(lines)), "#EXT-X-ENDLIST"]
    )


def test_each_way_to_mark_a_break_in_a_manifest() -> None:
    text = manifest(
        "#EXT-X-DISCONTINUITY",
        f"#EXT-OATCLS-SCTE35:{INSERT}\n#EXT-X-CUE-OUT:60",
        "#EXT-X-CUE-IN",
        f'#EXT-X-DATERANGE:ID="1",START-DATE="2026-01-01T00:00:34.500Z",PLANNED-DURATION=15,'
        f"SCTE35-OUT=0x{section_of(SIGNAL).hex()}",
        "#EXT-X-CUE-OUT:DURATION=20.5",
        f'#EXT-X-SCTE35:CUE="{SIGNAL}"',
    )
    found = [(cue.at_s, cue.duration_s, cue.source) for cue in read_manifest_cues(text)]
    expected = [(10.0, 60.29, "scte35"), (34.5, 15.0, "scte35"), (40.0, 20.5, "scte35"), (50.0, 307.0, "scte35")]
    assert found == [(at_s, pytest.approx(length, abs=0.01), source) for at_s, length, source in expected]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("<MPD/>", "line 1"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8", "$"),
        ("#EXTM3U\n#EXTINF:ten,\na.ts", "line 2"),
        ("#EXTM3U\n#EXT-OATCLS-SCTE35:AAAA", "line 2"),
        (f'#EXTM3U\n#EXT-X-DATERANGE:ID="1",START-DATE="2026-01-01T00:00:00Z",SCTE35-OUT="{INSERT}"', "$"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused_at_its_line(text: str, field: str) -> None:
    with pytest.raises(ContractError) as refused:
        read_manifest_cues(text)
    assert refused.value.field == field


@given(st.lists(st.tuples(st.integers(0, 35_999_999), st.from_regex(r"[A-Za-z][\w ]{0,10}\w", fullmatch=True))))
def test_a_log_of_times_is_read_whatever_its_separators(entries: list[tuple[int, str]]) -> None:
    lines, separators = ["# made by automation", ""], ("\t", ", ", ";", "  ")
    for number, (ms, name) in enumerate(entries):
        seconds, rest = divmod(ms, 1000)
        time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
        lines.append(time + separators[number % 4] + name)
    found = [(round(cue.at_s * 1000), cue.name) for cue in read_cue_log("\r\n".join(lines))]
    assert found == sorted(entries, key=lambda entry: entry[0])


@pytest.mark.parametrize("line", ["soon", "1:75", "00:00:10:30 x", "2:00 - 1:00", "1:99:00"])
def test_a_line_that_is_no_time_is_named(line: str) -> None:
    with pytest.raises(ContractError) as refused:
        read_cue_log(f"0:30 good\n{line}\n", frames_per_s=25.0)
    assert refused.value.field == "line 2"


def test_frames_count() -> None:
    (cue,) = read_cue_log("01:00:00:12 - 01:00:15:00, act two", frames_per_s=24.0)
    assert (cue.at_s, cue.duration_s, cue.name, cue.source) == (3600.5, 14.5, "act two", "log")
