"""Downloads and web services, from the device: get_url and uri."""

from __future__ import annotations

from typing import Any

from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, action_module
from orchestrator.playbook.modules.content import ATTRIBUTES

_ASKING: dict[str, Any] = {
    "headers": Argument("dict", "headers of the request"),
    "url_username": Argument("str", "for basic authentication", aliases=("user", "username")),
    "url_password": Argument("str", "for basic authentication", aliases=("password",), secret=True),
    "force_basic_auth": Argument("bool", "send them at once, not only when asked", False),
    "validate_certs": Argument("bool", "check the server's certificate", True),
    "use_proxy": Argument("bool", "use the proxy of the device's environment", True),
    "unredirected_headers": Argument("list", "headers that do not follow a redirect", elements="str"),
}


@action_module(
    "get_url",
    url=Argument("str", "what to download", required=True),
    dest=Argument("path", "the file, or a folder", required=True),
    checksum=Argument("str", "ALGORITHM:HEX, or ALGORITHM:URL of a list of checksums"),
    force=Argument("bool", "download although the file is there and the server did not change it", False),
    backup=Argument("bool", "keep a copy of the file as it was, with the time in its name", False),
    timeout=Argument("float", "seconds that the server may take to answer", 10),
    tmp_dest=Argument("path", "folder for the file while it is downloaded"),
    **_ASKING,
    **ATTRIBUTES,
)
def get_url(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Download a file to the device.

    A file that has the checksum is not downloaded again; without a checksum the server is asked whether it changed.

    Returns url, dest, checksum_src, checksum_dest, md5sum, status_code, elapsed, msg, backup_file, state, mode, ...
    """
    return args


@action_module(
    "uri",
    url=Argument("str", "what to ask", required=True),
    method=Argument("str", "GET, POST, PUT, ...", "GET"),
    body=Argument("any", "what to send"),
    body_format=Argument("str", "how a mapping is sent", "raw", choices=("raw", "json", "form-urlencoded")),
    status_code=Argument("list", "statuses that are a success", [200], elements="int"),
    return_content=Argument("bool", "return the answer's body", False),
    follow_redirects=Argument(
        "str",
        "safe: only for GET and HEAD",
        "safe",
        choices=("all", "no", "none", "safe", "urllib2", "yes"),
    ),
    timeout=Argument("float", "seconds that the server may take to answer", 30),
    ca_path=Argument("path", "certificates to trust, a file on the device"),
    creates=Argument("path", "where it exists nothing is asked"),
    removes=Argument("path", "where it does not exist nothing is asked"),
    dest=Argument("path", "file for the answer's body"),
    force=Argument("bool", "ask although dest is there and the server did not change it", False),
    **_ASKING,
    **ATTRIBUTES,
)
def uri(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Send a request from the device to a web service.

    Another status than the expected ones is a failure. In check mode nothing is sent, and the task says so.

    Returns status, url, redirected, msg, elapsed, json, content, cookies, and the headers in lower case.
    """
    return {**args, "method": args["method"].upper(), "body_format": args["body_format"].lower()}
