"""A web server that fails as real ones do."""

import http.server
import threading
import time
from collections import Counter
from pathlib import Path


class FlakyServer:
    """Serves a folder; ``faults`` says for a path what its next answers are like.

    ``503``, ``reset`` (the connection is closed), ``stall`` (silence), ``truncate`` (half of what
    was said), ``403``. A query must be as wanted where there is one.
    """

    def __init__(self, folder, *, query="", latency=0.0):
        self.folder, self.query, self.latency = Path(folder), query, latency
        self.faults = {}
        self.requests = Counter()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self):
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    def answer(self, request):
        path, _, query = request.path.partition("?")
        with self.lock:
            self.requests[path] += 1
            faults = self.faults.get(path) or self.faults.get("*") or []
            fault = faults.pop(0) if faults else ""
        time.sleep(self.latency)
        file = self.folder / path.lstrip("/")
        if query != self.query:
            self.send(request, 403)
        elif fault in ("503", "403"):
            self.send(request, int(fault))
        elif fault == "reset":
            request.close_connection = True
            request.connection.shutdown(2)
        elif fault == "stall":
            self.closing.wait(5)
            request.close_connection = True
        elif not file.is_file():
            self.send(request, 404)
        else:
            data = file.read_bytes()
            wanted = request.headers.get("Range")
            status = 200
            if wanted:
                status = 206
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                data = data[-int(last) :] if not first else data[int(first) : int(last or -2) + 1]
            if fault == "truncate":
                request.send_response(status)
                request.send_header("Content-Length", str(len(data)))
                request.end_headers()
                request.wfile.write(data[: len(data) // 2])
                request.close_connection = True
                return
            self.send(request, status, data)

    def send(self, request, status, data=b""):
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
