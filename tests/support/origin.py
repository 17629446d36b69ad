"""A web server that pictures are fetched from: each path answers as it is told, byte for byte where that matters."""

import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Origin:
    """pages[path] is a function of the request's handler, or a list of them for the first, second, ... request (the last one
    stays). A path that is not named answers 404."""

    def __init__(self, certificate=None):
        self.pages, self.asked, self.lock = {}, [], threading.Lock()
        self.free, self.stuck = threading.Event(), threading.Semaphore(0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with outer.lock:
                    nth = sum(1 for path, _ in outer.asked if path == self.path)
                    outer.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                page = outer.pages.get(self.path, outer.status(404))
                if isinstance(page, list):
                    page = page[min(nth, len(page) - 1)]
                page(self)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a worker that has had enough leaves broken connections

        self.server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def url(self, path, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def requests(self, path):
        with self.lock:
            return [headers for asked, headers in self.asked if asked == path]

    # --- what a page may do

    @staticmethod
    def head(request, status, **headers):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), str(value))
        request.end_headers()

    def status(self, code, body=b"", **headers):
        def page(request):
            self.head(request, code, content_length=len(body), **headers)
            request.wfile.write(body)
        return page

    def file(self, data, **headers):
        return self.status(200, data, **{"content_type": "image/jpeg", **headers})

    def moved(self, where, code=302):
        return self.status(code, b"moved", location=where)

    def chunked(self, data, size=4096, then_cut=False):
        def page(request):
            self.head(request, 200, transfer_encoding="chunked")
            for at in range(0, len(data), size):
                piece = data[at:at + size]
                request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if then_cut:
                request.close_connection = True
            else:
                request.wfile.write(b"0\r\n\r\n")
        return page

    def short(self, data, announced):
        """Sends less than it announces, and ends."""
        def page(request):
            self.head(request, 200, content_length=announced)
            request.wfile.write(data)
            request.close_connection = True
        return page

    def stuck_after(self, data, announced):
        """Sends some, then nothing more until the test lets go."""
        def page(request):
            self.head(request, 200, content_length=announced)
            request.wfile.write(data)
            self.stuck.release()
            self.free.wait(60)
            request.close_connection = True
        return page

    def close(self):
        self.free.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def certificate(path):
    """A certificate of 127.0.0.1 and its key, in one file; for CA_FILE too."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"],
                   check=True, capture_output=True)
    with open(path, "a", encoding="ascii") as both, open(f"{path}.crt", encoding="ascii") as crt:
        both.write(crt.read())
    return path
