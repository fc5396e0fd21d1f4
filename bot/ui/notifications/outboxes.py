"""Choose the channel of an environment: its own, or the ops channel."""

from collections.abc import Mapping

from roas.ui.notifications.outbox import Outbox


class Outboxes:
    """Hold one outbox for each channel: a channel that cannot be posted to delays no other."""

    def __init__(self, main: Outbox, own: Mapping[str, Outbox] | None = None) -> None:
        self.main = main
        self._own = dict(own or {})

    def of(self, environment: str) -> Outbox:
        """Return the outbox of an environment; what concerns none, or an unknown one, goes to the ops channel."""
        return self._own.get(environment, self.main)

    def all(self) -> tuple[Outbox, ...]:
        """Return every outbox once, the ops channel's first."""
        return tuple(dict.fromkeys([self.main, *self._own.values()]))

    def of_channel(self, channel_id: int) -> Outbox | None:
        """Return the outbox of a channel, or None where nothing is posted there any more."""
        return next((outbox for outbox in self.all() if outbox.channel.id == channel_id), None)
