"""`whisk wskprops`: the properties file of wsk and wskdeploy for a running engine."""

from __future__ import annotations

import sys
from argparse import Namespace

from localwhisk import wskprops
from localwhisk.cli.remote import NotReached, address, auth


def run(options: Namespace) -> int:
    """Print it, or write it to a file; 1 when that fails."""
    try:
        where = address(options.apihost, options.state)
        key = auth(options.auth, options.apihost, options.state)
        if options.file is None:
            sys.stdout.write(wskprops.text(where, key))
        else:
            wskprops.write(options.file, where, key)
            sys.stdout.write(f"{options.file} names {where}\n")
    except (NotReached, OSError) as error:
        sys.stderr.write(f"whisk: {error}\n")
        return 1
    return 0
