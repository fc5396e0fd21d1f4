"""What the instrumented bot says of itself at the gate is true."""

from types import SimpleNamespace

from roas.models.state_change import ChangeType, StateChange
from tools.campaigns.instrumented.hooks import Hooks, announcement
from tools.campaigns.swarm.rounds import phase_steps


class Listener:
    """A gate that holds nobody."""

    def __init__(self):
        self.heard = []

    async def hold(self, step, when, *, service=""):
        self.heard.append((step, when, service))


async def test_act_named_by_container_service():
    """An act is named by the service of its container, not by the last one announced."""

    async def containers():
        return (SimpleNamespace(id="1", service="store"), SimpleNamespace(id="2", service="web"))

    async def start(*_given): ...

    gate = Listener()
    hooks = Hooks(gate)
    hooks._remember([StateChange(ChangeType.SERVICE_PROGRESSED, "deployments", subject="store", new="starting")])
    await hooks._held("start", start)(SimpleNamespace(containers=containers), "2")
    assert gate.heard == [("between: start web", "before", "web"), ("between: start web", "after", "web")]


def test_step_named_by_journal_announcement():
    phase = StateChange(
        ChangeType.DEPLOYMENT_PHASE_CHANGED, "deployments", new="in_progress", metadata={"phase": "execution"}
    )
    end = StateChange(ChangeType.DEPLOYMENT_FINISHED, "deployments", new="succeeded")
    free = StateChange(ChangeType.LOCK_CHANGED, "locks", old="DEPLOY-1")
    assert announcement([phase]) == "phase in_progress"
    assert announcement([free, end]) == "lock released + deployment succeeded"
    assert announcement([StateChange(ChangeType.AUDIT, "audit", new="noted")]) == ""


def test_phase_is_found_also_where_the_one_before_ends_with_it():
    """One commit has both: the campaign on a Swarm kills when each phase begins."""

    def change(phase, new):
        return StateChange(
            ChangeType.DEPLOYMENT_PHASE_CHANGED, "deployments", new=new, metadata={"phase": phase.lower()}
        )

    both = announcement([change("validation", "success"), change("preparation", "in_progress")])
    first, last = announcement([change("validation", "in_progress")]), announcement([change("completion", "success")])
    steps = [f"{when} {text}" for text in (f"a: {first}", f"b: {both}", f"c: {last}") for when in ("before", "after")]
    assert phase_steps(steps) == [f"after a: {first}", f"after b: {both}"]
