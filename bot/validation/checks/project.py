"""Check that the stack does not run already under another project's name."""

from functools import partial

from roas.engine.machine.projects import runs_already_as
from roas.environments import projects_of
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject


class ProjectCheck:
    """Look for another project of the stack's folder: a deployment would create a second copy beside it."""

    name = "project"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Name both projects."""
        environment = subject.environment
        found = runs_already_as(environment, await subject.engine.projects(), partial(projects_of, subject.settings))
        if found is None:
            return passed(self, said("The project is {project}.", project=environment.project))
        message = said(
            "The stack in {folder} runs already as the project {found}; {project} would be a "
            "second copy with empty volumes.",
            folder=environment.folder,
            found=found.name,
            project=environment.project,
        )
        remedy = said(
            'Set `project_name = "{found}"` in [environments.{environment}], or `"{project}"` for a second copy.',
            found=found.name,
            environment=environment.name,
            project=environment.project,
        )
        return failed(self, message, remedy)
