"""Take what people ask of a deployment that is under way: to stop, to go on from a pause, to end its watch."""

from dataclasses import replace

from roas.errors import SEE_STATUS, UNDO, InvalidRequestError
from roas.messages.message import said
from roas.models.actor import Actor, CancelRequest
from roas.models.deployment import Deployment, PhaseStatus
from roas.models.phases import PhaseName
from roas.models.rollout import WATCH, Choice, Decision
from roas.models.state_change import ChangeType
from roas.state.deployments.reader import DeploymentReader
from roas.state.deployments.rows import change_of, read_deployment
from roas.state.documents import to_json
from roas.state.transaction import Transaction


class DeploymentControl(DeploymentReader):
    """Take requests to cancel, and decisions about pauses; the owner reads them at its next safe point."""

    async def request_cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        """Ask the owner, whichever process it is, to stop at its next safe point.

        Raises InvalidRequestError where there is nothing to cancel.
        """

        def work(transaction: Transaction) -> Deployment:
            deployment = _cancellable(read_deployment(transaction, deployment_id), deployment_id)
            transaction.execute(
                "UPDATE deployments SET cancel_requested_by = ? WHERE id = ? AND cancel_requested_by IS NULL",
                (to_json(CancelRequest(actor.kind, actor.id, actor.name, reason)), deployment_id),
            )
            facts: dict[str, object] = {"by": actor.name, "id": actor.id, **({"reason": reason} if reason else {})}
            transaction.add_change(change_of(ChangeType.AUDIT, deployment, new="cancel requested", metadata=facts))
            return replace(deployment, cancel_requested_by=actor, cancel_reason=reason)

        return await self._journal.write(work)

    async def decide(
        self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "", *, pause: int | None = None
    ) -> Deployment:
        """Write what a person chose for a deployment that is paused, and why, whichever process runs it.

        Raises InvalidRequestError where it is not, or not for that `pause` any more.
        """

        def work(transaction: Transaction) -> Deployment:
            deployment = read_deployment(transaction, deployment_id)
            if deployment is None:
                raise _not_waiting(deployment_id)
            waits_for = deployment.waits_in
            if waits_for is None or pause not in {None, waits_for.number}:
                raise _decided_already(deployment, pause) or _not_waiting(deployment_id)
            if choice is Choice.OBSERVE and not waits_for.canary:
                raise _not_waiting(deployment_id)
            decision = Decision(waits_for.number, choice, actor, reason)
            transaction.execute("UPDATE deployments SET decision = ? WHERE id = ?", (to_json(decision), deployment_id))
            why = {"reason": reason} if reason else {}
            change = change_of(
                ChangeType.AUDIT,
                deployment,
                new="pause decided",
                metadata={"by": actor.name, "id": actor.id, "choice": choice, "pause": decision.pause, **why},
            )
            transaction.add_change(change)
            return replace(deployment, decision=decision)

        return await self._journal.write(work)

    async def end_watch(self, deployment_id: str, actor: Actor) -> Deployment | None:
        """Write that a deployment need not watch its release any longer; None where it does anything else."""

        def work(transaction: Transaction) -> Deployment | None:
            deployment = read_deployment(transaction, deployment_id)
            if deployment is None or not deployment.only_watches:
                return None
            decision = Decision(WATCH, Choice.GO_ON, deployment.watch_ended_by or actor)
            transaction.execute("UPDATE deployments SET decision = ? WHERE id = ?", (to_json(decision), deployment_id))
            by: dict[str, object] = {"by": decision.decided_by.name, "id": decision.decided_by.id}
            transaction.add_change(change_of(ChangeType.AUDIT, deployment, new="watch ended", metadata=by))
            return replace(deployment, decision=decision)

        return await self._journal.write(work)


def _cancellable(deployment: Deployment | None, deployment_id: str) -> Deployment:
    """Return a deployment that can be stopped. Raises InvalidRequestError, which says why another cannot."""
    if deployment is None:
        raise InvalidRequestError(
            said("There is no deployment {deployment_id}.", deployment_id=deployment_id),
        )
    if deployment.finished:
        raise InvalidRequestError(
            said(
                "{deployment_id} has ended already ({outcome}).",
                deployment_id=deployment_id,
                outcome=deployment.outcome,
            ),
            hint=UNDO,
        )
    if deployment.problem is not None:
        raise InvalidRequestError(
            said(
                "{deployment_id} is being rolled back already, and a rollback is always completed.",
                deployment_id=deployment_id,
            ),
        )
    verified = deployment.phase(PhaseName.VERIFICATION)
    if verified is not None and verified.status is PhaseStatus.SUCCESS:
        raise InvalidRequestError(
            said(
                "{deployment_id} has verified its release already, and is only cleaning up.",
                deployment_id=deployment_id,
            ),
            hint=UNDO,
        )
    return deployment


def _not_waiting(deployment_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        said("{deployment_id} does not wait for a decision.", deployment_id=deployment_id),
        hint=SEE_STATUS,
    )


CHOSEN = {
    Choice.GO_ON: said("resumed it"),
    Choice.OBSERVE: said("let it be observed for longer"),
    Choice.ROLL_BACK: said("rolled it back"),
}


def _decided_already(deployment: Deployment, pause: int | None) -> InvalidRequestError | None:
    """Return what tells a second person who decided on a pause, by default the last one, and what; None for none."""
    number = pause if pause is not None else len(deployment.pauses)
    decision = deployment.decision_on(number)
    if decision is None and deployment.cancel_requested_by is not None and number == len(deployment.pauses):
        person, what = deployment.cancel_requested_by.name, said("cancelled it")
    elif decision is None:
        return None
    else:
        person = decision.decided_by.name
        what = CHOSEN[decision.choice]
    hint = SEE_STATUS
    if deployment.waits_in is not None:
        hint = said("It has paused again since: decide on its newest message.")
    return InvalidRequestError(
        said(
            "{deployment_id} was decided already: {person} {what}.",
            deployment_id=deployment.id,
            person=person,
            what=what,
        ),
        hint=hint,
    )
