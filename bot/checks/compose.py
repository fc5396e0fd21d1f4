"""Check what the compose files say: that they parse, what they may not ask for, and what they lack."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from roas.checks.check import Finding, check, failed, listed, obstacles, passed, stack_check
from roas.checks.compose_variables import Use, known_variables, variable_uses, variables_of_images
from roas.checks.subject import Subject
from roas.concurrency import in_thread
from roas.configuration.environments import projects_of
from roas.errors import ComposePolicyError, ImageNotFoundError, RegistryUnavailableError, RoasError, second_copy
from roas.messages.message import joined, said
from roas.models.check import COMPOSE_FILE, CheckSeverity
from roas.models.environment import PolicyLevel
from roas.models.stack import ObstacleKind, WantedImage
from roas.shortages import find_passing
from roas.stack.interface import ResolvedStack
from roas.stack.machine.projects import runs_already_as

LookUp = Callable[[str], Awaitable[WantedImage]]
IMAGES_AT_ONCE = 4
REGISTRY_SECONDS = 8.0  # under the deadline of a check, so that a slow registry is a warning and no failure


@check(COMPOSE_FILE, CheckSeverity.CRITICAL)
async def compose_file(subject: Subject) -> list[Finding]:
    """Report how the compose file was resolved, and pass on the warnings of that."""
    error, stack = subject.stack_error, subject.stack
    if (passing := find_passing(error)) is not None:
        raise passing
    if error is not None and not isinstance(error, ComposePolicyError):
        return [failed(error.message, error.hint)]
    if stack is None:
        return []  # the policy's own check reports it
    names = [path.name for path in subject.environment.compose_files] if subject.reads_working_copy else ["compose"]
    message = said("{files}: {count} {count|service|services}.", files=", ".join(names), count=len(stack.definitions))
    warnings = [failed(text, "", CheckSeverity.WARNING) for text in stack.warnings]
    return [passed(message), *warnings]


@check("compose_policy", CheckSeverity.CRITICAL)
async def compose_policy(subject: Subject) -> list[Finding]:
    """Name the rule of the policy that the compose file breaks; what does not parse cannot be judged."""
    if isinstance(subject.stack_error, ComposePolicyError):
        return [failed(subject.stack_error.message, subject.stack_error.hint)]
    if subject.stack is None:
        return []
    found = [passed()]
    if subject.environment.policy is PolicyLevel.DEFAULT:
        text = said("The policy `default` ends with the next release: use `ask`, `strict` or `trusted`.")
        found.append(failed(text, severity=CheckSeverity.WARNING))
    return found


@check("variables", CheckSeverity.CRITICAL)
async def variables(subject: Subject) -> list[Finding]:
    """Name all missing variables at once; Compose names only the first. Of empty ones it warns itself."""
    return [await in_thread(_judge_variables, subject)] if subject.reads_working_copy else []


def _judge_variables(subject: Subject) -> Finding:
    environment = subject.environment
    known = {
        **known_variables(environment.env_files),
        **environment.variables,
        **subject.variables,
        "COMPOSE_PROJECT_NAME": environment.project,  # Compose gives it by itself
    }
    missing = {use.name: use for use in variable_uses(environment.compose_files, known) if use.missing(known)}
    if not missing:
        return passed()
    message = said(
        "{missing} required {missing|variable has|variables have} no value: {text}.",
        missing=len(missing),
        text=listed(_named_use(missing[name]) for name in sorted(missing)),
    )
    remedy = said("Set {names} in {place}.", names=listed(sorted(missing)), place=_variables_place(subject))
    return failed(message, remedy)


def _named_use(use: Use) -> str:
    return f"{use.name} ({use.message})" if use.message else use.name


def _variables_place(subject: Subject) -> str:
    files = subject.environment.env_files
    return str(files[-1]) if files else str(subject.environment.folder / f".env.{subject.environment.name}")


@stack_check("version", CheckSeverity.WARNING)
async def version(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Look for what a deployed version changes; without, a deployment succeeds and the version does not run."""
    if not subject.reads_working_copy:
        return []
    if stack.follows_version:
        return [passed()]
    message = said("Nothing in the stack follows the version that is deployed: what runs stays what the files name.")
    found = await in_thread(variables_of_images, subject.environment.compose_files)
    return [failed(message, _version_remedy(subject.environment.name, found))]


