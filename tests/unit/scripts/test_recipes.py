import re
from pathlib import Path

import pytest

from lib.build.__main__ import BuildError, build, contents
from lib.build.lock import NotLocked, entries, normalised, subset
from lib.build.table import RECIPES, Recipe
from lib.build.vendor import strip
from tests.support.paths import ROOT

LOCK = ROOT / "requirements/actions.txt"


@pytest.mark.parametrize("name", RECIPES)
def test_every_vendored_package_is_locked_with_hashes(name: str) -> None:
    lines = subset(LOCK, RECIPES[name].vendored)
    assert lines.count("==") == len(RECIPES[name].vendored)
    assert all("--hash=sha256:" in entry for entry in entries(LOCK).values())


def test_the_manifest_and_the_table_name_the_same_zips() -> None:
    named = set(re.findall(r"build/([a-z-]+)\.zip", (ROOT / "manifest.yaml").read_text()))
    assert named <= RECIPES.keys()


def test_an_unlocked_package_is_named() -> None:
    with pytest.raises(NotLocked, match="does not hold left-pad"):
        subset(LOCK, ("redis", "left-pad"))


def test_the_lock_subset_does_not_depend_on_the_order_asked_for() -> None:
    assert subset(LOCK, ("redis", "numpy")) == subset(LOCK, ("numpy", "redis", "redis"))


@pytest.mark.parametrize(
    ("name", "same"),
    [("Typing_Extensions", "typing-extensions"), ("paho.mqtt", "paho-mqtt"), ("a--b", "a-b")],
)
def test_names_compare_as_the_index_compares_them(name: str, same: str) -> None:
    assert normalised(name) == same


def test_no_lock_names_a_registry() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        assert not re.search(r"https?://|--index|--find-links|--trusted", lock.read_text()), lock.name


def test_no_lock_of_npm_names_a_registry() -> None:
    for lock in (ROOT / "scripts").rglob("package-lock.json"):
        assert not re.search(r"https?://|resolved", lock.read_text()), lock
        assert "sha512-" in lock.read_text()


def small_root(root: Path, folder: str = "actions/little-one") -> Path:
    for name, text in {
        f"{folder}/__main__.py": "x = 1\n",
        "actions/hort/__init__.py": "",
        "actions/hort/keys.py": "K = 1\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_zip_holds_the_action_at_its_root_and_the_package_hort(tmp_path: Path) -> None:
    files = contents(Recipe("actions/little-one", ()), root=small_root(tmp_path), vendored=None)
    assert sorted(files) == ["__main__.py", "hort/__init__.py", "hort/keys.py"]


def test_a_folder_may_have_underscores_where_the_name_has_dashes(tmp_path: Path) -> None:
    files = contents(
        Recipe("actions/little-one", ()), root=small_root(tmp_path, "actions/little_one"), vendored=None
    )
    assert "__main__.py" in files


def test_a_missing_action_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"actions/gone/__main__\.py is missing"):
        contents(Recipe("actions/gone", ()), root=small_root(tmp_path), vendored=None)


def test_a_second_build_finds_the_zip_done_and_a_damaged_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "little-one", Recipe("actions/little-one", ()))
    root, into = small_root(tmp_path / "root"), tmp_path / "build"
    into.mkdir()

    def made() -> bool:
        return build("little-one", root=root, into=into, cache=tmp_path, machine="x86_64")[1]

    assert made()
    whole = (into / "little-one.zip").read_bytes()
    assert not made()
    (into / "little-one.zip").write_bytes(whole[:-1])
    assert made()
    assert (into / "little-one.zip").read_bytes() == whole


def test_strip_keeps_code_and_licences_and_drops_the_rest(tmp_path: Path) -> None:
    kept = [
        "numpy/__init__.py",
        "x-1.dist-info/METADATA",
        "x-1.dist-info/licenses/LICENSE",
        "x/lib.so",
    ]
    dropped = [
        "numpy/__init__.pyi",
        "numpy/random/a.so",
        "numpy/_core/_simd.cpython-311-x86_64-linux-gnu.so",
        "numpy/tests/test_a.py",
        "x-1.dist-info/RECORD",
        "bin/tool",
        "x/__pycache__/a.pyc",
        "x/a.h",
    ]
    for name in kept + dropped:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    strip(tmp_path)
    assert sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    ) == sorted(kept)
