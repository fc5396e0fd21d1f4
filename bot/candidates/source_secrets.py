"""Read what the files of a source's settings hold."""

import base64
import binascii
from pathlib import Path

from roas.configuration.tables import SourceSettings
from roas.errors import SettingsError

SIGNING_KEY_PREFIX = "whsec_"


class SourceSecrets:
    """Hold what the files of a source's settings hold. Raises SettingsError where one cannot be read.

    `texts` is all of it, which must never be shown.
    """

    def __init__(self, name: str, settings: SourceSettings) -> None:
        files = {"secret_file": settings.secret_file, "forge_token_file": settings.forge_token_file}
        files["signing_key_file"] = settings.signing_key_file
        files["key_file"] = settings.app.key_file if settings.app is not None else None
        found = {key: _read(name, key, path) for key, path in files.items()}
        self.texts = tuple(filter(None, found.values()))
        self.secret, self.forge_token = found["secret_file"], found["forge_token_file"]
        self.app_key, key = found["key_file"], found["signing_key_file"]
        self.signing_key = b""
        if key:
            try:
                self.signing_key = base64.b64decode(key.removeprefix(SIGNING_KEY_PREFIX), validate=True)
            except binascii.Error as error:
                raise SettingsError(
                    f"The signing key of [sources.{name}] is not what GitLab shows.", hint="It begins with whsec_."
                ) from error


def _read(name: str, key: str, path: Path | None) -> str:
    if path is None:
        return ""
    try:
        text = str(path.expanduser().read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{key} of [sources.{name}] cannot be read: {error}", hint="Let it name a file that the bot may read."
        ) from error
    if not text:
        raise SettingsError(f"{key} of [sources.{name}] is empty.", hint="Let the file hold the secret.")
    return text
