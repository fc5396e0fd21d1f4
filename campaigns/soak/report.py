"""Write what a soak saw as Markdown, for docs/reliability.md."""

from campaigns.soak.judge import (
    LEAST_SUCCESS,
    MOST_ERRORS,
    MOST_EVENT_SECONDS,
    MOST_GROWTH,
    MOST_LAG_SECONDS,
    MOST_SERIES,
    Evidence,
)

TABLES = ("changes", "deployments", "releases", "alerts", "recoveries", "posts")


def write_report(seen: Evidence) -> str:
    """Return the limits with what was seen, the work that was done, and the footprint over time."""
    return "\n\n".join([_limits(seen), _work(seen), _footprints(seen)])


def _limits(seen: Evidence) -> str:
    growth = "too little work to tell" if seen.growth is None else f"{seen.growth:+.1%}"
    rows = (
        ("event latency, 99 of 100 within", _seconds(seen.event_seconds), f"{MOST_EVENT_SECONDS:g} s"),
        ("lag of Redis, 99 of 100 within", _seconds(seen.lag_seconds), f"{MOST_LAG_SECONDS:g} s"),
        ("integration error rate", f"{seen.errors:.2%}", f"at most {MOST_ERRORS:.0%}"),
        ("deployment success rate", f"{seen.success:.1%}", f"at least {LEAST_SUCCESS:.0%}"),
        ("series on /metrics, most", str(seen.most_series), f"at most {MOST_SERIES}"),
        ("memory, second fifth of the deployments to the last", growth, f"at most {MOST_GROWTH:+.0%}"),
    )
    return "\n".join(["| figure | seen | limit |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def _work(seen: Evidence) -> str:
    work = seen.work
    slowest = max(work.deployments, default=0.0)
    alerts = ", ".join(f"{name} for {seconds:g} s" for name, seconds in seen.alerts_about_itself.items()) or "none"
    return (
        f"In {seen.minutes:.1f} minutes: {len(work.outcomes)} deployments (the slowest {slowest:.1f} s), "
        f"{work.alerts} alerts from outside, {work.kills} killed services (recovered: "
        f"{seen.counted.total('roas_recoveries_total', outcome='recovered'):.0f}), {len(work.answers)} times `/status` "
        f"(the slowest answer {max(work.answers, default=0.0):.2f} s). "
        f"{seen.counted.total('roas_events_published_total'):.0f} events, "
        f"{seen.counted.total('roas_journal_changes_total'):.0f} changes. "
        f"Alerts about itself: {alerts}."
    )


def _footprints(seen: Evidence) -> str:
    head = ("minute", "memory (MiB)", "open files", "threads", "journal (KiB)", "files in STATE_DIR", "containers")
    lines = [f"| {' | '.join((*head, 'images', *TABLES))} |", f"|{'---|' * (len(head) + 1 + len(TABLES))}"]
    for one in seen.footprints:
        cells = [
            f"{one.minute:.0f}",
            f"{one.memory:.0f}",
            str(one.files),
            str(one.threads),
            f"{one.journal:.0f}",
            str(one.state_files),
            str(one.containers),
            str(one.images),
            *(str(one.rows.get(table, 0)) for table in TABLES),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "nothing measured" if value is None else f"{value:g} s"
