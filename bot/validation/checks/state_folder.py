"""Check that the state folder exists, is writable and is private."""

import asyncio
import os
import stat
from pathlib import Path

from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject

OWN_BITS = 0o700


class StateFolderCheck:
    """Look at the folder of the journal, which holds every secret of every release."""

    name = "state_folder"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Check that the folder exists, is writable and is closed to others."""
        return await asyncio.to_thread(self._look, subject.settings.state_dir)

    def _look(self, folder: Path) -> CheckResult:
        try:
            found = folder.stat()
        except OSError as error:
            remedy = f"Create it: `install -d -m 700 {folder}`."
            return failed(self, f"The state folder {folder} cannot be read ({error.strerror}).", remedy)
        if not stat.S_ISDIR(found.st_mode):
            return failed(self, f"STATE_DIR is {folder}, which is not a folder.", "Point STATE_DIR to a folder.")
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            remedy = f"Give it to the user that the bot runs as: `chown {os.getuid()} {folder}`."
            return failed(self, f"The state folder {folder} is not writable for user {os.getuid()}.", remedy)
        mode = stat.S_IMODE(found.st_mode)
        if mode & ~OWN_BITS & 0o777:
            message = f"The state folder {folder} has mode {mode:04o}; it holds secrets and is open to others."
            return failed(self, message, f"Close it: `chmod 700 {folder}`.")
        return passed(self, f"The state folder {folder} exists, is writable and is closed to others.")
