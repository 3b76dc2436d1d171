"""Loads an action's `main` as the runtime does: by its file, not by a package name."""

import importlib.util
from collections.abc import Callable
from typing import Any

from tests.support.paths import ROOT


def load_main(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """`main` of actions/<name>/__main__.py."""
    path = ROOT / "actions" / name / "__main__.py"
    spec = importlib.util.spec_from_file_location("main__", path)
    if spec is None or spec.loader is None:
        raise AssertionError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[dict[str, Any]], dict[str, Any]] = module.main
    return main


def raw_request(method: str = "get", path: str = "", query: str = "", body: str = "", **bound: Any) -> dict[str, Any]:
    """Arguments of a raw web action as OpenWhisk hands them over, and what is bound to it."""
    return {"__ow_method": method, "__ow_path": path, "__ow_query": query, "__ow_body": body, "__ow_headers": {}, **bound}
