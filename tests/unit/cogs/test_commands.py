"""What people type in the ops channel, what they are answered, and what happens then."""

import errno
from dataclasses import replace

import pytest

from roas.errors import ComposeFileError, EngineUnavailableError
from roas.models.canary import CanaryRecord
from roas.models.deployment import DeploymentKind, PhaseResult, PhaseStatus, ServiceProgress, ServiceStep
from roas.models.health import ServicePoint, ServiceSeries, Verdict
from roas.models.phases import PhaseName
from roas.models.rollout import RolloutRecord
from roas.state.deployments.locks import LockHeldError
from roas.state.transaction import Fence
from tests.unit.cogs.conftest import Scene, shown
from tests.unit.cogs.fake_application import kept_release
from tests.unit.ui.story import Story


async def test_deploy_starts_exact_plan_and_links_message(scene: Scene) -> None:
    """It shows the plan, starts exactly that, and links to the live message."""
    result = await scene.ask(scene.dora, "deploy", environment="staging", version="v2")

    answer = scene.answer(result)
    request = scene.application.orchestrator.requests[0]
    assert request.environment == "staging"
    assert request.version == "v2"
    assert request.kind is DeploymentKind.DEPLOY
    assert request.plan_digest == "d" * 64
    assert request.requested_by.id == str(scene.dora.id)
    await scene.posted("Deploy v2 to staging: succeeded")
    (live,) = scene.posts()
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.ops.id}/{live.id}"
    assert answer.strip() == f"🚀 Started `{live.embeds[0].footer.text.partition(' ')[0]}`. Follow it here: {link}"


async def test_dry_run_changes_nothing(scene: Scene) -> None:
    result = await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2", dry_run=True)
    assert "📋 staging" in scene.answer(result)
    assert not scene.application.orchestrator.requests
    assert not scene.posts()


async def test_services_option_limits_deployment(scene: Scene) -> None:
    await scene.ask(scene.dora, "deploy", environment="staging", version="v2", services="web, worker")
    assert scene.application.orchestrator.requests[0].services == ("web", "worker")


@pytest.mark.parametrize("asks", [False, True])
async def test_hotfix_defaults_to_production(scene: Scene, asks: bool) -> None:
    """Without a reason a form asks for it, and shows the version once more; the bot may be another one by then."""
    if asks:
        opened = await scene.hugo.slash(scene.ops, "hotfix", version="v2.0")
        assert not scene.application.orchestrator.requests
        await scene.restart()
        await scene.hugo.submit_modal(opened, {"version": "v2.1", "reason": "checkout is down"})
    else:
        await scene.hugo.slash(scene.ops, "hotfix", version="v2.1", reason="checkout is down")
    request = scene.application.orchestrator.requests[0]
    assert request.environment == "prod"
    assert request.kind is DeploymentKind.HOTFIX
    assert request.reason == "checkout is down"
    await scene.posted("Hotfix v2.1 for prod: succeeded")


async def test_hotfix_defaults_to_the_only_environment(scene: Scene) -> None:
    """A stack that `roas init` took over is the only environment, and is not called prod."""
    every = scene.application.environments
    shop = replace(every["staging"], name="shop")
    scene.application.environments = {"shop": shop}
    await scene.hugo.slash(scene.ops, "hotfix", version="v2.1", reason="checkout is down")
    assert [request.environment for request in scene.application.orchestrator.requests] == ["shop"]
    scene.application.environments = {"shop": shop, "site": replace(shop, name="site")}
    answer = scene.answer(await scene.hugo.slash(scene.ops, "hotfix", version="v2.1", reason="checkout is down"))
    assert "Say which environment: shop, site." in answer, "nobody named prod"


async def test_rollback_targets_named_or_previous_release(scene: Scene) -> None:
    first = await kept_release(scene.application, "staging", "v1")
    await kept_release(scene.application, "staging", "v2")
    await scene.ask(scene.dora, "rollback", environment="staging", to=first.label, reason="it is slow")
    await scene.posted(f"Roll back staging to {first.label}: succeeded")
    scene.application.orchestrator.to_release = 7
    await scene.ask(scene.dora, "rollback", environment="staging")
    assert [r.target_release for r in scene.application.orchestrator.requests] == [first.number, 7]
    assert scene.application.orchestrator.requests[0].reason == "it is slow"


