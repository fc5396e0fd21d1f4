"""Name what an engine refuses."""


class ApiError(Exception):
    """An engine refused: its status, and its own words."""

    def __init__(self, status: int, explanation: str) -> None:
        super().__init__(explanation)
        self.status = status
        self.explanation = explanation


class ApiNotFoundError(ApiError):
    """An engine does not have what it was asked about."""
