"""Words in the journal have no secrets; what records are found by is written as it is."""

import dataclasses
import sqlite3
from pathlib import Path

from roas.messages.message import MESSAGES
from roas.models.leader_lease import Heartbeat, LeaderLease, ProcessMark
from roas.models.state_change import ChangeType, StateChange
from roas.redaction import Redactor
from roas.state.documents import FOUND_BY, WORDS
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager

SECRET = "s3cr3t-Value/77"
SURFACE = Path(__file__).with_name("stored_surface.txt")
# Neither words nor what records are found by: names, numbers, times and values of enumerations.
PLAIN = frozenset(
    """
    accepted acknowledged_by action active alert_id applied_model approved_by at attempts back beat_at begun_at
    boot_id boot_seconds brought_up built called called_with cancel_requested_by changed channel_id choice cogs_loaded
    config_hash confirmed container_id containers content_hash coordination correlation_id count cpu_percent
    created_at created_by decided_at decided_by decision definition_hash deployment_id digest duration_seconds ended
    ended_at environment environments escalated escalated_at exit_code expected_image expires_at expires_boot_seconds
    failed fault fingerprint finished fraction freeze from_release frozen_by gateway_ready group handed_over_to
    healing health held_by id image image_id image_reference instance_id interaction_id key kind lease_until
    left_alone lock memory_bytes message_id model_hash name namespace new_image number occurrence old_image oom_killed
    order outcome pause paused pauses phase phases pid plan plan_digest problem process project reference
    relapsed_at release replaces replicas request requested_by resolved resolved_at restart_count restart_policy result
    rollout service
    services severity silence_ends silenced_by silenced_until since slots source start_first started started_at state
    status step stop_signal subject taken_at target_release time to_release token type updated_at verdict version
    """.split()  # noqa: SIM905
)


def test_every_stored_field_is_words_or_not() -> None:
    """A field that is new is decided on here: words are searched for secrets."""
    documents = [line.split(" = ")[0] for line in SURFACE.read_text().splitlines() if line.startswith("document ")]
    fields = {line.rpartition(".")[2] for line in documents if "." in line}
    assert fields - PLAIN - WORDS - FOUND_BY - {MESSAGES} == set()
    assert set() == PLAIN & WORDS


def test_what_a_leader_writes_each_second_has_no_words() -> None:
    """So nobody need look for secrets in it."""
    fields = {field.name for model in (Heartbeat, LeaderLease, ProcessMark) for field in dataclasses.fields(model)}
    assert fields & WORDS == set()


async def test_words_written_without_secrets(tmp_path: Path) -> None:
    redactor = Redactor([SECRET, "DEPLOY-2026"])
    change = StateChange(
        ChangeType.ERROR_OCCURRED,
        "test",
        "DEPLOY-2026",
        "DEPLOY-2026",
        new=f"quoted {SECRET}",
        metadata={"deployment": "DEPLOY-2026", "deep": [{"said": f"it is {SECRET}"}], "count": 3},
        correlation_id="DEPLOY-2026",
    )
    async with StateManager(tmp_path, redact=redactor.redact) as state:
        await state.record(change)
        (found,) = [one for one in await state.changes() if one.id == change.id]
    assert (found.environment, found.subject, found.correlation_id) == ("DEPLOY-2026",) * 3
    assert found.new == "quoted [redacted]"
    assert found.metadata == {"deployment": "DEPLOY-2026", "deep": [{"said": "it is [redacted]"}], "count": 3}
    dump = "\n".join(sqlite3.connect(tmp_path / JOURNAL_NAME).iterdump())
    assert SECRET not in dump


async def test_token_of_a_person_not_kept(tmp_path: Path) -> None:
    """Without any known value, too."""
    token = "ghp_" + "a1B2" * 9
    async with StateManager(tmp_path) as state:
        await state.record(StateChange(ChangeType.AUDIT, "test", "dev", "x", new=f"because of {token}"))
    assert token not in "\n".join(sqlite3.connect(tmp_path / JOURNAL_NAME).iterdump())
