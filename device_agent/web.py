"""HTTP requests with the standard library: redirects, basic authentication, certificates, and errors for people."""

import base64
import socket
import ssl
import time
import urllib.error
import urllib.request
from email.utils import formatdate

from .errors import ActionError
from .files import CHUNK

REDIRECTS = ("all", "no", "none", "safe", "urllib2", "yes")


class Answer(object):
    """The answer to a request, whatever its status.

    Attributes:
        status (int), url (str, where redirects led), headers (of http.client, case does not matter), msg (str)
    """

    def __init__(self, response, status, message):
        self._response = response
        self.status = status
        self.url = response.geturl()
        self.headers = response.headers
        self.msg = message

    def read(self, limit=-1):
        """The body's bytes. raises: ActionError where the link breaks."""
        try:
            return self._response.read(limit)
        except (OSError, ValueError, EOFError) as problem:
            raise ActionError("the answer of {} broke off".format(self.url), _reason(problem), "try again")

    def close(self):
        self._response.close()


class Request(object):
    """One request.

    args:
        url, method (str), body (bytes or None), headers ({str: str}), timeout_s (float)
        username, password (str): sent when the server asks for them, at once with force_basic_auth
        validate_certs, use_proxy (bool), ca_path (str)
        redirects: safe (GET and HEAD only), all, none, urllib2
        modified_since (float): seconds since the epoch; the answer may then be 304
        unredirected ([str]): headers that do not follow a redirect
    """

    def __init__(
        self,
        url,
        method="GET",
        body=None,
        headers=None,
        timeout_s=30,
        username=None,
        password=None,
        force_basic_auth=False,
        validate_certs=True,
        use_proxy=True,
        ca_path=None,
        redirects="urllib2",
        modified_since=None,
        unredirected=(),
    ):
        self.url = url
        self.timeout_s = timeout_s
        everything = {"User-Agent": "fleet"}
        everything.update(headers or {})
        if modified_since is not None:
            everything["If-Modified-Since"] = formatdate(modified_since, usegmt=True)
        if force_basic_auth and username is not None:
            pair = "{}:{}".format(username, password or "")
            everything["Authorization"] = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
        try:
            self._request = urllib.request.Request(url, data=body, method=method)
            for name, value in everything.items():
                first_only = name.lower() in [other.lower() for other in unredirected]
                add = self._request.add_unredirected_header if first_only else self._request.add_header
                add(name, str(value))
        except ValueError as problem:
            raise ActionError("'{}' is not a URL".format(url), str(problem), kind="refused", argument="url")
        handlers = [_Redirects(redirects), urllib.request.HTTPSHandler(context=_context(validate_certs, ca_path))]
        if not use_proxy:
            handlers.append(urllib.request.ProxyHandler({}))
        if username is not None and not force_basic_auth:
            passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            passwords.add_password(None, url, username, password or "")
            handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
            handlers.append(urllib.request.HTTPDigestAuthHandler(passwords))
        self._opener = urllib.request.build_opener(*handlers)

    def send(self):
        """The Answer. raises: ActionError where there is none (data: status -1)."""
        try:
            response = self._opener.open(self._request, timeout=self.timeout_s)
            length = response.headers.get("Content-Length", "unknown")
            status = getattr(response, "status", None) or 200
            return Answer(response, status, "OK ({} bytes)".format(length))
        except urllib.error.HTTPError as problem:
            return Answer(problem, problem.code, "HTTP Error {}: {}".format(problem.code, problem.reason))
        except (OSError, ValueError) as problem:  # URLError is an OSError; ValueError: a URL without host, say
            raise ActionError(
                "no answer from {}".format(self.url),
                _reason(problem),
                "check the address, the device's network and its clock",
                status=-1,
                url=self.url,
            )

    def download(self, stream):
        """Write the body of a 200 answer to a stream and return the Answer; other answers come back unread.

        raises: ActionError: no answer, one that broke off, or any status but 200 and 304.
        """
        answer = self.send()
        if answer.status == 304:
            return answer
        if answer.status != 200:
            raise ActionError(
                "Request failed", answer.msg, "check the address", status_code=answer.status, url=self.url
            )
        count = 0
        while True:
            chunk = answer.read(CHUNK)
            if not chunk:
                break
            stream.write(chunk)
            count += len(chunk)
        length = answer.headers.get("Content-Length")
        if length is not None and length.isdigit() and int(length) != count:
            raise ActionError("the answer of {} broke off".format(self.url), "{} of {} bytes".format(count, length))
        return answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, rule):
        self.rule = {"no": "none", "yes": "all"}.get(rule, rule)

    def redirect_request(self, request, stream, code, message, headers, new_url):
        method = request.get_method()
        if self.rule == "none" or (self.rule == "safe" and method not in ("GET", "HEAD")):
            return None
        if (self.rule == "all" and method not in ("GET", "HEAD")) or code in (307, 308):
            data = request.data if code in (307, 308) or (self.rule == "all" and code not in (302, 303)) else None
            kept = method if code in (307, 308) else "GET" if code in (302, 303) else method
            headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
            return urllib.request.Request(
                new_url, data=data, headers=headers, method=kept, origin_req_host=request.origin_req_host
            )
        return super(_Redirects, self).redirect_request(request, stream, code, message, headers, new_url)

    # Python before 3.11 does not know 308.
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _context(validate_certs, ca_path):
    context = ssl.create_default_context(cafile=ca_path)
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(problem):
    reason = getattr(problem, "reason", problem)
    if isinstance(reason, socket.timeout):
        return "timed out"
    return str(reason) or type(problem).__name__


def elapsed_s(started):
    """Whole seconds since `started` of time.monotonic()."""
    return int(time.monotonic() - started)
