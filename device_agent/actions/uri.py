"""Ask a web service."""

import glob
import json
import os
import re
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode, urljoin

from ..arguments import Argument, Flag, Integer, Mapping, Number, Sequence, Text, accepts
from ..attributes import Attributes, Path, attribute_arguments, describe
from ..errors import ActionError
from ..files import device_path
from ..payload import checksum_of
from ..placing import place
from ..results import Result
from ..web import REDIRECTS, Request, elapsed_s

_JSON_TYPES = re.compile(r"(application|text)/([\w.-]+\+)?(json|javascript|x-javascript|x-json)\b", re.IGNORECASE)
BODY_LIMIT = 16 * 1024 * 1024


class _Any(Argument):
    """Anything that JSON can say."""

    def check(self, value):
        return value


@accepts(
    url=Text(),
    method=Text("GET", pattern="[A-Z]+", allowed="a word in upper case, such as GET or POST"),
    body=_Any(None),
    body_format=Text("raw", choices=("raw", "json", "form-urlencoded")),
    status_code=Sequence(Integer(), default=(200,)),
    return_content=Flag(False),
    headers=Mapping(default={}),
    url_username=Text(None),
    url_password=Text(None),
    force_basic_auth=Flag(False),
    follow_redirects=Text("safe", choices=REDIRECTS),
    timeout=Number(30),
    validate_certs=Flag(True),
    ca_path=Path(None),
    use_proxy=Flag(True),
    unredirected_headers=Sequence(Text(), default=()),
    creates=Path(None),
    removes=Path(None),
    dest=Path(None),
    force=Flag(False),
    **attribute_arguments(),
)
def uri(args, context):
    """Send one request; a status other than the expected ones is told as `failed`.

    args:
        url, method (str), body (text, or what `body_format` turns into text: json, form-urlencoded)
        status_code ([int]): the expected ones; return_content (bool): the body in `content`
        headers, url_username, url_password, force_basic_auth, follow_redirects, timeout (s), validate_certs, ca_path,
        use_proxy; creates, removes (a glob: do nothing where it matches, or does not)
        dest (str): write the body there; mode, owner, group of it
    data:
        url (where redirects led), redirected, status, msg, elapsed (s), cookies, cookies_string, the headers in lower
        case with _ for -, json where the body is JSON, content, path; failed
    """
    for pattern, verdict, said in ((args.creates, True, "exists"), (args.removes, False, "does not exist")):
        if pattern and bool(glob.glob(device_path(pattern))) == verdict:
            return Result(False, {"stdout": "skipped, since '{}' {}".format(pattern, said)})
    if context.check:
        return Result(
            False, {"skipped": True, "msg": "a request may change the other side; it is not sent in check mode"}
        )
    headers, body = _body(args)
    started = time.monotonic()
    request = Request(
        args.url,
        args.method,
        body=body,
        headers=headers,
        timeout_s=args.timeout,
        username=args.url_username,
        password=args.url_password,
        force_basic_auth=args.force_basic_auth,
        validate_certs=args.validate_certs,
        use_proxy=args.use_proxy,
        ca_path=args.ca_path and device_path(args.ca_path),
        redirects=args.follow_redirects,
        modified_since=_modified(args),
        unredirected=args.unredirected_headers,
    )
    try:
        answer = request.send()
    except ActionError as problem:
        data = {"status": -1, "url": args.url, "redirected": False, "elapsed": elapsed_s(started), "failed": True}
        why = "Request failed: {}".format(problem.why)
        return Result(False, dict(data, msg="Status code was -1 and not {}: {}".format(list(args.status_code), why)))
    content = answer.read(BODY_LIMIT)
    return _result(args, answer, content, elapsed_s(started))


def _body(args):
    headers, body = dict(args.headers), args.body
    kinds = {"json": "application/json", "form-urlencoded": "application/x-www-form-urlencoded"}
    if args.body_format in kinds and "content-type" not in [name.lower() for name in headers]:
        headers["Content-Type"] = kinds[args.body_format]
    if body is None and args.body_format == "raw":
        return headers, None
    if args.body_format == "form-urlencoded" and not isinstance(body, str):
        try:
            body = urlencode(body or {}, doseq=True)
        except TypeError as problem:
            what = "failed to parse body as form_urlencoded"
            raise ActionError(what, str(problem), "give a mapping", kind="refused", argument="body")
    elif not isinstance(body, str):
        body = json.dumps(body)
    return headers, body.encode("utf-8")


def _modified(args):
    if args.dest and not args.force and os.path.isfile(device_path(args.dest)):
        return os.path.getmtime(device_path(args.dest))
    return None


def _result(args, answer, content, elapsed):
    data = {name.lower().replace("-", "_"): value for name, value in answer.headers.items()}
    if "location" in data:
        data["location"] = urljoin(args.url, data["location"])
    data.update(
        url=answer.url,
        redirected=answer.url != args.url,
        status=answer.status,
        msg=answer.msg,
        elapsed=elapsed,
        **_cookies(answer),
    )
    expected = answer.status in args.status_code
    text = content.decode(answer.headers.get_content_charset() or "utf-8", "replace")
    if _JSON_TYPES.match(answer.headers.get("Content-Type", "")):
        try:
            data["json"] = json.loads(text)
        except ValueError:
            pass
    if args.return_content:
        data["content"] = text
    changed = False
    if args.dest is not None:
        changed = _write(args, answer, content, data, expected)
    if not expected:
        why = "Status code was {} and not {}: {}".format(answer.status, list(args.status_code), answer.msg)
        data.update(failed=True, msg=why)
    return Result(changed, data)


def _write(args, answer, content, data, expected):
    dest = args.dest
    if os.path.isdir(device_path(dest)):
        dest = os.path.join(dest, os.path.basename(answer.url.partition("?")[0].rstrip("/")) or "index.html")
    data["path"] = dest
    if not expected or answer.status == 304:
        return False
    real = device_path(dest)
    if not os.path.isfile(real) or checksum_of(real) != checksum_of(content):
        place(real, content, Attributes.of(args))
    else:
        Attributes.of(args).apply(real, False)
    data.update(describe(dest))
    # As in Ansible: an answer that was written counts as a change.
    return True


def _cookies(answer):
    cookies = {}
    for line in answer.headers.get_all("Set-Cookie") or []:
        try:
            cookies.update((name, morsel.value) for name, morsel in SimpleCookie(line).items())
        except CookieError:
            continue
    return {"cookies": cookies, "cookies_string": "; ".join("{}={}".format(*pair) for pair in cookies.items())}
