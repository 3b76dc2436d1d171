import asyncio
import base64
import io
import zipfile
from pathlib import Path

import pytest

from localwhisk.runtime_api import ActionSpec
from localwhisk.runtimes import families
from localwhisk.runtimes.code import CodeCache, CodeError
from tests.support.actions_specs import spec, zipped

LAYOUT = families.python(Path("python")).layout


def cache(folder: Path, *, max_bytes: int = 1 << 20) -> CodeCache:
    made = CodeCache(folder / "code", max_bytes=max_bytes)
    made.start()
    return made


def acquire(code: CodeCache, wanted: ActionSpec) -> Path:
    return asyncio.run(code.acquire(wanted, family="python", layout=LAYOUT))


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
    assert error.value.log == "Zip file does not include main__\n"


@pytest.mark.parametrize("content", [b"PK\x03\x04broken", b"\x1f\x8bbroken"])
def test_a_broken_archive_is_an_error_with_a_reason(tmp_path: Path, content: bytes) -> None:
    code = cache(tmp_path)
    with pytest.raises(CodeError) as error:
        acquire(code, spec(base64.b64encode(content).decode(), binary=True))
    assert error.value.log.startswith("cannot unpack")
    assert list((tmp_path / "code").iterdir()) == []


def test_an_entry_cannot_leave_the_folder(tmp_path: Path) -> None:
    wanted = spec(zipped(**{"../../evil.py": "x", "__main__.py": "y"}), binary=True)
    acquire(cache(tmp_path), wanted)
    assert not list(tmp_path.parent.glob("evil.py"))
    assert not (tmp_path / "evil.py").exists()


def test_a_link_cannot_leave_the_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(CodeError) as error:
        acquire(cache(tmp_path), spec(base64.b64encode(buffer.getvalue()).decode(), binary=True))
    assert "leads out" in error.value.log


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
    assert sorted((tmp_path / "code").iterdir()) == [folder]
    assert acquire(again, spec("x = 1")) == folder
