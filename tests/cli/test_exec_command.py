"""`fleet exec`: what is printed of each host, and how it ends."""

import json

import pytest


def test_commands_are_shown_by_what_they_print(fleet):
    code, out, _ = fleet("exec", "one", "-a", "echo {{ inventory_hostname }} here")
    assert code == 0
    assert out == "one | CHANGED | rc=0 >>\none here\n"


def test_modules_are_shown_as_json(fleet):
    code, out, _ = fleet("exec", "one", "-m", "ansible.builtin.ping")
    assert code == 0
    head, _, body = out.partition(" => ")
    assert head == "one | SUCCESS"
    assert json.loads(body) == {"changed": False, "ping": "pong"}


def test_one_line_a_host(fleet):
    code, out, _ = fleet("exec", "all", "-o", "-m", "debug", "-a", "msg='two words'")
    assert code == 0
    assert sorted(out.splitlines()) == [
        f'{name} | SUCCESS => {{"changed": false, "msg": "two words"}}' for name in ("one", "two")
    ]


def test_arguments_may_be_json(fleet):
    target = fleet.folder / "a b"
    given = json.dumps({"path": str(target), "state": "directory", "mode": "0700"})
    code, out, _ = fleet("exec", "one", "-m", "file", "-a", given)
    assert code == 0 and "one | CHANGED => {" in out
    assert target.is_dir()
    assert "one | SUCCESS => {" in fleet("exec", "one", "-m", "file", "-a", given)[1]


def test_check_mode_shows_the_change_and_does_not_do_it(fleet):
    target = fleet.folder / "text"
    code, out, _ = fleet("exec", "one", "-C", "-D", "-m", "copy", "-a", f"content=hello dest={target}")
    assert code == 0 and "one | CHANGED" in out and "+hello" in out
    assert not target.exists()


def test_limit_cuts_the_pattern_down(fleet):
    code, out, _ = fleet("exec", "all", "-l", "two", "--json", "-m", "ping")
    assert code == 0
    assert json.loads(out) == {"two": {"changed": False, "ping": "pong"}}


def test_a_failure_is_shown_with_its_output_and_ends_with_2(fleet):
    code, out, _ = fleet("exec", "one", "-m", "shell", "-a", "echo said; echo worse >&2; exit 3")
    assert code == 2
    assert out == "one | FAILED! | rc=3 >>\nsaid\nworse\n"


def test_unreachable_hosts_end_with_4_and_do_not_stop_the_others(fleet):
    inventory = fleet.folder / "mixed.yml"
    inventory.write_text(
        "all: {hosts: {here: {ansible_connection: local}, gone: {ansible_host: 127.0.0.1, ansible_port: 1}}}",
        encoding="utf-8",
    )
    code, out, _ = fleet("exec", "all", "-i", str(inventory), "--json", "-m", "ping")
    found = json.loads(out)
    assert code == 4
    assert found["here"] == {"changed": False, "ping": "pong"}
    assert found["gone"]["unreachable"] is True and found["gone"]["error"]["remedy"]


def test_a_detached_command_is_looked_after(fleet):
    code, out, _ = fleet("exec", "one", "-B", "20", "-P", "1", "-a", "echo done")
    assert code == 0
    assert out == "one | CHANGED | rc=0 >>\ndone\n"


def test_it_leaves_no_run_behind(fleet):
    fleet("exec", "one", "-m", "ping")
    assert not (fleet.folder / "runs").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["one", "-m", "fiel"], "did you mean 'file'?"),
        (["one", "-m", "mount"], "comes later"),
        (["one", "-m", "file", "-a", "path=/x stat=absent"], "file has no argument 'stat'"),
        (["one", "-m", "file", "-a", "path=/x state=dir"], "allowed: absent, directory"),
        (["one", "-m", "file", "-a", "state=absent"], "file needs path"),
        (["one", "-m", "copy", "-a", "{dest: [}"], "not valid YAML"),
        (["one", "-m", "include_tasks", "-a", "x.yml"], "cannot be run alone"),
        (["one", "-m", "engine_build"], "try: fleet deploy"),
        (["three", "-m", "ping"], "three"),
        (["one", "-f", "0"], "must be at least 1"),
    ],
)
def test_mistakes_are_named_and_end_with_1(fleet, argv, said):
    code, out, err = fleet("exec", *argv)
    assert code == 1
    assert said in err
    assert not out and "Traceback" not in err
