"""When a server is left alone, and for how long."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from facade.ehr.breaker import Breaker, retry_after_s


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


def fail(breaker, times):
    return [breaker.failed() for _ in range(times)]


def test_four_failures_are_borne_and_an_answer_forgets_them(breaker):
    assert fail(breaker, 4) == [False] * 4
    assert breaker.admits(1)
    breaker.answered()
    assert fail(breaker, 4) == [False] * 4
    assert breaker.admits(1)


def test_the_fifth_opens_it_once(breaker):
    assert fail(breaker, 6) == [False] * 4 + [True, False]
    assert not breaker.admits(1)


def test_pauses_grow_up_to_thirty_seconds_and_begin_anew_after_an_answer(breaker, clock):
    fail(breaker, 5)
    pauses = []
    for _ in range(6):
        started = clock.now
        while not breaker.admits(1):
            clock.now += 0.5
        pauses.append(clock.now - started)
        breaker.failed()
    assert pauses == [2, 4, 8, 16, 30, 30]
    clock.now += 30
    assert breaker.admits(1)
    assert breaker.answered()
    assert fail(breaker, 5)[-1]
    clock.now += 2
    assert breaker.admits(1)


def test_one_probe_at_a_time(breaker, clock):
    fail(breaker, 5)
    clock.now = 2.0
    assert breaker.admits(10)
    assert not breaker.admits(10)
    breaker.gave_up()
    assert breaker.admits(10)
    clock.now = 12.0
    assert breaker.admits(10), "a probe that never came back does not block for ever"


def test_an_answer_may_ask_to_wait(breaker, clock):
    breaker.answered(5)
    assert not breaker.admits(1)
    clock.now = 5.0
    assert breaker.admits(1)
    breaker.answered(86_400)
    clock.now = 35.0
    assert breaker.admits(1), "nobody is left alone for a day"


def test_retry_after_is_seconds_or_a_date():
    assert retry_after_s(503, "7") == 7
    assert retry_after_s(429, " 7 ") == 7
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < retry_after_s(503, later) <= 60
    assert retry_after_s(503, format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)) == 0


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5", "²", "Wed, 99 Foo 2026 00:00:00 GMT", "9" * 400])
def test_what_is_no_time_is_none_or_bounded(breaker, clock, header):
    wait = retry_after_s(503, header)
    breaker.answered(wait)
    clock.now = 31.0
    assert breaker.admits(1)


@pytest.mark.parametrize("status", [200, 401, 500, 502])
def test_only_429_and_503_ask_to_wait(status):
    assert retry_after_s(status, "7") is None
