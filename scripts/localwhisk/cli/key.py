"""`whisk key`: a new key for a namespace."""

from __future__ import annotations

import sys
from argparse import Namespace

from localwhisk import private
from localwhisk.identity import GUEST, drawn


def run(options: Namespace) -> int:
    """Print it, or write it to a file that is not there yet; 1 when that fails."""
    auth = drawn(GUEST).auth
    if options.file is None:
        sys.stdout.write(f"{auth}\n")
        return 0
    try:
        private.create(options.file, f"{auth}\n")
    except FileExistsError:
        sys.stderr.write(f"whisk: {options.file} is there already, and a key in it would be lost\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"whisk: {error}\n")
        return 1
    sys.stdout.write(f"{options.file} holds a new key: whisk serve --identity guest=@{options.file}\n")
    return 0
