"""The layered images: which engine builds and runs them, what the tables say, what the Dockerfiles promise."""

import re
from pathlib import Path
from typing import Any

import pytest

from lib.images import engines, sizes
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
    assert stages[-1] == (f"${{{before.name.upper()}}}" if before else "debian:bookworm-slim")
    if before:
        assert f"ARG {before.name.upper()}={before.image}" in text
    assert ("AS dev" in text) == recipe.dev


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
