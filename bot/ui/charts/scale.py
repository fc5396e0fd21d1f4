"""Choose round numbers for an axis, and write them with their unit."""

import math
from collections.abc import Callable
from dataclasses import dataclass

KIB = 1024.0
STEPS = 4
ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Reach from 0 to `top` in round steps; `write` gives a value with its unit."""

    top: float
    step: float
    write: Callable[[float], str]

    @property
    def ticks(self) -> tuple[float, ...]:
        """Return the values that the axis names, 0 first."""
        return tuple(self.step * number for number in range(round(self.top / self.step) + 1))


def percent_scale(highest: float) -> Scale:
    """Return an axis of processor use up to a value; an idle stack shows as idle, not as noise blown up."""
    return _scale(max(highest, 4.0), lambda value: f"{value:g} %")


def memory_scale(highest: float) -> Scale:
    """Return an axis of memory (in bytes) up to a value, in the unit that suits it."""
    unit, name = next(
        ((size, name) for size, name in ((KIB**3, "GiB"), (KIB**2, "MiB")) if highest >= size), (KIB**2, "MiB")
    )
    scale = _scale(max(highest / unit, 1.0), lambda value: f"{value / unit:g} {name}")
    return Scale(scale.top * unit, scale.step * unit, scale.write)


def write_memory(count: float) -> str:
    """Write an amount of memory (in bytes) with three digits."""
    units = ((KIB**3, "GiB"), (KIB**2, "MiB"), (KIB, "KiB"))
    unit, name = next(((size, name) for size, name in units if count >= size), units[-1])
    value = count / unit
    return f"{value:.0f} {name}" if value >= 100 else f"{value:.3g} {name}"


def write_percent(value: float) -> str:
    """Write a share of a processor."""
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %"


def _scale(highest: float, write: Callable[[float], str]) -> Scale:
    power = 10.0 ** math.floor(math.log10(highest / STEPS))
    step = next(power * size for size in ROUND if power * size * STEPS >= highest)
    return Scale(step * math.ceil(highest / step), step, write)
