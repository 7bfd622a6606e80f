"""Downloads and requests, against a small server on the loopback."""

import base64
import hashlib
import http.server
import json
import threading
from email.utils import formatdate

import pytest

pytestmark = pytest.mark.agent

CONTENT = b"the file\n" * 100
MODIFIED = 1600000000


class Handler(http.server.BaseHTTPRequestHandler):
    """/file, /list, /status/N, /redirect/N/TARGET, /private (me:secret), /echo, /short, /json"""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length).decode() if length else ""
        _, kind, *rest = self.path.split("/")
        if kind == "file":
            if self.headers.get("If-Modified-Since") == formatdate(MODIFIED, usegmt=True):
                return self.answer(304)
            return self.answer(200, CONTENT, Last_Modified=formatdate(MODIFIED, usegmt=True))
        if kind == "list":
            return self.answer(200, f"{hashlib.sha256(CONTENT).hexdigest()}  file\n{'0' * 64}  other\n".encode())
        if kind == "status":
            return self.answer(int(rest[0]), b"a word about it")
        if kind == "redirect":
            return self.answer(int(rest[0]), Location="/" + "/".join(rest[1:]))
        if kind == "private":
            wanted = "Basic " + base64.b64encode(b"me:secret").decode()
            if self.headers.get("Authorization") != wanted:
                return self.answer(401, WWW_Authenticate='Basic realm="x"')
            return self.answer(200, b"welcome")
        if kind == "echo":
            told = {
                "method": self.command,
                "body": sent,
                "type": self.headers.get("Content-Type"),
                "X": self.headers["X-Y"],
            }
            return self.answer(
                200, json.dumps(told).encode(), Content_Type="application/json; charset=utf-8", Set_Cookie="a=b"
            )
        if kind == "short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
            return None
        return self.answer(404, b"nothing here")

    do_POST = do_PUT = do_HEAD = do_GET


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.seen = []
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, daemon=True).start()
        served.url = f"http://127.0.0.1:{served.server_port}"
        yield served
        served.shutdown()


def test_a_file_is_downloaded_once(start, server, tmp_path):
    agent = start()
    path = tmp_path / "got"
    args = {"url": server.url + "/file", "dest": str(path)}
    assert agent.ask("get_url", check=True, **args)["changed"] and not path.exists()
    assert server.seen[-1][0] == "HEAD"
    reply = agent.ask("get_url", mode="0600", **args)
    assert reply["changed"] and path.read_bytes() == CONTENT and path.stat().st_mode & 0o777 == 0o600
    data = reply["data"]
    assert data["checksum_src"] == hashlib.sha1(CONTENT).hexdigest() and data["checksum_dest"] is None
    assert (data["status_code"], data["msg"]) == (200, f"OK ({len(CONTENT)} bytes)")
    assert data["md5sum"] == hashlib.md5(CONTENT).hexdigest() and data["url"] == args["url"]
    assert not agent.ask("get_url", **args)["changed"]
    import os

    os.utime(path, (MODIFIED, MODIFIED))
    reply = agent.ask("get_url", **args)
    assert not reply["changed"] and reply["data"]["status_code"] == 304
    assert not agent.ask("get_url", check=True, **args)["changed"]
    assert agent.ask("get_url", mode="0644", **args)["changed"]
    path.write_bytes(b"edited")
    reply = agent.ask("get_url", backup=True, force=True, **args)
    with open(reply["data"]["backup_file"], "rb") as kept:
        assert kept.read() == b"edited"


def test_a_checksum_saves_the_download_and_guards_it(start, server, tmp_path):
    agent = start()
    path = tmp_path / "got"
    good = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    args = {"url": server.url + "/file", "dest": str(path)}
    error = agent.refuse("get_url", checksum="sha256:" + "0" * 64, **args)
    assert "did not match" in error["what"] and not path.exists()
    assert agent.ask("get_url", checksum=good, **args)["changed"]
    asked = len(server.seen)
    reply = agent.ask("get_url", checksum=good, **args)
    assert not reply["changed"] and reply["data"]["msg"] == "file already exists" and len(server.seen) == asked
    path.write_bytes(b"damaged")
    assert agent.ask("get_url", checksum="sha256:" + server.url + "/list", **args)["changed"]
    assert path.read_bytes() == CONTENT
    assert agent.refuse("get_url", checksum="crc:1", **args)["kind"] == "refused"


