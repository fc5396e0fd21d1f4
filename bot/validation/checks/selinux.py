"""Advise on binds that SELinux would deny to a container."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class SelinuxCheck:
    """Look for binds without `z` or `Z` on an engine that labels its containers."""

    name = "selinux"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the services whose binds have no label of their own."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        facts = await subject.engine.version()
        if not any("selinux" in option for option in facts.security_options):
            return [passed(self, said("The engine does not use SELinux."))]
        bound = sorted(
            name
            for name, service in subject.services.items()
            if "label=disable" not in " ".join(map(str, service.get("security_opt") or ())).replace(":", "=")
            and any(
                mount.get("type") == "bind" and not (mount.get("bind") or {}).get("selinux")
                for mount in service.get("volumes") or ()
            )
        )
        if not bound:
            return [passed(self, said("Every bind has an SELinux label."))]
        message = said("The engine uses SELinux, which denies binds without a label: {bound}.", bound=listed(bound))
        return [failed(self, message, said("Add `:z` (shared) or `:Z` (for one container alone) to the binds."))]
