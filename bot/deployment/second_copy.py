"""Refuse what would create a stack a second time, under another project's name and with empty volumes."""

from collections.abc import Mapping
from typing import Any

from roas.deployment.context import Components
from roas.engine.machine.projects import runs_already_as
from roas.environments import environments
from roas.errors import SecondCopyError
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
                f"{environment.name} is on {current.label} as the project {recorded}, and would be created a second "
                f"time as {environment.project}, with empty volumes.",
                hint=f'Set `project_name = "{recorded}"` in [environments.{environment.name}]. For a second copy, '
                "give it an environment of its own.",
            )
        return
    ours = {known.project for known in environments(components.settings).values()}
    found = runs_already_as(environment, await components.engine.projects(environment), ours)
    if found is not None:
        raise SecondCopyError(
            f"The stack in {environment.folder} runs already as the project {found.name}, and {environment.name} would "
            f"create it a second time as {environment.project}, with empty volumes.",
            hint=f'Set `project_name = "{found.name}"` in [environments.{environment.name}], or '
            f'`"{environment.project}"` for a second copy.',
        )
