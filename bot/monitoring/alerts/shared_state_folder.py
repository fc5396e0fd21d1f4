"""Raise an alert while a bot of another stack uses this bot's state folder: one of the two answers for both."""

from roas.log import get_logger
from roas.messages.message import said
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.monitoring.alerts.alert_service import AlertService
from roas.state.manager import StateManager

log = get_logger(__name__)

TITLE = said("two stacks use one state folder")


class SharedStateFolder:
    """Compare the projects of the bots that live for this journal."""

    def __init__(self, state: StateManager, alert_service: AlertService) -> None:
        self._state = state
        self._alert_service = alert_service
        self._reported: tuple[str, ...] | None = None  # what a bot before this one said of it is not known

    async def look(self) -> None:
        """Raise the alert, or end it. Raises StateError."""
        others = await self._state.ownership.other_projects()
        if others == self._reported:
            return
        summary = said(
            "Bots of {others} use {folder} too; they are on standby and answer nothing. Give "
            "each stack a STATE_DIR of its own, and start its bot again.",
            others=", ".join(others),
            folder=self._state.folder,
        )
        if others:
            log.error(TITLE, projects=list(others))
        await self._alert_service.take(
            [
                AlertReport(
                    "journal:shared",
                    AlertSource.INTEGRATION,
                    Severity.HIGH,
                    TITLE,
                    summary if others else "",
                    firing=bool(others),
                )
            ]
        )
        self._reported = others
