"""The command behind scripts/deploy."""

import argparse
import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult

import yaml

from lib import local
from lib.deploy import environment, forwarder, manifest, reach, target
from lib.deploy.namespace import Namespace
from lib.deploy.plan import DeployError, Work, plan, undeployment
from lib.deploy.settled import Variables
from localwhisk.identity import read_auth

ROOT = Path(__file__).resolve().parents[3]
ZIP = re.compile(r"\bbuild/([a-z0-9-]+)\.zip\b")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TIMEOUT_S = 900


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/deploy",
        description="Builds the actions and deploys manifest.yaml with wskdeploy, by default on the engine that runs here.",
        epilog="The manifest's HORT_* settings come from the environment. One that is not exported keeps what is bound where it goes; where "
        "nothing is, it comes from what runs over the state folder. All are checked before anything is changed.",
    )
    parser.add_argument("--apihost", default=os.environ.get("HORT_API_HOST"), help="address of the OpenWhisk API (HORT_API_HOST; default: the engine that runs here)")
    parser.add_argument(
        "--auth",
        metavar="@FILE",
        help="file with the namespace's key, uuid:secret (HORT_AUTH; default: the key of the engine that runs here; a key in the place of @FILE shows in `ps`)",
    )
    parser.add_argument("--namespace", default="_", help="default: the key's own")
    parser.add_argument("--manifest", type=Path, default=ROOT / "manifest.yaml")
    parser.add_argument("--state", type=Path, default=Path(os.environ.get("HORT_STATE") or ROOT / ".hort"), help="state folder of what runs here")
    parser.add_argument("--default", action="append", default=[], metavar="NAME", help="this setting goes back to its default, whatever is bound (repeatable)")
    parser.add_argument("--undeploy", action="store_true", help="remove what the manifest names instead")
    parser.add_argument("--preview", action="store_true", help="only print what would be deployed")
    parser.add_argument("--no-look", action="store_true", help="do not look afterwards whether broker, Redis and Elasticsearch answer")
    parser.add_argument("--insecure", action="store_true", help="do not check the API host's certificate")
    parser.add_argument("--verbose", action="store_true", help="print which settings were left to their defaults, and wskdeploy's own details")
    return parser.parse_args(argv)


def _key(options: argparse.Namespace, *, parts: SplitResult, here: local.Local) -> str:
    if options.auth and not options.auth.startswith("@"):
        print("warning: a key on a command line can be read by everybody on this machine: --auth @FILE or HORT_AUTH", file=sys.stderr)
    key = read_auth(options.auth or os.environ.get("HORT_AUTH") or "") or here.key_of(parts.geturl())
    if not key:
        raise DeployError(f"{parts.hostname} needs a key: HORT_AUTH, or --auth @FILE")
    if not re.fullmatch(r"[^\s:]+:[^\s:]+", key):
        raise DeployError("the key must have the form uuid:secret")
    return key


def _build(text: str) -> None:
    names = sorted(set(ZIP.findall(text)))
    if (
        names
        and subprocess.run([sys.executable, "-m", "lib.build", *names], check=False, cwd=ROOT).returncode
    ):
        raise DeployError("the build failed, so nothing was deployed")


def _carried_out(options: argparse.Namespace, work: Work, *, host: str, key: str, folder: Path) -> int:
    """Run wskdeploy on one manifest; returns its exit status. The folder is for its configuration."""
    config, file = folder / "wskprops", folder / "deployment.yaml"
    config.write_text(f"APIHOST={host}\nAUTH={key}\nNAMESPACE={options.namespace}\n", encoding="utf-8")
    file.write_text(yaml.safe_dump(work.deployment), encoding="utf-8")
    secrets = [key, base64.b64encode(key.encode()).decode(), *environment.secrets_in(work.values)]
    env = environment.for_tool(work.values, environment=os.environ, config=config)
    return _run(_command(options, work.manifest, file), env=env, secrets=secrets, cwd=work.manifest.parent)


