"""Following a job to its end, whatever happens to the link."""

import threading
import time

import pytest
from fake_agent import fake_archive

from orchestrator.devices.session import RefusedError
from orchestrator.errors import ConnectError


def a_job(bench, events):
    job = bench.home / "job"
    job.write_text(str(events))
    return str(job)


def test_a_job_is_followed_to_its_end(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    seen = []
    ended = device.follow_job(a_job(bench, 20), lambda event: seen.append(event["n"]))
    assert seen == list(range(20))
    assert ended["state"] == "done"
    assert ended["result"] == {"n": 20}


def test_each_event_comes_once_through_links_that_break(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive())
    device.connect()
    seen, links = [], []
    for at_s in (0.4, 1.6):
        threading.Timer(at_s, proxy.cut).start()
    ended = device.follow_job(a_job(bench, 120), lambda event: seen.append(event["n"]), on_link=links.append)
    assert seen == list(range(120))
    assert ended["result"] == {"n": 120}
    assert len(links) == 4, "lost, back, lost, back"
    assert [bool(why) for why in links] == [True, False, True, False]


def test_other_calls_go_on_beside_it(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    job = a_job(bench, 50)
    follower = threading.Thread(target=device.follow_job, args=(job,))
    follower.start()
    begun = time.monotonic()
    assert device.call("echo").data
    assert time.monotonic() - begun < 0.8
    follower.join(10)


def test_it_goes_on_when_somebody_else_connects_anew(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive())
    device.connect()
    seen, ended = [], []
    job = a_job(bench, 100)
    follower = threading.Thread(
        target=lambda: ended.append(device.follow_job(job, lambda event: seen.append(event["n"])))
    )
    follower.start()
    for _ in range(3):
        time.sleep(0.3)
        proxy.cut()
        try:
            device.call("echo")
        except ConnectError:
            pass  # it may have been on its way when the link broke
    follower.join(20)
    assert seen == list(range(100))
    assert ended[0]["state"] == "done"


def test_a_device_that_stays_away_is_given_up_and_the_job_is_named(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive())
    device.connect()

    def vanish():
        proxy.refuse = True
        proxy.cut()

    threading.Timer(0.3, vanish).start()
    with pytest.raises(ConnectError, match=r"while job .* was running") as caught:
        device.follow_job(a_job(bench, 1000), give_up_s=1)
    assert "attached" in caught.value.remedy
    assert caught.value.device == "nano-01"


def test_closing_the_device_ends_the_wait(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())
    device.connect()
    threading.Timer(0.3, device.close).start()
    begun = time.monotonic()
    with pytest.raises(ConnectError, match="closed"):
        device.follow_job(a_job(bench, 1000))
    assert time.monotonic() - begun < 3


def test_a_job_that_is_not_there_is_refused(bench):
    server = bench.server()
    bench.trust(server)
    with pytest.raises(RefusedError):
        bench.device(server.port).follow_job("no-such-job")


def test_a_listener_that_fails_does_not_hang_the_wait(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive())

    def listener(event):
        raise ZeroDivisionError("a mistake of the listener")

    with pytest.raises(ZeroDivisionError):
        device.follow_job(a_job(bench, 5), listener)
    assert device.call("echo").data, "the session goes on"
