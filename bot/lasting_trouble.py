"""Tell trouble that lasts once, however often it is met: the log has room for what comes before and after."""


class LastingTrouble:
    """Remember, of each place, what is wrong there."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def is_new(self, place: str, what: str) -> bool:
        """Record what is wrong in a place, and return whether that was not known yet."""
        known = self._known.get(place)
        self._known[place] = what
        return known != what

    def is_over(self, place: str) -> bool:
        """Record that nothing is wrong in a place, and return whether something was."""
        return self._known.pop(place, None) is not None
