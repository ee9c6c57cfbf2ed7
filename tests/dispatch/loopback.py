"""A real OpenSSH server on loopback with keys and a port of its own, and a proxy that loses connections."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml

from labkit.dispatch import host as hosts

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")


def lacking() -> str:
    """Why there can be no server here; empty if there can."""
    if sys.platform != "linux":
        return "hosts run Linux"
    missing = [name for name in ("ssh", "ssh-keygen", "rsync") if shutil.which(name) is None]
    missing += ["sshd"] if SSHD is None else []
    return f"no {', '.join(missing)}; on Debian: apt-get install openssh-server rsync" if missing else ""


class Server:
    """An sshd that lets in one key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        self.port = free_port()
        (folder / "sshd_config").write_text(
            f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
        )
        if os.geteuid() == 0:
            # Where sshd gives up its rights; a service makes it otherwise.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._log = (folder / "sshd.log").open("w")
        self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=self._log)
        while not listening(self.port):
            if self._process.poll() is not None:
                raise RuntimeError((folder / "sshd.log").read_text())
            time.sleep(0.02)

    def host(self, name: str, port: int | None = None, **more) -> str:
        """The file of a host that is this server, with a folder of its own."""
        options = ["-F", "/dev/null", "-p", str(port or self.port), "-i", f"{self.folder}/user_key"]
        for option in ("IdentitiesOnly=yes", "StrictHostKeyChecking=no", f"UserKnownHostsFile={self.folder}/known"):
            options += ["-o", option]
        # Found dead within two seconds, not fifteen.
        options += ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2", "-o", "ConnectTimeout=3"]
        data = {"ssh": f"{getpass.getuser()}@127.0.0.1", "ssh_options": options, "python": sys.executable}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**data, "folder": str(self.folder / "there" / name), **more}))
        return str(path)

    def load(self, name: str, port: int | None = None, **more) -> hosts.Host:
        return hosts.load(self.host(name, port, **more))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


class Proxy:
    """Passes connections on to a port; ``mode`` says how: ``open``, ``closed`` (it ends them) or ``silent`` (it takes
    them, and nothing comes through any more, as where packets are dropped)."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.mode = "open"
        self.cut = 0
        """Connections that were ended, or in which something was lost."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.mode == "closed":
                    self.cut += 1
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(0.05)
        with contextlib.suppress(OSError), source, target:
            while True:
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    data = None
                if self.mode == "closed":
                    self.cut += 1
                    return
                if data is None:
                    continue
                if self.mode == "silent":
                    self.cut += 1
                    continue
                if not data:
                    return
                target.sendall(data)

    def close(self) -> None:
        self.mode = "closed"
        self._listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
