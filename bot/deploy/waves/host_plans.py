"""Plan what a request would change on each of many hosts, and keep that under one digest, which is confirmed once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from roas.concurrency import run_concurrently
from roas.deploy.components import Components
from roas.deploy.kept_plans import ASK_AGAIN, KeptPlans, PlannedDeployment, say_changed
from roas.deploy.waves.host_releases import find_targets, hosts_of
from roas.deploy.waves.merged_plan import merge_plans
from roas.errors import EngineUnavailableError, ImageChangedError, InvalidRequestError, RoasError, UnreadableRowError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation
from roas.models.environment import Environment
from roas.models.plan import Plan
from roas.models.release import Release
from roas.state.documents import from_row, to_json

log = get_logger(__name__)

# Plan one host.
PlanHost = Callable[[Environment, DeploymentRequest], Awaitable[PlannedDeployment]]
# So many hosts are planned at the same time: each asks Compose about the same files.
AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class HostsPlan:
    """Hold one plan for all hosts, and the digest of each host's own, by name; a host that stays has none.

    Those that were `away` have none either, and count as failed. `inputs` are the settings of the whole, by name.
    """

    plan: Plan
    digests: Mapping[str, str] = field(default_factory=dict)
    away: tuple[str, ...] = ()
    inputs: str = ""


class HostPlans:
    """Plan all hosts of an environment, keep that, and find what was kept."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._kept = KeptPlans(components)

    async def plan(self, environment: Environment, request: DeploymentRequest, plan_host: PlanHost) -> HostsPlan:
        """Return what a request would change, host by host.

        Raises EngineUnavailableError where more hosts are away than may fail, InvalidRequestError where a rollback
        leads nowhere, and what the plan of a host raises.
        """
        targets: tuple[Release | None, ...] = (None,)
        if request.kind is DeploymentKind.ROLLBACK:
            targets = await find_targets(self._components.state, environment, request)
        for target in targets:
            requests = {host.name: host_request(host, request, target) for host in environment.hosts}
            plans, away = await self._plan_each(environment, requests, plan_host)
            if plans:
                return await self._merged(environment, plans, away, target)
        raise InvalidRequestError(
            said("Every host of {environment} is on that release already.", environment=environment.name)
        )

    async def _plan_each(
        self, environment: Environment, requests: Mapping[str, DeploymentRequest | None], plan_host: PlanHost
    ) -> tuple[dict[str, PlannedDeployment], dict[str, RoasError]]:
        """Return the plan of each host that is to change, and why others are away."""
        plans, away, slots = dict[str, PlannedDeployment](), dict[str, RoasError](), asyncio.Semaphore(AT_A_TIME)

        async def plan_in_slot(host: Environment, asked: DeploymentRequest) -> None:
            async with slots:
                try:
                    await self._refuse_bot(host)
                    plans[host.host] = await plan_host(host, asked)
                except EngineUnavailableError as error:
                    away[host.host] = error
                except RoasError as error:
                    if not isinstance(error, InvalidRequestError) or not await self._is_on(host, asked.target_release):
                        _name_host(host, error)
                        raise

        asking = ((host, requests[host.name]) for host in environment.hosts)
        await run_concurrently(plan_in_slot(host, asked) for host, asked in asking if asked is not None)
        self._refuse_away(environment, away)
        return plans, away

    async def _merged(
        self,
        environment: Environment,
        plans: Mapping[str, PlannedDeployment],
        away: Mapping[str, RoasError],
        target: Release | None,
    ) -> HostsPlan:
        in_order = {host.host: plans[host.host].plan for host in environment.hosts if host.host in plans}
        plan = merge_plans(
            environment,
            in_order,
            {host: error.message for host, error in away.items()},
            current=await self._components.state.releases.current(environment.name),
            target=target,
        )
        if target is not None and (left := sorted({host.name for host in environment.hosts} - hosts_of(target).keys())):
            text = said(
                "{release} has nothing of {hosts}, which stays as it is.", release=target.label, hosts=", ".join(left)
            )
            plan = plan.with_warnings(text)
        for planned in plans.values():
            await self._kept.keep(planned)
        digests = {host.name: in_order[host.host].digest for host in environment.hosts if host.host in in_order}
        return HostsPlan(plan, digests, tuple(away), _inputs(environment))

    async def keep(self, planned: HostsPlan) -> None:
        """Keep a plan for a day; those of its hosts are kept already."""
        await self._components.state.approvals.keep(planned.plan.digest, to_json(planned))

    async def find(self, digest: str | None) -> HostsPlan:
        """Return the plan that was confirmed. Raises ImageChangedError where it is not kept any more."""
        text = await self._components.state.approvals.kept(digest or "")
        try:
            return from_row(HostsPlan, text or "")
        except UnreadableRowError as error:
            raise ImageChangedError(
                said("This plan is not kept any more, or is of another version of the bot."), hint=ASK_AGAIN
            ) from error

    async def require_current(self, environment: Environment, planned: HostsPlan) -> None:
        """Require that a plan can be carried out on each host as it is.

        Raises ImageChangedError where what it was made beside changed. A host that is away counts as failed later.
        """
        hosts = {host.name: host for host in environment.hosts}
        if gone := sorted(planned.digests.keys() - hosts.keys()):
            raise ImageChangedError(
                said(
                    "{hosts} is no host of {environment} any more.", hosts=", ".join(gone), environment=environment.name
                ),
                hint=ASK_AGAIN,
            )
        if planned.inputs and (changed := say_changed(planned.inputs, _inputs(environment))):
            raise ImageChangedError(changed, hint=ASK_AGAIN)
        for name, of_host in planned.digests.items():
            try:
                found = await self._kept.find(of_host)
                await self._kept.require_current(hosts[name], found)
            except EngineUnavailableError as error:
                log.warning("host is away", environment=name, error=error.message)
            except RoasError as error:
                _name_host(hosts[name], error)
                raise

    async def _refuse_bot(self, host: Environment) -> None:
        if await self._components.own_container(host) is not None:
            raise InvalidRequestError(
                said("This bot runs in {environment}, which is one of many hosts.", environment=host.name),
                hint=said("Give the bot an environment of its own, on one host."),
            )

    async def _is_on(self, host: Environment, target: int | None) -> bool:
        """Return whether a host is on the release that a rollback leads to: then it stays as it is."""
        current = await self._components.state.releases.current(host.name)
        return current is not None and current.number == target

    def _refuse_away(self, environment: Environment, away: Mapping[str, RoasError]) -> None:
        if away and environment.waves.are_too_many(len(away), len(environment.hosts)):
            hosts = (said("{host}: {text}", host=host, text=error.message) for host, error in sorted(away.items()))
            raise EngineUnavailableError(joined("\n", hosts), hint=next(iter(away.values())).hint)


