"""A stack that runs already is found, whatever its project is called, and never created a second time."""

from dataclasses import replace
from pathlib import Path

import pytest

from roas.models.environment import Environment
from roas.models.facts import FoundProject
from roas.stack.machine.projects import runs_already_as


def environment_in(folder: Path, compose: str = "services: {}") -> Environment:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compose.yaml").write_text(compose)
    return Environment("prod", "app-prod", folder, (folder / "compose.yaml",))


@pytest.mark.parametrize(
    ("project", "compose", "is_found"),
    [
        (FoundProject("app", frozenset({"{folder}"})), "", True),
        (FoundProject("other", frozenset({"{folder}"})), "", True),
        (FoundProject("app", volumes=("app_data",)), "", True),
        (FoundProject("app", frozenset({"/nowhere/app"})), "", True),
        (FoundProject("app", frozenset({"{elsewhere}"})), "", False),
        (FoundProject("named", frozenset({"{elsewhere}"})), "name: named", True),
        (FoundProject("other", frozenset({"{elsewhere}"})), "", False),
        (FoundProject("app-dev", frozenset({"{folder}"})), "", False),
    ],
)
def test_running_project_is_found(tmp_path, project, compose, is_found):
    places = {"{folder}": tmp_path / "app", "{elsewhere}": tmp_path / "other" / "app"}
    environment = environment_in(places["{folder}"], f"{compose}\nservices: {{}}")
    places["{elsewhere}"].mkdir(parents=True)
    project = replace(project, folders=frozenset(str(places.get(folder, folder)) for folder in project.folders))
    found = runs_already_as(environment, [project], lambda: {"app-prod", "app-dev"})
    assert found == (project if is_found else None)
    assert runs_already_as(replace(environment, project_is_given=True), [project], tuple) is None
    assert runs_already_as(environment, [project, FoundProject("app-prod")], tuple) is None
