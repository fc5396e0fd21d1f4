"""Promote a release: bring to one environment the images and the shared files that another one runs.

The environment's own overrides, env files and secrets stay. What it requires of everything that it takes is judged
here, too: that the same images and files were healthy in another environment, for so long and without an alert.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from roas.deploy.components import Components
from roas.deploy.planning.plan import changed_keys
from roas.errors import InvalidRequestError
from roas.messages.message import Message, joined, said
from roas.models.alert import Alert, Severity
from roas.models.deployment import Deployment, DeploymentRequest, Operation, Outcome, Scale, Stop
from roas.models.environment import Environment
from roas.models.gate import Gate, GateDecision, judge_request
from roas.models.plan import Plan, ServiceAction
from roas.models.release import ImagePin, Release, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage
from roas.stack.images.lookup import repository_of
from roas.stack.interface import ResolvedStack, SharedFiles
from roas.stack.model.scales import with_numbers
from roas.stack.model.services import services_of
from roas.stack.stack import Stack
from roas.state.deployments.locks import describe_mark
from roas.state.manager import StateManager

# What ran in an environment, and can be taken from there.
TAKEN = frozenset({ReleaseState.SUCCEEDED, ReleaseState.ADOPTED})
# So many deployments are looked at for how long a release ran.
MOST_DEPLOYMENTS = 200
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Promotion:
    """Hold the release that is promoted, its model, and the files of it that both environments have.

    `under_way` is the deployment that just moves the environment that it comes from.
    """

    release: Release
    model: Mapping[str, Any]
    files: SharedFiles
    under_way: Deployment | None = None

    def adapt(self, resolved: ResolvedStack) -> ResolvedStack:
        """Return the stack with the images of the release in the place of those that it would build or look up."""
        services, definitions = dict(services_of(resolved.model)), dict(resolved.definitions)
        for name, pin in self._pins(resolved).items():
            fields = {key: value for key, value in services[name].items() if key != "build"}
            if not definitions[name].built:
                fields["image"] = pin.reference
                definitions[name] = replace(definitions[name], image=pin.reference)
            services[name] = fields
        model = {**resolved.model, "services": services}
        return replace(resolved, model=model, definitions=definitions, version=self.release.version)

    async def images(self, stack: Stack, resolved: ResolvedStack) -> dict[str, WantedImage]:
        """Return the image of each service: the release's, by content. Raises InvalidRequestError, EngineError."""
        pins = self._pins(resolved)
        wanted = dict(await stack.images.look_up(resolved, frozenset(resolved.definitions) - pins.keys()))
        for name, pin in pins.items():
            found = await stack.images.promoted(pin, resolved.definitions[name].image)
            if found is None:
                raise InvalidRequestError(
                    said(
                        "The image of {service} in {release} of {source} is not on the engine of {environment}, and "
                        "no registry has it.",
                        service=name,
                        release=self.release.label,
                        source=self.release.environment,
                        environment=stack.environment.name,
                    ),
                    hint=said("Push it to a registry, and deploy it to {source} from there.", source=self.source),
                )
            wanted[name] = found
        return wanted

    @property
    def source(self) -> str:
        """Return the environment that the release is from."""
        return self.release.environment

    def describe(self, plan: Plan, resolved: ResolvedStack, new_model: Mapping[str, Any]) -> Plan:
        """Return the plan of a promotion: with where it comes from, and what is meant to differ from there."""
        removed = (
            said(
                "{service} is only in {environment}, and is removed.",
                service=service.service,
                environment=plan.environment,
            )
            for service in plan.services
            if service.action is ServiceAction.REMOVE
        )
        return replace(
            plan,
            version=self.release.version,
            promoted_from=self.source,
            promoted_release=self.release.number,
            promotion=(*self._differences(resolved, new_model), *removed),
        )

    def _pins(self, resolved: ResolvedStack) -> dict[str, ImagePin]:
        return taken_images(self.release, resolved.definitions)

    def _differences(self, resolved: ResolvedStack, new_model: Mapping[str, Any]) -> Iterator[Message]:
        environment, source = resolved.environment.name, self.source
        if self.under_way is not None and self.under_way.to_release != self.release.number:
            yield said(
                "{deployment_id} is under way in {source}: this is {release}, from before it.",
                deployment_id=self.under_way.id,
                source=source,
                release=self.release.label,
            )
        if not self.files.compose.keys() & resolved.files.compose.keys():
            yield said(
                "{environment} and {source} have no compose file in common: the images are the same, and each has its "
                "own configuration.",
                environment=environment,
                source=source,
            )
        pins = self._pins(resolved)
        there_model, here_model = (with_numbers(model, {}) for model in (self.model, new_model))  # whoever scaled them
        for name in sorted(resolved.definitions):
            there = self.release.service(name)
            if there is None:
                yield said("{service} is only in {environment}.", service=name, environment=environment)
                continue
            if name not in pins:
                yield said(
                    "{service} has another image than in {source}: {image}, by the files of {environment}.",
                    service=name,
                    source=source,
                    image=resolved.definitions[name].image,
                    environment=environment,
                )
            if keys := changed_keys(there_model, here_model, name):
                yield said(
                    "{service} differs from {source} in: {keys}", service=name, source=source, keys=", ".join(keys)
                )
        for service in self.release.services:
            if service.name not in resolved.definitions:
                yield said("{service} is only in {environment}.", service=service.name, environment=source)


