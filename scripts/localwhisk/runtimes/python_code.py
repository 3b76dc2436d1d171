"""What a Python action's code may be, and how the image's bin/compile makes a folder to run of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Final

from localwhisk.runtime_api import ActionSpec
from localwhisk.runtimes import memory, texts
from localwhisk.runtimes.code import CodeError, Format, Packing, start_of
from localwhisk.runtimes.guard import Guard

EXECUTION_ENVIRONMENT: Final = "openwhisk/action-python-v3.11"
_TEMPLATE = Path(__file__).parent / "launchers" / "exec__.py.in"
_COMPILED: Final = (b"#!", b"\x7fELF")
_MOST_SOURCE: Final = 48 << 20
"""Bytes of a source: what the code of an action may have."""
_MOST_MARK: Final = 1024
_MOST_LOOP: Final = 1 << 16
_MOST_OUTPUT: Final = 1 << 16
_LAST_WORDS_S: Final = 1.0
_BAKED_MAIN = re.compile(r"^from main__ import (\w+) as main$", re.MULTILINE)
_PIP_SETTINGS = re.compile(r"HOME|PIP_.*|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_.*|REQUESTS_CA_BUNDLE", re.IGNORECASE)
"""What pip needs of the engine's environment to reach the index that this machine's user reaches."""


def packing(interpreter: Path, *, guard: Guard) -> Packing:
    """Say how code is laid out for this interpreter."""
    steps = _Steps(guard)
    return Packing(
        family="python",
        formats=("zip", "tar.gz"),
        text_archives=True,
        single_binary=True,
        refuse=_refuse,
        lay_out=partial(_lay_out, interpreter=interpreter, steps=steps),
        stop=steps.stop,
    )


def _refuse(_: Format | None, detail: str) -> CodeError:
    return CodeError(texts.CANNOT_BUILD, log=detail)


def _lay_out(folder: Path, spec: ActionSpec, *, interpreter: Path, steps: _Steps) -> None:
    main = spec.main or "main"
    if _is_compiled(folder / "exec"):
        main = _check_compiled(folder) or main
    else:
        _rename_main(folder)
        _install_requirements(folder, spec, interpreter, steps)
        _check(folder)
    loop = folder / "exec__.py"
    loop.unlink(missing_ok=True)
    loop.write_text(_TEMPLATE.read_text("utf-8").replace("@MAIN@", main), "utf-8")


def _is_compiled(file: Path) -> bool:
    """Tell what the proxy takes for compiled: a native executable, and every script with a #! line."""
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return content.read(4).startswith(_COMPILED)


def _check_compiled(folder: Path) -> str | None:
    """Check that the image itself compiled the archive; returns the main function it compiled in."""
    try:
        mark = start_of(folder / "exec.env", most=_MOST_MARK).decode().strip()
    except (OSError, UnicodeDecodeError):
        raise CodeError(texts.CANNOT_START, log=texts.NOT_COMPILED_HERE) from None
    if mark != EXECUTION_ENVIRONMENT or not (folder / "main__.py").is_file():
        raise CodeError(texts.CANNOT_START, log=texts.ENVIRONMENT_MISMATCH)
    loop = folder / "exec__.py"
    found = _BAKED_MAIN.search(start_of(loop, most=_MOST_LOOP).decode("utf-8", "replace")) if loop.is_file() else None
    return found[1] if found else None


def _rename_main(folder: Path) -> None:
    if (folder / "exec").is_file():
        (folder / "exec").rename(folder / "__main__.py")
    if (folder / "__main__.py").is_file():
        (folder / "__main__.py").rename(folder / "main__.py")


def _check(folder: Path) -> None:
    problems = []
    environment = folder / "virtualenv"
    if environment.is_dir() and not any((environment / place / "activate_this.py").is_file() for place in ("bin", "Scripts")):
        problems.append(texts.INVALID_VIRTUALENV)
    main = next((path for path in (folder / "main__" / "__init__.py", folder / "main__.py") if path.is_file()), None)
    if main is None:
        problems.append(texts.NO_MAIN_IN_ZIP)
    elif (reason := _undecodable(main)) is not None:
        problems.append(reason)
    if problems:
        raise CodeError(texts.CANNOT_BUILD, log="\n".join(problems))


def _undecodable(file: Path) -> str | None:
    """Say why the image cannot read a file: it takes every source for UTF-8, whatever its first line says."""
    content = start_of(file, most=_MOST_SOURCE)
    if len(content) > _MOST_SOURCE:
        return texts.source_too_large(file.name, _MOST_SOURCE)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return str(error)
    return None


def _install_requirements(folder: Path, spec: ActionSpec, interpreter: Path, steps: _Steps) -> None:
    """Make a virtualenv with what requirements.txt lists, within the action's limits of time and memory."""
    requirements, environment = folder / "requirements.txt", folder / "virtualenv"
    if not requirements.is_file() or environment.is_dir():
        return
    until = time.monotonic() + spec.timeout_ms / 1000
    settings = {name: value for name, value in os.environ.items() if _PIP_SETTINGS.fullmatch(name)}
    settings |= {"PATH": os.defpath, "LANG": "C.UTF-8", "VIRTUALENV_OVERRIDE_APP_DATA": str(folder.parent.with_name("virtualenv"))}
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--no-input", "-r", str(requirements)]
    for command in ([str(interpreter), "-I", "-m", "virtualenv", str(environment)], pip):
        steps.run(command, settings, spec, until)


class _Steps:
    """The steps of installations under way, which run in threads."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, command: Sequence[str], environment: Mapping[str, str], spec: ActionSpec, until: float) -> None:
        """Run one step with its whole group of processes; its output is the log of a failure."""
        mark = self._guard.new_mark()
        process = self._begin(command, self._guard.marked(environment, mark))
        output = bytearray()
        reader = threading.Thread(target=_read_end, args=(process.stdout, output), daemon=True)
        reader.start()
        try:
            _watch(process, spec, until)
        finally:
            self._end(process)
            self._guard.sweep(mark)
        reader.join(_LAST_WORDS_S)  # what left the group may hold its output open
        if self._stopped:
            raise CodeError(texts.ENGINE_STOPPED, log="")
        if process.returncode:
            raise CodeError(texts.CANNOT_BUILD, log=bytes(output).decode("utf-8", "replace").rstrip())

    def _begin(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise CodeError(texts.ENGINE_STOPPED, log="")
            process = subprocess.Popen(
                command,
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)
        _kill(process)
        process.wait()

    def stop(self) -> None:
        """End those under way, and let no other begin."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


def _watch(process: subprocess.Popen[bytes], spec: ActionSpec, until: float) -> None:
    """Wait for the end of a process; raises CodeError when it takes more than the action may have."""
    while process.poll() is None:
        left = until - time.monotonic()
        if left <= 0:
            raise CodeError(texts.time_limit(spec.timeout_ms, init=True), log="", timeout=True)
        if memory.exceeds(process.pid, spec.memory_mb * texts.MEGABYTE):
            raise CodeError(texts.MEMORY_EXHAUSTED, log="")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(left, memory.POLL_S))


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_end(stream: BufferedReader, kept: bytearray) -> None:
    """Read all, and keep the end, where pip says what went wrong."""
    with stream:
        while chunk := stream.read1(_MOST_OUTPUT):
            kept += chunk
            del kept[:-_MOST_OUTPUT]
