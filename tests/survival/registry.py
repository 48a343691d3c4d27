"""A package registry on 127.0.0.1 with one package, which answers as it is told to: well, slowly, not at all."""

import base64
import hashlib
import socket
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Literal

Manner = Literal[
    "well", "slowly", "not at all", "with 500", "with a reset", "cut short", "with other bytes"
]
NAME, VERSION = "quick_package", "1.0"
WHEEL = f"{NAME}-{VERSION}-py3-none-any.whl"


@dataclass
class Registry:
    """The registry, and a lock with its package's hash.

    Attributes:
        manner: How it answers requests for the wheel; the index page is always well.
        asked: Paths that it was asked for.
    """

    server: ThreadingHTTPServer
    wheel: bytes
    other: bytes
    lock: Path
    manner: Manner = "well"
    asked: list[str] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    @classmethod
    @contextmanager
    def serving(cls, folder: Path, payload_bytes: int = 1000) -> Iterator["Registry"]:
        """Serve until left, on a port of 127.0.0.1 that is free."""
        wheel, other = (_wheel(folder, payload_bytes, seed) for seed in (b"filler", b"other"))
        lock = folder / "requirements.lock"
        digest = hashlib.sha256(wheel).hexdigest()
        lock.write_text(f"{NAME.replace('_', '-')}=={VERSION} \\\n    --hash=sha256:{digest}\n")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        registry = cls(server, wheel, other, lock)
        server.registry = registry  # type: ignore[attr-defined]
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            registry.over.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables with which uv asks it and nobody else, and remembers nothing."""
        return {
            "UV_DEFAULT_INDEX": f"http://127.0.0.1:{self.server.server_port}/simple",
            "UV_CACHE_DIR": str(folder / "uv-cache"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_HTTP_TIMEOUT": "2",
            "UV_HTTP_RETRIES": "1",
            "HARNESS_UV_TIMEOUT": "8",
            "NO_PROXY": "127.0.0.1",
            **dict.fromkeys(
                (
                    "UV_INDEX",
                    "UV_INDEX_URL",
                    "UV_EXTRA_INDEX_URL",
                    "PIP_FIND_LINKS",
                    "UV_FIND_LINKS",
                ),
                "",
            ),
        }

    def build_command(self) -> list[str]:
        """Build a stack of its package and import it."""
        return [sys.executable, "-m", "tests.survival.build_session", str(self.lock), NAME]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        registry: Registry = self.server.registry  # type: ignore[attr-defined]
        registry.asked.append(self.path)
        if not self.path.endswith(".whl"):
            link = f'<a href="/files/{WHEEL}">{WHEEL}</a>'
            self._send(f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), "text/html")
            return
        match registry.manner:
            case "well":
                self._send(registry.wheel)
            case "slowly":
                self._headers(len(registry.wheel))
                for byte in registry.wheel:
                    if registry.over.wait(0.5):
                        break
                    self.wfile.write(bytes([byte]))
            case "not at all":
                registry.over.wait()
            case "with 500":
                self.send_error(500)
            case "with a reset":
                # Close with unread data and no lingering: the client sees a reset.
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            case "cut short":
                self._headers(len(registry.wheel))
                self.wfile.write(registry.wheel[: len(registry.wheel) // 2])
            case "with other bytes":
                self._send(registry.other)

    def do_HEAD(self) -> None:
        registry: Registry = self.server.registry  # type: ignore[attr-defined]
        self._headers(len(registry.wheel))

    def _send(self, body: bytes, kind: str = "application/octet-stream") -> None:
        self._headers(len(body), kind)
        self.wfile.write(body)

    def _headers(self, length: int, kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # The client has gone: some manners are meant to make it.

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_: object) -> None:
        pass


def _wheel(folder: Path, payload_bytes: int, seed: bytes) -> bytes:
    filler = base64.b85encode(hashlib.shake_256(seed).digest(payload_bytes)).decode()
    info = f"{NAME}-{VERSION}.dist-info"
    files = {
        f"{NAME}/__init__.py": f"VERSION = {VERSION!r}\n",
        f"{NAME}/filler.txt": filler,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return path.read_bytes()