def taken_images(release: Release, definitions: Mapping[str, ServiceDefinition]) -> dict[str, ImagePin]:
    """Return the images that a stack takes from a release: not those that its own files name in another repository."""
    pins = {service.name: service.image for service in release.services}
    return {
        name: pins[name]
        for name, definition in definitions.items()
        if name in pins and (definition.built or repository_of(definition.image) == repository_of(pins[name].reference))
    }


async def find_promotion(components: Components, target: Environment, request: DeploymentRequest) -> Promotion:
    """Return the release that a request promotes. Raises InvalidRequestError, ReleaseNotRestorableError."""
    source, releases = request.promoted_from, components.state.releases
    if source == target.name:
        raise InvalidRequestError(said("{environment} cannot be promoted to itself.", environment=source))
    number = request.promoted_release
    release = await (releases.current(source) if number is None else releases.get(source, number))
    if release is None and number is not None:
        raise InvalidRequestError(
            said("r{release} of {environment} is not kept any more.", release=number, environment=source),
            hint=said("Use /promote for what {environment} runs now.", environment=source),
        )
    if release is None or release.state not in TAKEN:
        raise InvalidRequestError(
            said("{environment} is on no release yet that succeeded.", environment=source),
            hint=said("Deploy to {environment} first.", environment=source),
        )
    stack = components.stacks.of(target)
    files = await stack.releases.files_of(release)
    if files is None:
        raise InvalidRequestError(
            said(
                "It is not known which files {release} of {environment} was made of.",
                release=release.label,
                environment=source,
            ),
            hint=said(
                "Deploy the whole of {environment} once: what is adopted, or deployed in part, cannot be promoted.",
                environment=source,
            ),
        )
    files = files.shared_with(str(target.folder), target.overrides)
    under_way = await components.state.deployments.active(source)
    return Promotion(release, await stack.load_model(release.model_hash), files, under_way)


async def find_missing(
    components: Components,
    target: Environment,
    request: DeploymentRequest,
    resolved: ResolvedStack,
) -> Message | None:
    """Return what is missing of what an environment requires; None where nothing is.

    A promotion requires at least that no alert is open where it comes from.
    """
    source = target.requires or request.promoted_from
    if not source:
        return None
    soak = target.soak if target.requires else timedelta(0)
    stack, releases = components.stacks.of(target), components.state.releases
    current, fitting, others = await releases.current(source), list[Release](), list[str]()
    for release in await releases.list(source, limit=components.settings.releases_kept):
        if release.state not in TAKEN:
            continue
        other = _other_than(release, await stack.releases.files_of(release), resolved)
        if not other:
            fitting.append(release)
        elif current is not None and release.number == current.number:
            others = other
    if not fitting:
        shown = ", ".join([*others[:SHOWN], "…"] if len(others) > SHOWN else others)
        return said(
            "{environment} takes only what was healthy in {source}, and this was not: {others}",
            environment=target.name,
            source=source,
            others=shown or said("nothing was deployed there"),
        )
    moment = max(request.starts_at or datetime.now(UTC), datetime.now(UTC))
    return await _why_unsoaked(components.state, target.name, source, fitting, soak, moment)


