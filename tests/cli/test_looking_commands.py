"""The commands that only look, or work on files here: what they print, and how they end."""

import json

import pytest

MIXED = """\
all:
  vars: {ansible_connection: local}
  children:
    near: {hosts: {one: , two: }}
    far: {hosts: {gone: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}}}
"""


@pytest.fixture
def mixed(fleet):
    """`fleet` with two hosts that are there and one that is not."""
    (fleet.folder / "hosts.yml").write_text(MIXED, encoding="utf-8")
    return fleet


def test_ping_names_each_host_and_ends_with_4_where_one_is_gone(mixed):
    code, out, err = mixed("ping")
    assert code == 4
    assert [line.split()[:2] for line in out.splitlines()] == [["one", "pong"], ["two", "pong"]]
    assert err.startswith("gone: cannot connect") and "\n  try: " in err


def test_ping_as_json_holds_errors_too(mixed):
    code, out, err = mixed("ping", "--json")
    found = json.loads(out)
    assert code == 4 and not err
    assert found["one"]["ping"] == "pong"
    assert found["gone"]["error"]["why"]


def test_facts_for_people_and_as_json(mixed):
    code, out, _ = mixed("facts", "-l", "one")
    assert code == 0
    assert out.startswith("one\n") and "\n  tensorrt " in out
    code, out, _ = mixed("facts", "-l", "one", "--json")
    assert code == 0 and json.loads(out)["one"]["virtual"] is False
    code, out, _ = mixed("facts", "-l", "one", "--raw")
    assert code == 0 and "ram_bytes" in json.loads(out)["one"]


def test_logs_of_a_device_without_jobs(mixed):
    assert mixed("logs", "near")[:2] == (0, "one: no job has run here\ntwo: no job has run here\n")
    assert mixed("logs", "gone")[0] == 4


def test_inventory_in_its_four_forms(mixed):
    assert mixed("inventory", "--hosts", "-l", "near")[1] == "one\ntwo\n"
    assert json.loads(mixed("inventory", "--host", "one")[1]) == {"ansible_connection": "local"}
    assert json.loads(mixed("inventory")[1])["near"] == {"hosts": ["one", "two"]}
    assert "  |--@far:\n  |  |--gone\n" in mixed("inventory", "--graph")[1]


def test_trust_finds_the_host_in_the_inventory_of_the_environment(mixed):
    code, _, err = mixed("trust", "gone", "--yes")
    assert code == 4
    assert "127.0.0.1:1" in err


def test_a_value_is_encrypted_and_opened_again(fleet):
    (fleet.folder / "password").write_text("key\n", encoding="utf-8")
    using = ("--vault-password-file", "password")
    code, out, _ = fleet("vault", "encrypt_string", *using, "-n", "wifi", "hello")
    assert code == 0 and out.startswith("wifi: !vault |\n") and "hello" not in out
    (fleet.folder / "hosts.yml").write_text(
        "all: {hosts: {one: {ansible_connection: local}}, vars: {}}\n", encoding="utf-8"
    )
    (fleet.folder / "secret.yml").write_text(out, encoding="utf-8")
    code, out, _ = fleet("exec", "one", *using, "-e", "@secret.yml", "-a", "test {{ wifi }} = hello")
    assert code == 0
    code, out, _ = fleet("exec", "one", *using, "-e", "@secret.yml", "-a", "echo {{ wifi }}")
    assert code == 0 and "hello" not in out and "***" in out


def test_vaulted_files_round_trip_and_wrong_passwords_are_refused(fleet):
    (fleet.folder / "password").write_text("key\n", encoding="utf-8")
    (fleet.folder / "wrong").write_text("other\n", encoding="utf-8")
    (fleet.folder / "file.yml").write_text("a: 1\n", encoding="utf-8")
    assert fleet("vault", "encrypt", "--vault-password-file", "password", "file.yml")[0] == 0
    assert "a: 1" not in (fleet.folder / "file.yml").read_text(encoding="utf-8")
    assert fleet("vault", "view", "--vault-password-file", "password", "file.yml")[:2] == (0, "a: 1\n")
    code, _, err = fleet("vault", "view", "--vault-password-file", "wrong", "file.yml")
    assert code == 1 and "Traceback" not in err
    assert fleet("vault", "decrypt", "--vault-password-file", "password", "file.yml")[0] == 0
    assert (fleet.folder / "file.yml").read_text(encoding="utf-8") == "a: 1\n"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["ping", "-i", "nope.yml"], "no inventory at nope.yml"),
        (["facts", "-l", "three"], "the limit 'three' matches no host"),
        (["logs", "three"], "'three' matches no host"),
        (["inventory", "--host", "three"], "no host 'three'"),
        (["inventory", "--host", "one", "--graph"], "not allowed with"),
        (["ping", "-e", "nonsense"], "neither name=value nor @file.yml"),
        (["ping", "-e", "@nope.yml"], "cannot read nope.yml"),
        (["play", "nope.yml"], "cannot read nope.yml"),
        (["play"], "required: playbook"),
        (["vault", "view", "hosts.yml", "--vault-password-file", "nope"], "cannot read the vault password file nope"),
        (["vault", "open"], "invalid choice"),
        (["export", "nope.yml"], "nope.yml"),
        (["sanitize", "nope.onnx", "out.onnx"], "no such file: nope.onnx"),
        (["sanitize", "nope.onnx", "out.onnx", "--shape", "x"], "--shape cannot be 'x'"),
        (["infer", "--model", "digits", "--input", "nope.npz"], "nope.npz"),
        (["deploy", "-m", "nope.yml"], "nope.yml"),
        (["lab", "restart"], "invalid choice"),
    ],
)
def test_mistakes_are_named_and_end_with_1(mixed, argv, said):
    code, _, err = mixed(*argv)
    assert code == 1
    assert said in err
    assert "Traceback" not in err
    assert not (mixed.folder / "runs").exists()


def test_no_inventory_says_how_to_name_one(mixed, monkeypatch):
    monkeypatch.delenv("FLEET_INVENTORY")
    code, _, err = mixed("ping")
    assert code == 1
    assert "--inventory inventory/lab.yml" in err
