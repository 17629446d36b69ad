"""The HTTP layer on a socket: requests that two parsers could read differently, or that never end."""

import select

import pytest

from support.http import CHUNKED, FOLLOW, H, POST, SMALL, is_problem
from support.raw import Raw


@pytest.fixture(scope="module")
def small(module_stacks):
    """An API with small limits."""
    return module_stacks.api_only(**SMALL)


REFUSED_HEADS = {
    "content-length and transfer-encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding and content-length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 37\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n",
    "a length with a plus": POST + b"Content-Length: +0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hex": POST + b"Content-Length: 0x0\r\n\r\n",
    "a length with an underscore": POST + b"Content-Length: 0_0\r\n\r\n",
    "a length with a space inside": POST + b"Content-Length: 0 0\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a length of 2^64": POST + b"Content-Length: 18446744073709551616\r\n\r\n",
    "a length of 2^64-1": POST + b"Content-Length: 18446744073709551615\r\n\r\n",
    "a length with a letter": POST + b"Content-Length: 5a\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "comma chunked": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "chunked comma": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "chunked then identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "gzip": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "gzip then chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two transfer-encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "gzip and chunked in two fields": POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and identity in two fields": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an empty transfer-encoding beside a length": POST + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "an empty transfer-encoding": POST + b"Transfer-Encoding:\r\n\r\n",
    "a quoted transfer-encoding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "transfer-encoding on HTTP/1.0": b"POST /v1/jobs HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a space before another colon": b"GET / HTTP/1.1\r\nHost : test\r\n\r\n",
    "a space inside a name": POST + b"Transfer Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a control byte before a name": POST + b"\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded length": POST + b"Content-Length:\r\n 5\r\n\r\n",
    "a folded transfer-encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded field": b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n\tb\r\n\r\n",
    "a field before the first": b"GET / HTTP/1.1\r\n X: a\r\n" + H + b"\r\n",
    "LF alone after the request line": b"GET / HTTP/1.1\nHost: test\r\n\r\n",
    "LF alone after a field": b"GET / HTTP/1.1\r\nHost: test\nX: y\r\n\r\n",
    "LF alone at the end": b"GET / HTTP/1.1\r\nHost: test\r\n\n",
    "LF alone everywhere": b"GET / HTTP/1.1\nHost: test\n\n",
    "CR alone after a field": b"GET / HTTP/1.1\r\nHost: test\rX: y\r\n\r\n",
    "CR alone at the end of a field": b"GET / HTTP/1.1\r\nHost: test\r\r\n\r\n",
    "CR CR LF at the end": b"GET / HTTP/1.1\r\nHost: test\r\n\r\r\n",
    "CR LF CR X at the end": b"GET / HTTP/1.1\r\nHost: test\r\n\rX\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: te\0st\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\n" + H + b"X\0: a\r\n\r\n",
    "a control byte in a value": b"GET / HTTP/1.1\r\n" + H + b"X: a\x01b\r\n\r\n",
    "a DEL in a value": b"GET / HTTP/1.1\r\n" + H + b"X: a\x7fb\r\n\r\n",
    "an empty name": b"GET / HTTP/1.1\r\n" + H + b": x\r\n\r\n",
    "a colon alone": b"GET / HTTP/1.1\r\n" + H + b":\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + H + b"nothing\r\n\r\n",
    "a name that is no token": b"GET / HTTP/1.1\r\n" + H + b"X@Y: z\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + H + H + b"\r\n",
    "two different hosts": b"GET / HTTP/1.1\r\n" + H + b"Host: other\r\n\r\n",
    "a host that is none": b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/0.9 in full": b"GET / HTTP/0.9\r\n" + H + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + H + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + H + b"\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n" + H + b"\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n" + H + b"\r\n",
    "HTTP/01.1": b"GET / HTTP/01.1\r\n" + H + b"\r\n",
    "http in small letters": b"GET / http/1.1\r\n" + H + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "RTSP": b"DESCRIBE / RTSP/1.0\r\n" + H + b"\r\n",
    "ICE": b"SOURCE / ICE/1.0\r\n" + H + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + H + b"\r\n",
    "CONNECT": b"CONNECT test:80 HTTP/1.1\r\n" + H + b"\r\n",
    "an unknown method": b"BREW /pot HTTP/1.1\r\n" + H + b"\r\n",
    "a method in small letters": b"get / HTTP/1.1\r\n" + H + b"\r\n",
    "an absolute target": b"GET http://test/healthz HTTP/1.1\r\n" + H + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
    "two slashes": b"GET //healthz HTTP/1.1\r\n" + H + b"\r\n",
    "dots": b"GET /v1/../healthz HTTP/1.1\r\n" + H + b"\r\n",
    "dots at the end": b"GET /v1/jobs/.. HTTP/1.1\r\n" + H + b"\r\n",
    "escaped dots": b"GET /v1/%2e%2e/healthz HTTP/1.1\r\n" + H + b"\r\n",
    "an escaped slash": b"GET /v1%2fjobs HTTP/1.1\r\n" + H + b"\r\n",
    "an escaped NUL": b"GET /healthz%00 HTTP/1.1\r\n" + H + b"\r\n",
    "a bad escape": b"GET /healthz%zz HTTP/1.1\r\n" + H + b"\r\n",
    "a backslash": b"GET /v1\\jobs HTTP/1.1\r\n" + H + b"\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\n" + H + b"\r\n",
    "a space in the target": b"GET /heal thz HTTP/1.1\r\n" + H + b"\r\n",
    "a tab in the target": b"GET /heal\tthz HTTP/1.1\r\n" + H + b"\r\n",
    "eight bits in the target": "GET /é HTTP/1.1\r\n".encode() + H + b"\r\n",
    "eight bits in the query": "GET /v1/jobs?é HTTP/1.1\r\n".encode() + H + b"\r\n",
    "a tab after the method": b"GET\t/healthz HTTP/1.1\r\n" + H + b"\r\n",
    "two spaces": b"GET  /healthz HTTP/1.1\r\n" + H + b"\r\n",
    "a space after the version": b"GET /healthz HTTP/1.1 \r\n" + H + b"\r\n",
    "a space before the request": b" GET /healthz HTTP/1.1\r\n" + H + b"\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a body where none belongs": b"GET /healthz HTTP/1.1\r\n" + H + b"Content-Length: 37\r\n\r\n",
    "folding behind many empty lines": b"\r\n" * 7 + b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n b\r\n\r\n",
    "a bad name behind many empty lines": b"\r\n" * 5 + POST + b"Transfer Encoding: chunked\r\n\r\n",
}
REFUSED_BODIES = {
    "a size with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with a plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with an underscore": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "a space before the size": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "a space after the size": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "no size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64": CHUNKED + b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64-1": CHUNKED + b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "LF alone after the size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "CR CR LF after the size": CHUNKED + b"5\r\r\nhello\r\n0\r\n\r\n",
    "LF alone after the data": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "nothing after the data": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "data longer than its size": CHUNKED + b"5\r\nhello!!\r\n0\r\n\r\n",
    "CR in an extension": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": CHUNKED + b"5;a\nhello\r\n0\r\n\r\n",
    "LF alone at the end": CHUNKED + b"5\r\nhello\r\n0\r\n\n",
    "a trailer with a space in its name": CHUNKED + b"0\r\nTransfer Encoding: chunked\r\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n",
    "a trailer without a colon": CHUNKED + b"0\r\nnothing\r\n\r\n",
    "LF alone after a trailer": CHUNKED + b"0\r\nX: a\n\r\n",
    "NUL in a trailer": CHUNKED + b"0\r\nX: a\0b\r\n\r\n",
    "CR CR LF after the trailers": CHUNKED + b"0\r\nX: a\r\n\r\r\n",
}


