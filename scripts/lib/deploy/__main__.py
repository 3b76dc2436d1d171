"""The command behind scripts/deploy."""

import argparse
import base64
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.deploy import environment, forwarder, target

ROOT = Path(__file__).resolve().parents[3]
LOCAL_ENGINE = "http://127.0.0.1:3233"
# OpenWhisk's public key of the namespace guest, which every stock installation and the local engine know.
GUEST_KEY = (
    "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)
ZIP = re.compile(r"\bbuild/([a-z0-9-]+)\.zip\b")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TIMEOUT_S = 900


class DeployError(Exception):
    """The deployment cannot begin."""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Builds the actions and deploys manifest.yaml with wskdeploy, by default on the local engine.",
        epilog="The manifest's HORT_* settings come from the environment, then from stack.env in the state folder.",
    )
    parser.add_argument(
        "--apihost",
        default=os.environ.get("HORT_API_HOST") or LOCAL_ENGINE,
        help=f"address of the OpenWhisk API (HORT_API_HOST, default {LOCAL_ENGINE})",
    )
    parser.add_argument(
        "--auth",
        metavar="KEY",
        help="the namespace's key (HORT_AUTH; default: the public guest key, on loopback only)",
    )
    parser.add_argument("--namespace", default="_", help="default: the key's own")
    parser.add_argument("--manifest", type=Path, default=ROOT / "manifest.yaml")
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("HORT_STATE") or ROOT / ".hort"),
        help="where stack.env is",
    )
    parser.add_argument("--undeploy", action="store_true", help="remove what the manifest names instead")
    parser.add_argument("--preview", action="store_true", help="only print what would be deployed")
    parser.add_argument("--insecure", action="store_true", help="do not check the API host's certificate")
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="print which settings were left to their defaults, and wskdeploy's own details",
    )
    return parser.parse_args(argv)


def _key(options: argparse.Namespace, *, host: str) -> str:
    key: str = options.auth or os.environ.get("HORT_AUTH") or ""
    if not key:
        if host not in ("127.0.0.1", "localhost", "::1"):
            raise DeployError(f"{host} needs a key: --auth KEY or HORT_AUTH")
        return GUEST_KEY
    if not re.fullmatch(r"[^\s:]+:[^\s:]+", key):
        raise DeployError("the key must have the form uuid:secret")
    return key


def _build(manifest: str) -> None:
    names = sorted(set(ZIP.findall(manifest)))
    if (
        names
        and subprocess.run([sys.executable, "-m", "lib.build", *names], check=False, cwd=ROOT).returncode
    ):
        raise DeployError("the build failed, so nothing was deployed")


def _command(options: argparse.Namespace) -> list[str]:
    tool = Path(os.environ["HORT_TOOLS"]) / "wskdeploy"
    argv = [str(tool), *(["undeploy"] if options.undeploy else []), "-m", str(options.manifest.resolve())]
    return argv + (["--preview"] if options.preview else []) + (["--verbose"] if options.verbose else [])


def _run(argv: list[str], *, env: dict[str, str], secrets: list[str], cwd: Path) -> int:
    """Run wskdeploy and pass on what it says, without secrets and, elsewhere than on a terminal, without colours."""
    with subprocess.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as tool:
        for line in tool.stdout or ():
            said = environment.redacted(line, secrets)
            sys.stdout.write(said if sys.stdout.isatty() else COLOUR.sub("", said))
            sys.stdout.flush()
        return tool.wait(TIMEOUT_S)


def deploy(options: argparse.Namespace) -> int:
    """Build, then run wskdeploy against the API host, through a forwarder where it needs one; returns its exit status."""
    parts = target.parse(options.apihost)
    key = _key(options, host=parts.hostname or "")
    manifest = options.manifest.read_text(encoding="utf-8")
    values = environment.resolve(environment.names_in(manifest), environment=os.environ, state=options.state)
    if options.verbose:
        print(
            "left to their defaults:",
            ", ".join(name for name, value in values.items() if not value) or "none",
        )
    between = target.needs_forwarder(parts, insecure=options.insecure)
    if not options.undeploy:
        _build(manifest)
    with contextlib.ExitStack() as opened:
        host = (
            opened.enter_context(forwarder.forwarding(parts, insecure=options.insecure))
            if between
            else parts.geturl().rstrip("/")
        )
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="hort-deploy-")))
        config = folder / "wskprops"
        config.touch(mode=0o600)
        config.write_text(f"APIHOST={host}\nAUTH={key}\nNAMESPACE={options.namespace}\n", encoding="utf-8")
        secrets = [key, base64.b64encode(key.encode()).decode(), *environment.secrets_in(values)]
        env = environment.for_tool(values, environment=os.environ, config=config)
        return _run(_command(options), env=env, secrets=secrets, cwd=options.manifest.resolve().parent)


def main(argv: list[str]) -> int:
    """Deploy or undeploy; returns the exit status."""
    options = _arguments(argv)
    try:
        status = deploy(options)
    except (DeployError, target.TargetError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if status:
        print(f"error: wskdeploy ended with status {status}", file=sys.stderr)
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
