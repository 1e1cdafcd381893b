"""Images install pinned packages by hash in a build stage, and run without root and without tools of the build."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
_BY_NAME = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", dockerfile.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def _final_stage(dockerfile: Path) -> list[tuple[str, str]]:
    instructions = _instructions(dockerfile)
    last = max(number for number, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[last:]


def test_there_are_dockerfiles() -> None:
    assert len(DOCKERFILES) == 4


@_BY_NAME
def test_there_are_two_stages_on_a_versioned_base_without_registry_address(dockerfile: Path) -> None:
    bases = [rest.split()[0] for word, rest in _instructions(dockerfile) if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base) for base in bases)


@_BY_NAME
def test_every_package_from_outside_is_pinned_by_hash(dockerfile: Path) -> None:
    installs = [rest for word, rest in _instructions(dockerfile) if word == "RUN" and "pip" in rest]
    commands = [part for rest in installs for part in rest.split("&&") if re.search(r"pip (install|wheel)", part)]
    assert len(commands) >= 4
    for command in commands:
        assert "--require-hashes" in command or "--no-index" in command, command
    named = re.findall(r"-r (\S+)", " ".join(commands))
    assert named
    for file in named:
        assert "--hash=sha256:" in (ROOT / file).read_text()
        assert "://" not in (ROOT / file).read_text()


@_BY_NAME
def test_the_image_runs_as_a_user_that_is_not_root_and_holds_the_built_environment_only(dockerfile: Path) -> None:
    stage = _final_stage(dockerfile)
    assert [rest for word, rest in stage if word == "USER"] == ["10001:10001"]
    assert ("COPY", "--from=build /opt/preceptor /opt/preceptor") in stage
    assert not any("pip" in rest for _, rest in stage)
    assert [word for word, _ in stage].index("USER") > max(n for n, (word, _) in enumerate(stage) if word == "RUN")


@_BY_NAME
def test_what_is_copied_exists_and_reaches_the_builder(dockerfile: Path) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in _instructions(dockerfile):
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in allowed


@_BY_NAME
def test_the_packages_of_ours_that_are_built_are_the_ones_that_are_needed(dockerfile: Path) -> None:
    wheels = re.findall(r"\./((?:libs|services)/[a-z-]+|cli)", dockerfile.read_text())
    assert wheels
    names = {"cli": "preceptor"} | {path: path.split("/")[1] for path in wheels if "/" in path}
    built = {names[path] for path in wheels}
    for path in wheels:
        declared = (ROOT / path / "pyproject.toml").read_text()
        ours = set(re.findall(r'^    "(fhir-support|service-contracts|service-runtime)"', declared, re.MULTILINE))
        assert ours <= built, path


def test_the_build_backend_is_the_one_that_the_development_environment_pins() -> None:
    def pins(file: Path) -> dict[str, set[str]]:
        blocks = re.split(r"\n(?=[a-z0-9])", file.read_text())
        return {
            match[1]: set(re.findall(r"sha256:[0-9a-f]{64}", block))
            for block in blocks
            if (match := re.match(r"([a-z0-9-]+==\S+)", block))
        }

    build, dev = pins(ROOT / "docker" / "build.txt"), pins(ROOT / "requirements" / "dev.txt")
    assert build
    assert all(dev[name] == hashes for name, hashes in build.items())
