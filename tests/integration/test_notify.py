"""Webhooks and e-mail, told apart by what independent receivers say of them."""

import base64
import email
import email.policy
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support.receiver import Receiver
from support.relay import Relay

PEERS = Path(__file__).resolve().parent.parent / "peers"
SECRETS = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(2)]


@pytest.fixture(scope="module")
def relay():
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture(scope="module")
def stack(module_stacks, relay):
    return module_stacks(WEBHOOK_SECRETS=",".join(SECRETS), WEBHOOK_TIMEOUT="700ms", SMTP_URL=relay.url,
                         MAIL_FROM="Millrace <noreply@millrace.test>")


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def verified(secret, got, body=None):
    order = {"secret": secret, "body": (body or got["body"]).decode(), "headers": got["headers"]}
    done = subprocess.run([shutil.which("node"), str(PEERS / "verify_webhook.mjs")], input=json.dumps(order), capture_output=True,
                          text=True, check=False, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else None


def hook(stack, url, then=None, **more):
    job = {"type": "webhook", "args": {"url": url, **{k: more.pop(k) for k in ("body", "event") if k in more}}, **more}
    return stack.client.ended(stack.client.submit(job | ({"then": then} if then else {})))


def first_attempt(job):
    return min(job["attempts"], key=lambda a: a["attempt"])


# --- webhooks: what arrives

def test_a_webhook_is_verified_by_any_receiver(stack, receiver):
    body = {"text": "größer als \u2603 \"und\" \\", "n": [1, 2.5, None, True, -3], "deep": {"er": {}}}
    job = hook(stack, receiver.url("/in?a=b&c=%20"), body=body, event="order.paid")
    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert job["result"]["status"] == 204 and job["result"]["peer"].startswith("127.0.0.1:")
    got, = receiver.requests("/in?a=b&c=%20")
    payload = json.loads(got["body"])
    assert payload["type"] == "order.paid" and payload["data"] == body
    assert got["headers"]["content-type"] == "application/json" and got["headers"]["webhook-id"] == job["id"]
    assert len(got["headers"]["webhook-signature"].split(" ")) == 2, "each secret signs"
    for secret in SECRETS:
        assert verified(secret, got) == payload
        assert verified(secret, got, body=got["body"].replace(b"order", b"0rder")) is None
    other = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    assert verified(other, got) is None


def test_without_secrets_a_webhook_is_not_signed(stacks, receiver):
    stack = stacks()
    assert hook(stack, receiver.url())["state"] == "succeeded"
    got, = receiver.requests()
    assert "webhook-signature" not in got["headers"] and "webhook-id" in got["headers"]
    assert json.loads(got["body"])["type"] == "job.finished" and json.loads(got["body"])["data"] == {}


# --- webhooks: what is answered

@pytest.mark.parametrize("status,state,error", [
    (200, "succeeded", None), (201, "succeeded", None), (299, "succeeded", None),
    (301, "dead", "REJECTED"), (307, "dead", "REJECTED"),
    (400, "dead", "REJECTED"), (401, "dead", "REJECTED"), (404, "dead", "REJECTED"), (410, "dead", "REJECTED"), (422, "dead", "REJECTED"),
])
def test_an_answer_that_ends_it(stack, receiver, status, state, error):
    receiver.answers["/hook"] = [(status, {"location": receiver.url("/elsewhere")} if status in (301, 307) else {})]
    job = hook(stack, receiver.url())
    assert (job["state"], job.get("error"), job["attempt"]) == (state, error, 1)
    if error:
        assert str(status) in job["error_text"]
    assert len(receiver.requests()) == 1 and not receiver.requests("/elsewhere")


@pytest.mark.parametrize("answers,error", [
    ([(408, {}), (204, {})], "BUSY"), ([(425, {}), (204, {})], "BUSY"), ([(429, {}), (204, {})], "BUSY"),
    ([(500, {}), (204, {})], "BUSY"), ([(502, {}), (204, {})], "BUSY"), ([(503, {}), (204, {})], "BUSY"),
    (["hang", (204, {})], "TIMEOUT"), (["cut", (204, {})], "UNREACHABLE"),
])
def test_an_answer_that_asks_for_another_try(stack, receiver, answers, error):
    receiver.answers["/hook"] = answers
    job = hook(stack, receiver.url(), body={"n": 1})
    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert (first_attempt(job)["outcome"], first_attempt(job)["error"]) == ("retrying", error)
    one, two = receiver.requests()
    assert one["headers"]["webhook-id"] == two["headers"]["webhook-id"] == job["id"]
    assert one["body"] == two["body"], "the payload is the same, whichever attempt it is"
    assert verified(SECRETS[0], two)


def test_retry_after_is_honoured(stack, receiver):
    receiver.answers["/hook"] = [(429, {"retry-after": "1"}), (204, {})]
    assert hook(stack, receiver.url())["attempt"] == 2
    one, two = receiver.requests()
    assert two["at"] - one["at"] >= 1, "RETRY_CAP is 200 ms here: only the header asks for so much"


def test_attempts_are_used_up(stack, receiver):
    receiver.answers["/hook"] = [(503, {})]
    job = hook(stack, receiver.url(), max_attempts=3)
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "BUSY", 3) and "503" in job["error_text"]
    assert len(receiver.requests()) == 3


