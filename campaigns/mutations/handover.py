"""Mutations of what only bots in containers show: who ends, who is started again, and what outlives a container."""

from campaigns.mutations.mutation import mutation

BESIDE = "tests/e2e/handover/test_beside_the_bot.py"

HANDOVER_MUTATIONS = (
    mutation(
        "a new bot that somebody ended is not started again",
        "bot/deployment/handover.py",
        "for _ in range(MOST_SUCCESSORS - 1):",
        "for _ in range(0):",
        "tests/e2e/handover/test_deaths.py",
        "-k",
        "kills",
    ),
    mutation(
        "a hangup ends a bot that starts",
        "script/container-entrypoint",
        "trap '' HUP USR1",
        "trap '' USR1",
        "tests/e2e/handover/test_hands_at_rest.py",
    ),
    mutation(
        "the engine ends the bot's own container",
        "bot/engine/containers/own_container.py",
        "if container_id == own_container_id():",
        "if False:",
        "tests/integration/engine/containers/test_own_container.py",
    ),
    mutation(
        "a login is gone with the container",
        "docker-compose.yml",
        "DOCKER_CONFIG: ${STATE_DIR:-${STACK_DIR}/state}/docker",
        "DOCKER_CONFIG: /tmp/.docker",
        BESIDE,
    ),
    mutation(
        "a change is left out of Redis",
        "bot/state/sync_target.py",
        "self._queue(pipe, batch, cursor)",
        "self._queue(pipe, batch[1:] or batch, cursor)",
        BESIDE,
    ),
    mutation(
        "only the journal tells which container the bot is",
        "bot/deployment/own_service.py",
        "if bot is not None or not environment.is_home:",
        "if True:",
        "tests/e2e/handover/test_command_line.py",
    ),
)