def _command(options: argparse.Namespace, path: Path, deployment: Path) -> list[str]:
    tool = Path(os.environ["HORT_TOOLS"]) / "wskdeploy"
    argv = [str(tool), *(["undeploy"] if options.undeploy else []), "-m", str(path), "-d", str(deployment)]
    return argv + (["--preview"] if options.preview else []) + (["--verbose"] if options.verbose else [])


def _run(argv: list[str], *, env: dict[str, str], secrets: list[str], cwd: Path) -> int:
    """Run wskdeploy to its end and pass on what it says, without secrets and, elsewhere than on a terminal, without colours.

    Half a deployment would leave a running feed removed, so neither the first Ctrl-C nor a reader that goes away ends it.
    """
    kills: list[Callable[[], None]] = []
    with _uninterrupted(kills), subprocess.Popen(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as tool:
        kills.append(tool.kill)
        for line in tool.stdout or ():
            said = environment.redacted(line, secrets)
            _say(said if sys.stdout.isatty() else COLOUR.sub("", said))
        return tool.wait(TIMEOUT_S)


@contextlib.contextmanager
def _uninterrupted(kills: Iterable[Callable[[], None]]) -> Iterator[None]:
    """Put off what asks this program to end until the block is done; who asks twice has these called."""
    came: list[int] = []

    def later(number: int, _frame: object) -> None:
        if came:
            for kill in kills:
                kill()
        else:
            _say("the deployment is brought to its end first, as half of one would leave a feed removed; again: ends it now\n")
        came.append(number)

    before = {number: signal.signal(number, later) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _say(text: str) -> None:
    """Write to a reader that may be gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _variables(options: argparse.Namespace, text: str, local: Mapping[str, str]) -> Variables:
    names = environment.names_in(text)
    if unknown := [name for name in options.default if name not in names]:
        raise DeployError(f"--default {unknown[0]}: the manifest has no such setting")
    return Variables(
        exported=environment.resolve(names, environment=os.environ),
        local={name: value for name, value in local.items() if name in names and name not in options.default},
        reset=frozenset(options.default),
    )


def deploy(options: argparse.Namespace) -> int:
    """Check, build, then run wskdeploy against the API host, through a forwarder where it needs one; returns its exit status."""
    here = local.look(options.state)
    parts = target.parse(options.apihost or here.api_host)
    namespace = Namespace(parts, _key(options, parts=parts, here=here), options.insecure, options.namespace)
    path = options.manifest.resolve()
    try:
        between = target.needs_forwarder(parts, insecure=options.insecure)
    except target.TargetError as error:
        if options.apihost:
            raise
        raise DeployError(f"{error}; nothing else runs over {options.state}: ./scripts/demo starts all, HORT_API_HOST names another OpenWhisk") from error
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="hort-deploy-")))
        variables = _variables(options, path.read_text(encoding="utf-8"), here.settings_of(parts.geturl()))
        works = [undeployment(path, namespace, variables)] if options.undeploy else plan(path, namespace, variables, folder=folder)
        for work in works:
            _tell(options, work)
            if not options.undeploy:
                _build(work.manifest.read_text(encoding="utf-8"))
        host = opened.enter_context(forwarder.forwarding(parts, insecure=options.insecure)) if between else parts.geturl().rstrip("/")
        for work in works:
            if status := _carried_out(options, work, host=host, key=namespace.key, folder=folder):
                return status
        if not (options.undeploy or options.preview or options.no_look):
            for text in reach.silent(namespace, manifest.places(path.read_text(encoding="utf-8"), variables.values)):
                print(f"warning: {text}", file=sys.stderr)
    return 0


def _tell(options: argparse.Namespace, work: Work) -> None:
    if work.kept:
        print("kept as bound:", ", ".join(work.kept), flush=True)
    if options.verbose:
        names = environment.names_in(work.manifest.read_text(encoding="utf-8"))
        print("left to their defaults:", ", ".join(name for name in names if name not in {*work.values, *work.kept}) or "none", flush=True)


def main(argv: list[str]) -> int:
    """Deploy or undeploy; returns the exit status."""
    os.umask(0o077)
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
