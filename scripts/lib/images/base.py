"""The image that all others begin with: pulled by its digest where a registry of images answers, else made here by debootstrap.

What is made here is what debian:bookworm-slim is: the packages of priority required, with the security updates, without manuals, translations
and documentation (their copyright files stay). apt checks everything against Debian's signatures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib.images import pins
from lib.images.engines import Engine, EngineError
from lib.images.table import BASE, HUB

SUITE = "bookworm"
_SOURCES = """Types: deb
URIs: {mirror}
Suites: {suite} {suite}-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: {mirror}-security
Suites: {suite}-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
_LEFT_OUT = ("usr/share/info", "usr/share/linda", "usr/share/lintian", "usr/share/locale", "usr/share/man")
_LEAVINGS = (*_LEFT_OUT, "var/lib/apt/lists", "var/log/apt", "tmp")


def ensure(engine: Engine) -> tuple[str, str]:
    """Sees to it that the base is on this machine; returns its name and how it came."""
    pinned = HUB + pins.base()
    for name in (pinned, BASE):
        if engine.has(name):
            return name, "there"
    if engine.pull(pinned):
        return pinned, "pulled"
    _make(engine)
    return BASE, "made by debootstrap"


def _make(engine: Engine) -> None:
    if os.geteuid() != 0:
        raise EngineError(f"{BASE} cannot be pulled, and to make it by debootstrap root rights are needed")
    if not shutil.which("debootstrap"):
        raise EngineError(f"{BASE} cannot be pulled, and there is no debootstrap (Debian: apt-get install debootstrap)")
    with tempfile.TemporaryDirectory(prefix="hort-base-") as folder:
        root = Path(folder) / "root"
        _run("debootstrap", "--variant=minbase", SUITE, str(root))
        _apt(root)
        _slim(root)
        archive = Path(folder) / "root.tar"
        _run("tar", "-C", str(root), "--numeric-owner", "--exclude=./dev/*", "-cf", str(archive), ".")
        engine.take(archive, BASE)


def _apt(root: Path) -> None:
    """Sources with the security updates, the rules of the slim image, and the updates themselves."""
    old = root / "etc/apt/sources.list"
    mirror = old.read_text(encoding="utf-8").split()[1].rstrip("/")
    old.unlink()
    sources = root / "etc/apt/sources.list.d/debian.sources"
    sources.write_text(_SOURCES.format(mirror=mirror, suite=SUITE), encoding="utf-8")
    rules = ["path-exclude /usr/share/doc/*", "path-include /usr/share/doc/*/copyright"]
    rules += [f"path-exclude /{folder}/*" for folder in _LEFT_OUT]
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text("\n".join(rules) + "\n", encoding="utf-8")
    (root / "etc/apt/apt.conf.d/slim").write_text('Acquire::Languages "none";\n', encoding="utf-8")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["upgrade", "-y", "-q"], ["clean"]):
        _run("chroot", str(root), "apt-get", *command, environment=environment)


def _slim(root: Path) -> None:
    for path in sorted((root / "usr/share/doc").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "copyright":
            path.unlink()
    for folder in _LEAVINGS:
        for path in (root / folder).glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for pattern in ("var/cache/apt/*.bin", "var/cache/debconf/*-old", "var/log/*.log"):
        for path in root.glob(pattern):
            path.unlink()


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, check=False, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise EngineError(f"{' '.join(command[:3])} ended with status {done.returncode}")