def test_a_download_into_a_folder_and_its_failures(start, server, tmp_path):
    agent = start()
    (tmp_path / "into").mkdir()
    data = agent.call("get_url", url=server.url + "/redirect/302/file", dest=str(tmp_path / "into"))
    assert data["dest"] == str(tmp_path / "into/file")
    error = agent.refuse("get_url", url=server.url + "/none", dest=str(tmp_path / "x"))
    assert error["what"] == "Request failed" and error["data"]["status_code"] == 404
    assert "broke off" in agent.refuse("get_url", url=server.url + "/short", dest=str(tmp_path / "x"))["what"]
    assert "no answer" in agent.refuse("get_url", url="http://127.0.0.1:1/x", dest=str(tmp_path / "x"))["what"]
    assert agent.refuse("get_url", url="nonsense", dest=str(tmp_path / "x"))["kind"] == "refused"
    assert "does not exist" in agent.refuse("get_url", url=server.url + "/file", dest="/no/such/x")["what"]
    assert not (tmp_path / "x").exists()
    hidden = server.url.replace("http://", "http://me:secret@") + "/file"
    assert "secret" not in str(agent.ask("get_url", url=hidden, dest=str(tmp_path / "y")).get("data"))


def test_a_request_is_sent_and_its_answer_told(start, server):
    agent = start()
    data = agent.call(
        "uri", url=server.url + "/echo", method="POST", body={"k": [1]}, body_format="json", headers={"X-Y": "z"}
    )
    assert data["json"] == {"method": "POST", "body": '{"k": [1]}', "type": "application/json", "X": "z"}
    assert (data["status"], data["redirected"], data["content_type"]) == (200, False, "application/json; charset=utf-8")
    assert data["cookies"] == {"a": "b"} and data["cookies_string"] == "a=b" and "content" not in data
    form = {"url": server.url + "/echo", "method": "PUT", "body": {"a": "1 2"}, "body_format": "form-urlencoded"}
    data = agent.call("uri", return_content=True, **form)
    assert data["json"]["body"] == "a=1+2" and json.loads(data["content"]) == data["json"]
    data = agent.call("uri", url=server.url + "/echo", method="POST", body="as it is")
    assert data["json"]["body"] == "as it is"


def test_an_unexpected_status_fails_and_tells_all(start, server):
    agent = start()
    data = agent.call("uri", url=server.url + "/status/503", return_content=True)
    assert data["failed"] and data["status"] == 503 and data["content"] == "a word about it"
    assert data["msg"].startswith("Status code was 503 and not [200]: HTTP Error 503")
    assert "failed" not in agent.call("uri", url=server.url + "/status/404", status_code=[200, 404])
    lost = agent.call("uri", url="http://127.0.0.1:1/", timeout=2)
    assert lost["failed"] and lost["status"] == -1 and "refused" in lost["msg"]


@pytest.mark.parametrize(
    ("rule", "method", "status"),
    [("safe", "GET", 200), ("safe", "POST", 302), ("none", "GET", 302), ("all", "POST", 200)],
)
def test_redirects(start, server, rule, method, status):
    args = {"url": server.url + "/redirect/302/echo", "method": method, "follow_redirects": rule}
    data = start().call("uri", status_code=[200, 302], **args)
    assert data["status"] == status and data["redirected"] == (status == 200)


def test_basic_authentication(start, server):
    agent = start()
    who = {"url_username": "me", "url_password": "secret"}
    assert agent.call("uri", url=server.url + "/private")["status"] == 401
    assert agent.call("uri", url=server.url + "/private", **who)["status"] == 200
    asked = len(server.seen)
    assert agent.call("uri", url=server.url + "/private", force_basic_auth=True, **who)["status"] == 200
    assert len(server.seen) == asked + 1


def test_a_request_that_writes_and_ones_that_are_not_sent(start, server, tmp_path):
    agent = start()
    path = tmp_path / "body"
    reply = agent.ask("uri", url=server.url + "/file", dest=str(path), mode="0600")
    assert reply["changed"] and path.read_bytes() == CONTENT and reply["data"]["path"] == str(path)
    asked = len(server.seen)
    reply = agent.ask("uri", url=server.url + "/file", creates=str(path))
    assert not reply["changed"] and "skipped, since" in reply["data"]["stdout"]
    assert agent.ask("uri", url=server.url + "/file", removes=str(tmp_path / "none"))["data"]["stdout"]
    reply = agent.ask("uri", check=True, url=server.url + "/file", method="POST")
    assert reply["data"]["skipped"] and not reply["changed"] and len(server.seen) == asked
