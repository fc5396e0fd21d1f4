"""Check the Docker Engine and Compose: that they answer, their versions, and what confines Compose."""

from packaging.version import InvalidVersion, Version

from roas.checks.check import Finding, check, failed, listed, passed, stack_check
from roas.checks.subject import Subject
from roas.errors import EngineUnavailableError
from roas.messages.message import said
from roas.models.check import CheckSeverity
from roas.models.facts import EngineFacts
from roas.shortages import find_passing
from roas.stack.interface import ResolvedStack

# 1.41 (Engine 20.10) is the first that reads statistics in one shot; without it a reading takes a second or two.
MINIMUM_API = Version("1.41")
# 1.44 (Engine 25) is the first that knows start_interval; Compose refuses the key on an older one.
START_INTERVAL_API = Version("1.44")
# 2.20 is the first that knows `depends_on.required` and `include`, which decide what is started and in which order.
MINIMUM_COMPOSE = Version("2.20")
# What `script/test` and `script/test --engine unstable` run on: Debian 13's packages and those of unstable.
TESTED_ENGINES = (Version("26.1"), Version("28.5"))
TESTED_COMPOSE = (Version("2.26"), Version("2.40"))


@check("engine", CheckSeverity.CRITICAL)
async def engine(subject: Subject) -> Finding:
    """Reach the engine and compare its API version with what is needed."""
    try:
        facts = await subject.engine.version()
    except EngineUnavailableError as error:
        if find_passing(error) is not None:
            raise
        return failed(error.message, error.hint)
    api = Version(facts.api_version)
    if api < MINIMUM_API:
        return _too_old(facts, MINIMUM_API, "roas")
    if _uses_start_interval(subject) and api < START_INTERVAL_API:
        return _too_old(facts, START_INTERVAL_API, "start_interval")
    return passed(
        said(
            "Docker Engine {version} answers (API {api_version}).",
            version=facts.version,
            api_version=facts.api_version,
        ),
    )


def _too_old(facts: EngineFacts, needed: Version, feature: str) -> Finding:
    return failed(
        said(
            "Docker Engine {version} has API {api_version}; {feature} needs {needed}. Install Docker Engine 25 or "
            "later.",
            version=facts.version,
            api_version=facts.api_version,
            feature=f"`{feature}`",
            needed=str(needed),
        )
    )


def _uses_start_interval(subject: Subject) -> bool:
    return any((service.get("healthcheck") or {}).get("start_interval") for service in subject.services.values())


@check("compose_version", CheckSeverity.CRITICAL)
async def compose_version(subject: Subject) -> Finding:
    """Ask the Compose CLI for its version."""
    found = await subject.engine.compose_version()
    if (minor := _minor(found)) is None or minor < MINIMUM_COMPOSE:
        message = said(
            "Docker Compose {found} is installed; {minimum} or later is needed.",
            found=found,
            minimum=str(MINIMUM_COMPOSE),
        )
        return failed(message)
    return passed(said("Docker Compose {found} is installed.", found=found))


@check("tested_versions", CheckSeverity.INFO)
async def tested_versions(subject: Subject) -> list[Finding]:
    """Compare engine and Compose with the range that the tests cover; outside of it a deployment goes on."""
    return [
        _judge_version("Docker Engine", (await subject.engine.version()).version, TESTED_ENGINES),
        _judge_version("Docker Compose", await subject.engine.compose_version(), TESTED_COMPOSE),
    ]


def _judge_version(product: str, found: str, tested: tuple[Version, Version]) -> Finding:
    minor = _minor(found)
    if minor is not None and tested[0] <= minor <= tested[1]:
        return passed()
    return failed(
        said(
            "{product} {found} is outside the versions that were tested ({oldest} to {newest}).",
            product=product,
            found=found,
            oldest=str(tested[0]),
            newest=str(tested[1]),
        )
    )


def _minor(text: str) -> Version | None:
    """Return the first two parts of a version, which may carry a packager's suffix."""
    try:
        release = Version(text.removeprefix("v").split("-")[0].split("+")[0]).release
    except InvalidVersion:
        return None
    return Version(".".join(map(str, release[:2])))


@check("jail", CheckSeverity.CRITICAL)
async def jail(subject: Subject) -> Finding:
    """Report which jail is in force."""
    if await subject.engine.has_landlock():
        return passed(said("Compose reads a copy of the stack's files, confined by Landlock and seccomp."))
    return passed(said("Compose reads a copy of the stack's files in a container without network."))


@stack_check("selinux", CheckSeverity.WARNING)
async def selinux(subject: Subject, _stack: ResolvedStack) -> list[Finding]:
    """Look for binds without `z` or `Z` on an engine that labels its containers."""
    facts = await subject.engine.version()
    if not any("selinux" in option for option in facts.security_options):
        return []
    bound = sorted(
        name
        for name, service in subject.services.items()
        if "label=disable" not in " ".join(map(str, service.get("security_opt") or ())).replace(":", "=")
        and any(
            mount.get("type") == "bind" and not (mount.get("bind") or {}).get("selinux")
            for mount in service.get("volumes") or ()
        )
    )
    if not bound:
        return [passed()]
    message = said(
        "SELinux denies binds without `:z` (shared) or `:Z` (for one container): {bound}.", bound=listed(bound)
    )
    return [failed(message)]
