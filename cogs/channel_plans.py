"""Take the answers to plans in the channel: who may give them, and what they are told.

What becomes of a plan is in `deploy/plan_lifecycle.py`.
"""

from functools import partial

from roas.app.application import Application
from roas.cogs.arguments import read_environment
from roas.cogs.permissions import (
    Asker,
    Rules,
    approve_refusal,
    approvers_refusal,
    confirm_refusal,
    permit,
    withdraw_refusal,
)
from roas.deploy.plan_lifecycle import PlanLifecycle
from roas.models.actor import Actor
from roas.models.deployment import DeploymentRequest
from roas.models.environment import Environment
from roas.models.plan import PlanRecord, PlanState
from roas.stack.policy.refusal import refuse_unreadable
from roas.ui.drawing import lines, one_line
from roas.ui.embeds.plan import describe_outcome
from roas.ui.formatting import begins
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.notifications.notifier import APPROVAL
from roas.ui.redacted import without_secrets
from roas.ui.translation import _

LINK_WITHIN_SECONDS = 5.0


class ChannelPlans:
    """Create plans and process the answers; every method raises NotPermittedError for members without permission."""

    def __init__(self, application: Application, rules: Rules, live_messages: LiveMessages) -> None:
        self._application = application
        self._rules = rules
        self._live_messages = live_messages
        self._plans = PlanLifecycle(
            application.state,
            application.orchestrator,
            application.environments,
            self._show,
            has_approvers=bool(rules.approvers),
            hide=partial(without_secrets, redact=application.redactor.redact),
        )

        # Plans of which the one who asked was told the new powers: their next click gives them.
        self._named: set[str] = set()

    async def require_idle(self, request: DeploymentRequest) -> None:
        """Raise FrozenError or LockHeldError where a request could not be started now."""
        await self._plans.require_idle(request)

    async def create_plan(self, request: DeploymentRequest) -> PlanRecord:
        """Plan a request and save it, bound to exactly this plan. Raises RoasError."""
        self._require_approvers(self._environment(request.environment))
        return await self._plans.create(request)

    async def resume(self) -> None:
        """Start what a dead process had begun to start: the plan is confirmed, and people wait for it."""
        await self._plans.resume()

    async def confirm(self, plan_id: str, asker: Asker, actor: Actor) -> tuple[PlanRecord, str]:
        """Confirm a plan for the one who requested it; returns its current state, and the answer."""
        async with self._plans.answering(plan_id) as plan_record:
            environment = self._environment(plan_record.environment)
            permit(confirm_refusal(plan_record, environment, asker, self._rules))
            if plan_record.state is not PlanState.PLANNED:
                return plan_record, await self._explain(plan_record)
            self._require_approvers(environment)
            self._require_readable(plan_record)
            if plan_record.request.granted and plan_id not in self._named:
                self._named.add(plan_id)
                return plan_record, _name_powers(plan_record)
            done, plan_record = await self._plans.confirm(plan_record, actor)
            if not done:
                return plan_record, await self._explain(plan_record)
            return plan_record, await self._say_confirmed(plan_record)

    async def approve(self, plan_id: str, asker: Asker, actor: Actor) -> str:
        """Approve a draft as a second person, and let exactly that be carried out; returns the answer."""
        async with self._plans.answering(plan_id) as plan_record:
            permit(approve_refusal(plan_record, self._environment(plan_record.environment), asker, self._rules))
            if plan_record.state is not PlanState.DRAFTED or plan_record.deployment_id is None:
                return await self._explain(plan_record)
            self._require_readable(plan_record)
            deployment = await self._plans.approve(plan_record, actor)
            if deployment.awaits_approval and deployment.request.starts_at is not None:
                return self._say_scheduled(plan_record, begins(deployment.request.starts_at))
            self._live_messages.follow(plan_id, deployment.environment).notify(urgent=True)
            return await self._say_started(deployment.id, deployment.environment)

    async def withdraw(self, plan_id: str, asker: Asker, actor: Actor) -> tuple[PlanRecord, str]:
        """Cancel a plan; returns its current state, and the answer."""
        async with self._plans.answering(plan_id) as plan_record:
            permit(withdraw_refusal(plan_record, self._environment(plan_record.environment), asker, self._rules))
            done, plan_record = await self._plans.withdraw(plan_record, actor)
            if done:
                return plan_record, _("🚫 The plan was cancelled; nothing was changed.")
            return plan_record, await self._explain(plan_record)

    def _require_approvers(self, environment: Environment) -> None:
        """Raise NotPermittedError where a second person has to approve, and nobody ever could."""
        if environment.needs_approval:
            permit(approvers_refusal(environment, self._rules))

    def _require_readable(self, plan_record: PlanRecord) -> None:
        """Raise NewPowersError where a secret that became known since hides a power: nobody reads what they give."""
        refuse_unreadable(plan_record.plan.new_powers, self._application.redactor.redact)

    async def _say_confirmed(self, plan_record: PlanRecord) -> str:
        """Say what a confirmed plan leads to: a time, a draft for a second person, or the deployment."""
        starts_at, deployment_id = plan_record.request.starts_at, plan_record.deployment_id or ""
        begins_at = "" if starts_at is None else begins(starts_at)
        if plan_record.state is PlanState.SCHEDULED:
            return self._say_scheduled(plan_record, begins_at)
        if not plan_record.request.needs_approval:
            return await self._say_started(deployment_id, plan_record.environment)
        link = await self._link(deployment_id, plan_record.environment)
        text = _("🗳️ Preparing `{id}`: {link}\nA second person has to approve it then.", id=deployment_id, link=link)
        return f"{text}\n⏰ {begins_at}" if begins_at else text

    def _say_scheduled(self, plan_record: PlanRecord, begins_at: str) -> str:
        self._application.schedule.notify()
        self._live_messages.follow(plan_record.id, plan_record.environment).notify(urgent=True)
        return f"⏰ {begins_at}"

    async def _say_started(self, deployment_id: str, environment: str) -> str:
        link = await self._link(deployment_id, environment)
        return _("🚀 Started `{id}`. Follow it here: {link}", id=deployment_id, link=link)

    async def _link(self, deployment_id: str, environment: str) -> str:
        return await self._live_messages.link(deployment_id, environment, within_seconds=LINK_WITHIN_SECONDS)

    async def _show(self, plan_record: PlanRecord) -> None:
        """Let the channel show what became of a plan, where the channel knows of it."""
        if await self._application.state.posts.get(plan_record.id, APPROVAL) is not None:
            self._live_messages.follow(plan_record.id, plan_record.environment).notify(urgent=True)
        if plan_record.ended and plan_record.deployment_id is not None:
            self._live_messages.follow(plan_record.deployment_id, plan_record.environment).notify(urgent=True)

    async def _explain(self, plan_record: PlanRecord) -> str:
        """Explain what became of a plan whose button is pressed (again)."""
        text = describe_outcome(without_secrets(plan_record, self._application.redactor.redact))
        if plan_record.deployment_id is not None:
            text += "\n" + await self._live_messages.known_link(plan_record.deployment_id, plan_record.environment)
        return text

    def _environment(self, name: str) -> Environment:
        return read_environment(name, self._application.environments)


def _name_powers(plan_record: PlanRecord) -> str:
    """Name each new power to the one who asked, and say that the next click gives them."""
    plan = plan_record.plan
    powers = [f"🔑 {one_line(power, 200)}" for power in plan.read(plan.new_powers)]
    text = _("This gives the stack new powers, and no approver is configured. Confirm once more to give them:")
    return f"{text}\n{lines(powers, 1700)}"
