"""Check the environment before anything is touched."""

from roas.deploy.context import DeploymentContext
from roas.deploy.draft import planned_deployment
from roas.deploy.phases.initialization import make_ready
from roas.deploy.release_keeper import not_restorable
from roas.errors import EnginePartAwayError, ReleaseNotRestorableError, ValidationFailedError
from roas.messages.message import joined, said
from roas.models.check import COMPOSE_FILE, CheckResult, ValidationReport
from roas.models.deployment import DeploymentKind
from roas.models.events import EnvironmentValidated
from roas.models.phases import PhaseName


class Validation:
    """Run every check and report all of them; only a failed critical check stops the deployment."""

    name = PhaseName.VALIDATION

    async def run(self, context: DeploymentContext) -> str:
        """Return how many checks passed. Raises ValidationFailedError that lists every failed critical check.

        Raises EnginePartAwayError where one could not be made for a fault that passes by itself.
        """
        if not context.phase_succeeded(PhaseName.INITIALIZATION):
            await make_ready(context)
        report = await self._validate(context)
        if passing := next((result for result in report.failures if result.passing), None):
            raise EnginePartAwayError(passing.message, hint=passing.remedy)
        context.publish(
            EnvironmentValidated(
                passed=report.passed,
                failures=tuple(result.check for result in report.failures),
                warnings=tuple(result.check for result in report.warnings),
                **context.origin,
            )
        )
        for result in report.warnings:
            context.warn(_warning(result))
        if not report.passed:
            raise _failure(report.failures)
        count = sum(result.passed for result in report.results)
        passed = said("{count} {count|check|checks} passed", count=count)
        warnings = ", ".join(sorted({result.check for result in report.warnings}))
        return said("{passed}; warnings: {checks}", passed=passed, checks=warnings) if warnings else passed

    async def _validate(self, context: DeploymentContext) -> ValidationReport:
        components, request = context.components, context.deployment.request
        if request.kind is not DeploymentKind.ROLLBACK:
            of_plan = await planned_deployment(context)
            found = None if of_plan is None else await of_plan.load_stack(context.stack)
            return await components.validator.validate(context.environment, request.version, found=found)
        number = context.deployment.to_release
        release = None if number is None else await components.state.releases.get(context.environment.name, number)
        if release is None:
            raise ReleaseNotRestorableError(said("There is no release r{number}.", number=number))
        missing = await context.stack.releases.missing_images(release)
        if missing := tuple(text for text in missing if text in (request.services or missing)):
            pins = [service.image for service in release.services if service.name in missing]
            raise not_restorable(release, missing, pins)
        return await components.validator.validate(context.environment, None, model_hash=release.model_hash)


def _warning(result: CheckResult) -> str:
    """Word a warning for the outcome; of how the compose file was read the plan warns, too, and it is said once."""
    if result.check == COMPOSE_FILE:
        return result.message
    return said("{check}: {message}", check=result.check, message=result.message)


def _failure(failures: tuple[CheckResult, ...]) -> ValidationFailedError:
    if len(failures) == 1:
        return ValidationFailedError(failures[0].message, hint=failures[0].remedy)
    lines = [said("- {check}: {message}", check=failure.check, message=failure.message) for failure in failures]
    hints = [
        said("{check}: {remedy}", check=failure.check, remedy=failure.remedy) for failure in failures if failure.remedy
    ]
    return ValidationFailedError(
        joined("\n", (said("{failures} {failures|check|checks} failed:", failures=len(failures)), *lines)),
        hint=joined("\n", hints),
    )
