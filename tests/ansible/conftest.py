import shutil

import pytest
from machines import Machines
from pairs_common import web_server


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    if not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        pytest.skip("no OpenSSH server here (openssh-server)")
    machines = Machines(tmp_path_factory.mktemp("machines"))
    yield machines
    machines.close()


@pytest.fixture(scope="module")
def url():
    with web_server() as address:
        yield address
