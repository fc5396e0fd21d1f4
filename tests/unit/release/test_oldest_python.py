"""The oldest Python that is claimed: named alike everywhere, and no dataclass that it refuses."""

import dataclasses
import importlib
import pkgutil
import re
import tomllib
from pathlib import Path
from types import MappingProxyType

import roas

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_oldest_version_is_the_same_everywhere() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert min(named, key=lambda version: int(version.split(".")[1])) == oldest
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    for page in ("README.md", "CONTRIBUTING.md"):
        assert re.findall(r"Python (3\.\d+) or newer", (ROOT / page).read_text("utf-8")) == [oldest], page


def test_no_field_defaults_to_a_mapping_proxy() -> None:
    """Before Python 3.12 it has no hash, and the module that defines such a field cannot be imported."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(roas.__path__, "roas.")
        if not module.name.endswith("__main__")
    ]
    classes = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type)}
    refused = {
        f"{kind.__qualname__}.{field.name}"
        for kind in classes
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
        if isinstance(field.default, MappingProxyType)
    }
    assert not refused