@pytest.mark.parametrize("name", REFUSED_HEADS)
def test_a_head_that_two_parsers_could_read_differently_is_refused_and_nothing_after_it_is_served(small, name):
    with Raw(small) as raw:
        raw.send(REFUSED_HEADS[name] + FOLLOW)
        answer = raw.answer()
        assert answer.status in (400, 413, 501, 505), answer
        is_problem(answer, answer.status)
        assert answer.headers["connection"] == "close"
        assert raw.end() == b""


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_a_body_that_two_parsers_could_read_differently_is_refused_and_nothing_after_it_is_served(small, name):
    with Raw(small) as raw:
        raw.send(REFUSED_BODIES[name] + FOLLOW)
        answer = raw.answer()
        assert answer.status in (400, 413), answer
        is_problem(answer, answer.status)
        assert raw.end() == b""


def test_the_verdict_is_the_same_for_bytes_that_come_one_by_one(small):
    for name in ("two lengths", "CR LF CR X at the end", "a folded length", "LF alone at the end", "no host", "HTTP/0.9"):
        with Raw(small) as raw:
            for i in range(len(REFUSED_HEADS[name])):
                raw.send(REFUSED_HEADS[name][i:i + 1])
                if select.select([raw.sock], [], [], 0)[0]:
                    break
            assert raw.answer().status == 400, name
            assert raw.end() == b"", name


@pytest.mark.parametrize("framing", [b"5;" + b"x" * 200000, b"0\r\nX: " + b"y" * 200000, b"0\r\n" + b"X: y\r\n" * 30000],
                         ids=["extension", "trailer", "trailers"])
def test_extensions_and_trailers_cannot_be_sent_for_ever(small, framing):
    with Raw(small) as raw:
        try:
            raw.send(CHUNKED + framing)
        except OSError:
            pass  # it is refused while it is sent
        answer = raw.answer()
        is_problem(answer, answer.status)
        assert answer.status in (400, 431)
