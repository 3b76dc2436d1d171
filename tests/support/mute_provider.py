"""The provider, except that its acks never reach the broker: what a crash between journalling and the ack leaves behind."""

import sys
from array import array

from feeds.provider import __main__ as provider
from feeds.provider.connection import PahoConnection


def no_ack(_self: PahoConnection, _qos: int, _mids: "array[int]") -> int:
    return 1 << 30


PahoConnection.ack = no_ack  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    sys.exit(provider.main())