def test_a_refused_connection_is_tried_again(stack):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]  # taken, and nobody listens
        job = hook(stack, f"http://127.0.0.1:{port}/", max_attempts=2)
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "UNREACHABLE", 2), job


def test_timeout_ms_bounds_a_webhook_too(stacks, receiver):
    stack = stacks()
    receiver.answers["/hook"] = ["hang"]
    job = hook(stack, receiver.url(), max_attempts=1, timeout_ms=300)
    assert (job["state"], job["error"]) == ("dead", "TIMEOUT") and "300" in job["error_text"]


def test_a_hanging_receiver_does_not_hold_up_others(stack, receiver):
    receiver.answers["/hang"] = ["hang"]
    slow = [stack.client.submit({"type": "webhook", "args": {"url": receiver.url("/hang")}, "max_attempts": 1}) for _ in range(4)]
    assert hook(stack, receiver.url("/quick"))["state"] == "succeeded"
    assert {stack.client.ended(i)["error"] for i in slow} == {"TIMEOUT"}


@pytest.mark.parametrize("url,where", [
    ("http://127.0.0.1:{port}/", "127.0.0.0/8"), ("http://localhost:{port}/", "loopback"), ("http://0x7f000001:{port}/", "127.0.0.0/8"),
    ("http://[::1]:{port}/", "::1"), ("http://[::ffff:127.0.0.1]:{port}/", "127.0.0."), ("http://10.1.2.3/", "10.0.0.0/8"),
    ("http://169.254.169.254/latest/meta-data/", "169.254.0.0/16"), ("http://0.0.0.0:{port}/", "0.0.0.0"),
])
def test_private_addresses_are_out_of_reach(forbidding, receiver, url, where):
    port = receiver.url().rsplit(":", 1)[1].split("/")[0]
    job = hook(forbidding, url.format(port=port))
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "FORBIDDEN", 1), job
    assert where in job["error_text"], job["error_text"]
    assert not receiver.got


@pytest.fixture(scope="module")
def forbidding(module_stacks):
    stack = module_stacks(start=False)
    del stack.config["OUTGOING_ALLOW"]
    stack.start()
    return stack


# --- follow-ups

def follow_ups(receiver):
    return [{"type": "webhook", "args": {"url": receiver.url(f"/{on}")}, "on": on} for on in ("success", "failure", "always")]


def quiet(stack, receiver, want):
    stack.client.quiet()
    return {path: len(receiver.requests(path)) for path in ("/success", "/failure", "/always")} == want