async def test_status_shows_all_environments(scene: Scene) -> None:
    answer = scene.answer(await scene.bob.slash(scene.ops, "status"))
    for name in ("dev", "staging", "prod"):
        assert f"{name}: healthy" in answer
    assert "CPU 12.3 %" in answer


async def test_status_shows_release_and_progress(scene: Scene) -> None:
    await kept_release(scene.application, "staging", "v1")
    scene.application.orchestrator.hold.clear()
    await scene.ask(scene.dora, "deploy", environment="staging", version="v2")
    answer = scene.answer(await scene.bob.slash(scene.ops, "status", environment="staging"))
    assert "version `v1`" in answer
    assert "Deploy v2 to staging" in answer
    assert "prod" not in answer


async def test_status_without_engine_says_what_to_do(scene: Scene) -> None:
    scene.application.collector.fault = EngineUnavailableError("The engine is away.", hint="Start it.")
    answer = scene.answer(await scene.bob.slash(scene.ops, "status", environment="dev"))
    assert "The engine is away. Start it." in answer


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("deploy", {"environment": "staging", "version": "v2"}),
        ("promote", {"from": "dev", "to": "staging"}),
        ("rollback", {"environment": "staging"}),
        ("hotfix", {"version": "v2", "reason": "x"}),
        ("deploy", {"environment": "staging", "version": "v2", "dry_run": True}),
    ],
)
async def test_user_without_role_refused_with_reason(scene: Scene, command: str, options: dict[str, object]) -> None:
    answer = scene.answer(await scene.bob.slash(scene.ops, command, **options))
    assert "You may not do this" in answer
    assert "<@&" in answer
    assert not scene.application.orchestrator.requests
    assert not scene.application.orchestrator.planned


@pytest.mark.parametrize("command", ["deploy", "rollback"])
async def test_production_request_starts_nothing_unapproved(scene: Scene, command: str) -> None:
    """A deployer's deploy or rollback of production waits for an approval."""
    options = {"environment": "prod", **({"version": "v2"} if command == "deploy" else {})}
    assert "You may not do this" in scene.answer(await scene.anna.slash(scene.ops, command, **options))
    assert "A second person has to approve it" in scene.answer(await scene.ask(scene.dora, command, **options))
    await scene.posted("Approval needed")
    (waiting,) = await scene.application.state.drafts.waiting("prod")
    assert waiting.awaits_approval


@pytest.mark.parametrize(
    ("command", "options"),
    [("deploy", {"environment": "staging", "version": "v2"}), ("status", {})],
)
async def test_other_channel_refused_with_right_one(scene: Scene, command: str, options: dict[str, object]) -> None:
    answer = scene.answer(await scene.dora.slash(scene.general, command, **options))
    assert f"<#{scene.ops.id}>" in answer
    assert not scene.application.orchestrator.requests


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"environment": "stagin", "version": "v2"}, "Did you mean staging"),
        ({"environment": "staging", "version": "--privileged"}, "is not a valid version"),
        ({"environment": "staging", "version": "v2", "services": "wbe"}, "Did you mean web"),
    ],
)
async def test_invalid_value_suggests_nearest(scene: Scene, options: dict[str, object], text: str) -> None:
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", **options))
    assert text in answer
    assert not scene.application.orchestrator.requests


async def test_second_deployment_refused_with_lock_details(scene: Scene) -> None:
    """The refusal says who holds the deployment lock, since when and for what."""
    scene.application.orchestrator.hold.clear()
    await scene.ask(scene.dora, "deploy", environment="staging", version="v2")
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v3"))
    assert "staging is held by dora since" in answer
    assert "deploy v2" in answer
    assert len(scene.application.orchestrator.requests) == 1


