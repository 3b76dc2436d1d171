"""Unpack a zip with its file modes: `python3 -m lib.unzip ARCHIVE FOLDER`, so that no unzip needs to be installed."""

import sys
import zipfile
from pathlib import Path


def unpack(archive: Path, folder: Path) -> int:
    """Extract every member with its permission bits; returns how many there were. Names that lead outside raise ValueError."""
    root = folder.resolve()
    with zipfile.ZipFile(archive) as source:
        members = source.infolist()
        for member in members:
            target = (root / member.filename).resolve()
            if not target.is_relative_to(root):
                raise ValueError(f"{archive}: member {member.filename!r} leads outside the folder")
            source.extract(member, root)
            mode = (member.external_attr >> 16) & 0o777
            if mode and not member.is_dir():
                target.chmod(mode)
    return len(members)


if __name__ == "__main__":
    print(unpack(Path(sys.argv[1]), Path(sys.argv[2])), "files")
