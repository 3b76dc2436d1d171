"""Actions that die, or lose their connection, after something took effect and before they know it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator

from campaign.faults.kind import Impossible, Inject, Kind
from campaign.proxy import Proxy
from campaign.stage import Stage

EFFECTS = (("actions-redis", b"EVALSHA"), ("actions-redis", b"HSET"), ("actions-redis", b"EXEC"), ("actions-elasticsearch", b"_bulk"))
WAIT_S = 20.0


def _after(begin: str) -> Inject:
    @contextlib.contextmanager
    def inject(stage: Stage, draw: random.Random) -> Iterator[str]:
        name, match = draw.choice(EFFECTS)
        link: Proxy = stage.links[name]
        before = link.effects.total()
        getattr(link, begin)(match, times=draw.choice((1, 2, 3)))
        try:
            deadline = time.monotonic() + WAIT_S
            while link.effects.total() == before:
                if time.monotonic() > deadline:
                    raise Impossible(f"no {match.decode()} came by on {name} within {WAIT_S:g} s")
                time.sleep(0.05)
            yield f"{name} {match.decode()}"
        finally:
            link.disarm()

    return inject


KINDS = [
    Kind("kill-after-effect", (1.0, 4.0), ("effects",), _after("kill_after_effect")),
    Kind("cut-after-effect", (1.0, 4.0), ("effects",), _after("cut_after_effect")),
]
