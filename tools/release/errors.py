"""Name what stops a release."""


class ReleaseError(Exception):
    """Say what is wrong with a release, and what to do; each line is one fault."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
