"""``.env.example`` lists every setting of every service, with its true default."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"


def settings_classes() -> list[type[BaseSettings]]:
    found = []
    for path in sorted([*ROOT.glob("libs/*/src/*/settings.py"), *ROOT.glob("services/*/src/*/settings.py")]):
        found += classes_of(f"{path.parent.name}.settings")
    return found + classes_of("preceptor.suite.settings")


def classes_of(module: str) -> list[type[BaseSettings]]:
    return [
        one
        for _, one in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if issubclass(one, BaseSettings) and one.__module__ == module
    ]


def example() -> dict[str, tuple[bool, str]]:
    """Return name -> (whether it is commented out, value)."""
    lines = re.findall(r"^(# )?(PRECEPTOR_[A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert len({name for _, name, _ in lines}) == len(lines), "each is there once"
    return {name: (bool(hidden), value) for hidden, name, value in lines}


def prefix(one: type[BaseSettings]) -> str:
    return str(one.model_config.get("env_prefix"))


CLASSES = settings_classes()


def test_every_service_has_a_settings_class() -> None:
    prefixes = {prefix(one) for one in CLASSES}
    services = {path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists()}
    assert {f"PRECEPTOR_{name.upper().replace('-', '_')}_" for name in services} <= prefixes


def test_the_example_lists_exactly_the_settings_there_are() -> None:
    there_are = {f"{prefix(one)}{field.upper()}" for one in CLASSES for field in one.model_fields}
    assert set(example()) == there_are


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_required_settings_have_a_value_and_defaults_are_true(one: type[BaseSettings]) -> None:
    listed = example()
    for field, info in one.model_fields.items():
        hidden, value = listed[f"{prefix(one)}{field.upper()}"]
        if info.is_required():
            assert not hidden, field
            assert value, field
        elif info.default not in (None, PydanticUndefined) and not isinstance(info.default, Path):
            assert value == str(info.default), field


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: one.__name__)
def test_the_settings_are_accepted_as_the_example_has_them(
    one: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (hidden, value) in example().items():
        if name.startswith(prefix(one)) and value and not (hidden and "/" in value):
            monkeypatch.setenv(name, value)
    one()
