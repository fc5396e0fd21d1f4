"""Describe a backup of a service's data, as the journal knows it."""

from dataclasses import dataclass
from datetime import datetime

from roas.models.change import StoredEnum


class BackupReason(StoredEnum, unknown="restore"):
    """Why data was backed up: before a deployment, or before other data was restored in its place.

    Only the first kind belongs to a release. An unknown one counts as the one that nothing restores by itself.
    """

    DEPLOYMENT = "deployment"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class DataBackup:
    """Record a backup: of which service, made by which deployment, beside which release that ran then.

    The file is named by the `id`; `sha256` is the hash of what it holds. It took so many `seconds`.
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
