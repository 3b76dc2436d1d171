from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    text = args.get("text")
    if not isinstance(text, str) or not text.strip():
        return {"error": {"statusCode": 422, "body": {"problem": "text is missing"}}}
    return {"text": text.strip(), "author": args.get("author", "anonymous")}
