"""`python -m feeds.provider.healthy`: exit status 0 while the provider on this machine says it is well; for container health checks."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

from feeds.provider.settings import DEFAULT_PORT

TIMEOUT_S = 4


def main() -> int:
    """Asks /health of the port in HORT_PROVIDER_PORT."""
    address = f"http://127.0.0.1:{os.environ.get('HORT_PROVIDER_PORT') or DEFAULT_PORT}/health"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError) as error:
        print(f"{address}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