async def test_deployment_that_only_watches_is_in_nobodys_way(scene: Scene) -> None:
    """The plan of the next one is shown at once; whoever confirms it ends the watch."""
    scene.application.orchestrator.hold.clear()
    await scene.ask(scene.dora, "deploy", environment="staging", version="v2")
    state = scene.application.state
    lock = await state.locks.get("staging")
    assert lock is not None
    watching = PhaseResult(PhaseName.VERIFICATION, PhaseStatus.IN_PROGRESS, 1)
    first = await state.deployments.get(lock.deployment_id)
    assert first is not None
    await state.deployments.save_phases(first, (watching,), Fence("staging", lock.token))
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v3"))
    assert "is held by" not in answer
    assert [item.version for item in scene.application.orchestrator.planned][-1] == "v3"


async def test_canary_is_in_the_way_of_a_deployment_and_of_no_hotfix(scene: Scene) -> None:
    story = await Story.begin(scene.application.state, scene.application.bus, environment="prod")
    in_canary = ServiceProgress("web", ServiceStep.WAITING, rollout=RolloutRecord(canary=CanaryRecord(1, 2)))
    deployment = replace(story.deployment, services=(in_canary,))
    await scene.application.state.deployments.save_service(deployment, in_canary, story.fence)
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="prod", version="v3"))
    assert story.id in answer
    assert not scene.application.orchestrator.planned
    await scene.hugo.slash(scene.ops, "hotfix", version="v3", reason="checkout is down")
    assert [item.version for item in scene.application.orchestrator.planned] == ["v3"]


async def test_deployment_lock_after_plan_refuses_start(scene: Scene) -> None:
    first = await Story.begin(scene.application.state, scene.application.bus, environment="dev")
    lock = await scene.application.state.locks.get("dev")
    assert lock is not None
    scene.application.orchestrator.fault = LockHeldError(lock)
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2"))
    assert first.id in answer


async def test_unexpected_fault_id_matches_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.application.orchestrator.fault = ZeroDivisionError("secret detail")
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2"))
    incident = next(word.strip("`.") for word in answer.split() if word.startswith("`ERR-"))
    assert "secret detail" not in answer
    assert incident in caplog.text


@pytest.mark.parametrize("wrapped", [False, True])
async def test_shortage_is_told_as_one(scene: Scene, wrapped: bool) -> None:
    """Whatever ran out while the plan was made, and whatever words the place where it did has for that."""
    fault: Exception = OSError(errno.EMFILE, "Too many open files")
    if wrapped:
        cause, fault = fault, ComposeFileError("compose.yaml cannot be read.", hint="Check its permissions.")
        fault.__cause__ = cause
    scene.application.orchestrator.fault = fault
    answer = scene.answer(await scene.dora.slash(scene.ops, "rollback", environment="staging"))
    assert "Out of open files for the moment" in answer
    assert "permissions" not in answer
    assert "ERR-" not in answer


async def test_unacknowledged_interaction_has_no_effect(scene: Scene) -> None:
    """Another process answered it: that is noted, since one that does so again has this bot's token."""
    met: list[int] = []
    scene.application.duplicate_token.met = lambda interaction_id, leading_seconds: met.append(interaction_id)
    scene.env.inject_error("POST", "/interactions/*/*/callback", status=400, code=40060)
    await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2")
    assert not scene.application.orchestrator.requests
    assert len(met) == 1


async def test_plan_id_makes_request_unique(scene: Scene) -> None:
    await scene.ask(scene.dora, "deploy", environment="dev", version="v2")
    await scene.posted("Deploy v2 to dev: succeeded")
    await scene.ask(scene.dora, "deploy", environment="dev", version="v3")
    ids = [request.interaction_id for request in scene.application.orchestrator.requests]
    assert len(set(ids)) == 2
    assert all(id_ and id_.startswith("PLAN-") for id_ in ids)


async def test_suggestions_complete_known_values(scene: Scene) -> None:
    """Environments, versions, services and releases are completed."""
    await kept_release(scene.application, "staging", "v1.4.2")
    older = await kept_release(scene.application, "staging", "v1.4.1")
    await kept_release(scene.application, "staging", "v1.5.0")

    async def values(command: str, option: str, typed: str, **options: str) -> list[str]:
        result = await scene.dora.autocomplete(scene.ops, command, option, typed, **options)
        return [choice["value"] for choice in result]

    assert await values("deploy", "environment", "st") == ["staging"]
    assert await values("deploy", "version", "v1.4", environment="staging") == ["v1.4.1", "v1.4.2"]
    assert await values("deploy", "services", "web w", environment="staging") == ["web worker"]
    assert older.label in await values("rollback", "to", "", environment="staging")
    assert await values("status", "environment", "p") == ["prod"]


