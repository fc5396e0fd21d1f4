"""Advise on single files that are mounted writable."""

from pathlib import Path

from roas.concurrency import in_thread
from roas.messages.message import said
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
        found = await in_thread(_only_files, binds)
        if not found:
            return [passed(self, said("No single file is mounted writable."))]
        message = said("Single files are mounted writable: {found}.", found=listed(found))
        return [failed(self, message, said("Mount the folder that it lies in, or mount it read-only."))]


def _only_files(binds: set[tuple[str, str]]) -> list[str]:
    return sorted(
        said("{name} in {service}", name=Path(source).name, service=service)
        for service, source in binds
        if Path(source).is_file()
    )
