"""Remember what Compose says of a text: a version of it says the same again, and to ask it takes a process."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from testbed.cache import cache_folder, recipe_hash

# That of who runs the tests: a test may give itself another home.
FOLDER = cache_folder() / "compose-answers"
Answer = TypeVar("Answer")


class ComposeAnswers(Generic[Answer]):
    """Hold what this version of Compose said of each text that it was asked about, as JSON has it."""

    def __init__(self, known: dict[str, Answer]) -> None:
        self.known = known

    def of(self, text: str, ask: Callable[[], Answer]) -> Answer:
        """Return what is known, or else ask."""
        if text not in self.known:
            self.known[text] = ask()
        return self.known[text]


@contextmanager
def remembered_answers(source: Path, question: str, *, afresh: bool) -> Iterator[ComposeAnswers[Any]]:
    """Give the answers to a question of a file of tests, as long as that file and Compose are the same.

    With `afresh` all is asked again, whatever was known.
    """
    version = subprocess.run(["docker-compose", "version"], capture_output=True, text=True, check=True).stdout
    name = recipe_hash(version, source.read_text(), question)
    path = FOLDER / f"{name}.json"
    answers: ComposeAnswers[Any] = ComposeAnswers(json.loads(path.read_text()) if path.exists() and not afresh else {})
    yield answers
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(answers.known))
    unfinished.rename(path)
