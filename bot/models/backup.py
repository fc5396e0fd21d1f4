"""Describe a backup of a service's data, as the journal knows it."""

from dataclasses import dataclass
from datetime import datetime

from roas.models.health import ContainerState
from roas.models.stored import StoredEnum


class BackupReason(StoredEnum, unknown="restore"):
    """Why data was backed up: before a deployment, before other data was restored in its place, or on its schedule.

    Only the first kind belongs to a release. An unknown one counts as the one that nothing restores by itself.
    """

    DEPLOYMENT = "deployment"
    RESTORE = "restore"
    SCHEDULE = "schedule"


AT_WORK = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})


@dataclass(frozen=True, slots=True)
class DataBackup:
    """Record a backup: of which service, made by which deployment, beside which release that ran then.

    The file is named by the `id`; `sha256` is the hash of what it holds. It took so many `seconds`. One of `volumes`
    is a tar archive; what writes into them stood still for `still_seconds`. Where it is encrypted, `recipient` is the
    public name of the key. Once it was sent, `sent_to` is where, as that `snapshot`.
    """

    id: str
    environment: str
    service: str
    deployment_id: str
    reason: BackupReason
    release: int | None
    created_at: datetime
    seconds: float
    size: int
    sha256: str
    volumes: tuple[str, ...] = ()
    still_seconds: float = 0.0
    recipient: str = ""
    sent_to: str = ""
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class VolumeUser:
    """Say which container of which service mounts a volume, in which state it is, and whether it `writes` into it."""

    container_id: str
    service: str
    state: ContainerState
    writes: bool
    name: str = ""
    started_at: str = ""

    @property
    def runs(self) -> bool:
        """Return whether it has a process that may read and write."""
        return self.state in AT_WORK
