"""What the tests of the HTTP layer share: requests, problems, and an API whose limits are small."""

import json

from support.raw import request

JSON = "Content-Type: application/json"
NOOP = b'{"type":"noop","args":{}}'
SMALL = {"HEAD_MAX": "4k", "HEADERS_MAX": 16, "BODY_MAX": "8k", "BODIES_MAX": "1m", "UPLOAD_MAX": "64k", "DEPTH_MAX": 6}
FOLLOW = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
H = b"Host: test\r\n"
POST = b"POST /v1/jobs HTTP/1.1\r\n" + H
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def is_problem(answer, status):
    """An RFC 9457 document that tells the same status as the answer."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.body)
    assert body["status"] == status and body["type"] == "about:blank" and body["title"] and body["detail"], body
    return body


def refused(raw, status):
    """The answer is that problem, and the connection ends with it."""
    answer = raw.answer()
    body = is_problem(answer, status)
    assert answer.headers.get("connection") == "close", answer
    assert raw.end() == b""
    return body


def job_in(queue):
    return json.dumps({"type": "noop", "args": {}, "queue": queue}).encode()


def post(body=NOOP, headers=(), path="/v1/jobs", version="1.1"):
    return request("POST", path, body, (JSON, *headers), version)


def padded(size):
    return NOOP + b" " * (size - len(NOOP))
