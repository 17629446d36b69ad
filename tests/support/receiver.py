"""A receiver of webhooks that answers as it is told and remembers what came."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """answers[path] is a list of (status, headers) for the first, second, ... request to that path; the last one
    stays. "hang" never answers, "cut" closes the connection. A path that is not named answers 204."""

    def __init__(self, keep_alive=True):
        self.keep_alive = keep_alive
        self.got, self.answers, self.lock, self.free = [], {}, threading.Lock(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.answer(self, body)

            do_GET = do_POST

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a worker that was killed leaves broken connections

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def answer(self, request, body):
        with self.lock:
            nth = sum(1 for g in self.got if g["path"] == request.path)
            self.got.append({"path": request.path, "headers": {k.lower(): v for k, v in request.headers.items()},
                             "body": body, "at": time.monotonic()})
            told = self.answers.get(request.path, [(204, {})])
            told = told[min(nth, len(told) - 1)]
        if told == "hang":
            self.free.wait(60)
        if isinstance(told, str):
            request.close_connection = True
            return
        status, headers = told
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if not self.keep_alive:
            request.send_header("connection", "close")
        if status != 204:
            request.send_header("content-length", "0")
        request.end_headers()

    def requests(self, path="/hook"):
        with self.lock:
            return [g for g in self.got if g["path"] == path]

    def payloads(self, path="/hook"):
        return [json.loads(g["body"]) for g in self.requests(path)]

    def close(self):
        self.free.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