def _other_than(release: Release, files: SharedFiles | None, resolved: ResolvedStack) -> list[str]:
    """Name the images and files of a stack that are others than those of a release."""
    found = []
    for name, pin in taken_images(release, resolved.definitions).items():
        image = resolved.wanted.get(name)
        digests = {digest.partition("@")[2] for digest in (pin.digest, pin.image_id) if digest and "@" in digest}
        here = image is not None and (image.digest or "").partition("@")[2]
        if image is not None and image.image_id != pin.image_id and here not in digests:
            found.append(image.reference)
    theirs = SharedFiles() if files is None else files
    theirs = theirs.shared_with(resolved.files.folder, resolved.files.overrides)
    for ours, other in ((resolved.files.compose, theirs.compose), (resolved.files.bound, theirs.bound)):
        found += [name for name in sorted(ours.keys() & other.keys()) if ours[name] != other[name]]
    return found


@dataclass(frozen=True, slots=True)
class Run:
    """Say from when to when an environment ran a release; one that still runs has no end."""

    release: int
    began: datetime
    ended: datetime | None = None


def find_runs(deployments: Iterable[Deployment], adopted: Iterable[Run] = ()) -> list[Run]:
    """Return which releases an environment ran, and when, by its deployments from the first to the last."""
    runs = [*adopted]
    for deployment in deployments:
        left_alone = deployment.outcome is Outcome.FAILED and not deployment.touched
        ended = deployment.ended_at
        if deployment.request.operation or deployment.outcome in {None, Outcome.CANCELLED} or left_alone or not ended:
            continue
        arrived = deployment.to_release if deployment.outcome is Outcome.SUCCEEDED else deployment.from_release
        if runs and runs[-1].ended is None:
            if runs[-1].release == deployment.from_release == deployment.to_release:
                continue  # the same once more
            runs[-1] = replace(runs[-1], ended=deployment.created_at)
        if arrived is not None and deployment.outcome is not Outcome.FAILED:
            runs.append(Run(arrived, ended))
    return runs


@dataclass(frozen=True, slots=True)
class Trouble:
    """Say from when to when an environment was not healthy, and why; what goes on has no end."""

    began: datetime
    ended: datetime | None
    why: str

    @classmethod
    def of_alert(cls, alert: Alert) -> Self:
        """Return what an alert tells of."""
        return cls(alert.started_at, None if alert.is_open else alert.resolved_at, alert.title)


def find_stops(deployments: Iterable[Deployment], marks: Mapping[str, Stop | Scale]) -> Iterator[Trouble]:
    """Return when services were stopped through the bot, by its deployments from the first to the last.

    What counts for now are the `marks`: by hand a service is started without a deployment.
    """
    began = dict[str, datetime]()
    for deployment in deployments:
        request, ended = deployment.request, deployment.ended_at
        if deployment.outcome is not Outcome.SUCCEEDED or ended is None or request.operation is Operation.KEEP:
            continue
        if request.operation is Operation.STOP or (request.operation is Operation.SCALE and request.replicas == 0):
            began |= {name: deployment.created_at for name in request.services if name not in began}
            continue
        for name in frozenset(request.services or began) & began.keys():
            yield Trouble(began.pop(name), ended, name)
    for name, mark in sorted(marks.items()):
        yield Trouble(mark.since, None, said("{service} {what}", service=name, what=describe_mark(mark)))


def healthy_time(run: Run, troubles: Iterable[Trouble], now: datetime) -> tuple[datetime, timedelta] | None:
    """Return since when a release was healthy until the end of its run, and for how long; None in trouble."""
    end, since = run.ended or now, run.began
    for trouble in troubles:
        over = trouble.ended or now
        if trouble.began > end or over < since:
            continue
        if over >= end:
            return None
        since = over
    return since, max(end - since, timedelta(0))


