"""Reading rows: formats, broken bytes, broken files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cuepoint.ops.ingest_lines import MAX_LINE_BYTES
from cuepoint.ops.ingest_read import Read, Source, original_of
from cuepoint.schemas.errors import ConfigurationError

ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "y, z"}, {"a": "3", "b": "ü"}]


def read_all(path: Path, content: bytes | None = None, delimiter: str = "") -> list[Read]:
    if content is not None:
        path.write_bytes(content)
    with Source(path, delimiter) as source:
        return list(source.rows())


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", 'a,b\n1,x\n2,"y, z"\n3,ü\n'),
        ("f.csv", '\ufeffa,b\r\n1,x\r\n2,"y, z"\r\n\r\n3,ü'),
        ("f.tsv", "a\tb\n1\tx\n2\ty, z\n3\tü\n"),
        ("f.jsonl", '{"a":"1","b":"x"}\n\n{"a":"2","b":"y, z"}\n{"a":"3","b":"ü"}'),
    ],
)
def test_formats_give_the_same_rows(tmp_path: Path, name: str, content: str, zipped: bool) -> None:
    data = content.encode()
    path = tmp_path / (name + ".gz" if zipped else name)
    assert [read.row for read in read_all(path, gzip.compress(data) if zipped else data)] == ROWS


def test_zstandard_is_read_and_noticed_when_it_breaks_off(tmp_path: Path) -> None:
    lines = "a,b\n" + "".join(f"{number},{number * 7919 % 10007}\n" for number in range(50_000))
    packed = pa.compress(lines.encode(), codec="zstd", asbytes=True)
    reads = read_all(tmp_path / "f.csv.zst", packed)
    assert (len(reads), reads[-1].row) == (50_000, {"a": "49999", "b": str(49_999 * 7919 % 10007)})
    with pytest.raises(ConfigurationError, match=r"f\.csv\.zst breaks off after line \d+"):
        read_all(tmp_path / "f.csv.zst", packed[: len(packed) // 2])


@pytest.mark.parametrize("zipped", [False, True])
def test_parquet_gives_typed_rows(tmp_path: Path, zipped: bool) -> None:
    plain = tmp_path / "f.parquet"
    pq.write_table(pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]}), plain, row_group_size=2)
    path = tmp_path / "f.parquet.gz" if zipped else plain
    if zipped:
        path.write_bytes(gzip.compress(plain.read_bytes()))
    with Source(path) as source:
        assert source.header == ["a", "b"]
        reads = list(source.rows())
    assert [read.row for read in reads] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": None, "b": "z"}]
    assert [read.line for read in reads] == [1, 2, 3]
    assert original_of(reads[0]) == b'{"a":1,"b":"x"}'


def test_broken_rows_keep_line_and_bytes_and_do_not_stop_the_file(tmp_path: Path) -> None:
    content = b'a,b\n1,x\n2\n3,y,z\n4,\xff\n5,"q"w\n"6\n7",ok\n8,v\n'
    reads = read_all(tmp_path / "f.csv", content)
    good = [(read.line, read.row) for read in reads if read.row]
    assert good == [(2, {"a": "1", "b": "x"}), (7, {"a": "6\n7", "b": "ok"}), (9, {"a": "8", "b": "v"})]
    broken = {read.line: (read.original, read.fault.reason) for read in reads if read.fault}
    assert broken[3] == (b"2", "1 columns where the header has 2")
    assert broken[4] == (b"3,y,z", "3 columns where the header has 2")
    assert broken[5] == (b"4,\xff", "not UTF-8 at byte 2")
    assert broken[6][0] == b'5,"q"w'


def test_broken_json_lines(tmp_path: Path) -> None:
    reads = read_all(tmp_path / "f.jsonl", b'{"a":1}\n{"a":\n[1]\n{"a":2}\n')
    assert [(read.line, read.fault.code if read.fault else None) for read in reads] == [
        (1, None),
        (2, "malformed"),
        (3, "malformed"),
        (4, None),
    ]
    assert reads[1].original == b'{"a":'


def test_an_endless_line_is_one_broken_row_of_which_the_beginning_is_kept(tmp_path: Path) -> None:
    long = b"1," + b"x" * (3 * MAX_LINE_BYTES)
    reads = read_all(tmp_path / "f.csv", b"a,b\n" + long + b"\n2,y\n")
    assert [read.fault.code if read.fault else None for read in reads] == ["too_long", None]
    assert len(reads[0].original) < MAX_LINE_BYTES
    assert reads[1].row == {"a": "2", "b": "y"}
    assert reads[1].line == 3


def test_an_open_quote_at_the_end_is_a_broken_row(tmp_path: Path) -> None:
    reads = read_all(tmp_path / "f.csv", b'a,b\n1,x\n2,"never closed\n3,y\n')
    assert reads[0].row == {"a": "1", "b": "x"}
    assert reads[1].original == b'2,"never closed\n3,y'
    assert reads[1].fault is not None


def test_delimiter_of_the_mapping_wins(tmp_path: Path) -> None:
    assert read_all(tmp_path / "f.csv", b"a;b\n1;2\n", ";")[0].row == {"a": "1", "b": "2"}


def test_truncated_archive_names_the_line(tmp_path: Path) -> None:
    rows = "".join(f"{number},{number * 7919 % 10007}\n" for number in range(20_000))
    whole = gzip.compress(b"a,b\n" + rows.encode())
    with pytest.raises(ConfigurationError, match=r"f\.csv\.gz breaks off after line \d+"):
        read_all(tmp_path / "f.csv.gz", whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.csv", b"", "is empty"),
        ("f.xlsx", b"PK", "unknown kind of file"),
        ("f.parquet", b"not parquet", "is not a Parquet file"),
        ("f.csv.gz", b"not gzip", "breaks off after line 0"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_all(tmp_path / name, content)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_all(tmp_path / "nowhere.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(ConfigurationError, match="Is a directory"):
        read_all(tmp_path / "d.csv")
