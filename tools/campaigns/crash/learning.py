"""Deploy without faults, to learn the steps, which bots run at each, and how long a deployment takes."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from tools.campaigns.crash.lane import Lane
from tools.campaigns.crash.playing import clean_run
from tools.campaigns.crash.points import Report, Role
from tools.campaigns.crash.rounds import Kind, Script

# The first of a lane adopts what runs, and takes other steps than those that come after it.
FIRST_RUNS = 3
MORE_RUNS = 2

Traces = Mapping[Script, tuple[Report, ...]]


async def learn(lanes: Sequence[Lane], kinds: Collection[Kind], without: Collection[Script] = ()) -> Traces:
    """Return the steps that come every time, which are those that have to be hit. Raises CleanRunError."""
    await asyncio.gather(*(lane.start() for lane in lanes))
    runs = await asyncio.gather(*(_runs(lane, Script.REPLACE, FIRST_RUNS) for lane in lanes))
    for lane in lanes:
        lane.length_seconds = min(seconds for some in runs for _, seconds in some)
    traces = {Script.REPLACE: _always([trace for some in runs for trace, _ in some[1:]])}
    if {Kind.STEPS, Kind.DAEMON} & set(kinds):
        for script in Script:
            if script not in {Script.REPLACE, *without}:
                reverts = [trace for trace, _ in await _runs(lanes[0], script, MORE_RUNS)]
                traces[script] = _always(reverts)
    return _own(traces)


async def _runs(lane: Lane, script: Script, number: int) -> list[tuple[tuple[Report, ...], float]]:
    return [await clean_run(lane, script) for _ in range(number)]


def _always(traces: Sequence[Sequence[Report]]) -> tuple[Report, ...]:
    """Return the steps that came in every run, in the order of the last one."""
    common = set.intersection(*({report.point for report in trace} for trace in traces))
    return tuple(report for report in traces[-1] if report.point in common)


def _own(traces: Traces) -> Traces:
    """Leave to the scripts that fail what a good one does not have: up to the failure, all are the same.

    Of a downgrade it is what today's bot does while the one of the release before is there.
    """
    good = {report.point for report in traces[Script.REPLACE]}

    def is_own(script: Script, report: Report) -> bool:
        if script is Script.DOWNGRADE:
            return Role.SUCCESSOR in report.present
        return script is Script.REPLACE or report.point not in good

    return {script: tuple(report for report in trace if is_own(script, report)) for script, trace in traces.items()}
