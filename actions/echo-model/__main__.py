"""Web action `echo-model`: answers what it was sent, in any of the three protocols."""

from __future__ import annotations

from typing import Any

from hort import model_action


def main(args: dict[str, Any]) -> dict[str, Any]:
    return model_action.respond(args, model_action.echo, of_many=model_action.echo_device_data)
