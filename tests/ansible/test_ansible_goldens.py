"""A playbook does under Fleet what it does under Ansible, whose side was recorded by `make ansible-goldens`."""

import json

import fleet_side
import pytest
from comparison import all_differences, deliberate, expected_of_fleet, unequal
from machines import HERE
from pairs_common import load_pair, pair_names

pytestmark = pytest.mark.sshd


def golden_of(pair, scratch, url):
    """Ansible's side, with the paths of this run in place of those of the recording."""
    text = pair.golden.read_text().replace("SCRATCH", str(scratch)).replace("FOLDER", str(pair.folder))
    return json.loads(text.replace("URL", url))


@pytest.mark.parametrize("name", pair_names())
def test_same_end_state_and_same_results_as_ansible(name, machines, tmp_path, url):
    pair = load_pair(name)
    found = fleet_side.observe(machines, pair, tmp_path, url)
    wanted = expected_of_fleet(golden_of(pair, tmp_path, url), deliberate(name))
    lines = unequal(wanted, found)
    assert not lines, "\n".join(lines)


def test_the_comparison_covers_enough():
    names = pair_names()
    assert len(names) >= 25
    assert all(load_pair(name).golden.is_file() for name in names), "make ansible-goldens"


def test_every_deliberate_difference_is_in_the_docs_with_its_reason():
    text = (HERE.parents[1] / "docs" / "coming-from-ansible.md").read_text()
    assert [entry for entry in all_differences() if entry["why"] not in text] == []
    assert {entry["pair"] for entry in all_differences()} <= set(pair_names())
