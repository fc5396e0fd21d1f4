"""Refuse what would create a stack a second time, under another project's name and with empty volumes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from roas.deployment.components import Components
from roas.engine.machine.projects import runs_already_as
from roas.environments import projects_of
from roas.errors import SecondCopyError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.release import Release


async def refuse_second_copy(
    components: Components, environment: Environment, current: Release | None, old_model: Mapping[str, Any] | None
) -> None:
    """Raise SecondCopyError where the environment's project is not the one that its stack runs as."""
    if current is not None:
        recorded = str((old_model or {}).get("name") or environment.project)
        if recorded != environment.project:
            raise SecondCopyError(
                said(
                    "{environment} is on {current} as the project {recorded}, and would be created a "
                    "second time as {project}, with empty volumes.",
                    environment=environment.name,
                    current=current.label,
                    recorded=recorded,
                    project=environment.project,
                ),
                hint=said(
                    'Set `project_name = "{recorded}"` in [environments.{environment}]. For a second '
                    "copy, give it an environment of its own.",
                    recorded=recorded,
                    environment=environment.name,
                ),
            )
        return
    found = runs_already_as(
        environment, await components.stacks.of(environment).projects(), partial(projects_of, components.settings)
    )
    if found is not None:
        raise SecondCopyError(
            said(
                "The stack in {folder} runs already as the project {found}, and {environment} "
                "would create it a second time as {project}, with empty volumes.",
                folder=environment.folder,
                found=found.name,
                environment=environment.name,
                project=environment.project,
            ),
            hint=said(
                'Set `project_name = "{found}"` in [environments.{environment}], or `"{project}"` for a second copy.',
                found=found.name,
                environment=environment.name,
                project=environment.project,
            ),
        )
