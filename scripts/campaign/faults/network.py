"""Ways between the parts that are cut, slow, closed, or swallow everything."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

from campaign.faults.kind import Inject, Kind
from campaign.proxy import Proxy
from campaign.stage import Stage

DELAY_S = (0.05, 0.4)
BYTES_PER_S = (20_000, 200_000)


@contextlib.contextmanager
def _reset(stage: Stage, draw: random.Random) -> Iterator[str]:
    """Two or three ways at once."""
    chosen = draw.sample(sorted(stage.links), draw.choice((2, 3)))
    count = sum(stage.links[name].reset() for name in chosen)
    yield f"{count} connections of {', '.join(chosen)}"


def _until_healed(begin: Callable[[Proxy, random.Random], None]) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, draw: random.Random) -> Iterator[str]:
        name = draw.choice(sorted(stage.links))
        begin(stage.links[name], draw)
        try:
            yield name
        finally:
            stage.links[name].heal()

    return inject


def _slow(link: Proxy, draw: random.Random) -> None:
    link.slow(delay_s=draw.uniform(*DELAY_S), bytes_per_s=draw.uniform(*BYTES_PER_S))


def _refuse(link: Proxy, _draw: random.Random) -> None:
    link.refuse()
    link.reset()


KINDS = [
    Kind("reset", (0.0, 1.0), (), _reset),
    Kind("slow", (4.0, 12.0), ("network",), _until_healed(_slow)),
    Kind("refuse", (1.0, 6.0), ("network",), _until_healed(_refuse)),
    Kind("hang", (2.0, 8.0), ("network",), _until_healed(lambda link, _draw: link.hang())),
]
