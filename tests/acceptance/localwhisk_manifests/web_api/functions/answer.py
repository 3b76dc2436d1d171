from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": 201, "headers": {"Location": f"/notes/{args['id']}"}, "body": args}