def test_success_tells_success_and_always(stack, receiver):
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "then": follow_ups(receiver)})
    stack.client.ended(job)
    assert quiet(stack, receiver, {"/success": 1, "/failure": 0, "/always": 1})
    for path in ("/success", "/always"):
        payload, = receiver.payloads(path)
        assert payload["type"] == "job.succeeded"
        assert payload["data"] == {"job": job, "type": "noop", "queue": "default", "state": "succeeded", "attempt": 2}
        assert verified(SECRETS[1], receiver.requests(path)[0]) == payload
    rows = stack.client.rows("select parent::text, state from job_list where parent = %s", job)
    assert rows == [(job, "succeeded")] * 2


def test_failure_tells_failure_and_always(stack, receiver):
    job = stack.client.submit({"type": "noop", "args": {"fail_final": True}, "then": follow_ups(receiver)})
    stack.client.ended(job)
    assert quiet(stack, receiver, {"/success": 0, "/failure": 1, "/always": 1})
    payload, = receiver.payloads("/failure")
    assert payload["type"] == "job.dead"
    assert payload["data"] == {"job": job, "type": "noop", "queue": "default", "state": "dead", "attempt": 1,
                               "error": "REJECTED", "error_text": "asked to fail"}


def test_an_attempt_that_is_tried_again_tells_nobody_yet(stacks, receiver):
    stack = stacks(RETRY_BASE="1h", RETRY_CAP="1h")
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "then": follow_ups(receiver)})
    stack.client.state(job, "retrying")
    stack.client.ended(stack.client.noop())
    assert not receiver.got


def test_a_picture_tells_its_result(stack, receiver, picture):
    upload = stack.client.upload(picture(400, 300).read_bytes())
    job = stack.client.submit({
        "type": "image", "args": {"source": {"upload": upload}, "outputs": [{"name": "a", "ops": [{"resize": {"width": 50}}], "format": "webp"}]},
        "then": [{"type": "webhook", "args": {"url": receiver.url()}}]})
    ended = stack.client.ended(job)
    stack.client.quiet()
    payload, = receiver.payloads()
    assert payload["data"]["result"] == ended["result"]
    assert payload["data"]["result"]["outputs"][0]["sha256"] == ended["outputs"][0]["sha256"]


def test_a_body_of_ones_own_is_left_alone(stack, receiver):
    then = [{"type": "webhook", "args": {"url": receiver.url(), "body": {"mine": 1}, "event": "my.event"}},
            {"type": "webhook", "args": {"url": receiver.url("/event"), "event": "my.event"}},
            {"type": "noop", "args": {"payload": 7}, "queue": "default"}]
    job = stack.client.ended(stack.client.submit({"type": "noop", "args": {}, "then": then}))
    stack.client.quiet()
    assert receiver.payloads()[0]["type"] == "my.event" and receiver.payloads()[0]["data"] == {"mine": 1}
    assert receiver.payloads("/event")[0]["type"] == "my.event"
    assert receiver.payloads("/event")[0]["data"]["job"] == job["id"]
    assert stack.client.rows("select count(*) from job_list where parent = %s and type = 'noop'", job["id"]) == [(1,)]


# --- e-mail

def mail(stack, relay, more=None, **args):
    relay.mails.clear()
    job = {"type": "email", "args": {"to": "you@example.com", "subject": "Hello", "text": "text", **args}, **(more or {})}
    return stack.client.ended(stack.client.submit(job))


def parsed(content):
    """As Python's strictest reader takes it: without a single defect, in any part."""
    assert b"\n" not in content.replace(b"\r\n", b""), "lines end in CRLF"
    message = email.message_from_bytes(content, policy=email.policy.default)
    for part in message.walk():
        assert not part.defects
        for name, value in part.items():
            assert not value.defects, (name, value.defects)
    return message


