"""Judge where the files lead that compose files name: what is not judged to be the stack's is not copied for Compose.

The jail is what keeps Compose from all else: a file that is named in a way that nobody here understands is not there.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.model.raw_files import FileReference
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.power import Power
from roas.stack.sources.opening import resolve

COMPOSE_FILE = "compose_file"


class RawPolicy:
    """Judge where the files of one stack lead; each path is resolved once, and that is what is read."""

    def __init__(self, policy: ComposePolicy, environment: Environment) -> None:
        self._policy = policy
        self._environment = environment
        self._withheld = policy.withheld(environment)
        self.folder = resolve(environment.folder)

    def refuse_outside(self, paths: Iterable[Path]) -> None:
        """Raise ComposePolicyError where the stack's own `.env` names compose files elsewhere; the settings may."""
        text = said("COMPOSE_FILE in the stack's .env, which names a file outside the stack's folder")
        self.refuse(Power(text, "") for _ in paths)

    def judge_own(self, kind: str, path: Path, resolved: Path) -> list[Power]:
        """Judge a file of the environment: the settings may name one elsewhere, a link in the folder may not."""
        found: list[Power] = []
        if path.is_relative_to(self._environment.folder):
            if not resolved.is_relative_to(self.folder):
                text = said(
                    "{path} is a link to {resolved}, outside the stack's folder", path=path.name, resolved=resolved
                )
                found.append(Power(text, f"{kind}:{path}"))
            elif self._withheld.owns(resolved) and path.is_symlink():
                text = said(
                    "{path} is a link to {resolved}, the bot's own or another environment's",
                    path=path.name,
                    resolved=resolved,
                )
                found.append(Power(text, f"state_dir:{path.name}"))
        return self._policy.without_allowed(found, self._environment)

    def judge(self, reference: FileReference, resolved: Path) -> list[Power]:
        """Judge a file that a compose file names."""
        return self._policy.without_allowed(self._violations(reference, resolved), self._environment)

    def refuse(self, violations: Iterable[Power]) -> None:
        """Raise ComposePolicyError where there is one."""
        self._policy.refuse(violations, self._environment)

    def _violations(self, reference: FileReference, resolved: Path) -> Iterator[Power]:
        if not resolved.is_relative_to(self.folder):
            text = said("{text}, outside the stack's folder", text=reference.text)
            yield Power(text, f"{reference.kind}:{reference.path}")
        # What a shared file of variables says is judged by value, for the services that are left.
        is_own = reference.kind == "env_file" and resolved in map(resolve, self._environment.env_files)
        if self._withheld.hides(resolved) and not is_own:
            yield Power(
                said("{text}, which is the bot's own, another environment's or the repository's", text=reference.text),
                f"state_dir:{reference.who}",
            )
