"""What SIGTERM and Ctrl-C become, in a sweep and in a worker."""

import os
import signal

import pytest

from regbench.execution import signals


def send(number):
    os.kill(os.getpid(), number)


def test_sigterm_waits_for_the_next_step_of_a_worker():
    with signals.postponed():
        assert not signals.stop_requested()
        send(signal.SIGTERM)
        assert signals.stop_requested()
    with signals.postponed():
        assert not signals.stop_requested()  # the next job was not asked


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [
        (signal.SIGINT, KeyboardInterrupt, 130),
        (signal.SIGTERM, signals.Terminated, 143),
    ],
)
def test_either_signal_is_announced_once_and_raised_each_time(number, error, code):
    announced = []
    with signals.raised(lambda: announced.append(number)):
        for _ in range(2):
            with pytest.raises(error) as caught:
                send(number)
            assert type(caught.value) is error
            assert signals.exit_code(caught.value) == code
    assert announced == [number]


def test_an_announcement_that_fails_changes_nothing():
    def fail():
        raise RuntimeError("reentrant call inside a writer")

    with pytest.raises(signals.Terminated), signals.raised(fail):
        send(signal.SIGTERM)


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals.raised(print), signals.postponed():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
