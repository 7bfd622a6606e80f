"""`fleet modules`, and the pages made from it."""

from pathlib import Path

import pytest

from orchestrator.playbook.modules import LATER, find_module, module_names
from orchestrator.playbook.modules.pages import GROUPS, as_text, examples, groups, write
from orchestrator.playbook.parse import load_playbook

PAGES = Path(__file__).parents[2] / "docs" / "modules"
# Their examples name files and handlers of a project, which is not here.
NAMES_FILES = {
    "import_role": "roles/memory/tasks/main.yml",
    "import_tasks": "cameras.yml",
}


def test_every_module_is_listed_once():
    listed = [found.name for _, modules in groups() for found in modules]
    assert sorted(listed) == module_names()
    assert [group for group, _ in groups()] == list(GROUPS)


@pytest.mark.parametrize("name", module_names())
def test_every_module_has_an_example_that_names_it_and_is_accepted(name, tmp_path):
    if name in NAMES_FILES:
        file = tmp_path / NAMES_FILES[name]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("- ping:\n", encoding="utf-8")
    indented = "".join(f"    {line}\n" for line in examples()[name].splitlines())
    playbook = tmp_path / "example.yml"
    playbook.write_text(f"- hosts: all\n  tasks:\n{indented}", encoding="utf-8")
    text = examples()[name]
    if name.startswith("import_"):  # these leave no task of their own
        assert f"{name}:" in text
        assert load_playbook(playbook)
        return
    used = {task.module.name for play in load_playbook(playbook) for task in play.tasks}
    assert used & {name, name.removesuffix("_service")}


@pytest.mark.parametrize("name", module_names())
def test_every_argument_is_documented(name):
    page = as_text(find_module(name))
    for argument, declared in find_module(name).arguments.items():
        assert f"  {argument} ({declared.type if declared.type != 'list' else 'list'}" in page
        assert declared.help.strip() and declared.help in page


def test_the_pages_are_up_to_date(tmp_path):
    """Mend with: python -m orchestrator.cli.modules_command --markdown docs/modules"""
    made = {path.name: path.read_text(encoding="utf-8") for path in write(tmp_path)}
    kept = {path.name: path.read_text(encoding="utf-8") for path in PAGES.iterdir()}
    assert kept == made


def test_pages_of_modules_that_are_no_more_go(tmp_path):
    (tmp_path / "gone.md").touch()
    write(tmp_path)
    assert not (tmp_path / "gone.md").exists()


def test_a_full_name_is_understood(fleet):
    code, out, _ = fleet("modules", "ansible.builtin.lineinfile")
    assert code == 0
    assert out.startswith("lineinfile\n==========\n")
    assert "also called dest" in out and "Example:" in out


@pytest.mark.parametrize(("name", "said"), [("lineinfil", "did you mean 'lineinfile'?"), (LATER[0], "comes later")])
def test_a_module_that_is_not_there(fleet, name, said):
    code, _, err = fleet("modules", name)
    assert code == 1 and said in err
