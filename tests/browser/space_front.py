"""The web around a Space on this computer: the Space's own https address, and pages of
other sites that frame it.

Names are resolved by the browser's flags; the certificate is made for the test.
"""

import datetime
import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SPACE = "owner-demo.hf.space"
HUB = "huggingface.co"
ELSEWHERE = "elsewhere.example"
# What the hub's page of a Space has.
FRAME = """<!doctype html><title>A page with a frame</title>
<iframe src="https://owner-demo.hf.space/?__theme=light" style="width: 1280px; height: 1600px; border: 0"
 sandbox="allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups allow-popups-to-escape-sandbox
 allow-same-origin allow-scripts allow-storage-access-by-user-activation"></iframe>"""


@contextmanager
def web(port: int, folder: Path) -> Iterator[list[str]]:
    """Serves the names above until the block ends, the Space's from 127.0.0.1:port.
    Gives Chromium's flags.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder))
    with (
        running(Tunnel, context, {"to": port}) as space,
        running(Pages, context, {}) as pages,
    ):
        where = {SPACE: space, HUB: pages, ELSEWHERE: pages}
        rules = ", ".join(
            f"MAP {name}:443 127.0.0.1:{found}" for name, found in where.items()
        )
        yield [f"--host-resolver-rules={rules}", "--ignore-certificate-errors"]


@contextmanager
def running(
    handler: type, context: ssl.SSLContext, values: dict[str, object]
) -> Iterator[int]:
    """Serves with a copy of the handler that has these values, until the block ends;
    gives the port.
    """

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        block_on_close = False

        def finish_request(self, request: socket.socket, address: object) -> None:
            try:
                with context.wrap_socket(request, server_side=True) as encrypted:
                    super().finish_request(encrypted, address)
            except OSError:
                pass  # the browser closed the connection

    with Server(("127.0.0.1", 0), type(handler.__name__, (handler,), values)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


class Tunnel(socketserver.BaseRequestHandler):
    """Passes everything to the port `to` and back, as the proxy of Spaces does."""

    to = 0

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.to)) as server:
            threading.Thread(
                target=pump, args=(self.request, server), daemon=True
            ).start()
            pump(server, self.request)


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Pages(http.server.BaseHTTPRequestHandler):
    """A page with the Space in a frame, on whatever site."""

    def do_GET(self) -> None:
        content = FRAME.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate for the names above."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SPACE)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number()
        )
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(one) for one in (SPACE, HUB, ELSEWHERE)]
            ),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    )
    file = folder / "certificate.pem"
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file
