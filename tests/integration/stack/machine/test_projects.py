"""A stack that was started by hand is found, whatever its project is called."""

from dataclasses import replace

from roas.stack.machine.projects import runs_already_as
from tests.integration.stack.adopting.test_adoption import start_manually


async def test_hand_started_project_is_found(engine, stack):
    environment = stack("services: {web: {image: tiny:v1}}")
    start_manually(environment)
    other = replace(environment, project=f"{environment.project}-prod")
    (found,) = [project for project in await engine.of(other).probe().projects() if project.name == environment.project]
    assert (found.containers, found.folders) == ((f"{environment.project}-web-1",), {str(environment.folder)})
    assert runs_already_as(other, [found], lambda: {other.project}) == found
