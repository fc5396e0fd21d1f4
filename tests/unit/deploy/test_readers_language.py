"""Whoever reads Chinese is told all of it in Chinese, reasons within reasons too; an old row is shown as it is."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import discord
import pytest

from roas import limits
from roas.alerts.alert_service import AlertService
from roas.alerts.service_alerts import down
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import ComposePolicyError, RoasError, ServiceFailedError
from roas.health.verdicts import judge_service
from roas.limits import STANDARD
from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome, ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.phases import PhaseName, PhasePolicy
from roas.models.plan import PlanRecord
from roas.models.stack import ServiceDefinition, WantedImage
from roas.redaction import Redactor
from roas.stack import image_supply
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.resolution.version_use import unfollowed_warning
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing
from roas.ui.embeds.alert import draw_alert
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_error, draw_outcome
from roas.ui.embeds.plan import draw_confirmation
from roas.ui.translation import translate, using_locale, word
from tests.unit.deploy.fake_engine import STARTING, UNHEALTHY
from tests.unit.stack.policy.test_policy import STACK, STATE

DORA = Actor(ActorKind.DISCORD, "1", "dora")
# Three words of English in a row are a sentence that nobody translated; names and commands have fewer, or marks.
ENGLISH = re.compile(r"[A-Za-z']{2,} [a-z']{2,} [a-z']{2,}")


def deploy(version: str, **options: object) -> DeploymentRequest:
    return DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version, **options)


def shown(drawn: Drawing | list[discord.Embed]) -> str:
    embeds = drawn.embeds if isinstance(drawn, Drawing) else drawn
    parts = [part for embed in embeds for part in (embed.title, embed.description, *(f.value for f in embed.fields))]
    return "\n".join(filter(None, parts))


def english_in(text: str) -> list[str]:
    return ENGLISH.findall(re.sub(r"`[^`]*`", "", text))


async def again(folder: Path, deployment_id: str) -> Deployment:
    """Read a deployment as another process does."""
    async with StateManager(folder) as state:
        found = await state.deployments.get(deployment_id)
    assert found is not None
    return found


async def two_failures(orchestrator: DeploymentOrchestrator, engine) -> Deployment:
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    engine.behaviour["v1", "web"] = UNHEALTHY
    failed = await orchestrator.run(deploy("v2", reason="grund"))
    assert failed.outcome is Outcome.FAILED
    return failed


async def test_failed_deployment_in_chinese(orchestrator, engine, tmp_path):
    failed = await again(tmp_path / "state", (await two_failures(orchestrator, engine)).id)
    with using_locale("zh-TW"):
        outcome, live = shown(draw_outcome(failed)), shown(draw_live(failed))
    assert "web 失敗：" in outcome
    assert "回滾也失敗了：" in outcome
    assert english_in(outcome + live) == []
    assert english_in(shown(draw_outcome(failed))), "it is English for who reads English"


async def test_old_row_shown_as_it_is(orchestrator, engine, tmp_path):
    """As the release before wrote it: without what the messages are made of."""
    failed = await two_failures(orchestrator, engine)
    with closing(sqlite3.connect(tmp_path / "state" / JOURNAL_NAME)) as journal:
        for table in ("deployments", "phases", "service_progress"):
            journal.execute(f"UPDATE {table} SET document = json_remove(document, '$.messages')")  # noqa: S608 - ours
        journal.commit()
    with using_locale("zh-TW"):
        outcome = shown(draw_outcome(await again(tmp_path / "state", failed.id)))
    assert "The rollback failed too: web failed: " in outcome


@pytest.mark.usefixtures("hurried_time")
async def test_phase_out_of_time_in_chinese(orchestrator, engine, tmp_path, monkeypatch):
    """The words for a phase and a step are those that are read everywhere else."""
    short = tuple(PhasePolicy(p.name, 20) if p.name is PhaseName.EXECUTION else p for p in STANDARD.phases)
    table = {**limits.COORDINATIONS, DeploymentKind.DEPLOY: replace(STANDARD, phases=short)}
    monkeypatch.setattr(limits, "COORDINATIONS", table)
    engine.behaviour["v1", "store"] = STARTING
    ended = await again(tmp_path / "state", (await orchestrator.run(deploy("v1"))).id)
    assert ended.problem.message.startswith("execution did not end within 20 s. Still under way: store (waiting)")
    with using_locale("zh-TW"):
        text = translate(ended.problem.message)
        assert f"「{word(PhaseName.EXECUTION)}」" in text
        assert f"store（{word(ServiceStep.WAITING)}）" in text


async def test_slow_pull_in_chinese(monkeypatch):
    class Slow:
        async def pull(self, *_of: object) -> str:
            return await asyncio.Event().wait()  # type: ignore[return-value]

    async def report(*_of: object) -> None:
        pass

    monkeypatch.setattr(image_supply, "PULL_TIMEOUT_SECONDS", 0.01)
    image = WantedImage("Registry.example/Shop:V2")
    with pytest.raises(RoasError) as error:
        await image_supply.pull(Slow(), image, ("web",), report)  # type: ignore[arg-type]
    assert error.value.message == "The pull of Registry.example/Shop:V2 did not end within 0.01 s."
    with using_locale("zh-TW"):
        assert "Registry.example/Shop:V2 的拉取" in shown(draw_error(error.value))


def test_unfollowed_version_in_chinese() -> None:
    environment = Environment("dev", "shop-dev", Path(), (), version_variables=("APP_TAG",))
    with using_locale("zh-TW"):
        assert " or " not in translate(unfollowed_warning("v2", environment))


async def test_several_failed_checks_in_chinese(orchestrator, components, tmp_path):
    from roas.models.check import CheckResult, CheckSeverity

    components.validator.results = (
        CheckResult(
            "disk", CheckSeverity.CRITICAL, False, said("{left} of memory are left.", left="1 MiB"), said("Split it.")
        ),
        CheckResult(
            "ports", CheckSeverity.CRITICAL, False, said("Redis does not answer ({name}).", name="TimeoutError")
        ),
    )
    ended = await again(tmp_path / "state", (await orchestrator.run(deploy("v1"))).id)
    with using_locale("zh-TW"):
        assert english_in(shown(draw_outcome(ended))) == []
    assert (
        "2 checks failed:\n- disk: 1 MiB of memory are left.\n- ports: Redis does not answer (TimeoutError)."
        in ended.problem.message
    )


async def test_plan_in_chinese(orchestrator, engine, state, tmp_path):
    await orchestrator.run(deploy("v1"))
    engine.become("web", ContainerState.EXITED, HealthStatus.NONE)
    request = deploy("v1")
    plan = await orchestrator.plan(request)
    assert any(service.reasons for service in plan.services)
    now = datetime.now(UTC)
    await state.approvals.add(PlanRecord("PLAN-1", request, plan, now, now + timedelta(minutes=15)))
    async with StateManager(tmp_path / "state") as other:
        (record,) = await other.approvals.open()
    with using_locale("zh-TW"):
        assert english_in(shown(draw_confirmation(record))) == []


async def test_refusals_in_chinese(orchestrator, engine, components):
    held = await orchestrator.start(deploy("v1"))
    refused: list[RoasError] = []
    for request in (
        deploy("v2"),
        deploy("no/good"),
        replace(deploy("v1"), environment="moon"),
        deploy("v1", services=("x",)),
    ):
        with pytest.raises(RoasError) as error:
            await orchestrator.start(request)
        refused.append(error.value)
    await orchestrator.wait(held.id)
    model = {
        "services": {"web": {"image": "web", "privileged": True, "ports": [{"target": 80, "published": "80"}]}},
        "networks": {"outer": {"driver": "host"}},
    }
    with pytest.raises(ComposePolicyError) as policy:
        ComposePolicy((), STATE).check(model, STACK)
    with using_locale("zh-TW"):
        for error in (*refused, policy.value.hide(Redactor(["a-secret-of-ours"]).redact)):
            assert english_in(shown(draw_error(error))) == [], error.message


@pytest.mark.parametrize(
    ("container_state", "code", "says"),
    [
        (ContainerState.EXITED, 3, "代碼 3"),
        (ContainerState.RESTARTING, 1, "代碼 1"),
        (ContainerState.PAUSED, None, "暫停"),
    ],
)
async def test_alert_in_chinese(state, bus, tmp_path, container_state, code, says):
    environment = Environment("dev", "shop-dev", tmp_path, ())
    definition = ServiceDefinition("web", "web:v1", "d")
    container = ContainerSnapshot(
        "c1", "shop-dev-web-1", "web", container_state, HealthStatus.NONE, "i", "web:v1", "h", exit_code=code
    )
    health = judge_service(definition, [container])
    alert_service = AlertService(state.alerts, bus, Redactor(["a-secret-of-ours"]).redact)
    await alert_service.take([down(environment, "web", health.reason, {"web": definition})])
    (alert,) = await state.alerts.open()
    await alert_service.note(alert.id, said("{action}: {problem}", action=said("restart"), problem=said("recovered")))
    async with StateManager(tmp_path / "state") as other:
        (alert,) = await other.alerts.open()
    with using_locale("zh-TW"):
        text = shown(draw_alert(alert))
    assert says in text
    assert "重新啟動：已恢復" in text
    assert english_in(text) == []


async def test_alert_from_outside_shown_as_it_was_sent(state, bus):
    await AlertService(state.alerts, bus).take(
        [AlertReport("f", AlertSource.GRAFANA, Severity.WARNING, "web failed: it restarted once.", "It is as it is.")]
    )
    (alert,) = await state.alerts.open()
    with using_locale("zh-TW"):
        assert "web failed: it restarted once." in shown(draw_alert(alert))


def test_docker_words_within_ours_stay_docker_words() -> None:
    error = ServiceFailedError(said("Compose failed: {text}", text="no such thing here at all"))
    with using_locale("zh-TW"):
        assert "Compose 失敗：no such thing here at all" in shown(draw_error(error))


async def test_journal_has_english_beside_the_keys(orchestrator, engine, tmp_path):
    """The log, and the release before, read it as ever."""
    failed = await two_failures(orchestrator, engine)
    with closing(sqlite3.connect(tmp_path / "state" / JOURNAL_NAME)) as journal:
        ((document,),) = journal.execute("SELECT document FROM deployments WHERE id = ?", (failed.id,))
    stored = json.loads(document)
    assert "The rollback failed too: web failed: " in stored["problem"]["message"]
    assert "The rollback failed too: {message}" in json.dumps(stored["messages"]["problem"]["message"])
