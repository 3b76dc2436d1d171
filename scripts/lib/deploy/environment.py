"""The variables that a manifest interpolates: which there are, and what they get.

An exported variable wins, then what is bound where it goes (see `settled`), then the settings of what runs on this machine; what is left
stays empty, which our actions take as "use the default".
"""

import re
from collections.abc import Mapping
from pathlib import Path

from hort.errors import shown

# wskdeploy takes a value that begins with $, and ${NAME} anywhere; $${NAME} is a literal.
REFERENCE = re.compile(r"(?<!\$)\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*))")
SECRET_NAME = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|AUTH")
PASSWORD_IN_URL = re.compile(r"://[^/@\s:]*:(?P<password>[^/@\s]+)@")
PEM = frozenset({"HORT_MQTT_TLS_CA", "HORT_MQTT_TLS_CERT", "HORT_MQTT_TLS_KEY"})
LARGEST_PEM = 1_000_000
"""Characters; the authorities of a whole system have a quarter of it."""
KEPT = ("PATH", "LANG", "LC_ALL", "TERM", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


def names_in(manifest: str) -> list[str]:
    """Return the names a manifest refers to, sorted; comments do not count."""
    lines = (re.sub(r"(^|\s)#.*$", "", line) for line in manifest.splitlines())
    return sorted({match["braced"] or match["plain"] for line in lines for match in REFERENCE.finditer(line)})


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the text with each reference replaced, as wskdeploy does; a variable that is not set is empty."""
    return REFERENCE.sub(lambda match: values.get(match["braced"] or match["plain"], ""), template)


def resolve(names: list[str], *, environment: Mapping[str, str]) -> dict[str, str]:
    """Return a value for each name, empty where there is none; PEM texts may be given by their file's name.

    ValueError where a value is no UTF-8 text, or the file cannot be read or holds no PEM text.
    """
    return {name: _read_pem(name, _text(name, environment.get(name, ""))) for name in names}


def _text(name: str, value: str) -> str:
    try:
        value.encode()  # what was no UTF-8 came as surrogates
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be UTF-8 text") from None
    return value


def _read_pem(name: str, value: str) -> str:
    if name not in PEM or not value or "-----BEGIN" in value:
        return value
    try:
        with Path(value).expanduser().open(encoding="ascii") as file:
            text = file.read(LARGEST_PEM + 1)
    except OSError as error:
        raise ValueError(f"{name} is neither PEM text nor a file of it: {error.strerror}") from error
    except (ValueError, RuntimeError) as error:  # no ASCII, a name with a zero character, no such home
        raise ValueError(f"{name} is neither PEM text nor a file of it: {type(error).__name__}") from error
    if "-----BEGIN" not in text or len(text) > LARGEST_PEM:
        raise ValueError(f"{name} is neither PEM text nor a file of it: {shown(value)} holds none")
    return text


def for_tool(values: Mapping[str, str], *, environment: Mapping[str, str], config: Path) -> dict[str, str]:
    """Return the whole environment of a wskdeploy call: our own configuration file, and a home in which there is no other."""
    kept = {name: environment[name] for name in KEPT if name in environment}
    return kept | dict(values) | {"WSK_CONFIG_FILE": str(config), "HOME": str(config.parent)}


def secrets_in(values: Mapping[str, str]) -> list[str]:
    """Return what must not be printed: values of variables named like secrets, and passwords inside addresses."""
    found = [line for name, value in values.items() if SECRET_NAME.search(name) for line in value.splitlines()]  # a PEM text has many
    found += [match["password"] for value in values.values() for match in PASSWORD_IN_URL.finditer(value)]
    return sorted({value for value in found if len(value) >= 4}, key=len, reverse=True)


def redacted(text: str, secrets: list[str]) -> str:
    """Return the text with each secret replaced."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