async def test_suggestions_empty_outside_ops_channel(scene: Scene) -> None:
    assert not await scene.dora.autocomplete(scene.general, "deploy", "environment", "")


# What may be suggested to whom, beyond the names of environments, which everybody in the channel sees on `/status`.
SUGGESTED = {
    ("deploy", "version"): {"dora", "anna"},
    ("deploy", "services"): {"dora", "anna"},
    ("hotfix", "version"): {"hugo"},
    ("rollback", "to"): {"dora"},
}


@pytest.mark.parametrize(("command", "option"), SUGGESTED)
async def test_suggestions_need_permission(scene: Scene, command: str, option: str) -> None:
    for version in ("v1", "v2"):
        await kept_release(scene.application, "prod", version)
    for name in ("dora", "anna", "hugo", "bob"):
        suggested = await getattr(scene, name).autocomplete(scene.ops, command, option, "", environment="prod")
        assert bool(suggested) is (name in SUGGESTED[command, option]), name


@pytest.mark.parametrize(("option", "word"), [("version", "v1.4.1"), ("services", "worker")])
async def test_typing_queries_engine_once(scene: Scene, option: str, word: str) -> None:
    scene.application.stacks.versions = ("v1.4.1", "v1.4.2")
    for end in range(len(word)):
        typed = word[:end]
        result = await scene.dora.autocomplete(scene.ops, "deploy", option, typed, environment="staging")
        assert word in [choice["value"] for choice in result]
    assert len(scene.application.stacks.asked) == 1


async def test_services_suggested_from_release(scene: Scene) -> None:
    """They come from the release where the compose file cannot be read."""
    await kept_release(scene.application, "staging", "v1")
    scene.application.stacks.fault = EngineUnavailableError("away")
    result = await scene.dora.autocomplete(scene.ops, "deploy", "services", "", environment="staging")
    assert [choice["value"] for choice in result] == ["web", "redis"]


async def test_posts_ping_nobody(scene: Scene) -> None:
    await scene.ask(scene.dora, "deploy", environment="staging", version="v2")
    await scene.posted("succeeded")
    sent = [
        entry.json for entry in scene.env.http_requests if entry.path.endswith(f"/channels/{scene.ops.id}/messages")
    ]
    bodies = [body for body in sent if body]
    assert bodies
    assert all(body["allowed_mentions"]["parse"] == [] for body in bodies)
    assert all(body["enforce_nonce"] for body in bodies)


async def test_secrets_hidden_in_faults_and_reasons(scene: Scene) -> None:
    scene.application.orchestrator.fault = EngineUnavailableError(
        "no answer from hunter_2*hunter_2", hint="hunter_2*hunter_2"
    )
    answer = scene.answer(await scene.dora.slash(scene.ops, "deploy", environment="staging", version="v2"))
    assert "hunter" not in answer
    assert "redacted" in answer
    scene.application.orchestrator.fault = None
    await scene.hugo.slash(scene.ops, "hotfix", version="v2", reason="hunter_2*hunter_2 leaked")
    live = await scene.posted("Hotfix v2 for prod")
    assert "hunter" not in shown(live.embeds)


async def test_status_has_chart_with_alt_text(scene: Scene) -> None:
    points = tuple(ServicePoint(30.0 * n, Verdict.HEALTHY, 5.0, 2**20) for n in range(10, 0, -1))
    scene.application.collector.series = (ServiceSeries("staging", "web", points),)
    result = await scene.bob.slash(scene.ops, "status", environment="staging")
    assert result.response is not None
    (picture,) = result.response.message.attachments
    assert picture.filename == "last-hour.png"
    assert "Event latency: 4 ms" in scene.answer(result)
    without = await scene.bob.slash(scene.ops, "status", environment="dev")
    assert without.response is not None
    assert not without.response.message.attachments
