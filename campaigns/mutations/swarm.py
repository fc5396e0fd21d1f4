"""The mutations of what is different on a Swarm."""

from campaigns.mutations.mutation import Mutation, mutation

SWARM_MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "a job that goes on is not followed by the next bot",
        "bot/engine/swarm/earlier_write.py",
        "if is_job and _has_failed(service, own) and not is_of_deployment(nonce_of(of), deployment):",
        "if is_job:",
        "tests/e2e/engine/swarm/test_deaths.py",
    ),
    mutation(
        "a job runs beside its earlier run",
        "bot/engine/swarm/job_runs.py",
        "if not running:",
        "if True:",
        "tests/e2e/engine/swarm/test_meddling.py",
    ),
    mutation(
        "what somebody wrote to a Swarm in the last moment is a success",
        "bot/deployment/phases/verification.py",
        "if not (found.unlike or found.missing or found.unwritten):",
        "if True:",
        "tests/e2e/engine/swarm/test_meddling.py",
    ),
    mutation(
        "any spec of a Swarm's service is what was written",
        "bot/engine/swarm/judgement.py",
        "return nonce_of(spec) == written.nonce and force == written.force and "
        "spec_hash(spec, networks) == written.spec_hash",
        "return True",
        "tests/integration/engine/swarm/test_verdict_matrix.py",
    ),
)
