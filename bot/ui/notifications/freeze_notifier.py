"""Post that somebody locked or unlocked an environment on a command line."""

from datetime import UTC, datetime, timedelta

from roas.models.state_change import StateChange
from roas.state.manager import StateManager
from roas.ui.embeds.freeze import FREEZE_SUBJECTS, draw_freeze
from roas.ui.notifications.notifier import FREEZE, Notifier, Pace
from roas.ui.notifications.outbox import Outbox, PostRequest
from roas.ui.redacted import Redact, without_secrets


class FreezeNotifier(Notifier):
    """Post one message, which stays as it is."""

    def __init__(self, subject: str, outbox: Outbox, pace: Pace, state: StateManager, redact: Redact) -> None:
        super().__init__(subject, outbox, pace)
        self._state = state
        self._redact = redact

    async def _post_changes(self) -> bool:
        change = await self._state.freezes.change(self.subject.removeprefix(FREEZE_SUBJECTS))
        if change is not None:
            drawn = draw_freeze(without_secrets(change, self._redact))
            await self._deliver(PostRequest(self.subject, FREEZE, drawn, change.time, finished=True))
        return True


class TypedFreezes:
    """Find in the journal what was locked or unlocked on a command line, and is not posted yet."""

    def __init__(self, state: StateManager, news: timedelta) -> None:
        self._state = state
        self._news = news
        self._read = 0
        self._waiting: dict[str, StateChange] = {}

    async def pending(self) -> list[tuple[str, str]]:
        """Return their subjects, oldest first, and where they are posted; what is long ago is news to nobody."""
        self._read, found = await self._state.freezes.typed_since(self._read)
        oldest = datetime.now(UTC) - self._news
        self._waiting |= {f"{FREEZE_SUBJECTS}{change.id}": change for change in found if change.time >= oldest}
        for subject in tuple(self._waiting):
            post = await self._state.posts.get(subject, FREEZE)
            if post is not None and post.finished:
                del self._waiting[subject]
        return [(subject, change.environment or "") for subject, change in self._waiting.items()]
