"""Order of key-value pairs as the real server answers them.

It keeps them in a Scala map: up to four in the order they came, more by hash (a CHAMP trie: at each node first its
pairs, then its sub-nodes, five bits of the hash a level).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

_SMALL = 4
_BITS, _MASK = 5, 31
_WORD = 0xFFFFFFFF
_LEVELS = range(0, 35, _BITS)

Pair = Mapping[str, Any]


def ordered(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Pairs with keys of their own, in the order of the server."""
    if len(pairs) <= _SMALL:
        return pairs
    by_key = {pair["key"]: pair for pair in pairs}
    return [by_key[key] for key in _order(tuple(by_key))]


@lru_cache(maxsize=64)
def _order(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_node(keys, 0))


def _node(keys: Sequence[str], level: int) -> Iterator[str]:
    if level >= len(_LEVELS):
        yield from keys
        return
    slots: dict[int, list[str]] = defaultdict(list)
    for key in keys:
        slots[_hash(key) >> _LEVELS[level] & _MASK].append(key)
    for _, slot in sorted(slots.items()):
        if len(slot) == 1:
            yield slot[0]
    for _, slot in sorted(slots.items()):
        if len(slot) > 1:
            yield from _node(slot, level + 1)


@lru_cache(maxsize=1024)
def _hash(key: str) -> int:
    """Java's hash of a text, its bits spread as Scala does."""
    units = key.encode("utf-16-be", "surrogatepass")
    value = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & _WORD
    value = (value + ~(value << 9)) & _WORD
    value ^= value >> 14
    value = (value + (value << 4)) & _WORD
    return value ^ (value >> 10)
