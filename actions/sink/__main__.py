"""Action `sink`: stores what a batch became in Elasticsearch, then acknowledges it, see `hort.sink`."""

from __future__ import annotations

from typing import Any

from hort import action, sink


def main(args: dict[str, Any]) -> dict[str, Any]:
    return sink.run(action.strip(args))
