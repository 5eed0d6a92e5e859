"""A stand-in before a server of a test: it passes answers on byte by byte, or breaks them off, over TLS if asked to."""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.servers.ports import free_port
from tests.servers.redis import Valkey

PIECE_BYTES = 65_536
PATIENCE_S = 20


class Trickling:
    """What stands before a server.

    Attributes:
        port: where it listens.
        pause_s: how long it waits after each byte of an answer to `slow`; None passes answers on as they come.
        cut: after how many bytes of such an answer it hangs up; None never.
        slow: what makes a question one whose answer is treated so.
    """

    def __init__(self, port: int, slow: bytes) -> None:
        self.port = port
        self.pause_s: float | None = None
        self.cut: int | None = None
        self.slow = slow
        self._over = threading.Event()
        self._serving: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def accept(self, listening: socket.socket, server: Valkey, tls: ssl.SSLContext | None) -> None:
        while not self._over.is_set():
            try:
                asking = listening.accept()[0]
            except OSError:
                return
            self._serving.append(threading.Thread(target=self._serve, args=(asking, server, tls), daemon=True))
            self._serving[-1].start()

    def end(self) -> None:
        self._over.set()
        for thread in self._serving:  # each ends when the client has closed its side
            thread.join(PATIENCE_S)

    def _serve(self, asking: socket.socket, server: Valkey, tls: ssl.SSLContext | None) -> None:
        with suppress(OSError), closing(asking), closing(socket.create_connection(("127.0.0.1", server.port))) as there:
            asking.settimeout(PATIENCE_S)
            here = asking if tls is None else tls.wrap_socket(asking, server_side=True)
            with closing(here):
                is_slow = False
                while not self._over.is_set():
                    ready = select.select([here, there], [], [], PATIENCE_S)[0]
                    if here in ready:
                        asked = here.recv(PIECE_BYTES)
                        is_slow = self.slow in asked
                        there.sendall(asked)
                    if there in ready and not self._answer(here, there.recv(PIECE_BYTES), is_slow):
                        return
                    if not ready or (here in ready and not asked):
                        return

    def _answer(self, here: socket.socket, answer: bytes, is_slow: bool) -> bool:
        """Pass an answer on; return whether more may follow."""
        if not answer:
            return False
        if is_slow and self.cut is not None:
            here.sendall(answer[: self.cut])
            return False
        if not is_slow or self.pause_s is None:
            here.sendall(answer)
            return True
        for begin in range(len(answer)):
            here.sendall(answer[begin : begin + 1])
            if self._over.wait(self.pause_s):
                return False
        return True


@contextmanager
def trickling(
    server: Valkey, *, pause_s: float | None = None, slow: bytes = b"MGET", tls: ssl.SSLContext | None = None
) -> Iterator[Trickling]:
    """Stand before a server for the length of a `with` block."""
    standing = Trickling(free_port(), slow)
    standing.pause_s = pause_s
    with socket.create_server(("127.0.0.1", standing.port)) as listening:
        threading.Thread(target=standing.accept, args=(listening, server, tls), daemon=True).start()
        yield standing
    standing.end()


def self_signed(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 with its key into one file; return where."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    kind = serialization.PrivateFormat.PKCS8
    of_key = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(of_key + made.public_bytes(serialization.Encoding.PEM))
    return path
