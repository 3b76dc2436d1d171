"""Unpack a zip with its file modes: `python3 -m lib.unzip ARCHIVE FOLDER`, so that no unzip needs to be installed."""

import sys
from pathlib import Path

from localwhisk.archives import unzip

if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as archive:
        print(unzip(archive, Path(sys.argv[2])), "files")
