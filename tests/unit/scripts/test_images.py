"""The layered images: which engine builds and runs them, what the tables say, what the Dockerfiles promise."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lib.images import base, engines, pins, sizes
from lib.images.engines import Engine, EngineError
from lib.images.table import BASE, FINAL, RECIPES
from tests.support.paths import ROOT


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes commands of these names, each a shell script, the only ones on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(**scripts: str) -> None:
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text("#!/bin/sh\n" + script)
            path.chmod(0o755)

    return make


def test_docker_builds_where_its_daemon_answers(tools: Any) -> None:
    tools(docker="exit 0", buildah="exit 0", podman="exit 0")
    assert engines.builder().name == "docker"
    assert engines.runner().name == "docker"


def test_a_docker_without_daemon_is_passed_over(tools: Any) -> None:
    tools(docker="echo no daemon >&2; exit 1", buildah="exit 0", podman="exit 0")
    assert engines.builder().name == "buildah"
    assert engines.runner().name == "podman"


def test_podman_alone_does_both(tools: Any) -> None:
    tools(podman="exit 0")
    assert (engines.builder().name, engines.runner().name) == ("podman", "podman")


def test_without_any_the_error_says_what_to_install(tools: Any) -> None:
    tools()
    with pytest.raises(EngineError, match="apt-get install buildah podman runc"):
        engines.builder()
    with pytest.raises(EngineError, match="apt-get install podman"):
        engines.runner()


def test_a_failed_command_is_named_with_its_complaint(tools: Any) -> None:
    tools(podman="echo out of space >&2; exit 125")
    with pytest.raises(EngineError, match="podman save: out of space"):
        Engine("podman").output("save", "x")
    assert not Engine("podman").has("x")
    assert not Engine("podman").pull("x")


def test_the_command_of_a_build(tools: Any, tmp_path: Path) -> None:
    tools(buildah=f'echo "$@" > {tmp_path}/seen', docker=f'echo "$@" > {tmp_path}/seen')
    for name, first in (("buildah", "bud --isolation chroot --layers"), ("docker", "build -f")):
        Engine(name).build("hort/x:1", file=Path("D"), target="dev", context=Path("c"), arguments=["A=b"])
        seen = (tmp_path / "seen").read_text().strip()
        assert seen.startswith(first)
        assert seen.endswith("-f D --target dev --build-arg A=b -t hort/x:1 c")


def test_sizes_are_what_each_image_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "has", lambda _, image: image == BASE)
    weights = {BASE: 80_000_000, **{recipe.image: 90_000_000 + 10_000_000 * i for i, recipe in enumerate(RECIPES)}}
    monkeypatch.setattr(Engine, "size", lambda _, image: weights[image])
    rows = sizes.measure(Engine("podman"))
    assert [row["adds_mb"] for row in rows] == [80.0, 10.0, 10.0, 10.0, 10.0]
    assert rows[-1]["total_mb"] == 120.0
    assert sizes.table(rows).count("\n| ") == len(rows)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_dockerfiles_keep_their_promises(recipe: Any) -> None:
    text = (ROOT / "docker" / recipe.name / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(stages) >= 2
    before = RECIPES[RECIPES.index(recipe) - 1] if recipe is not RECIPES[0] else None
    assert stages[-1] == (f"${{{before.name.upper()}}}" if before else "${BASE}")
    if before:
        assert f"ARG {before.name.upper()}={before.image}" in text
    assert ("AS dev" in text) == recipe.dev


def test_images_of_others_are_pinned_and_all_of_ours_begin_with_the_same_one() -> None:
    for path in pins.files():
        text = path.read_text()
        named = re.findall(r"^(?:FROM|\s*image:|ARG BASE=|ARG \w+=(?=hort/))\s*(\S+)", text, re.MULTILINE)
        foreign = [name for name in named if not name.startswith(("${", "hort/", "hort-", "scratch"))]
        assert all(pins.PINNED.fullmatch(name) for name in foreign), (path, foreign)
    bases = {name for path in pins.files()[:-1] for name in re.findall(r"^ARG BASE=(.*)", path.read_text(), re.MULTILINE)}
    assert bases == {pins.base()}


def test_the_base_is_pulled_by_its_digest_or_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = f"docker.io/library/{pins.base()}"
    here: set[str] = set()
    pulled: list[str] = []
    monkeypatch.setattr(Engine, "has", lambda _, image: image in here)
    monkeypatch.setattr(base, "_make", lambda _: here.add(BASE))

    def pull(_: Engine, image: str) -> bool:
        pulled.append(image)
        return len(pulled) == 1

    monkeypatch.setattr(Engine, "pull", pull)
    assert base.ensure(Engine("podman")) == (pinned, "pulled")
    assert base.ensure(Engine("podman")) == (BASE, "made by debootstrap")
    assert base.ensure(Engine("podman")) == (BASE, "there")
    assert pulled == [pinned, pinned]


INSPECTED = {
    "docker": {"RepoDigests": ["debian@sha256:NEW"]},
    "podman": {"Digest": "sha256:ONE", "RepoDigests": ["docker.io/library/debian@sha256:ONE", "docker.io/library/debian@sha256:NEW"]},
}


@pytest.mark.parametrize("name", INSPECTED)
def test_pin_writes_the_digest_of_all_platforms_wherever_a_tag_is_pinned(tools: Any, tmp_path: Path, name: str) -> None:
    old, new = "sha256:" + "0" * 64, "sha256:" + "1" * 64
    document = json.dumps([INSPECTED[name]]).replace("sha256:NEW", new)
    tools(**{name: f"echo \"$*\" >> {tmp_path}/calls\n[ $1 = pull ] || echo '{document}'"})
    for file, text in {"a/Dockerfile": f"ARG BASE=debian:12@{old}\nFROM ${{BASE}}\n", "compose.yaml": f"image: debian:12@{old}\n"}.items():
        (tmp_path / "files" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / file).write_text(text)
    assert pins.refresh(Engine(name), folder=tmp_path / "files") == {"debian:12": new}
    assert (tmp_path / "files/a/Dockerfile").read_text() == f"ARG BASE=debian:12@{new}\nFROM ${{BASE}}\n"
    assert (tmp_path / "files/compose.yaml").read_text() == f"image: debian:12@{new}\n"
    assert (tmp_path / "calls").read_text().startswith("pull docker.io/library/debian:12\n")
    assert pins.refresh(Engine(name), folder=tmp_path / "files") == {}


def test_the_last_image_is_not_root_and_listens_where_openwhisk_calls() -> None:
    text = (ROOT / "docker/plates/Dockerfile").read_text()
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
    assert re.search(r"^EXPOSE 8080$", text, re.MULTILINE)
    assert FINAL.name == "plates"


def test_every_source_is_pinned_by_a_checksum() -> None:
    for name in ("opencv", "tesseract"):
        text = (ROOT / "docker" / name / "Dockerfile").read_text()
        assert re.search(rf"^ARG {name.upper()}_SHA256=[0-9a-f]{{64}}$", text, re.MULTILINE)
        assert "sha256sum --check" in text
    fetch = (ROOT / "docker/openalpr/fetch.sh").read_text()
    assert re.search(r"[0-9a-f]{128}", fetch)
    assert re.search(r"[0-9a-f]{64}", fetch)
