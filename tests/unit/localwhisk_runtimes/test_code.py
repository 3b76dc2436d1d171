import asyncio
import base64
import contextlib
import tracemalloc
from pathlib import Path

import pytest

from localwhisk.runtime_api import ActionSpec
from localwhisk.runtimes import families, native, node_code
from localwhisk.runtimes.code import CodeCache, CodeError, Packing
from localwhisk.runtimes.guard import Guard
from tests.support.actions_specs import spec, zipped
from tests.support.hostile_archives import Packed, tar_of, zip_of

PYTHON = families.python(Path("python"), guard=Guard(Path("state"))).packing


def cache(folder: Path, *, max_bytes: int = 1 << 20) -> CodeCache:
    made = CodeCache(folder / "code", max_bytes=max_bytes)
    made.start()
    return made


def acquire(code: CodeCache, wanted: ActionSpec, packing: Packing = PYTHON) -> Path:
    return asyncio.run(code.acquire(wanted, packing))


def folders(state: Path) -> list[Path]:
    return [path for path in (state / "code").iterdir() if path.is_dir()]


def test_a_single_file_becomes_main_beside_the_generated_loop(tmp_path: Path) -> None:
    folder = acquire(cache(tmp_path), spec("def niam(a): ...", main="niam"))
    assert (folder / "main__.py").read_text() == "def niam(a): ..."
    assert "from main__ import niam as main\n" in (folder / "exec__.py").read_text()


def test_a_zip_is_unpacked_once_and_shared(tmp_path: Path) -> None:
    code = cache(tmp_path)
    wanted = spec(zipped(**{"__main__.py": "x = 1", "lib/a.py": "y = 2"}), binary=True)
    first = acquire(code, wanted)
    (first / "mark").touch()
    assert acquire(code, wanted) == first
    assert (first / "mark").exists()
    assert (first / "lib" / "a.py").read_text() == "y = 2"


def test_a_zip_without_main_says_so_like_the_image(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match="failed to generate or locate a binary") as error:
        acquire(cache(tmp_path), spec(zipped(**{"other.py": ""}), binary=True))
    assert error.value.log == "Zip file does not include main__"


@pytest.mark.parametrize("content", [b"PK\x03\x04broken", b"\x1f\x8b\x08broken"])
def test_a_broken_archive_is_an_error_with_a_reason(tmp_path: Path, content: bytes) -> None:
    code = cache(tmp_path)
    with pytest.raises(CodeError, match="failed to generate or locate") as error:
        acquire(code, spec(base64.b64encode(content).decode(), binary=True))
    assert error.value.log.startswith("broken ")
    assert folders(tmp_path) == []


WAY_OUT = [Packed("../../evil.py", "x"), Packed("__main__.py", "y")]


@pytest.mark.parametrize("content", [zip_of(*WAY_OUT), tar_of(*WAY_OUT)], ids=["zip", "tar.gz"])
@pytest.mark.parametrize("packing", [PYTHON, node_code.PACKING, native.PACKING], ids=lambda packing: packing.family)
def test_an_archive_that_leads_out_is_refused_by_every_kind(tmp_path: Path, content: bytes, packing: Packing) -> None:
    with pytest.raises(CodeError) as error:
        acquire(cache(tmp_path), spec(base64.b64encode(content).decode(), binary=True), packing)
    assert "leads out" in error.value.log or packing is native.PACKING  # to which a tar is no archive at all
    assert folders(tmp_path) == []
    assert not list(tmp_path.parent.rglob("evil.py"))


def test_a_shebang_makes_python_a_compiled_action_as_in_the_image(tmp_path: Path) -> None:
    for code, binary in (("#!/usr/bin/env python\ndef main(a): ...", False), (zipped(exec="#!/bin/bash"), True)):
        with pytest.raises(CodeError, match="Cannot start action") as error:
            acquire(cache(tmp_path), spec(code, binary=binary))
        assert error.value.log.startswith("open ./action/1/bin/exec.env: no such file or directory")


COMPILED = {"exec": "#!/bin/bash", "main__.py": "def niam(a): ...", "exec__.py": "x = 1\nfrom main__ import niam as main\n"}


