"""Three pairs with Ansible itself at the same time, so that the recorded goldens are seen to be Ansible's."""

import ansible_side
import fleet_side
import pytest
from comparison import deliberate, expected_of_fleet, unequal
from pairs_common import load_pair

pytestmark = pytest.mark.sshd


@pytest.mark.parametrize("name", ["handlers", "blocks", "replace"])
def test_same_as_ansible_live(name, machines, tmp_path, url):
    pair = load_pair(name)
    for side in ("ansible", "fleet"):
        (tmp_path / side).mkdir()
    theirs = ansible_side.observe(machines, pair, tmp_path / "ansible", url)
    ours = fleet_side.observe(machines, pair, tmp_path / "fleet", url)
    lines = unequal(expected_of_fleet(theirs, deliberate(name)), ours)
    assert not lines, "\n".join(lines)
