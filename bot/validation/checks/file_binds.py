"""Advise on single files that are mounted writable."""

import asyncio
from pathlib import Path

from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class FileBindsCheck:
    """Find writable binds of a single file: replacing the file leaves the container with the old one."""

    name = "file_binds"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the files and the services that mount them."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        binds = {
            (name, str(mount["source"]))
            for name, service in subject.services.items()
            for mount in service.get("volumes") or ()
            if mount.get("type") == "bind" and mount.get("source") and not mount.get("read_only")
        }
        found = await asyncio.to_thread(_only_files, binds)
        if not found:
            return [passed(self, "No single file is mounted writable.")]
        message = f"Single files are mounted writable: {listed(found)}."
        return [failed(self, message, "Mount the folder that it lies in, or mount it read-only.")]


def _only_files(binds: set[tuple[str, str]]) -> list[str]:
    return sorted(f"{Path(source).name} in {service}" for service, source in binds if Path(source).is_file())
