"""Many hosts: who waits for whom, waves, run_once, and what one host's failure means for the others."""

import threading

import pytest

from orchestrator.errors import ConnectError

HEAD = "- hosts: all\n  gather_facts: false\n"


def names(done, host):
    return " ".join(f"{task}:{status}" for task, status in done.tasks[host])


def statuses(done):
    return {host: end.status for host, end in done.ends.items()}


def test_free_hosts_do_not_wait(run):
    """Host a waits in its first task until b is done with its last: this would hang if b waited for a."""
    done_b = threading.Event()

    def command(args):
        if args.get("argv") == ["last-b"]:
            done_b.set()
        elif args.get("argv") == ["first-a"]:
            assert done_b.wait(20)
        return {}

    play = HEAD + (
        "  tasks:\n"
        "    - {name: first, command: {argv: ['first-{{ inventory_hostname }}']}, register: x}\n"
        "    - {name: last, command: {argv: ['last-{{ inventory_hostname }}']}, when: x is changed}\n"
    )
    done = run(play, answers={"*": {"command": command}})
    assert statuses(done) == {"a": "ok", "b": "ok"}


def test_linear_goes_task_by_task(run):
    play = HEAD + "  strategy: linear\n  tasks:\n" + "".join(f"    - {{name: t{i}, debug: {{}}}}\n" for i in range(6))
    done = run(play, hosts=["a", "b", "c"])
    order = [task for _, task in done.order]
    assert order == sorted(order) and len(order) == 18


@pytest.mark.parametrize("forks", [1, 2])
def test_linear_works_with_fewer_forks_than_hosts(run, forks):
    play = HEAD + "  strategy: linear\n  tasks: [{name: s, debug: {}}, {name: t, debug: {}}]\n"
    done = run(play, hosts=["a", "b", "c"], forks=forks)
    assert [task for _, task in done.order] == ["s"] * 3 + ["t"] * 3


def test_run_once_is_done_by_the_first_and_known_to_all(run):
    done = run(
        HEAD
        + """
  tasks:
    - {name: once, debug: {msg: "{{ inventory_hostname }}"}, run_once: true, register: it}
    - {name: see, assert: {that: "it.msg == 'a'"}}
""",
        hosts=["a", "b", "c"],
    )
    assert [names(done, host) for host in "abc"] == ["once:ok see:ok", "see:ok", "see:ok"]


def test_another_hosts_variables_are_seen_when_it_has_set_them(run):
    done = run(
        HEAD
        + """
  tasks:
    - set_fact: {mine: "{{ inventory_hostname }}"}
    - {name: see, assert: {that: "groups.all | map('extract', hostvars, 'mine') | list == ['a', 'b', 'c']"}}
""",
        hosts=["a", "b", "c"],
    )
    assert set(statuses(done).values()) == {"ok"}


def test_hosts_in_a_rescue_keep_step(run):
    done = run(
        HEAD
        + """
  strategy: linear
  tasks:
    - block:
        - {name: t1, fail: {}, when: inventory_hostname == 'a'}
        - {name: t2, debug: {}}
      rescue:
        - {name: t3, debug: {}}
      always:
        - {name: t4, debug: {}}
    - {name: t5, debug: {}}
""",
        hosts=["a", "b"],
    )
    assert names(done, "a") == "t1:failed t3:ok t4:ok t5:ok"
    assert names(done, "b") == "t1:skipped t2:ok t4:ok t5:ok"
    order = [task for _, task in done.order]
    assert order == sorted(order)


def test_any_errors_fatal_stops_all_after_the_task(run):
    done = run(
        HEAD
        + """
  any_errors_fatal: true
  tasks:
    - {name: one, fail: {}, when: inventory_hostname == 'b'}
    - {name: two, debug: {}}
""",
        hosts=["a", "b", "c"],
    )
    assert [names(done, host) for host in "abc"] == ["one:skipped", "one:failed", "one:skipped"]
    assert set(statuses(done).values()) == {"failed"}
    assert "stopped because b failed" in done.ends["a"].error["what"]


@pytest.mark.parametrize(("most", "second"), [(50, True), (24, False), (25, True)])
def test_max_fail_percentage(run, most, second):
    play = HEAD + (
        f"  max_fail_percentage: {most}\n  tasks:\n"
        "    - {name: one, fail: {}, when: inventory_hostname == 'b'}\n    - {name: two, debug: {}}\n"
    )
    done = run(play, hosts=["a", "b", "c", "d"])
    assert ("two", "ok") in done.tasks["a"] if second else done.tasks["a"] == [("one", "skipped")]


def test_serial_goes_in_waves_and_stops_when_a_whole_wave_failed(run):
    play = HEAD + (
        "  serial: [1, 50%]\n  tasks:\n"
        "    - {name: one, debug: {msg: '{{ ansible_play_batch | join }}'}}\n"
        "    - {name: two, fail: {}, when: inventory_hostname in bad}\n"
    )
    hosts = ["a", "b", "c", "d"]
    done = run(play, hosts=hosts, extra={"bad": []})
    assert next(host for host, task in done.order if task == "two") == "a"
    assert {host: done.messages[host]["one"] for host in "abcd"} == {"a": "a", "b": "bc", "c": "bc", "d": "d"}
    assert set(statuses(done).values()) == {"ok"}
    done = run(play, hosts=hosts, extra={"bad": ["b", "c"]})
    assert done.tasks["d"] == [] and statuses(done)["d"] == "skipped"


def test_order_of_hosts(run):
    play = HEAD + "  order: reverse_sorted\n  serial: 1\n  tasks: [{name: t, debug: {}}]\n"
    assert [host for host, _ in run(play, hosts=["b", "a", "c"]).order] == ["c", "b", "a"]


def test_an_unreachable_host_leaves_the_others_in_step(run):
    play = HEAD + "  strategy: linear\n  tasks: [{name: t, ping: {}}, {name: u, debug: {}}]\n"
    done = run(play, hosts=["a", "b", "c"], answers={"a": ConnectError("no"), "b": {"ping": ConnectError("lost")}})
    assert statuses(done) == {"a": "unreachable", "b": "unreachable", "c": "ok"}
    assert names(done, "c") == "t:ok u:ok"


def test_end_play_ends_it_for_all(run):
    done = run(
        HEAD
        + """
  tasks:
    - {name: one, debug: {}}
    - meta: end_play
      when: inventory_hostname == 'b'
    - {name: two, debug: {}}
""",
        hosts=["a", "b"],
    )
    assert [names(done, host) for host in "ab"] == ["one:ok", "one:ok"]
    assert set(statuses(done).values()) == {"ok"}


def test_a_run_once_that_fails_fails_all(run):
    done = run(
        HEAD + "  tasks:\n    - {name: once, fail: {}, run_once: true}\n    - {name: two, debug: {}}\n",
        hosts=["a", "b"],
    )
    assert names(done, "a") == "once:failed" and done.tasks["b"] == []
    assert set(statuses(done).values()) == {"failed"}


def test_failed_hosts_are_left_out_of_later_plays(run):
    done = run(
        HEAD
        + "  tasks: [{name: one, fail: {}, when: inventory_hostname == 'a'}]\n"
        + HEAD
        + "  serial: 1\n  tasks: [{name: two, debug: {msg: '{{ ansible_play_hosts | join }}'}}]\n"
    )
    assert names(done, "a") == "one:failed" and names(done, "b") == "one:skipped two:ok"
