"""Archives as nobody's tool makes them: entries in any order, of any kind, with sizes that lie."""

import gzip
import io
import stat
import tarfile
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["file", "folder", "link", "device", "fifo", "hard link"]
MODES = {
    "file": stat.S_IFREG | 0o644,
    "folder": stat.S_IFDIR | 0o755,
    "link": stat.S_IFLNK | 0o777,
    "device": stat.S_IFBLK | 0o666,
    "fifo": stat.S_IFIFO | 0o666,
    "hard link": stat.S_IFREG | 0o644,
}
TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "device": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "hard link": tarfile.LNKTYPE,
}


@dataclass(frozen=True)
class Packed:
    """One entry; `text` is a file's content or where a link leads."""

    name: str
    text: str = ""
    kind: Kind = field(default="file")


def zip_of(*entries: Packed) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:  # of names that occur twice
        for entry in entries:
            info = zipfile.ZipInfo()
            info.filename = info.orig_filename = entry.name
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = MODES[entry.kind] << 16
            archive.writestr(info, entry.text)
    return buffer.getvalue()


def tar_of(*entries: Packed) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type = TYPES[entry.kind]
            content = entry.text.encode() if entry.kind == "file" else b""
            info.linkname = entry.text if "link" in entry.kind else ""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1)


def zip_with_a_lying_size(name: str, real_size: int, *, link: bool, claimed: int) -> bytes:
    """A zip whose one entry inflates to far more than its headers say."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = b"a" * (1 << 20)
    data = b"".join(packer.compress(block) for _ in range(real_size >> 20)) + packer.flush()
    mode = MODES["link" if link else "file"] << 16
    sizes = len(data).to_bytes(4, "little") + claimed.to_bytes(4, "little")
    common = b"\x14\0\0\0\x08\0\0\0\0\0" + b"\0\0\0\0" + sizes + len(name).to_bytes(2, "little") + b"\0\0"
    local = b"PK\x03\x04" + common + name.encode() + data
    central = b"PK\x01\x02\x14\x03" + common + b"\0" * 6 + mode.to_bytes(4, "little") + b"\0" * 4 + name.encode()
    table = len(central).to_bytes(4, "little") + len(local).to_bytes(4, "little")
    return local + central + b"PK\x05\x06\0\0\0\0\x01\0\x01\0" + table + b"\0\0"