def has_soaked(runs: Iterable[Run], troubles: Collection[Trouble], soak: timedelta, now: datetime) -> bool:
    """Return whether one of some releases was healthy for so long."""
    times = (healthy_time(run, troubles, now) for run in runs)
    return any(time is not None and time[1] >= soak for time in times)


async def _find_runs(state: StateManager, source: str, fitting: Collection[Release]) -> tuple[list[Run], list[Trouble]]:
    """Return when an environment ran one of some releases, and what was wrong there, by when it began."""
    listed = await state.deployments.list(source, limit=MOST_DEPLOYMENTS, whole=False, with_saves=False)
    known = [
        (await state.deployments.get(deployment.id)) or deployment  # its services say whether it changed anything
        if deployment.outcome is Outcome.FAILED
        else deployment
        for deployment in reversed(listed)
    ]
    adopted = (Run(item.number, item.created_at) for item in fitting if item.state is ReleaseState.ADOPTED)
    alerts = [
        Trouble.of_alert(alert)
        for alert in await state.alerts.all()
        if alert.environment == source and alert.severity is not Severity.INFO
    ]
    scaled = {name: scale for name, scale in (await state.scales.of(source)).items() if scale.replicas == 0}
    stops = find_stops(known, {**scaled, **await state.stops.of(source)})
    numbers = {release.number for release in fitting}
    runs = [run for run in find_runs(known, adopted) if run.release in numbers]
    return runs, sorted((*alerts, *stops), key=lambda trouble: trouble.began)


async def _why_unsoaked(
    state: StateManager, target: str, source: str, fitting: Collection[Release], soak: timedelta, moment: datetime
) -> Message | None:
    """Return why releases that have the same images and files were not healthy for long enough; None where one was."""
    runs, troubles = await _find_runs(state, source, fitting)
    if has_soaked(runs, troubles, soak, moment):
        return None
    for run in runs:
        if run.ended is None and (time := healthy_time(run, troubles, moment)) is not None:
            return said(
                "{environment} takes only what was healthy in {source} for {soak}, and r{release} is so since {since} "
                "UTC: from {when} UTC on it can be deployed.",
                environment=target,
                source=source,
                soak=_length(soak),
                release=run.release,
                since=f"{time[0]:%Y-%m-%d %H:%M}",
                when=f"{time[0] + soak:%Y-%m-%d %H:%M}",
            )
    present = [trouble.why for trouble in troubles if trouble.ended is None]
    if present and any(run.ended is None for run in runs):
        return said(
            "{environment} takes only what is healthy in {source}, where it is not: {troubles}",
            environment=target,
            source=source,
            troubles=joined("; ", present),
        )
    return said(
        "{environment} takes only what was healthy in {source} for {soak}, and this was replaced there before.",
        environment=target,
        source=source,
        soak=_length(soak),
    )


def _length(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    parts = ((minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "m"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0m"


def judge_missing(request: DeploymentRequest, missing: object) -> GateDecision:
    """Return what becomes of a request, by whether something is missing that its environment requires."""
    return judge_request(request, {Gate.REQUIRES} if missing else ())


def next_environment(environments: Mapping[str, Environment], source: str) -> str:
    """Return where a release goes next: to what requires its environment, or to the next one of the same stack.

    Empty where there is none.
    """
    here, names = environments[source], list(environments)
    if here.hosts or here.part_of:  # a release of one host is promoted by name
        return ""
    found = [name for name, other in environments.items() if other.requires == source and not other.part_of]
    for name in names[names.index(source) + 1 :]:
        other = environments[name]
        if not other.requires and not other.part_of and _shares_files(here, other):
            found.append(name)
    return next(iter(found), "")


def _shares_files(here: Environment, other: Environment) -> bool:
    if here.repository is not None and other.repository is not None:
        return (here.repository.url, here.repository.path) == (other.repository.url, other.repository.path)
    return here.folder == other.folder
