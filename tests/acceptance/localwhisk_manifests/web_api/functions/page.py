from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    return {"body": f"<title>{args['title']}</title><p>{args['__ow_method']} {args['__ow_path']}</p>"}
