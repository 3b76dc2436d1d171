"""The variables that a manifest interpolates: which there are, and what they get.

An exported variable wins, then the state folder's *.env files (stack.env holds the services' addresses); what is left stays empty, which our
actions take as "use the default".
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

# wskdeploy takes a value that begins with $, and ${NAME} anywhere; $${NAME} is a literal.
REFERENCE = re.compile(r"(?<!\$)\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))")
SECRET_NAME = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|AUTH")
PASSWORD_IN_URL = re.compile(r"://[^/@\s:]*:(?P<password>[^/@\s]+)@")
KEPT = ("PATH", "LANG", "LC_ALL", "TERM", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


def names_in(manifest: str) -> list[str]:
    """Return the names a manifest refers to, sorted; comments do not count."""
    lines = (re.sub(r"(^|\s)#.*$", "", line) for line in manifest.splitlines())
    return sorted({match["braced"] or match["plain"] for line in lines for match in REFERENCE.finditer(line)})


def read_env_file(path: Path) -> dict[str, str]:
    """Read NAME=value lines as a shell would; a line of another form raises ValueError with its number."""
    values = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        name, separator, value = words[-1].partition("=")
        if not separator or not name.isidentifier() or words[:-1] not in ([], ["export"]):
            raise ValueError(f"{path}, line {number}: expected NAME=value")
        values[name] = value
    return values


def resolve(names: list[str], *, environment: Mapping[str, str], state: Path) -> dict[str, str]:
    """Return a value for each name, empty where there is none."""
    known: dict[str, str] = {}
    for path in sorted(state.glob("*.env")):
        known |= read_env_file(path)
    return {name: environment.get(name) or known.get(name, "") for name in names}


def for_tool(values: Mapping[str, str], *, environment: Mapping[str, str], config: Path) -> dict[str, str]:
    """Return the whole environment of a wskdeploy call: our own configuration file, and a home in which there is no other."""
    kept = {name: environment[name] for name in KEPT if name in environment}
    return kept | dict(values) | {"WSK_CONFIG_FILE": str(config), "HOME": str(config.parent)}


def secrets_in(values: Mapping[str, str]) -> list[str]:
    """Return what must not be printed: values of variables named like secrets, and passwords inside addresses."""
    found = [value for name, value in values.items() if SECRET_NAME.search(name)]
    found += [match["password"] for value in values.values() for match in PASSWORD_IN_URL.finditer(value)]
    return sorted({value for value in found if len(value) >= 4}, key=len, reverse=True)


def redacted(text: str, secrets: list[str]) -> str:
    """Return the text with each secret replaced."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
