"""What a process in a sandbox serves at port 8123: a page that means ill, what it was sent, and a websocket (RFC 6455).

It runs there by the machine's own Python; tests read it as a text.
"""

import base64
import hashlib
import http.server

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PAGE = b"""<!doctype html><html lang="en"><title>Inside</title><main><h1>Inside</h1></main><script>
document.cookie = "own=1";
document.cookie = "pullwright=planted; domain=localhost";
document.cookie = "pullwright-port=planted";
localStorage.kept = "inside";
</script></html>"""


class Inside(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/ws" and self.headers.get("Upgrade") == "websocket":
            return self.talk()
        shown = f"{self.path}|{self.headers.get('Cookie') or ''}|{self.headers.get('Upgrade') or ''}".encode()
        body = PAGE if self.path == "/" else shown
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/plain")
        if self.path != "/":
            self.send_header("Set-Cookie", "pullwright-port=stolen")
            self.send_header("Set-Cookie", "own=1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def talk(self) -> None:
        """Every message comes back in upper case, until the browser closes."""
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + MAGIC).encode()).digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.send_header("Set-Cookie", "pullwright-port=stolen")
        self.end_headers()
        self.close_connection = True
        while True:
            kind, size = self.rfile.read(2)
            size &= 0x7F
            if size == 126:
                size = int.from_bytes(self.rfile.read(2), "big")
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(self.rfile.read(size)))
            closing = kind & 0x0F == 8
            back = data if closing else data.upper()
            length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
            self.wfile.write(bytes([kind]) + length + back)
            if closing:
                return

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 8123), Inside).serve_forever()
