"""Mutations of what becomes of a whole stack: rollouts, plans, adoption, releases, and what events cause."""

from campaigns.mutations.mutation import Mutation, mutation

ACCEPTANCE = "tests/e2e/acceptance"
ROLLOUTS = f"{ACCEPTANCE}/test_rollouts.py"

STACK_MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "replicas are replaced all at once",
        "bot/engine/replica_replacement.py",
        "    return definition.update\n",
        "    return replace(definition.update, parallelism=0)\n",
        ROLLOUTS,
        f"{ACCEPTANCE}/test_like_swarm.py",
    ),
    mutation(
        "nobody pauses between replicas",
        "bot/engine/rollout.py",
        "pausing = sum(at + self.policy.delay_seconds > now for at in self._settled_at.values())",
        "pausing = 0",
        ROLLOUTS,
    ),
    mutation(
        "a failed replica is always rolled back",
        "bot/engine/rollout.py",
        "if self.policy.failure_action is FailureAction.ROLLBACK:",
        "if self.policy.failure_action is not FailureAction.CONTINUE:",
        f"{ACCEPTANCE}/test_paused_rollouts.py",
    ),
    mutation(
        "unnamed volumes are lost where replicas are replaced",
        "bot/engine/replica_replacement.py",
        "        return replace(definition.update, parallelism=0)\n",
        "        return definition.update\n",
        ROLLOUTS,
    ),
    mutation(
        "a service is never started first",
        "bot/engine/service_start.py",
        "    return definition.start_first and running and not anew\n",
        "    return False\n",
        f"{ACCEPTANCE}/test_update_order.py",
    ),
    mutation(
        "what has a fixed port is started first",
        "bot/engine/model/definitions.py",
        "        start_first=wanted and not fixed_place,\n",
        "        start_first=wanted,\n",
        f"{ACCEPTANCE}/test_update_order.py",
    ),
    mutation(
        "a person is asked about the replica that a rollout pauses for",
        "bot/monitoring/alerts/service_alerts.py",
        "            health = without_failed(seen, definitions.get(seen.service), failed)\n",
        "            health = seen\n",
        "tests/unit/monitoring/alerts/test_service_alerts.py",
    ),
    mutation(
        "a plan is silent about what was changed in place",
        "bot/deployment/plan_reasons.py",
        "    yield from _changed_in_place(comparison)\n",
        "",
        f"{ACCEPTANCE}/test_true_plans.py",
    ),
    mutation(
        "what shares a replaced namespace is not made anew",
        "bot/deployment/changes.py",
        "        more = {name for name, shared in sharing.items() if replaced & set(shared)}\n",
        "        more = set()\n",
        f"{ACCEPTANCE}/test_true_plans.py",
    ),
    mutation(
        "what hands started of a profile is removed",
        "bot/deployment/changes.py",
        "left_alone = (extra & inactive_services(model)) - scope.moved",
        "left_alone = frozenset()",
        f"{ACCEPTANCE}/test_adopting.py",
    ),
    mutation(
        "an adopted service is never as the file says",
        "bot/engine/adopting/sameness.py",
        "    return tuple(differences(wanted, wanted_model, adopted, adopted_model, image, engine, name=name))\n",
        '    return ("labels",)\n',
        f"{ACCEPTANCE}/test_adopting.py",
    ),
    mutation(
        "what old containers have is not waited for",
        "bot/engine/proxy/haproxy_service.py",
        "return left or (None if fresh else 0)",
        "return 0",
        f"{ACCEPTANCE}/test_behind_proxy.py",
    ),
    mutation(
        "what failed behind a proxy stays held",
        "bot/engine/proxy/haproxy_service.py",
        "        await runtime.put(free, ServerState.READY)\n",
        "",
        f"{ACCEPTANCE}/test_proxy_failures.py",
    ),
    mutation(
        "a proxy that was started again long ago is taken for one that loops",
        "bot/engine/behind_proxy.py",
        "    return since is None or (container.started_at is not None and container.started_at >= since)\n",
        "    return True\n",
        "tests/unit/engine/test_behind_proxy.py",
    ),
    mutation(
        "a tag of a release is removed, whatever it names by now",
        "bot/engine/images/release_tags.py",
        'is_ours = found["Id"] == service.image.image_id\n',
        "is_ours = True\n",
        f"{ACCEPTANCE}/test_kept_releases.py",
    ),
    mutation(
        "a release of another project is deployed",
        "bot/deployment/second_copy.py",
        "        if recorded != environment.project:\n",
        "        if False:\n",
        f"{ACCEPTANCE}/test_manual_start.py",
    ),
    mutation(
        "what runs under another name is created again",
        "bot/deployment/second_copy.py",
        "    if found is not None:\n",
        "    if False:\n",
        f"{ACCEPTANCE}/test_manual_start.py",
    ),
    mutation(
        "what hands changed is made anew, though it is not named",
        "bot/deployment/changes.py",
        "    if scope.named:\n        chosen",
        "    if False:\n        chosen",
        f"{ACCEPTANCE}/test_true_plans.py",
    ),
    mutation(
        "how a deployment ended is not audited",
        "bot/integration.py",
        '        await self._audit(event, "deployment ended", **facts)\n',
        "",
        f"{ACCEPTANCE}/test_event_effects.py",
    ),
    mutation(
        "a started service is not journalled",
        "bot/integration.py",
        "        await self._record(event, ChangeType.SERVICE_STARTED, event.environment, event.service,"
        ' new="started")\n',
        "",
        f"{ACCEPTANCE}/test_event_effects.py",
    ),
)
