"""The files of a path: archives, files that are left out, and files that no one means."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from cloudlstm import storage
from cloudlstm.errors import DataError, UnreadableSourceError
from cloudlstm.market.sources.files.listing import list_files
from market.sources.file_sources import read, source_of, write

TEXT = "date,open,high,low,close,volume\n2020-01-02,1,3,1,2,7\n"


def names(path: object, *ignored: str) -> list[str]:
    listing = list_files(str(path), ignored)
    return [file.item.removeprefix(listing.folder) for file in listing.files]


def archive(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member in members:
            file.writestr(member, TEXT)
    return path


def test_files_that_systems_leave_beside_data_are_not_read(tmp_path: Path) -> None:
    for name in (
        "AAPL.csv",
        "_SUCCESS",
        ".MSFT.csv.swp",
        "._AAPL.csv",
        ".part-0.parquet.crc",
        "__MACOSX/AAPL.csv",
        "README",
        "x.json",
    ):
        write(tmp_path / name, TEXT)
    assert names(tmp_path) == ["AAPL.csv"]


def test_parts_of_a_table_need_no_suffix(tmp_path: Path) -> None:
    for name in ("ticker=AAPL/part-00000", "ticker=MSFT/part-00000-tid-12.gz", "notes"):
        write(tmp_path / name, TEXT)
    assert names(tmp_path) == ["ticker=AAPL/part-00000", "ticker=MSFT/part-00000-tid-12.gz"]


def test_ignored_files_are_left_out(tmp_path: Path) -> None:
    for name in ("AAPL.csv", "meta.csv", "old/AAPL.csv", "old/MSFT.csv"):
        write(tmp_path / name, TEXT)
    assert names(tmp_path, "meta.csv", "old/*") == ["AAPL.csv"]
    with pytest.raises(DataError, match=r"market\.ignore_files leaves out all files"):
        names(tmp_path, "*")


def test_a_file_whose_name_is_a_glob_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "[AAPL].csv", TEXT)
    write(tmp_path / "A.csv", TEXT)
    assert names(tmp_path / "[AAPL].csv") == ["[AAPL].csv"]
    assert names(tmp_path / "[ABC].csv") == ["A.csv"]


def test_the_files_in_an_archive_are_read(tmp_path: Path) -> None:
    archive(tmp_path / "archive.zip", "Stocks/AAPL.csv", "Stocks/MSFT.csv", "__MACOSX/._AAPL.csv", "read me.pdf")
    write(tmp_path / "TSLA.csv", TEXT)
    assert names(tmp_path) == ["TSLA.csv", "archive.zip!/Stocks/AAPL.csv", "archive.zip!/Stocks/MSFT.csv"]
    table = read(tmp_path)
    assert table["ticker"].to_pylist() == ["TSLA", "AAPL", "MSFT"]
    assert table["source"].to_pylist() == ["TSLA.csv", "AAPL.csv", "MSFT.csv"]
    storage.write("memory://listing/archive.zip", (tmp_path / "archive.zip").read_bytes())
    assert read("memory://listing/archive.zip")["ticker"].to_pylist() == ["AAPL", "MSFT"]


def test_another_member_changes_the_identity(tmp_path: Path) -> None:
    path = archive(tmp_path / "archive.zip", "AAPL.csv")
    before = source_of(path).identity()
    assert source_of(path).identity() == before
    archive(path, "AAPL.csv", "MSFT.csv")
    assert source_of(path).identity() != before


def test_an_archive_without_bars_or_that_is_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.zip holds no CSV, text or Parquet file; it holds notes\.pdf"):
        names(archive(tmp_path / "a.zip", "notes.pdf"))
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes()[:40])
    with pytest.raises(UnreadableSourceError, match=r"b\.zip is not readable as a ZIP archive"):
        names(tmp_path / "b.zip")


def test_an_archive_that_unpacks_to_too_much_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("AAPL.csv", TEXT + "2020-01-03,1,3,1,2,7\n" * 20_000_000)
    with pytest.raises(UnreadableSourceError, match=r"a\.zip!/AAPL\.csv unpacks to more than 256 MiB"):
        source_of(tmp_path).look()


def test_a_folder_of_workbooks_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "prices.xlsx", "x")
    with pytest.raises(DataError, match=r"no \.csv") as caught:
        names(tmp_path)
    assert caught.value.hint == "save the sheets as CSV; workbooks are not read"


def test_a_mistyped_path_gets_the_file_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "prices.csv", TEXT)
    with pytest.raises(DataError, match="there is no file at") as caught:
        names(tmp_path / "prces.csv")
    assert caught.value.hint == f"market.path={tmp_path}/prices.csv"


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "a.zip", "AAPL.csv").read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1  # the flag of a password, in both directories
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UnreadableSourceError, match=r"a\.zip!/AAPL\.csv needs a password"):
        read(tmp_path / "a.zip")


def test_the_directory_of_an_archive_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(archive(tmp_path / "archive.zip", *(f"T{number:03d}.csv" for number in range(50))))
    read_all = zipfile.ZipFile._RealGetContents  # reads the directory
    seen: list[object] = []
    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", lambda each: seen.append(each) or read_all(each))
    archive(tmp_path / "other.zip", "A.csv")
    other = source_of(tmp_path / "other.zip")
    for each in (source, other):
        for partition in each.partitions():
            each.read(partition)
    assert len(seen) == 1  # of the new archive; that of the first one was read when it was listed
