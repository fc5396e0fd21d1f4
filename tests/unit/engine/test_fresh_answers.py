"""What an engine says of itself is asked for once in a while, however many want to know it."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from roas.engine import fresh_answers
from roas.engine.fresh_answers import FRESH_SECONDS, FreshAnswers

SECONDS = 10.0


class Engine:
    """Be asked, and count by what; `may_answer` lets it."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.memory = 1
        self.is_away = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.api = self

    def version(self) -> dict[str, str]:
        self.asked["version"] += 1
        return {"Version": "28.0"}

    def info(self) -> dict[str, int]:
        self.asked["info"] += 1
        assert self.may_answer.wait(SECONDS)
        if self.is_away:
            raise ConnectionError("away")
        return {"MemTotal": self.memory}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Any:
    return Engine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fresh(clock: Clock) -> FreshAnswers:
    return FreshAnswers(clock)


def test_answer_serves_for_a_moment(fresh: FreshAnswers, engine: Any, clock: Clock) -> None:
    assert fresh.information(engine)["MemTotal"] == 1
    engine.memory = 2
    clock.now += FRESH_SECONDS - 0.1
    assert fresh.information(engine)["MemTotal"] == 1
    assert fresh.version(engine)["Version"] == "28.0"
    clock.now += 0.1
    assert fresh.information(engine)["MemTotal"] == 2
    assert engine.asked == {"info": 2, "version": 1}


def test_who_asks_meanwhile_takes_that_answer(fresh: FreshAnswers, engine: Any) -> None:
    engine.may_answer.clear()
    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(fresh.information, engine) for _ in range(3)]
        engine.may_answer.set()
        assert [one.result(SECONDS)["MemTotal"] for one in asking] == [1, 1, 1]
    assert engine.asked["info"] == 1


def test_another_engine_is_asked_itself(fresh: FreshAnswers, engine: Any) -> None:
    other = Engine()
    other.memory = 3
    assert [fresh.information(one)["MemTotal"] for one in (engine, other)] == [1, 3]  # type: ignore[arg-type]


def test_no_answer_is_not_kept(fresh: FreshAnswers, engine: Any) -> None:
    engine.is_away = True
    with pytest.raises(ConnectionError):
        fresh.information(engine)
    engine.is_away = False
    assert fresh.information(engine)["MemTotal"] == 1


def test_all_who_wait_learn_of_one_failure(fresh: FreshAnswers, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that hangs is not asked by each, one after the other: each would take a thread for its whole limit."""
    waiting = threading.Semaphore(0)

    class Noted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            waiting.release()
            return super().result(timeout)

    monkeypatch.setattr(fresh_answers, "Future", Noted)
    engine.is_away = True
    engine.may_answer.clear()
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(fresh.information, engine) for _ in range(4)]
        try:
            assert all(waiting.acquire(timeout=SECONDS) for _ in range(3)), "they do not wait for the first one"
        finally:
            engine.may_answer.set()
        assert all(isinstance(one.exception(SECONDS), ConnectionError) for one in asking)
    assert engine.asked["info"] == 1


def test_engine_that_went_away_is_asked_again(fresh: FreshAnswers, engine: Any) -> None:
    other = Engine()
    for one in (engine, other):
        fresh.information(one)  # type: ignore[arg-type]
        one.memory = 2
    fresh.forget(engine)
    assert [fresh.information(one)["MemTotal"] for one in (engine, other)] == [2, 1]  # type: ignore[arg-type]
