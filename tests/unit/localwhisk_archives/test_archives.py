"""Archives of strangers: what leads out is refused before anything is written, and nothing is read without a bound."""

import gzip
import io
import os
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk.archives import Bounds, Refused, untar, unzip
from localwhisk.archives.tree import MAX_DEPTH, MAX_NAME_BYTES, File, Tree
from tests.support.hostile_archives import Packed, tar_of, zip_of, zip_with_a_lying_size

FORMATS = [pytest.param(zip_of, unzip, id="zip"), pytest.param(tar_of, untar, id="tar.gz")]
Pack = Callable[..., bytes]
Unpack = Callable[..., int]


def unpacked(unpack: Unpack, content: bytes, folder: Path, **options: Any) -> list[str]:
    """Unpack into an empty folder inside another one; returns what is anywhere below that one."""
    inside = folder / "inside"
    inside.mkdir()
    try:
        unpack(io.BytesIO(content), inside, **options)
    finally:
        outside = [path.name for path in folder.iterdir() if path != inside]
        assert outside == [], "something was written outside"
    return sorted(path.relative_to(inside).as_posix() for path in inside.rglob("*"))


@pytest.mark.parametrize(("pack", "unpack"), FORMATS)
def test_files_folders_and_links_are_written(pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
    entries = [
        Packed("./link", "there/../lib/b.py", "link"),
        Packed("there", "lib", "link"),
        Packed("lib/b.py", "B"),
        Packed("empty/", kind="folder"),
        Packed("lib", kind="folder"),
        Packed("a//c.py", "C"),
        Packed("dangling", "lib/none", "link"),
    ]
    found = unpacked(unpack, pack(*entries), tmp_path)
    assert found == ["a", "a/c.py", "dangling", "empty", "lib", "lib/b.py", "link", "there"]
    assert (tmp_path / "inside/link").read_text() == "B"


WAYS_OUT = {
    "parent": [Packed("../evil", "x")],
    "parent in the middle": [Packed("a/../../evil", "x")],
    "parent that comes back": [Packed("a/../b", "x")],
    "absolute": [Packed("/evil", "x")],
    "drive": [Packed("C:/evil", "x")],
    "backslashes": [Packed("..\\evil", "x")],
    "backslash": [Packed("a\\b", "x")],
    "absolute link": [Packed("link", "/etc/passwd", "link")],
    "link out": [Packed("link", "../evil", "link")],
    "link to root's parent": [Packed("a/link", "../..", "link")],
    "link by backslashes": [Packed("link", "..\\..\\evil", "link")],
    "link to a link": [Packed("a/b/one", "../../two/../..", "link"), Packed("two", "a", "link")],
    "link to a link that comes later": [Packed("a/x", "b/../../..", "link"), Packed("a/b", "c", "link"), Packed("a/c", "..", "link")],
    "link deeper than it looks": [Packed("d", "a/b/c", "link"), Packed("e", "d/../../../..", "link"), Packed("a/b/c/f", "x")],
    "link shallower than it looks": [Packed("a/b/c", "../..", "link"), Packed("evil", "a/b/c/../x", "link")],
    "loop": [Packed("a", "b", "link"), Packed("b", "a", "link")],
    "loop of one": [Packed("a", "a/x", "link")],
    "file through a link": [Packed("a", ".", "link"), Packed("a/evil", "x")],
    "file through a link that comes later": [Packed("a/evil", "x"), Packed("a", ".", "link")],
    "folder through a link": [Packed("a", "b", "link"), Packed("a/", kind="folder"), Packed("a/c", "x")],
    "link replaced by a file": [Packed("a", "b", "link"), Packed("a", "x")],
    "link replaced by a link": [Packed("a", "b", "link"), Packed("a", "c", "link")],
    "file twice": [Packed("a", "x"), Packed("./a", "y")],
    "file where a folder must be": [Packed("a", "x"), Packed("a/b", "y")],
    "folder where a file is": [Packed("a/b", "x"), Packed("a", "y")],
    "device": [Packed("a", "", "device")],
    "pipe": [Packed("a", "", "fifo")],
    "root as a file": [Packed("./.", "x")],
    "root as a link": [Packed(".", "x", "link")],
    "long name": [Packed("a/" * (MAX_NAME_BYTES // 2) + "b", "x")],
    "long part": [Packed("a" * 256, "x")],
    "deep name": [Packed("a/" * MAX_DEPTH + "b", "x")],
    "long link": [Packed("a", "b/" * MAX_NAME_BYTES, "link")],
    "empty link": [Packed("a", "", "link")],
}


@pytest.mark.parametrize(("pack", "unpack"), FORMATS)
@pytest.mark.parametrize("entries", [pytest.param(value, id=key) for key, value in WAYS_OUT.items()])
@pytest.mark.parametrize("order", [1, -1], ids=["as listed", "reversed"])
def test_every_way_out_is_refused_before_anything_is_written(
    pack: Pack, unpack: Unpack, entries: list[Packed], order: int, tmp_path: Path
) -> None:
    content = pack(Packed("first", "x"), *entries[::order])
    with pytest.raises(Refused):
        unpacked(unpack, content, tmp_path)
    assert list((tmp_path / "inside").iterdir()) == []


def test_a_chain_of_links_has_an_end(tmp_path: Path) -> None:
    chain = [Packed(f"l{n}", f"l{n + 1}", "link") for n in range(60)]
    with pytest.raises(Refused, match="too many links"):
        unpacked(unzip, zip_of(*chain), tmp_path)


def test_hard_links_are_copies_of_what_came_before(tmp_path: Path) -> None:
    content = tar_of(Packed("a/b", "text"), Packed("c", "./a/b", "hard link"))
    assert unpacked(untar, content, tmp_path) == ["a", "a/b", "c"]
    assert (tmp_path / "inside/c").read_text() == "text"


@pytest.mark.parametrize(("pack", "unpack"), FORMATS)
def test_a_folder_named_over_and_over_counts_each_time(pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="more than 10"):
        unpack(io.BytesIO(pack(*[Packed("d/", kind="folder")] * 11)), tmp_path, bounds=Bounds(entries=10))


def test_a_negative_size_is_refused() -> None:
    tree: Tree[int] = Tree(Bounds())
    with pytest.raises(Refused, match="negative size"):
        tree.add("a", File(0, -1024))


class Counted(io.BytesIO):
    """Content that counts how many bytes are taken from it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read, and count."""
        data = super().read(size)
        self.taken += len(data)
        return data


def test_hard_links_do_not_inflate_the_archive_again_and_again(tmp_path: Path) -> None:
    filler = "".join(map(chr, range(256))) * 4000
    links = [Packed(f"{name}{number}", name, "hard link") for number in range(50) for name in "ac"]
    content = Counted(tar_of(Packed("a", "A"), Packed("b", filler), Packed("c", "C"), *links))
    assert untar(content, tmp_path) == 103
    assert content.taken <= 3 * len(content.getvalue())
    assert (tmp_path / "a49").read_text() + (tmp_path / "c49").read_text() == "AC"


@pytest.mark.parametrize("target", ["/etc/passwd", "../evil", "later", "folder", "link"])
def test_a_hard_link_to_anything_else_is_refused(target: str, tmp_path: Path) -> None:
    entries = [Packed("folder", kind="folder"), Packed("link", "folder", "link"), Packed("c", target, "hard link"), Packed("later", "x")]
    with pytest.raises(Refused, match="hard link"):
        unpacked(untar, tar_of(*entries), tmp_path)


@pytest.mark.parametrize(("pack", "unpack"), FORMATS)
def test_bounds_hold_for_all_entries_together(pack: Pack, unpack: Unpack, tmp_path: Path) -> None:
    entries = [Packed(f"a{n}/b/c", "12345") for n in range(4)]
    for bounds in (Bounds(entries=11), Bounds(size=19)):
        with pytest.raises(Refused, match="more than"):
            unpack(io.BytesIO(pack(*entries)), tmp_path, bounds=bounds)
    assert list(tmp_path.iterdir()) == []
    assert unpack(io.BytesIO(pack(*entries)), tmp_path, bounds=Bounds(entries=12, size=20)) == 4


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("claimed", [10, 200 << 20])
def test_an_entry_that_inflates_to_more_than_it_says_costs_no_memory(link: bool, claimed: int, tmp_path: Path) -> None:
    content = zip_with_a_lying_size("a", 64 << 20, link=link, claimed=claimed)
    assert len(content) < 1 << 20
    assert peak(lambda: unpacked(unzip, content, tmp_path)) < 8 << 20


def test_a_zip_of_very_many_names_costs_no_memory(tmp_path: Path) -> None:
    content = zip_of(Packed("a", "x"))
    table = content[content.index(b"PK\x01\x02") : content.index(b"PK\x05\x06")]
    many = 400_000
    end = bytearray(content[-22:])
    end[12:16] = (many * len(table)).to_bytes(4, "little")
    large = content[: -22 - len(table)] + table * many + bytes(end)
    assert peak(lambda: unpacked(unzip, large, tmp_path)) < 64 << 20


def pax(size: int, *, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A tar that begins with an extended header of this size."""
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT) + b"a" * size


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_a_tar_is_bounded(kind: bytes, tmp_path: Path) -> None:
    content = gzip.compress(pax(64 << 20, kind=kind), 9)
    assert peak(lambda: unpacked(untar, content, tmp_path)) < 8 << 20


def test_headers_of_a_tar_are_bounded_together(tmp_path: Path) -> None:
    content = gzip.compress(b"".join(pax(512) for _ in range(5000)), 9)
    assert peak(lambda: unpacked(untar, content, tmp_path)) < 8 << 20


def test_a_map_of_holes_is_bounded(tmp_path: Path) -> None:
    """GNU's sparse format 1.0: tarfile reads the map, as long as it says it is, before it gives the entry."""
    info = tarfile.TarInfo("a")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a", "GNU.sparse.realsize": "1"}
    header = info.tobuf(tarfile.PAX_FORMAT)
    content = gzip.compress(header + b"9999999\n" + b"1\n" * (8 << 20), 9)
    assert peak(lambda: unpacked(untar, content, tmp_path)) < 8 << 20


def test_a_tar_that_inflates_for_ever_is_not_read_to_its_end(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = 8 << 30
    content = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20), 9)
    with pytest.raises(Refused, match="more than"):
        unpacked(untar, content, tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_the_images_do_not_read_are_refused(method: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a", "x" * 100)
    with pytest.raises(Refused, match="another method"):
        unpacked(unzip, buffer.getvalue(), tmp_path)


def test_a_mode_counts_only_where_unix_made_it(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, system in (("unix", 3), ("dos", 0)):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = system, 0o100755 << 16
            archive.writestr(info, "x")
    assert unpacked(unzip, buffer.getvalue(), tmp_path) == ["dos", "unix"]
    assert [os.access(tmp_path / "inside" / name, os.X_OK) for name in ("unix", "dos")] == [True, False]


def test_what_is_told_of_a_name_fits_into_a_line_of_a_log(tmp_path: Path) -> None:
    with pytest.raises(Refused) as error:
        unpacked(unzip, zip_of(Packed("../\x1b[31m\n" + "é" * 400, "x")), tmp_path)
    assert str(error.value).isprintable()
    assert str(error.value).isascii()
    assert len(str(error.value)) < 1000


NAMES = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "", "a\\b", "C:"]), min_size=1, max_size=4).map("/".join)
ENTRIES = st.builds(Packed, NAMES, st.one_of(NAMES, st.just("/x")), st.sampled_from(["file", "folder", "link", "fifo"]))


@pytest.mark.parametrize(("pack", "unpack"), FORMATS)
@given(entries=st.lists(ENTRIES, max_size=8))
def test_whatever_is_packed_stays_inside_or_is_refused_whole(
    pack: Pack, unpack: Unpack, entries: list[Packed], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        unpacked(unpack, pack(*entries), folder)
    except Refused:
        assert list((folder / "inside").iterdir()) == []
        return
    inside = (folder / "inside").resolve()
    for path in inside.rglob("*"):
        assert path.resolve().is_relative_to(inside), f"{path} leads out"


@pytest.mark.parametrize(("pack", "unpack"), FORMATS)
@given(data=st.data())
def test_broken_bytes_are_refused_and_nothing_else(
    pack: Pack, unpack: Unpack, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(pack(Packed("a/b", "text" * 50), Packed("l", "a/b", "link"), Packed("c", "x")))
    if unpack is untar:
        content = bytearray(gzip.decompress(content))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    packed = gzip.compress(bytes(content), 1) if unpack is untar else bytes(content)
    try:
        unpacked(unpack, packed[: data.draw(st.integers(0, len(packed)))], tmp_path_factory.mktemp("broken"))
    except Refused as error:
        assert str(error)  # noqa: PT017
