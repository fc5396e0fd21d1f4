"""The table of mutations: what is broken, and the tests of the usual lane that are asked about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace one piece of a file, and name the tests of which one should fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _of(name: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    return Mutation(name, file, old, new, tests)


FAILING = "tests/acceptance/test_failing.py"
ORCHESTRATOR = "tests/deployment/test_orchestrator.py"
HANDING_OVER = "tests/deployment/test_handing_over.py"
BAD_SUCCESSORS = "tests/handover/test_bad_successors.py"
MOVING = "tests/acceptance/test_moving.py"
WIRE = "tests/wire/test_commands.py"

MUTATIONS = (
    # How a service is judged
    _of(
        "an unhealthy service counts as one without a health check",
        "bot/engine/readiness.py",
        'return _failed(container, "its health check fails")',
        'return ServiceReadiness(Readiness.UNVERIFIED, "", container.id)',
        FAILING,
    ),
    _of(
        "a restart loop is tolerated",
        "bot/engine/readiness.py",
        "TOLERATED_RESTARTS = 2",
        "TOLERATED_RESTARTS = 2000",
        FAILING,
    ),
    _of(
        "a server that ends with 0 is waited for",
        "bot/engine/readiness.py",
        "case ContainerState.EXITED if container.exit_code == 0 and container.restart_policy in ENDS_FOR_GOOD:",
        "case ContainerState.EXITED if container.exit_code == 77:",
        FAILING,
    ),
    _of(
        "one replica of two is enough",
        "bot/engine/readiness.py",
        "if len(containers) < definition.replicas:",
        "if not containers:",
        "tests/engine/test_readiness.py",
    ),
    _of(
        "a release is not observed",
        "bot/deployment/phases/verification.py",
        "    return window\n",
        "    return 0.0\n",
        "tests/deployment/test_orchestrator.py",
        FAILING,
    ),
    _of(
        "a restart while it is observed does not count",
        "bot/deployment/phases/verification.py",
        "if container.restart_count > restarts_before.get(container.id, 0):",
        "if False:",
        ORCHESTRATOR,
        "-k",
        "observation",
    ),
    _of(
        "an unhealthy critical service that was not touched is a warning",
        "bot/deployment/phases/verification.py",
        "    if is_critical(definition, context.environment):\n        raise",
        "    if False:\n        raise",
        ORCHESTRATOR,
        "tests/acceptance/test_dependencies.py",
    ),
    # The order of things
    _of(
        "dependents start before what they depend on",
        "bot/deployment/dependencies.py",
        "ordered += ready",
        "ordered[:0] = ready",
        "tests/deployment/test_dependencies.py",
    ),
    _of(
        "a dependency's probe is not asked",
        "bot/deployment/dependencies.py",
        "if dependency.probe is not None:",
        "if False:",
        "tests/deployment/test_dependencies.py",
        "-k",
        "probe",
    ),
    _of(
        "a rollback stops dependencies first",
        "bot/deployment/phases/rollback.py",
        "replaced[::-1]",
        "replaced",
        ORCHESTRATOR,
        "-k",
        "rollback",
    ),
    _of(
        "a rollback leaves services that the release does not have",
        "bot/deployment/phases/rollback.py",
        "for service in sorted(changes.gone - own):",
        "for service in ():",
        ORCHESTRATOR,
        "-k",
        "rollback",
    ),
    _of(
        "a deployment leaves services that the release does not have",
        "bot/deployment/phases/execution.py",
        "for service in sorted(changes.gone):",
        "for service in ():",
        MOVING,
    ),
    # How a failure is handled
    _of(
        "a failed deployment is not rolled back",
        "bot/deployment/run.py",
        "        return await self._roll_back(problem)\n\n",
        "        return await self._finish(Outcome.FAILED, problem)\n\n",
        WIRE,
        "-k",
        "broken_version",
    ),
    _of(
        "a rollback that failed counts as one",
        "bot/deployment/run.py",
        "self._finish(Outcome.FAILED, _rollback_failed(",
        "self._finish(Outcome.ROLLED_BACK, _rollback_failed(",
        ORCHESTRATOR,
    ),
    _of(
        "a failed check is tried again",
        "bot/deployment/run.py",
        "return isinstance(error, RoasError) and error.transient",
        "return isinstance(error, RoasError)",
        ORCHESTRATOR,
    ),
    _of(
        "a transient fault is not tried again",
        "bot/deployment/run.py",
        "return isinstance(error, RoasError) and error.transient",
        "return False",
        "tests/acceptance/test_engine_away.py",
    ),
    _of(
        "another process's request to cancel is not heard",
        "bot/deployment/run.py",
        "if deployment is not None and deployment.cancel_requested_by is not None:",
        "if False:",
        "tests/commands/test_deploying.py",
        "-k",
        "cancel or ctrl",
    ),
    _of(
        "a dead process's deployment is resumed for ever",
        "bot/deployment/orchestrator.py",
        "if deployment.attempts > MOST_ATTEMPTS:",
        "if False:",
        "tests/wire/test_killed_bot.py",
        "-k",
        "repeated",
    ),
    _of(
        "a deployment whose process died is left as it is",
        "bot/deployment/orchestrator.py",
        "if self._resume_backoff.must_wait(deployment.id):",
        "if True:",
        "tests/wire/test_killed_bot.py",
        "-k",
        "step",
    ),
    # Locks, leadership and the handover
    _of(
        "a lock that another holds is taken",
        "bot/state/locks.py",
        "if held is not None and held.instance_id != from_instance:",
        "if False:",
        "tests/commands/test_deploying.py",
        "-k",
        "second",
    ),
    _of(
        "a fencing token does not grow",
        "bot/state/locks.py",
        "SET token = token + 1",
        "SET token = token",
        "tests/state/test_ownership.py",
        "tests/state/test_state_manager.py",
    ),
    _of(
        "leadership is taken from a bot that lives",
        "bot/state/ownership.py",
        "and instance.is_alive(held.instance_id)",
        "and False",
        "tests/state/test_ownership.py",
    ),
    _of(
        "a successor is not waited for until it is healthy",
        "bot/deployment/handover.py",
        "is HealthStatus.STARTING:\n            return NOT_HEALTHY_YET",
        "is None:\n            return NOT_HEALTHY_YET",
        HANDING_OVER,
    ),
    _of(
        "a successor need not be connected",
        "bot/deployment/handover.py",
        "if not heartbeat.gateway_ready and (own is None or own.gateway_ready):",
        "if False:",
        BAD_SUCCESSORS,
    ),
    _of(
        "a successor that failed is not removed",
        "bot/deployment/handover.py",
        "            await self._remove_failed(container_id)\n            await context.report",
        "            await context.report",
        BAD_SUCCESSORS,
    ),
    _of(
        "a predecessor stays for good",
        "bot/deployment/phases/verification.py",
        "            await remove_predecessors(context, watch)\n            return summary",
        "            return summary",
        "tests/handover/test_self_replacement.py",
    ),
    _of(
        "a predecessor does not watch its successor's health",
        "bot/leadership/elector.py",
        'return "" if had_no_journal else UNHEALTHY',
        'return ""',
        "tests/client/test_takeover.py",
    ),
    _of(
        "a dead leader's lease is left alone",
        "bot/leadership/elector.py",
        "if lease is None or not self._application.state.instance.is_alive(lease.instance_id):",
        "if lease is None:",
        "tests/handover/test_deaths.py",
    ),
    _of(
        "a new leader forgets the clicks of the last seconds",
        "bot/ui/standby_gate.py",
        "while self._held:",
        "while False:",
        "tests/ui/test_standby_gate.py",
    ),
    _of(
        "a standby answers",
        "bot/ui/standby_gate.py",
        "return self._leadership.is_leader or (self._removed and not self._leaving)",
        "return True",
        "tests/client/test_takeover.py",
        "tests/ui/test_standby_gate.py",
    ),
    # Events and posts
    _of(
        "an event is handled twice",
        "bot/events.py",
        "if event.id in self._seen:",
        "if False:",
        "tests/test_events.py",
    ),
    _of(
        "a subscriber may hang for ever",
        "bot/events.py",
        "async with asyncio.timeout(self._deadline_seconds):",
        "async with asyncio.timeout(None):",
        "tests/test_events.py",
    ),
    _of(
        "what was posted before a crash is posted again",
        "bot/ui/outbox.py",
        "found = await self._find(request)",
        "found = None",
        "tests/ui/test_live_messages.py",
    ),
    # Recovery
    _of(
        "a service is restarted without end",
        "bot/recovery/budget.py",
        "< self.allowed.get(action, 0)",
        "< 1000",
        "tests/recovery",
        "tests/wire/test_service_recovery.py",
    ),
    _of(
        "a service is recovered during its deployment",
        "bot/recovery/handler.py",
        '        if lock is not None:\n            text = f"{lock.deployment_id} holds',
        '        if False:\n            text = f"{lock.deployment_id} holds',
        "tests/acceptance/test_recovery_beside_deployments.py",
    ),
    _of(
        "an alert from outside restarts a healthy service",
        "bot/recovery/handler.py",
        "if fault.from_outside and verdict is not Verdict.UNHEALTHY:",
        "if False:",
        "tests/wire/test_alerts.py",
        "-k",
        "external",
    ),
    _of(
        "what somebody stopped is started again",
        "bot/recovery/handler.py",
        "if self._checks.is_manual_stop(fault.environment, fault.service):",
        "if False:",
        "tests/recovery",
    ),
    _of(
        "a failing health check is no fault",
        "bot/monitoring/judgement.py",
        'return Verdict.UNHEALTHY, "its health check fails"',
        'return Verdict.HEALTHY, ""',
        "tests/acceptance/test_watching.py",
        "-k",
        "health_check",
    ),
    # Who may do what
    _of(
        "another server's members may do the same",
        "cogs/permissions.py",
        "if asker.guild_id != rules.guild_id:",
        "if False:",
        "tests/cogs/test_permissions.py",
    ),
    _of(
        "a person approves their own plan",
        "cogs/permissions.py",
        '    if _asked_for(plan_record, asker):\n        return _("You asked',
        '    if False:\n        return _("You asked',
        "tests/cogs/test_matrix.py",
        "-k",
        "plan_button",
    ),
    _of(
        "deployers may roll back nothing, approvers all",
        "cogs/permissions.py",
        "Action.ROLLBACK: (rules.deployers, deployer),",
        "Action.ROLLBACK: (rules.approvers, deployer),",
        "tests/cogs/test_matrix.py",
        "-k",
        "rollback_button",
    ),
    _of(
        "a plan is not bound to its images",
        "bot/deployment/plan.py",
        '"images": {name: image.identity for name, image in wanted.items()},',
        '"images": {},',
        ORCHESTRATOR,
        "-k",
        "plan",
    ),
    _of(
        "a webhook needs no token",
        "bot/monitoring/webhook.py",
        "and bool(sent)",
        "or True",
        "tests/monitoring/test_webhook.py",
    ),
    # What belongs to a release, and what ships
    _of(
        "a release's images are not protected",
        "bot/engine/manager.py",
        "        await self._engine.protect(numbered, environment)\n",
        "",
        "tests/acceptance/test_kept_releases.py",
    ),
    _of(
        "what Compose fetches by ssh counts as a local file",
        "bot/engine/raw_files.py",
        "bitbucket)\\.\\w+/|:|",
        "bitbucket)\\.\\w+/|",
        "tests/engine/test_raw_spellings.py",
    ),
    _of(
        "Alertmanager does not say that an alert has ended",
        "monitoring/alertmanager/alertmanager.yml",
        "send_resolved: true",
        "send_resolved: false",
        "tests/stack/test_bring_up.py",
    ),
    _of(
        "the container's health check is always content",
        "script/container-healthcheck",
        'sys.exit(status != [b"200"])',
        "sys.exit(0)",
        "tests/handover/test_damaged_journal.py",
        "tests/handover/test_state_folder_away.py",
    ),
    _of(
        "the demo takes any ending",
        "demo/scene.py",
        "if ending not in title_line:",
        "if False:",
        "tests/demo/test_demo.py",
        "-k",
        "fails_demo",
    ),
)