def _version_remedy(environment: str, found: Mapping[str, list[tuple[str, str]]]) -> str:
    if not found:
        return said(
            "Let an image follow it: `image: name:${VERSION:-1.0}` for those that are built or pulled by version."
        )
    names = ", ".join(f'"{name}"' for name in found)
    uses = listed(
        said("{name} is in the image of {services}", name=name, services=listed(service for service, _ in uses))
        for name, uses in found.items()
    )
    return said(
        "Set `version_variables = [{names}]` in [environments.{environment}], with those that apply: {uses}.",
        names=names,
        environment=environment,
        uses=uses,
    )


@check("project", CheckSeverity.CRITICAL)
async def project(subject: Subject) -> Finding:
    """Look for another project of the stack's folder: a deployment would create a second copy beside it."""
    environment = subject.environment
    found = runs_already_as(environment, await subject.engine.projects(), partial(projects_of, subject.settings))
    if found is None:
        return passed(said("The project is {project}.", project=environment.project))
    error = second_copy(environment.name, found.name, environment.project)
    return failed(error.message, error.hint)


@stack_check("images", CheckSeverity.CRITICAL)
async def images(subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Look up every image; a registry that is unavailable is only a warning, since preparation tries again."""
    if subject.look_up_image is None:  # nothing of the working copy is deployed
        return []
    services = _services_by_image(stack)
    slots = asyncio.Semaphore(IMAGES_AT_ONCE)
    found = await asyncio.gather(*(_look_up_image(subject.look_up_image, names, slots) for names in services.values()))
    problems = [result for result in found if result is not None]
    return problems or [
        passed(
            said(
                "{services} {services|image|images} available.",
                services=len(services),
            ),
        )
    ]


async def _look_up_image(look_up: LookUp, services: list[str], slots: asyncio.Semaphore) -> Finding | None:
    text = f"({listed(services)})"
    try:
        async with slots, asyncio.timeout(REGISTRY_SECONDS):
            await look_up(services[0])
    except ImageNotFoundError as error:
        return failed(joined(" ", (error.message, text)), error.hint)
    except RegistryUnavailableError as error:
        return failed(joined(" ", (error.message, text)), error.hint, CheckSeverity.WARNING)
    except TimeoutError:
        message = said(
            "The registry did not answer within {seconds} s {text}.",
            seconds=f"{REGISTRY_SECONDS:g}",
            text=text,
        )
        return failed(message, severity=CheckSeverity.WARNING)
    except RoasError as error:
        if find_passing(error) is not None:
            raise
        return failed(joined(" ", (error.message, text)), error.hint)
    return None


def _services_by_image(stack: ResolvedStack) -> dict[str, list[str]]:
    """Group the services by what has to be looked up, so that a shared image is asked for once."""
    groups: dict[str, list[str]] = {}
    for name, definition in sorted(stack.definitions.items()):
        groups.setdefault(name if definition.built else definition.image, []).append(name)
    return groups


@stack_check("container_names", CheckSeverity.CRITICAL)
async def container_names(_subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Report what resolving the stack found on the engine; Compose would fail in the middle of the execution."""
    return obstacles(stack, ObstacleKind.CONTAINER_NAME) or [passed()]


@stack_check("external_resources", CheckSeverity.CRITICAL)
async def external_resources(_subject: Subject, stack: ResolvedStack) -> list[Finding]:
    """Report what resolving the stack found on the engine; Compose would fail in the middle of the execution."""
    return obstacles(stack, ObstacleKind.EXTERNAL) or [passed()]
