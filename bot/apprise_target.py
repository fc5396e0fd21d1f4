"""Send messages by Apprise, which knows Slack, Telegram, mail, ntfy, Gotify and some hundred other services.

It is loaded when it is first used, and loads these then, in the thread that uses it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from roas.concurrency import in_daemon_thread, in_thread
from roas.configuration.tables import NotifySettings
from roas.errors import RoasError, cannot_read, correct_setting
from roas.extras import NOTIFY, load
from roas.messages.message import said
from roas.redaction import Learn, credentials_in


class Tone(StrEnum):
    """How a message is marked, where the service marks messages; the values are Apprise's."""

    FAILURE = "failure"
    WARNING = "warning"
    INFO = "info"
    SUCCESS = "success"


class TargetError(RoasError):
    """A target of messages cannot be used, or took no message."""

    key = "target_failed"
    transient = True


async def send(settings: NotifySettings, title: str, body: str, tone: Tone, learn: Learn) -> None:
    """Send a message as plain text, in a thread of its own. Raises TargetError, ShortageError.

    The address is read each time; `learn` hears of what in it is secret. A thread cannot be ended: who gives up on it
    has to see to it that there are not many of them.
    """

    def work() -> bool:
        address = _address(settings)
        learn(credentials_in(address))
        return bool(_target(address).notify(title=title, body=body, notify_type=tone.value, body_format="text"))

    if not await in_daemon_thread(work, "notify"):
        raise TargetError(said("It did not take a message."), hint=said("The bot's log has what Apprise says of it."))


async def unusable_targets(targets: Mapping[str, NotifySettings]) -> dict[str, TargetError]:
    """Return the targets whose address Apprise does not know, and why; nothing is sent."""

    def work() -> dict[str, TargetError]:
        found = {}
        for name, target in targets.items():
            try:
                _target(_address(target))
            except TargetError as error:
                found[name] = error
        return found

    return await in_thread(work) if targets else {}


def _address(settings: NotifySettings) -> str:
    try:
        return settings.address()
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(
            cannot_read(settings.url_file or "url_file", error), hint=correct_setting("url_file")
        ) from error


def _target(address: str) -> Any:
    """Return what sends to an address. Raises TargetError."""
    apprise = load(NOTIFY, TargetError)
    # Nothing of ours is to be taken for an escape or a picture.
    asset = apprise.AppriseAsset(app_id="ROAS Bot", async_mode=False, interpret_escapes=False, interpret_emojis=False)
    service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True) if address else None
    if service is None:
        raise TargetError(
            said("Apprise does not know its address."),
            hint=said("Write it as Apprise's documentation has it for the service, such as `ntfys://ntfy.sh/topic`."),
        )
    target = apprise.Apprise(asset=asset)
    target.add(service)
    return target
