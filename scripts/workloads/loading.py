"""Actions in this process, as OpenWhisk would load them."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from demonstrate.options import ROOT


def action(name: str) -> ModuleType:
    """The module of an action's folder; its `main` takes and gives what the action does."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "actions" / name / "__main__.py")
    if spec is None or spec.loader is None:
        raise RuntimeError(f"action {name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
