"""Vaults are Ansible's, byte for byte readable both ways; what is in them does not show."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import values
from orchestrator.cli import vault_command
from orchestrator.cli.main import main
from orchestrator.documents import Document
from orchestrator.errors import ConfigurationError, InventoryError
from orchestrator.events import Events, Note
from orchestrator.inventory import load_inventory, vault
from orchestrator.inventory.settings import settings
from orchestrator.inventory.vault import Password, Vault
from orchestrator.language.expressions import render

PASSWORD = Password("default", b"correct horse")
# Written by ansible-vault itself.
BY_ANSIBLE = (Path(__file__).parent / "cases" / "vault_ini" / "hosts").read_text()


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch):
    for name in values.PASSWORD_FILES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(values, "_revealed", set())
    yield
    vault.use([])


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100_000])
def test_what_is_encrypted_comes_back(size):
    content = bytes(i % 256 for i in range(size))
    assert Vault([PASSWORD]).decrypt(vault.encrypt(content, PASSWORD)) == content


def test_a_vault_of_ansible_is_read():
    assert Vault([PASSWORD]).decrypt(BY_ANSIBLE) == b"[g]\nh1 x=5\n[g:vars]\npw=abc\n"


def test_the_real_ansible_reads_ours():
    ansible = pytest.importorskip("ansible.parsing.vault")
    for label, header in (("default", b"$ANSIBLE_VAULT;1.1;AES256\n"), ("dev", b"$ANSIBLE_VAULT;1.2;AES256;dev\n")):
        text = vault.encrypt(b"content \xff", Password(label, b"pw")).encode()
        assert text.startswith(header)
        assert max(map(len, text.splitlines())) == 80
        lib = ansible.VaultLib([(label, ansible.VaultSecret(b"pw"))])
        assert lib.decrypt(text) == b"content \xff"


def test_every_password_is_tried_the_named_one_first():
    text = vault.encrypt(b"x", Password("b", b"2"))
    assert Vault([Password("a", b"1"), Password("b", b"0"), Password("c", b"2")]).decrypt(text) == b"x"
    with pytest.raises(ConfigurationError, match="no vault password fits") as caught:
        Vault([Password("a", b"1")]).decrypt(text)
    assert "'a'" in caught.value.why and "b@prompt" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hello", "not a vault"),
        ("$ANSIBLE_VAULT;2.0;AES256\n00", "not a vault"),
        ("$ANSIBLE_VAULT;1.1;AES\n00", "cipher AES"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162", "damaged"),
        ("$ANSIBLE_VAULT;1.1;AES256\nzz", "damaged"),
        ("$ANSIBLE_VAULT;1.1;AES256\n", "damaged"),
    ],
)
def test_what_is_no_vault_is_told(text, what):
    with pytest.raises(ConfigurationError, match=what):
        Vault([PASSWORD]).decrypt(text)


@pytest.mark.parametrize("place", range(-1, 325, 25))
def test_a_vault_that_was_tampered_with_does_not_open(place):
    text = vault.encrypt(b"the content", PASSWORD)
    head, _, body = text.partition("\n")
    swapped = "0" if body[place] != "0" else "1"
    with pytest.raises(ConfigurationError):
        Vault([PASSWORD]).decrypt(f"{head}\n{body[:place]}{swapped}{body[place + 1 :]}")


def inline(name: str, content: bytes, password: Password = PASSWORD) -> str:
    body = "\n".join(f"    {line}" for line in vault.encrypt(content, password).splitlines())
    return f"{name}: !vault |\n{body}\n"


def test_an_inline_value_prints_as_stars_until_a_template_uses_it():
    document = Document("vars.yml", "open: 1\n" + inline("pw", b"hunter22") + "url: 'http://u:{{ pw }}@host'\n")
    assert str(document.data["pw"]) == repr(document.data["pw"]) == "***"
    assert document.location("url").line == 9
    vault.use([PASSWORD])
    assert render("{{ url }}", document.data) == "http://u:hunter22@host"
    assert render(document.data["pw"], {}) == "hunter22"


def test_the_place_of_an_inline_value_that_does_not_open_is_told():
    vault.use([Password("default", b"wrong")])
    document = Document("vars.yml", "a: 1\n" + inline("pw", b"hunter22"))
    with pytest.raises(ConfigurationError, match=r"vars\.yml:2:"):
        render("{{ pw }}", document.data)


def test_no_password_at_all_is_told_with_the_ways_to_give_one(tmp_path):
    (tmp_path / "a.yml").write_text(
        "all:\n  hosts:\n    h1:\n      " + inline("ansible_password", b"x").replace("\n", "\n      ")
    )
    host = load_inventory(str(tmp_path / "a.yml")).host("h1")
    with pytest.raises(ConfigurationError, match="no vault password was given"):
        settings(host)


def test_connection_variables_may_be_vaulted(tmp_path):
    text = "all:\n  hosts:\n    h1:\n      ansible_become_password: '{{ pw }}'\n  vars:\n"
    text += "".join(
        f"    {line}\n" for line in (inline("pw", b"hunter22") + inline("ansible_password", b"login1")).splitlines()
    )
    (tmp_path / "a.yml").write_text(text)
    vault.use([PASSWORD])
    found = settings(load_inventory(str(tmp_path / "a.yml")).host("h1"))
    assert (found.password.reveal(), found.become_password.reveal()) == ("login1", "hunter22")


def test_an_encrypted_file_shows_no_line_of_itself_in_a_message(tmp_path):
    path = tmp_path / "group_vars.yml"
    path.write_text(vault.encrypt(b"pw: hunter22\npw: again\n", PASSWORD))
    vault.use([PASSWORD])
    with pytest.raises(InventoryError, match=":2:1") as caught:
        Document.read(path, InventoryError)
    assert "again" not in str(caught.value)


def test_secrets_are_stars_in_every_event():
    values.remember("hunter22")
    values.remember("-----BEGIN KEY-----\nMIIEvQIBADANBg\n")
    seen = []
    Events(seen.append)(Note(host=None, level="info", text="password hunter22, key MIIEvQIBADANBg."))
    assert seen[0].text == "password ***, key ***."
    assert values.mask({"a": ["hunter22", 5, {"hunter22": None}]}) == {"a": ["***", 5, {"***": None}]}


def test_in_an_encrypted_file_what_is_named_like_a_secret_is_one():
    vault.use([PASSWORD])
    text = vault.encrypt(b"port: 8080\nuser: jetson\nwifi: {password: hunter22}\napi_tokens: [abcd1234]\n", PASSWORD)
    Document("vars.yml", text)
    assert values.mask("jetson hunter22 abcd1234 8080") == "jetson *** *** 8080"


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pw").write_text("correct horse\n")
    (tmp_path / "new").write_text("battery staple\n")
    (tmp_path / "vars.yml").write_text("a: 1\n")
    (tmp_path / "vars.yml").chmod(0o640)
    return tmp_path


def fleet(*argv: str) -> int:
    return main(["vault", *argv])


def test_files_are_encrypted_viewed_and_decrypted_in_place(folder, capsys):
    use = ("--vault-password-file", "pw")
    assert fleet("encrypt", "vars.yml", *use) == 0
    assert (folder / "vars.yml").read_text().startswith("$ANSIBLE_VAULT;1.1;AES256\n")
    assert (folder / "vars.yml").stat().st_mode & 0o777 == 0o640
    assert fleet("encrypt", "vars.yml", *use) == 1
    assert fleet("view", "vars.yml", *use) == 0
    assert capsys.readouterr().out == "a: 1\n"
    assert fleet("rekey", "vars.yml", *use, "--new-vault-id", "prod@new") == 0
    assert (folder / "vars.yml").read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n")
    assert fleet("decrypt", "vars.yml", *use) == 1
    assert fleet("decrypt", "vars.yml", "--vault-id", "prod@new", "--output", "-") == 0
    assert capsys.readouterr().out == "a: 1\n"
    assert fleet("decrypt", "vars.yml", "--vault-id", "prod@new") == 0
    assert (folder / "vars.yml").read_text() == "a: 1\n"


def test_editing_encrypts_again_and_leaves_nothing_plain(folder, monkeypatch):
    use = ("--vault-password-file", "pw")
    monkeypatch.delenv("VISUAL", raising=False)
    script = "import sys; f = open(sys.argv[1], 'a'); f.write('b: 2\\n')"
    (folder / "editor.py").write_text(script)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {folder / 'editor.py'}")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(vault_command.tempfile, "tempdir", None)
    assert fleet("encrypt", "vars.yml", *use) == 0
    assert fleet("edit", "vars.yml", *use) == 0
    assert Vault([PASSWORD]).decrypt((folder / "vars.yml").read_text()) == b"a: 1\nb: 2\n"
    assert fleet("create", "fresh.yml", *use) == 0
    assert Vault([PASSWORD]).decrypt((folder / "fresh.yml").read_text()) == b"b: 2\n"
    assert (folder / "fresh.yml").stat().st_mode & 0o777 == 0o600
    assert not [path for path in folder.rglob("*") if path.name.startswith(("fleet-vault", ".new"))]


def test_an_encrypted_string_can_be_pasted_into_yaml(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))
    for argv, expected in ((("hunter22", "-n", "pw"), "hunter22"), (("-", "-n", "pw"), "from a pipe")):
        assert fleet("encrypt_string", *argv, "--vault-password-file", "pw") == 0
        document = Document("vars.yml", "first: 1\n" + capsys.readouterr().out)
        vault.use([PASSWORD])
        assert document.data["pw"].reveal() == expected


def test_a_password_can_come_from_a_program_or_the_environment(folder, capsys, monkeypatch):
    program = folder / "vault-client"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint('from', *sys.argv[1:])\n")
    program.chmod(0o755)
    assert vault.password_from(str(program), "dev", ask=str).secret == b"from --vault-id dev"
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ConfigurationError, match="exit code 3") as caught:
        vault.password_from(str(program), ask=str)
    assert "failed" in caught.value.what
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", "pw")
    assert fleet("encrypt", "vars.yml") == 0
    (folder / "lab.yml").write_text("all: {hosts: {h1: }, vars: {x: 1}}\n")
    assert fleet("encrypt", "lab.yml") == 0
    assert main(["inventory", "-i", "lab.yml", "--list"]) == 0
    assert json.loads(capsys.readouterr().out)["_meta"]["hostvars"] == {"h1": {"x": 1}}


@pytest.mark.parametrize("source", ["missing", "empty"])
def test_a_password_that_cannot_be_had_is_told(folder, source):
    (folder / "empty").write_text("\n")
    with pytest.raises(ConfigurationError, match=r"cannot read|is empty"):
        vault.password_from(source, ask=str)


def test_the_password_is_asked_for_twice_where_it_is_new(folder, monkeypatch, capsys):
    answers = iter(["one", "two", "same", "same", "same"])
    monkeypatch.setattr(vault_command, "getpass", lambda prompt: next(answers))
    assert fleet("encrypt", "vars.yml") == 1
    assert "differ" in capsys.readouterr().err
    assert fleet("encrypt", "vars.yml") == 0
    assert fleet("view", "vars.yml") == 0
    assert capsys.readouterr().out == "a: 1\n"


def test_ansible_vault_itself_and_ours_agree_on_the_command_line(folder):
    pytest.importorskip("ansible")
    tool = Path(sys.executable).with_name("ansible-vault")
    if not tool.exists():
        pytest.skip("no ansible-vault beside this Python")
    assert fleet("encrypt", "vars.yml", "--vault-id", "dev@pw") == 0
    argv = [str(tool), "decrypt", "--vault-id", "dev@pw", "--output", "-", "vars.yml"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout == "a: 1\n"
