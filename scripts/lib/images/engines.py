"""The container engine of this machine: docker, buildah or podman, whichever is there, by its command."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MOUNTED = "/run/hort/ca-certificates.crt"
"""Where the Dockerfiles look for the machine's certificates; the usual place must stay free for Debian's package of them."""
PULL_S = 120.0


class EngineError(Exception):
    """A command of the engine failed; its own output said why."""


@dataclass(frozen=True)
class Engine:
    """One engine; buildah builds what podman runs, the two share their store.

    Args:
        name: docker, podman or buildah.
        options: of every call, before its command.
    """

    name: str
    options: tuple[str, ...] = ()

    def call(self, *arguments: str) -> None:
        """Runs a command with its output where ours goes."""
        done = subprocess.run([self.name, *self.options, *arguments], check=False)
        if done.returncode:
            raise EngineError(f"{self.name} {arguments[0]} ended with status {done.returncode}")

    def output(self, *arguments: str, timeout_s: float | None = None) -> str:
        """What a command prints; EngineError with the end of its complaint."""
        try:
            done = subprocess.run(
                [self.name, *self.options, *arguments], check=False, capture_output=True, text=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{self.name} {arguments[0]} took more than {timeout_s:g} s") from error
        if done.returncode:
            raise EngineError(f"{self.name} {arguments[0]}: {done.stderr.strip()[-400:]}")
        return done.stdout.strip()

    def has(self, image: str) -> bool:
        """Whether the image is on this machine."""
        try:
            self.output("inspect", "--type", "image", image)
        except EngineError:
            return False
        return True

    def facts(self, image: str) -> dict[str, Any]:
        """The image's configuration: User, Labels and so on."""
        found = json.loads(self.output("inspect", "--type", "image", image))
        document = found[0] if isinstance(found, list) else found
        config = document["OCIv1"]["config"] if self.name == "buildah" else document["Config"]
        return dict(config)

    def pull(self, image: str) -> bool:
        """Fetches an image; false where no registry of images answers."""
        try:
            self.output("pull", image, timeout_s=PULL_S)
        except EngineError:
            return False
        return True

    def digest(self, image: str) -> str:
        """Pulls a tag and returns the digest of its list of platforms, or of the image where it has one platform."""
        self.output("pull", image, timeout_s=PULL_S)
        found = json.loads(self.output("inspect", "--type", "image", image))[0]
        digests = [name.rpartition("@")[2] for name in found["RepoDigests"]]
        of_list = [digest for digest in digests if digest != found.get("Digest")]
        return str([*of_list, *digests][0])

    def build(self, image: str, *, file: Path, target: str | None, context: Path, arguments: Sequence[str]) -> None:
        """Builds one stage of a Dockerfile."""
        command = ["build"] if self.name == "docker" else ["bud" if self.name == "buildah" else "build", *_rootless()]
        values = [part for argument in arguments for part in ("--build-arg", argument)]
        stage = [] if target is None else ["--target", target]
        self.call(*command, "-f", str(file), *stage, *values, "-t", image, str(context))

    def take(self, archive: Path, image: str) -> None:
        """Makes an image of a tar archive of a root file system."""
        if self.name == "buildah":
            container = self.output("from", "scratch")
            self.output("add", container, str(archive), "/")
            self.output("config", "--cmd", "bash", container)
            self.output("commit", "--rm", container, image)
        else:
            self.output("import", "--change", "CMD bash", str(archive), image)

    def size(self, image: str) -> int:
        """Bytes of all layers, unpacked."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.tar"
            if self.name == "buildah":
                self.output("push", image, f"docker-archive:{path}")
            else:
                self.output("save", "-o", str(path), image)
            return path.stat().st_size


def _rootless() -> list[str]:
    """Options that build without a daemon: also inside a container, and with the machine's certificates for what RUN downloads."""
    mount = ["-v", f"{CERTIFICATES}:{MOUNTED}:ro"] if CERTIFICATES.is_file() else []
    return ["--isolation", "chroot", "--layers", *mount]


def builder() -> Engine:
    """What builds here: docker where its daemon answers, else buildah, else podman."""
    if shutil.which("docker") and _answers(Engine("docker"), "info"):
        return Engine("docker")
    for name in ("buildah", "podman"):
        if shutil.which(name):
            return Engine(name)
    raise EngineError("there is neither docker with its daemon, nor buildah, nor podman (Debian: apt-get install buildah podman runc)")


def runner() -> Engine:
    """What runs containers here: docker where its daemon answers, else podman."""
    if shutil.which("docker") and _answers(Engine("docker"), "info"):
        return Engine("docker")
    if shutil.which("podman"):
        plain = Engine("podman")
        if Path("/run/systemd/system").is_dir():
            return plain
        runtime = ("--runtime", "runc") if shutil.which("runc") else ()
        return Engine("podman", (*runtime, "--cgroup-manager", "cgroupfs", "--events-backend", "file"))
    raise EngineError("there is neither docker with its daemon nor podman to run a container (Debian: apt-get install podman runc)")


def _answers(engine: Engine, command: str) -> bool:
    try:
        engine.output(command, timeout_s=20)
    except EngineError:
        return False
    return True
