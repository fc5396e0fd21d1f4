"""Find variables that look like a setting and are none: whoever misspelt one waits in vain for what it would do."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from pydantic_settings import BaseSettings

from roas.configuration.place import Fault, Place
from roas.configuration.sources import PREFIX

# So much of a name has to be the same; of REDIS_IMAGE and REDIS_URL, which are both meant, it is less.
ALIKE = 0.9
# A secret may stand in a file, which such a variable names.
IN_FILE = "_FILE"


def misspelt(settings_class: type[BaseSettings], said: Iterable[Place]) -> Iterator[Fault]:
    """Yield the variables that nothing reads, and that are nearly called as a setting is."""
    known = {name.upper() for name in settings_class.model_fields}
    for place in said:
        name = place.name.removeprefix(PREFIX).partition("__")[0]
        if name in known or name.removesuffix(IN_FILE) in known:
            continue
        if close := get_close_matches(name, known, n=1, cutoff=ALIKE):
            yield Fault(place, f"is no setting; did you mean {close[0]}?")
