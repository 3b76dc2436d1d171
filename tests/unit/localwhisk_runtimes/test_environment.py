from pathlib import Path

from localwhisk.runtimes import environment


def test_every_package_of_the_lock_is_pinned_with_hashes_and_no_address() -> None:
    text = environment.LOCK.read_text()
    names = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in line and line.endswith("\\") for line in names)
    assert text.count("--hash=sha256:") >= len(names)
    assert "://" not in text
    assert "--find-links" not in [line.split()[0] for line in text.splitlines() if line.strip()]


def test_the_lock_holds_what_the_image_holds() -> None:
    wanted = environment.LOCK.with_suffix(".in").read_text()
    pins = [line for line in wanted.splitlines() if line and not line.startswith("#")]
    lock = environment.LOCK.read_text()
    assert [pin for pin in pins if f"{pin} \\" not in lock] == []


def test_a_folder_that_is_not_there_is_not_built(tmp_path: Path) -> None:
    assert not environment.is_built(tmp_path / "none")
