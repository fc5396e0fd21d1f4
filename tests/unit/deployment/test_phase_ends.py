"""How a phase ended is written with the beginning of the next one, however that goes."""

from roas.models.coordination import PhaseName
from roas.models.deployment import Outcome, PhaseStatus
from tests.unit.deployment.requested import deploy


async def test_phase_that_ended_stays_so_when_the_next_one_could_not_begin(orchestrator, state, monkeypatch):
    """The journal may have taken so long that the time of the next one was over."""
    save = state.deployments.save_phases

    async def take_too_long(deployment, phases, fence):
        if {one.name for one in phases} == {PhaseName.INITIALIZATION, PhaseName.VALIDATION}:
            monkeypatch.setattr(state.deployments, "save_phases", save)
            raise TimeoutError
        await save(deployment, phases, fence)

    monkeypatch.setattr(state.deployments, "save_phases", take_too_long)
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.FAILED
    assert deployment.phase(PhaseName.INITIALIZATION).status is PhaseStatus.SUCCESS
    assert deployment.phase(PhaseName.VALIDATION).status is PhaseStatus.FAILED


async def test_end_of_each_phase_is_written_before_the_outcome(orchestrator, state, monkeypatch):
    """Whoever hears of the outcome finds it all in the journal, and so does whoever resumes in between."""
    finish, written = state.deployments.finish, []

    async def look_and_finish(deployment, *arguments, **named):
        written.append(await state.deployments.get(deployment.id))
        await finish(deployment, *arguments, **named)

    monkeypatch.setattr(state.deployments, "finish", look_and_finish)
    deployment = await orchestrator.run(deploy("v1"))
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert [one.phases for one in written] == [deployment.phases]
    assert {one.status for one in deployment.phases} <= {PhaseStatus.SUCCESS, PhaseStatus.PENDING}