def _inputs(environment: Environment) -> str:
    """Write the settings that only all hosts together have."""
    return json.dumps({"hosts": [host.name for host in environment.hosts], **asdict(environment.waves)})


def host_request(host: Environment, request: DeploymentRequest, target: Release | None) -> DeploymentRequest | None:
    """Return what a request means for one host; None where a rollback leads to a release that it is no part of."""
    asked = replace(
        request, environment=host.name, plan_digest=None, needs_approval=False, starts_at=None, interaction_id=None
    )
    if target is None:
        return asked
    number = hosts_of(target).get(host.name)
    return None if number is None else replace(asked, target_release=number)


async def refuse_alone(components: Components, environment: Environment, request: DeploymentRequest) -> None:
    """Raise InvalidRequestError for what only all hosts together do, or only one of them.

    A host by itself may be restarted, or brought back to the release that it is on: that makes no two hosts differ.
    """
    name = environment.name
    goes_back = request.kind is DeploymentKind.ROLLBACK
    if environment.hosts and (request.operation is not None or request.data or (goes_back and request.services)):
        raise InvalidRequestError(
            said("{environment} is on many hosts, and this is done on one of them.", environment=name),
            hint=said("Name one of them: {hosts}.", hosts=", ".join(host.name for host in environment.hosts)),
        )
    if not environment.part_of or request.part_of:
        return
    if request.operation is not None and request.operation is not Operation.KEEP:
        return
    if goes_back and request.operation is None and not request.data:
        current = await components.state.releases.current(name)
        if current is not None and request.target_release == current.number:
            return
    raise InvalidRequestError(
        said(
            "{environment} is one of the hosts of {whole}, which move together.",
            environment=name,
            whole=environment.part_of,
        ),
        hint=said("Ask for all of them: {whole}.", whole=environment.part_of),
    )


def _name_host(host: Environment, error: RoasError) -> None:
    """Let an error name the host that it is of."""
    error.message = said("{host}: {text}", host=host.host, text=error.message)
