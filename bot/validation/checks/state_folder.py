"""Check that the state folder exists, is writable and is private."""

import os
import stat
from pathlib import Path

from roas.concurrency import in_thread
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import existing, failed, passed
from roas.validation.subject import Subject

OWN_BITS = 0o700


class StateFolderCheck:
    """Look at the folder of the journal, which holds every secret of every release."""

    name = "state_folder"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> CheckResult:
        """Check that the folder exists, is writable and is closed to others."""
        return await in_thread(self._look, subject.settings.state_dir)

    def _look(self, folder: Path) -> CheckResult:
        try:
            found = folder.stat()
        except OSError as error:
            return self._judge_unreadable(folder, error)
        if not stat.S_ISDIR(found.st_mode):
            return failed(
                self,
                said("STATE_DIR is {folder}, which is not a folder.", folder=folder),
                said("Point STATE_DIR to a folder."),
            )
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            remedy = said(
                "Give it to the user that the bot runs as: `chown {user} {folder}`.",
                user=os.getuid(),
                folder=folder,
            )
            return failed(
                self,
                said("The state folder {folder} is not writable for user {user}.", folder=folder, user=os.getuid()),
                remedy,
            )
        mode = stat.S_IMODE(found.st_mode)
        if mode & ~OWN_BITS & 0o777:
            message = said(
                "The state folder {folder} has mode {mode}; it holds secrets and is open to others.",
                folder=folder,
                mode=f"{mode:04o}",
            )
            return failed(self, message, said("Close it: `chmod 700 {folder}`.", folder=folder))
        return passed(
            self, said("The state folder {folder} exists, is writable and is closed to others.", folder=folder)
        )

    def _judge_unreadable(self, folder: Path, error: OSError) -> CheckResult:
        if isinstance(error, FileNotFoundError) and os.access(existing(folder), os.W_OK | os.X_OK):
            return failed(
                self,
                said("The state folder {folder} does not exist yet; the first start makes it.", folder=folder),
                said("Where a bot runs already, use its settings: the same STATE_DIR, .env and roas.toml."),
                Severity.WARNING,
            )
        return failed(
            self,
            said("The state folder {folder} cannot be read ({strerror}).", folder=folder, strerror=error.strerror),
            said("Create it: `install -d -m 700 {folder}`.", folder=folder),
        )
