"""A message is its English text, and carries what it is made of for as long as it stays whole."""

import copy
import pickle

import pytest

from roas.messages.message import Message, hidden_forms, joined, messages_in, said, with_messages
from roas.models.deployment import Outcome
from roas.models.health import ContainerState
from roas.models.phases import PhaseName
from roas.redaction import Redactor
from roas.ui.drawing import marked_up
from roas.ui.translation import translate, using_locale

SECRET = "s3cr3t-Value/77"
FAILED = said("{service} failed: {reason}.", service="web", reason=said("it restarted {times} times", times=3))


def test_message_is_its_english_text() -> None:
    assert FAILED == "web failed: it restarted 3 times."
    assert f"{FAILED}" == str(FAILED)
    assert type(str(FAILED)) is str
    assert {FAILED: 1}["web failed: it restarted 3 times."] == 1


def test_fields_are_texts_numbers_or_messages() -> None:
    made = said("{a}{b}{c}", a=True, b=1.5, c=ValueError("no"))
    assert dict(made.fields) == {"a": "True", "b": 1.5, "c": "no"}


def test_braces_in_a_field_are_text() -> None:
    assert said("{a} waits for {b}.", a="{b}", b="x") == "{b} waits for x."


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301 - our own
def test_copies_stay_whole(copied) -> None:
    again = copied(FAILED)
    assert (again.key, again.fields, again) == (FAILED.key, FAILED.fields, FAILED)


def test_message_never_changes() -> None:
    with pytest.raises(AttributeError):
        FAILED.key = "other"


def test_rendered_in_the_readers_language_with_what_is_nested() -> None:
    with using_locale("zh-TW"):
        assert translate(FAILED) == "web 失敗：重新啟動了 3 次。"
        assert translate(joined(" ", [said("The journal is closed."), said("Start the bot again.")])) == (
            "狀態日誌已關閉。 請重新啟動機器人。"
        )
    assert translate(FAILED) == "web failed: it restarted 3 times."


def test_state_has_its_word() -> None:
    exited, phase = (
        said("it is {state}", state=ContainerState.EXITED),
        joined(" ", [said("{a} {b}", a=PhaseName.VERIFICATION, b=5)]),
    )
    assert (exited, phase) == ("it is exited", "verification 5")
    with using_locale("zh-TW"):
        assert (translate(exited), translate(phase)) == ("狀態為 已結束", "驗證 5")
        assert translate(Message("a_key")) == "a_key"


def test_unknown_key_stays_english_around_its_fields() -> None:
    with using_locale("zh-TW"):
        assert (
            translate(Message("new in v9: {why}", {"why": said("The journal is closed.")}))
            == "new in v9: 狀態日誌已關閉。"
        )


def test_secrets_hidden_in_text_and_fields() -> None:
    redact = Redactor([SECRET]).redact
    clean = redact(said("{a} was: {b}", a=f"x={SECRET}", b=said("quoted {what}.", what=SECRET)))
    assert clean == "x=[redacted] was: quoted [redacted]."
    assert isinstance(clean, Message)
    assert SECRET not in repr(messages_in([clean]))


def test_secret_that_only_the_whole_text_shows_leaves_no_fields() -> None:
    clean = Redactor().redact(said("password={value}", value="hunter2-and-more"))
    assert "hunter2" not in clean
    assert not isinstance(clean, Message)


def test_kept_forms_have_no_secret_either() -> None:
    redact = Redactor([SECRET]).redact
    kept = {
        "problem": {"message": {"key": "it is {x}", "fields": {"x": SECRET}}},
        "warnings": [None, {"key": "password={x}", "fields": {"x": "hunter2-and-more"}}],
    }
    hidden = hidden_forms(kept, redact)
    assert hidden["problem"]["message"]["fields"] == {"x": "[redacted]"}
    assert hidden["warnings"] == [None, None]


@pytest.mark.parametrize(
    "kept",
    [
        {"key": "something else"},
        {"key": "it {x}.", "fields": {"x": "ended"}},
        {"key": ["it is."]},
        {"key": "it is{x}", "fields": {"x": ["."]}},
        {"key": "it is{x}", "fields": {"x": True}},
        {"key": "it is{x}", "fields": ["."]},
        ["it is."],
        "it is.",
        7,
    ],
)
def test_what_says_something_else_is_no_message(kept) -> None:
    found = with_messages({"text": "it is."}, {"text": kept})
    assert type(found["text"]) is str


def test_state_is_never_replaced_by_a_message() -> None:
    """Whatever a row says: code asks a state whether it `is` another."""
    assert with_messages({"state": Outcome.FAILED}, {"state": {"key": "failed"}})["state"] is Outcome.FAILED


def test_fields_within_fields_cost_no_more_than_the_text() -> None:
    kept: object = "x" * 100
    for _ in range(12):
        kept = {"key": "{a}" * 1000, "fields": {"a": kept}}
    assert type(with_messages({"text": "x" * 1000}, {"text": kept})["text"]) is str


def test_what_lies_deeper_than_any_message_is_left_out():
    """Whoever writes into the journal cannot end what reads it."""
    forged: object = {"key": "deep"}
    for _ in range(5000):
        forged = [forged]
    assert "deep" not in str(hidden_forms({"problem": forged}, str))
    assert hidden_forms({"problem": {"message": {"key": "{a} ended.", "fields": {"a": "web"}}}}, str) == {
        "problem": {"message": {"key": "{a} ended.", "fields": {"a": "web"}}}
    }


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 services are"), (1, "1 service is"), (2, "2 services are"), (11, "11 services are")]
)
def test_words_go_by_the_count(count: int, text: str) -> None:
    found = said("{count} {count|service is|services are} up: {name}", count=count, name="{count|a|b}")

    assert found == f"{text} up: {{count|a|b}}"
    assert marked_up(found) == f"{text} up: {{count\\|a\\|b}}"
