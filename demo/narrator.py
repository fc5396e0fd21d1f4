"""Print the story as a person wants to read it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from sandbox.poller import PollResults

STAMP = re.compile(r"<t:\d+:[a-zA-Z]>")
MENTION = re.compile(r"<@!?\d+>")


@dataclass
class Chapter:
    """One chapter, for the summary."""

    title: str
    seconds: float | None = None
    proved: str = ""


@dataclass
class Narrator:
    """Print what happens, and remember it for the summary."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=False))
    chapters: list[Chapter] = field(default_factory=list)
    _shown: set[str] = field(default_factory=set)

    def note(self, text: str) -> None:
        """Print what is being prepared or removed."""
        self.console.print(f"[dim]{escape(text)}[/dim]")

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.chapters.append(Chapter(title))
        self._shown.clear()
        self.console.print()
        self.console.rule(f"[bold]{len(self.chapters)}. {escape(title)}[/bold]", align="left")

    def typed(self, person: str, text: str, does: str = "types") -> None:
        """Print what a person types or presses in Discord."""
        self.console.print(f"[cyan]{person}[/cyan] {does} [bold]{escape(text)}[/bold]")

    def answered(self, text: str, title: str) -> None:
        """Print what only the person who asked sees, without the link to the channel."""
        shown = [
            line.removeprefix("-# ")
            for line in text.splitlines()
            if not line.startswith(("🚀", "Nothing changes until"))
        ]
        self._panel("\n".join(shown), title, "blue")

    def live(self, text: str) -> None:
        """Print those lines of the live message that are new and say that something is done or wrong."""
        for line in map(plain, text.splitlines()[1:]):  # the first is the title
            if line[:1] in "✅❌⚠↩🚫" and line and line not in self._shown:
                self._shown.add(line)
                self.console.print(f"  {escape(line)}")

    def posted(self, text: str) -> None:
        """Print a message of the channel."""
        self._panel(text, "#ops", "magenta")

    def proved(self, what: str, shown: Sequence[str], seconds: float | None) -> None:
        """Print what Docker shows."""
        chapter = self.chapters[-1]
        chapter.seconds = seconds
        chapter.proved = ", ".join(shown)
        self.console.print(f"[green]Docker shows:[/green] {what} {escape(chapter.proved)}")

    def received(self, who: str, what: str, seen: PollResults) -> None:
        """Print how commands sent at a steady rate were answered."""
        intro, answered = f"[cyan]{who}[/cyan] typed [bold]{what}[/bold]", len(seen.asked) - seen.never
        self.console.print(
            f"{intro} {len(seen.asked)} times meanwhile, five times a second, and got {answered} answers: "
            f"in {seen.median:.2f} s as a rule, in {seen.longest_wait:.2f} s at most"
        )

    def failed(self, text: str) -> None:
        """Print what went wrong."""
        self.console.print(f"\n[bold red]The demo failed:[/bold red] {escape(text)}")

    def summary(self, seconds: float, seen: PollResults | None = None) -> None:
        """Print a table of what was shown, and where the bot was replaced, how long no bot answered."""
        table = Table(
            title=f"All {len(self.chapters)} steps went as promised, in {seconds:.0f} s", title_justify="left"
        )
        table.add_column("step")
        table.add_column("took", justify="right")
        table.add_column("what Docker ran afterwards", overflow="fold")
        for chapter in self.chapters:
            took = f"{chapter.seconds:.1f} s" if chapter.seconds is not None else ""
            table.add_row(escape(chapter.title), took, escape(chapter.proved))
        self.console.print()
        self.console.print(table)
        if seen is None:
            return
        unheard = f"{seen.unresponsive:.1f} s" if seen.never else "never"
        self.console.print(
            f"How long nobody was listening while the bot was replaced: [bold]{unheard}[/bold]. "
            f"{len(seen.asked)} commands were sent meanwhile, and {len(seen.asked) - seen.never} answered."
        )

    def _panel(self, text: str, title: str, colour: str) -> None:
        self.console.print(Panel(escape(plain(text)), title=title, title_align="left", border_style=colour))


def plain(text: str) -> str:
    """Remove Discord's markup from a text."""
    without = MENTION.sub("@dora", STAMP.sub("just now", text))
    return without.replace("**", "").replace("`", "").replace("```", "").strip("\n")
