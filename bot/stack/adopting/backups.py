"""Take over from the files how data is backed up, as far as that fits the containers that run."""

from collections.abc import Mapping
from typing import Any

from roas.errors import ComposeFileError
from roas.log import get_logger
from roas.stack.model.services import services_of
from roas.stack.model.x_deploy.backup import DEPLOY, backup_of, usual_name

EXTENSION, BACKUP = "x-deploy", "backup"
log = get_logger(__name__)


def with_fitting_backups(model: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return an adopted model without backups of what its containers do not have, such as a volume that is new.

    `written` is what the files resolve to, which may call a volume otherwise. No release that was adopted is deployed
    with its jobs, so none is backed up before one.
    """
    defined = {str(key): str((value or {}).get("name", "")) for key, value in (written.get("volumes") or {}).items()}
    names = {key: name for key, name in defined.items() if name != usual_name(model, key)}
    services = dict(services_of(model))
    for name, fields in services.items():
        extension = fields.get(EXTENSION)
        backup = extension.get(BACKUP) if isinstance(extension, Mapping) else None
        if not isinstance(extension, Mapping) or backup is None:
            continue
        fitted = {**fields, EXTENSION: {**extension, BACKUP: _adopted(backup, names)}}
        try:
            backup_of(name, {**model, "services": {**services, name: fitted}}, one_shot=bool(extension.get("one_shot")))
            services[name] = fitted
        except ComposeFileError as error:
            log.info("backup does not fit what runs", service=name, error=error.message)
            services[name] = {**fields, EXTENSION: {key: extension[key] for key in extension if key != BACKUP}}
    return {**model, "services": services}


def _adopted(backup: object, names: Mapping[str, str]) -> object:
    """Return a backup whose volumes are called as the engine calls them, where the files have a name of their own."""
    if not isinstance(backup, Mapping):
        return backup
    adopted = dict(backup)
    if isinstance(before := adopted.get("before"), list):
        adopted["before"] = [item for item in before if item == DEPLOY]
        if before and not adopted["before"]:
            del adopted["before"]
    if isinstance(volume := adopted.get("volume"), str):
        adopted["volume"] = names.get(volume) or volume
    elif isinstance(volume, list):
        adopted["volume"] = [names.get(str(key)) or key for key in volume]
    return adopted
