"""`python -m tools.translations`: bring the catalogues up to date with the source; ends with 1 where one has gaps.

Texts that the source has no more stay in the catalogues, as obsolete ones: journals hold what was said with them.
Those that the release before never said are taken out by hand, once in a release.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from roas.ui.translation import LANGUAGES, LOCALE_FOLDER
from tools.translations.collecting import collect


def main() -> int:
    """Update and compile every catalogue."""
    missing = sum(update(language) for language in LANGUAGES.values())
    return int(missing > 0)


def update(language: str) -> int:
    """Update and compile one catalogue; returns how many texts have no translation yet."""
    folder = LOCALE_FOLDER / language / "LC_MESSAGES"
    folder.mkdir(parents=True, exist_ok=True)
    kept = read_catalogue(folder / "roas.po", language)
    kept.update(wanted_texts(language), no_fuzzy_matching=True, update_creation_date=False)
    with (folder / "roas.po").open("wb") as file:
        write_po(file, kept, width=110, include_lineno=False)
    missing = [message for message in kept if message.id and not message.string]
    for message in kept.obsolete.values():
        kept.add(message.id, message.string, context=message.context)
    with (folder / "roas.mo").open("wb") as file:
        write_mo(file, kept)
    for message in missing:
        sys.stdout.write(f"{language}: not translated ({message.context or 'text'}): {message.id}\n")
    return len(missing)


def read_catalogue(path: Path, language: str) -> Catalog:
    """Read a catalogue; a new one where there is none."""
    if not path.exists():
        return Catalog(locale=language, domain="roas", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain="roas")


def wanted_texts(language: str) -> Catalog:
    """Return a catalogue of everything that is to be translated."""
    wanted = Catalog(locale=language, domain="roas", project="roas-bot", fuzzy=False)
    for entry in collect():
        wanted.add(entry.text, context=entry.context, locations=[(entry.place, 0)])
    return wanted


if __name__ == "__main__":
    sys.exit(main())
