"""Runs actions in warm processes, mapped servers or containers; see localwhisk.runtime_api for the port."""

from localwhisk.runtimes.pool import Pool

__all__ = ["Pool"]