def test_a_mail_is_what_was_asked_for(stack, relay):
    subject = "Grüße aus dem Müllerhaus \u2603 " + "und ein langer Betreff " * 8
    text = "Hallo Welt,\n.\n..Punkte\n" + "ü" * 2000 + "\n\nFrom me\ttab  \n"
    html = "<p>Schöne <b>Grüße</b> &amp; \u2603</p>"
    job = mail(stack, relay, to=["you@example.com", "two@example.org"], subject=subject.strip(), text=text, html=html,
               reply_to="answers@example.com")
    assert job["state"] == "succeeded", job
    assert job["result"]["status"] == 250
    (sender, to, content), = relay.mails
    assert sender == "noreply@millrace.test" and to == ["you@example.com", "two@example.org"]
    message = parsed(content)
    assert message["subject"] == subject.strip()
    assert message["from"].addresses[0].display_name == "Millrace"
    assert [a.addr_spec for a in message["to"].addresses] == ["you@example.com", "two@example.org"]
    assert message["reply-to"].addresses[0].addr_spec == "answers@example.com"
    assert message["message-id"] == f"<{job['id']}@millrace.test>" and message["date"].datetime
    assert message.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert message.get_body(("html",)).get_content().rstrip("\r\n") == html


@pytest.mark.parametrize("args,kind", [({"text": "only text"}, "text/plain"), ({"text": None, "html": "<p>only</p>"}, "text/html")])
def test_a_mail_of_one_part(stack, relay, args, kind):
    args = {k: v for k, v in {"text": "text", **args}.items() if v is not None}
    relay.mails.clear()
    job = stack.client.ended(stack.client.submit({"type": "email", "args": {"to": "you@example.com", "subject": "s", **args}}))
    assert job["state"] == "succeeded"
    assert parsed(relay.mails[0][2]).get_content_type() == kind


def test_a_relay_that_is_busy_is_asked_again(stack, relay):
    relay.data[:] = ["451 4.3.0 try again later"]
    job = mail(stack, relay)
    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert first_attempt(job)["error"] == "BUSY" and "451" in first_attempt(job)["error_text"]
    assert "try again later" in first_attempt(job)["error_text"]
    assert len(relay.mails) == 1
    assert parsed(relay.mails[0][2])["message-id"] == f"<{job['id']}@millrace.test>"


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_relay_that_refuses_ends_it(stack, relay, where):
    if where == "rcpt":
        relay.rcpt["two@example.org"] = ["550 5.1.1 no such user \xfcber"]
    else:
        relay.data[:] = ["554 5.7.1 this is spam"]
    job = mail(stack, relay, to=["you@example.com", "two@example.org"])
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "REJECTED", 1), job
    assert ("550" if where == "rcpt" else "this is spam") in job["error_text"]
    assert not relay.mails, "delivered to nobody"


def test_the_senders_of_a_mail(stack, relay):
    job = mail(stack, relay, **{"from": "other@shop.example"})
    assert job["state"] == "succeeded"
    assert relay.mails[0][0] == "other@shop.example" and parsed(relay.mails[0][2])["from"].addresses[0].addr_spec == "other@shop.example"


def test_a_relay_that_is_away_is_tried_again(stacks):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        stack = stacks(SMTP_URL=f"smtp://127.0.0.1:{s.getsockname()[1]}", MAIL_FROM="a@b.example")
        job = stack.client.ended(stack.client.submit(
            {"type": "email", "args": {"to": "you@example.com", "subject": "s", "text": "t"}, "max_attempts": 2}))
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "UNREACHABLE", 2), job


def test_mail_is_off_without_a_relay(stacks, relay):
    stack = stacks(MAIL_FROM="a@b.example")
    job = stack.client.ended(stack.client.submit({"type": "email", "args": {"to": "you@example.com", "subject": "s", "text": "t"}}))
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "FORBIDDEN", 1) and "SMTP_URL" in job["error_text"]


def test_a_mail_needs_a_sender(stacks, relay):
    stack = stacks(SMTP_URL=relay.url)
    job = stack.client.ended(stack.client.submit({"type": "email", "args": {"to": "you@example.com", "subject": "s", "text": "t"}}))
    assert (job["state"], job["error"]) == ("dead", "MALFORMED") and "MAIL_FROM" in job["error_text"]
