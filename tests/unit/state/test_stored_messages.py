"""Key and fields of a message are kept beside its English text; where there are none, the text is shown as it is."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from roas.api.documents import FaultDocument, from_document, to_document
from roas.errors import ServiceFailedError
from roas.messages.message import Message, said
from roas.models.deployment import PhaseResult, PhaseStatus, Problem
from roas.models.phases import PhaseName
from roas.models.state_change import ChangeType, StateChange
from roas.redaction import Redactor
from roas.state.documents import from_json, to_json
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager
from roas.state.redis_form import Keys, Numbered, hash_fields, stream_entry
from roas.ui.translation import translate, using_locale

SECRET = "s3cr3t-Value/77"
FAILED = said("{service} failed: {reason}.", service="web", reason=said("it restarted {times} times", times=3))
CHINESE = "web 失敗：重新啟動了 3 次。"
PHASE = PhaseResult(
    PhaseName.EXECUTION,
    PhaseStatus.FAILED,
    summary=FAILED,
    warnings=("as Docker says it", said("The journal is closed.")),
    problem=Problem("service_failed", FAILED, said("Start the bot again.")),
)


@dataclass(frozen=True, slots=True)
class PhaseOfReleaseBefore:
    """What the release before reads of a phase."""

    name: PhaseName
    summary: str = ""
    warnings: tuple[str, ...] = ()


def in_chinese(text: str) -> str:
    with using_locale("zh-TW"):
        return translate(text)


def test_document_keeps_english_and_what_it_is_made_of() -> None:
    document = json.loads(to_json(PHASE))
    assert document["problem"]["message"] == document["summary"] == "web failed: it restarted 3 times."
    assert document["messages"]["problem"]["hint"] == {"key": "Start the bot again."}
    assert document["messages"]["warnings"] == [None, {"key": "The journal is closed."}]
    read = from_json(PhaseResult, to_json(PHASE))
    assert read == PHASE
    assert read.problem is not None
    assert (in_chinese(read.problem.message), in_chinese(read.summary)) == (CHINESE, CHINESE)
    assert [in_chinese(warning) for warning in read.warnings] == ["as Docker says it", "狀態日誌已關閉。"]


def test_text_without_message_stored_as_before() -> None:
    plain = PhaseResult(PhaseName.EXECUTION, summary="as it was")
    assert "messages" not in json.loads(to_json(plain))


def test_release_before_reads_new_rows() -> None:
    read = TypeAdapter(PhaseOfReleaseBefore).validate_json(to_json(PHASE))
    assert read == PhaseOfReleaseBefore(PHASE.name, str(FAILED), ("as Docker says it", "The journal is closed."))


def test_text_that_the_release_before_changed_is_shown_as_it_is() -> None:
    document = json.loads(to_json(PHASE)) | {"summary": "web failed: Docker said no."}
    read = from_json(PhaseResult, json.dumps(document, separators=(",", ":")))
    assert type(read.summary) is str
    assert isinstance(read.warnings[1], Message)


async def test_journal_and_its_changes_keep_messages(tmp_path: Path) -> None:
    change = StateChange(ChangeType.ERROR_OCCURRED, "test", "prod", "web", new=FAILED, metadata=asdict(PHASE.problem))
    async with StateManager(tmp_path) as state:
        await state.record(change)
        (found,) = [one for one in await state.changes() if one.id == change.id]
    assert (in_chinese(found.new), in_chinese(found.metadata["message"])) == (CHINESE, CHINESE)
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as journal:
        ((document,),) = journal.execute("SELECT document FROM changes WHERE id = ?", (change.id,))
    assert json.loads(document)["new"] == "web failed: it restarted 3 times."


def test_redis_has_messages_in_stream_and_hashes() -> None:
    change = StateChange(ChangeType.SERVICE_HEALTH_CHANGED, "test", "prod", "web", metadata={"reason": FAILED})
    entry = stream_entry(change, Redactor().redact)
    read = from_json(StateChange, entry["document"])
    assert in_chinese(read.metadata["reason"]) == CHINESE
    (field,) = hash_fields([Numbered(1, change)], Keys("bot"), Redactor().redact)
    assert json.loads(field.value or "")["messages"]["metadata"]["reason"]["key"] == "{service} failed: {reason}."


def test_control_socket_carries_messages() -> None:
    error = ServiceFailedError(FAILED, hint=said("Start the bot again."))
    again = from_document(from_json(FaultDocument, to_json(to_document(error))))
    assert isinstance(again, ServiceFailedError)
    assert in_chinese(again.message) == CHINESE
    assert in_chinese(again.hint) == "請重新啟動機器人。"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (said("{a} quoted {b}.", a="web", b=said("it is {what}", what=SECRET)), True),
        (said("password={value}", value="hunter2-and-more"), False),
        (said("what it has"), True),
    ],
)
async def test_journal_has_no_secret_in_any_field(tmp_path: Path, text: Message, kept: bool) -> None:
    change = StateChange(ChangeType.ERROR_OCCURRED, "test", "prod", "web", new=text)
    async with StateManager(tmp_path, redact=Redactor([SECRET]).redact) as state:
        await state.record(change)
        (found,) = [one for one in await state.changes() if one.id == change.id]
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as journal:
        dump = "\n".join(journal.iterdump())
    assert [secret for secret in (SECRET, "hunter2") if secret in dump] == []
    assert isinstance(found.new, Message) is kept