def test_what_the_image_has_compiled_runs(tmp_path: Path) -> None:
    folder = acquire(cache(tmp_path), spec(zipped(**COMPILED, **{"exec.env": "openwhisk/action-python-v3.11\n"}), binary=True))
    assert "from main__ import niam as main\n" in (folder / "exec__.py").read_text()
    assert (folder / "main__.py").read_text() == "def niam(a): ..."


def test_what_another_image_has_compiled_does_not(tmp_path: Path) -> None:
    with pytest.raises(CodeError, match="Cannot start action") as error:
        acquire(cache(tmp_path), spec(zipped(**COMPILED, **{"exec.env": "openwhisk/action-python-v3.9"}), binary=True))
    assert error.value.log == "Execution environment version mismatch. See logs for details."


def test_a_main_file_is_utf8_whatever_it_says(tmp_path: Path) -> None:
    source = base64.b64encode("# -*- coding: latin-1 -*-\ndef main(a): return {'é': 1}".encode("latin-1")).decode()
    with pytest.raises(CodeError, match="failed to generate or locate") as error:
        acquire(cache(tmp_path), spec(source, binary=True))
    assert "can't decode byte 0xe9" in error.value.log


def test_a_virtualenv_without_its_script_is_invalid(tmp_path: Path) -> None:
    files = {"virtualenv/lib/python3.11/site-packages/a.py": ""}
    with pytest.raises(CodeError, match="failed to generate or locate") as error:
        acquire(cache(tmp_path), spec(zipped(**files), binary=True))
    assert error.value.log.splitlines() == [
        "Invalid virtualenv. Zip file does not include 'activate_this.py'.",
        "Zip file does not include main__",
    ]


def test_the_least_recently_used_code_goes_but_never_what_is_held(tmp_path: Path) -> None:
    code = cache(tmp_path, max_bytes=6000)
    held = acquire(code, spec("#" * 2000))
    loose = acquire(code, spec("# " + "x" * 2000))
    code.release(loose)
    acquire(code, spec("# " + "y" * 2000))
    assert held.exists()
    assert not loose.exists()


def test_a_restart_keeps_whole_folders_and_drops_half_made_ones(tmp_path: Path) -> None:
    code = cache(tmp_path)
    folder = acquire(code, spec("x = 1"))
    (tmp_path / "code" / ".new-1").mkdir()
    again = cache(tmp_path)
    assert folders(tmp_path) == [folder]
    assert acquire(again, spec("x = 1")) == folder


@pytest.mark.parametrize(
    "files",
    [
        {"__main__.py": "", "exec__.py/x": ""},
        {"__main__.py": "", "main__.py/x": ""},
        {"exec": "", "__main__.py/x": ""},
        COMPILED | {"exec.env/x": ""},
    ],
    ids=" ".join,
)
def test_a_folder_where_a_file_should_be_is_the_archives_fault(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(CodeError, match=r"See logs|Check logs"):
        acquire(cache(tmp_path), spec(zipped(**files), binary=True))
    assert folders(tmp_path) == []


def test_a_link_to_nowhere_is_no_executable(tmp_path: Path) -> None:
    content = zip_of(Packed("exec", "no/where", "link"))
    with pytest.raises(CodeError) as error:
        acquire(cache(tmp_path), spec(base64.b64encode(content).decode(), binary=True), native.PACKING)
    assert "No such file or directory" in error.value.log
    assert str(tmp_path) not in error.value.log


@pytest.mark.parametrize("name", ["__main__.py", "exec.env", "exec__.py"])
def test_a_file_that_unpacks_to_much_is_not_read_whole(tmp_path: Path, name: str) -> None:
    files = {} if name == "__main__.py" else COMPILED | {"exec.env": "openwhisk/action-python-v3.11"}
    entries = [Packed(entry, text) for entry, text in (files | {name: " " * (100 << 20)}).items()]
    wanted = spec(base64.b64encode(zip_of(*entries)).decode(), binary=True)
    code = cache(tmp_path)
    tracemalloc.start()
    try:
        with contextlib.nullcontext() if name == "exec__.py" else pytest.raises(CodeError):
            acquire(code, wanted)
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()
