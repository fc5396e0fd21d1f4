"""The mutations of what gets ready beside the first phases, and of what is left of it where a process is killed."""

from campaigns.mutations.mutation import Mutation, mutation

TEMPORARY = "bot/temporary.py"
LEFT = "tests/unit/test_temporary.py"

READY_MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "how a phase ended is forgotten when the next one cannot begin",
        "bot/deployment/phase_runner.py",
        "            await self._context.save_phases(*self._unwritten, *results)\n            self._unwritten.clear()",
        "            unwritten, self._unwritten = self._unwritten, []\n"
        "            await self._context.save_phases(*unwritten, *results)",
        "tests/unit/deployment/test_phase_ends.py",
    ),
    mutation(
        "creating waits for the hashes of what it makes",
        "bot/deployment/creation.py",
        "        try:\n            # What the containers should be is known by the time that some are there.\n",
        "        await self._learn(model)\n        try:\n",
        "tests/unit/deployment/test_creation.py",
    ),
    mutation(
        "what an engine says of itself is kept for good",
        "bot/engine/fresh_answers.py",
        "if asked is None or (asked.answer.done() and mine.at - asked.at >= FRESH_SECONDS):",
        "if asked is None:",
        "tests/unit/engine/test_fresh_answers.py",
    ),
    mutation(
        "that an engine says nothing of itself is kept",
        "bot/engine/fresh_answers.py",
        "self._drop(key, mine)  # whoever comes next asks again",
        "pass",
        "tests/unit/engine/test_fresh_answers.py",
    ),
    mutation(
        "an engine that was started again is what it was before",
        "bot/engine/containers/docker_events.py",
        "self._clients.fresh.forget(client)",
        "pass",
        "tests/integration/engine/machine/test_restarted_engine.py",
    ),
    mutation(
        "who checks an engine that went away is told what it said before",
        "bot/engine/machine/probe.py",
        "        client.api.ping()\n",
        "",
        "tests/unit/validation/test_probe.py",
    ),
    mutation(
        "temporary folders are not locked",
        TEMPORARY,
        "        _lock(descriptor)\n",
        "",
        LEFT,
    ),
    mutation(
        "temporary folders of other users are removed",
        TEMPORARY,
        " or status.st_uid != os.geteuid()",
        "",
        LEFT,
    ),
    mutation(
        "what a killed process left stays",
        "bot/foundation.py",
        "    remove_left_folders()\n",
        "",
        LEFT,
    ),
    mutation(
        "the first file that is opened takes the place of a missing stream",
        "bot/__main__.py",
        "    open_missing_streams()\n",
        "",
        "tests/unit/test_end_of_process.py",
    ),
    mutation(
        "an image's health check says nothing of how replicas are replaced",
        "bot/engine/replica_replacement.py",
        "(definition.may_end and all(one.health is HealthStatus.NONE for one in there))",
        "definition.may_end",
        "tests/unit/engine/test_replica_replacement.py",
    ),
    mutation(
        "who shares with a container that is gone keeps its adopted hash",
        "bot/engine/containers/config_hashes.py",
        "return not container.shares_with or sharing <= joined",
        "return True",
        "tests/unit/engine/containers/test_adopted_hashes.py",
    ),
)
