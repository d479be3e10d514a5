"""Our client at our server, through reverse proxies. Both sides' views of the end are compared with what it was."""

import os
import shutil
import socket
import subprocess
import time

from . import scenes
from .installing import INSTALLED, Needs
from .peers import Peer
from .processes import WATCHDOG, Failure, Process
from .unpacking import found, libraries

# Seconds of silence after which a proxy cuts a connection, on the ports that are for that.
PATIENCE = 1
KEEPALIVE = 300


class Proxy(Peer):
    """A reverse proxy with a port for each of the `ROUTES`."""

    def __init__(self, name, package, binary):
        super().__init__(name, Needs(unpack=(package,), apt={"openssl": ["openssl"]}), None, None)
        self.binary = binary
        self.directory = INSTALLED / name

    def prepare(self, ours):
        self.ours = ours
        [binary] = found(self.binary)
        self.environment = {**os.environ, **libraries()}
        # nginx tells it on its standard error.
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        told = subprocess.run([binary, "-v"], env=self.environment, **streams, text=True, check=True).stdout
        self.version = next(word for word in told.replace("/", " ").split() if word[0].isdigit())
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        make_certificate(self.directory)
        self.command = [binary, *self.arguments()]
        self.servers = {}

    def start(self):
        """Also our servers, those that send Pings by themselves and those that do not."""
        if self.process is None:
            for flags in {flags for flags, _, _ in ROUTES.values() if flags is not None}:
                server = Process([scenes.program(self), "server", "--compress", *flags], self.log())
                self.servers[flags] = server, server.line(time.monotonic() + WATCHDOG).removeprefix("ws://")
            self.ports = dict(zip(ROUTES, free_ports(len(ROUTES))))
            (self.directory / "conf").write_text(self.configuration())
            self.process = Process(self.command, self.log(), env=self.environment)
            for port in self.ports.values():
                wait_for(port)
        return self.process

    def stop(self):
        super().stop()
        for server, _ in self.servers.values():
            server.stop()
        self.servers = {}

    def backend(self, flags):
        # Nobody listens there.
        return "127.0.0.1:1" if flags is None else self.servers[flags][1]


class Nginx(Proxy):
    def arguments(self):
        return ["-p", self.directory, "-c", self.directory / "conf", "-e", "stderr"]

    def configuration(self):
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"  {kind}_temp_path {self.directory}/{kind};\n" for kind in kinds)
        servers = "".join(self.section(route) for route in ROUTES)
        return (
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n"
            f"http {{\n  access_log off;\n{temporary}{servers}}}\n"
        )

    def section(self, route):
        flags, seconds, is_secure = ROUTES[route]
        tls = "ssl_certificate certificate.pem; ssl_certificate_key key.pem;" if is_secure else ""
        return f"""  server {{
    listen 127.0.0.1:{self.ports[route]}{" ssl" * is_secure};
    {tls}
    location / {{
      proxy_pass http://{self.backend(flags)};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout {seconds};
    }}
  }}
"""


class HaProxy(Proxy):
    def arguments(self):
        return ["-db", "-f", self.directory / "conf"]

    def configuration(self):
        return "defaults\n  mode http\n  timeout connect 5s\n" + "".join(map(self.section, ROUTES))

    def section(self, route):
        flags, seconds, is_secure = ROUTES[route]
        tls = f" ssl crt {self.directory}/both.pem" if is_secure else ""
        return f"""listen {route}
  bind 127.0.0.1:{self.ports[route]}{tls}
  timeout client 60s
  timeout server 60s
  timeout tunnel {seconds}s
  server ours {self.backend(flags)}
"""


# Our server's flags, how many seconds of silence there may be, and whether the proxy speaks TLS.
SENDS_PINGS = ("--keepalive", str(KEEPALIVE))
ROUTES = {
    "usual": ((), 60, False),
    "secure": ((), 60, True),
    "hasty": ((), PATIENCE, False),
    "hasty_with_pings": (SENDS_PINGS, PATIENCE, False),
    "deserted": (None, 60, False),
}

NGINX = Nginx("nginx", "nginx", "usr/sbin/nginx")
HAPROXY = HaProxy("haproxy", "haproxy", "usr/sbin/haproxy")
PEERS = [NGINX, HAPROXY]

BY_US = "clean, closed by this side: 4000 (done)"
BY_CLIENT = "clean, closed by the peer: 1000"
LOST = "not clean, the connection was lost"
TOO_BIG = "not clean, the peer's fault: a message of 1001 bytes or more, the limit is 1000"
REASONS = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
CLOSES = [*[f"clean, closed by the peer: {code} (bye)" for code in REASONS], "clean, closed by the peer: no code"]

# What the server sees of the ends.
SCENES = {
    "messages": [BY_CLIENT],
    "large 1 MiB": [BY_CLIENT],
    "large 16 MiB": [BY_CLIENT],
    "fragments": [BY_CLIENT],
    "interleaved": [BY_CLIENT],
    "ping": [BY_CLIENT],
    "subprotocol": [BY_CLIENT],
    "many 200": [BY_CLIENT] * 200,
    "close": CLOSES,
    "closes": [BY_US],
    "talks": [BY_US],
    "limited": [TOO_BIG],
    "refused": [],
}
# And with which flags of the client.
ELSEWHERE = [
    ("deserted", "away", [], []),
    # The client's Pings, the server's, and none.
    ("hasty", "kept", ["--keepalive", KEEPALIVE, "--patience", PATIENCE * 1000], [BY_CLIENT]),
    ("hasty_with_pings", "kept", ["--patience", PATIENCE * 1000], [BY_CLIENT]),
    ("hasty", "cut", [], [LOST]),
]


def rows(peer, options):
    direction = f"sansocket → {peer.name} → sansocket"
    for route in ("usual", "secure"):
        for compressed, flags in scenes.FLAGS.items():
            for scene, ends in SCENES.items():
                name = f"{route}, {compressed}{scene}"
                yield scenes.play(peer, direction, name, lambda: visit(peer, route, scene, flags, ends))
    for route, scene, flags, ends in ELSEWHERE:
        yield scenes.play(peer, direction, f"{route}, {scene}", lambda: visit(peer, route, scene, flags, ends))


def visit(peer, route, scene, flags, ends):
    peer.start()
    until = time.monotonic() + WATCHDOG
    server_flags, _, is_secure = ROUTES[route]
    url = f"{'wss://localhost' if is_secure else 'ws://127.0.0.1'}:{peer.ports[route]}"
    trust = ["--ca", peer.directory / "certificate.pem"] * is_secure
    name, *count = scene.split(" ")
    seen = scenes.visit(peer, url, name, *flags, *trust, *(["--count", count[0]] if count else []))
    if server_flags is not None:
        server, _ = peer.servers[server_flags]
        told = [server.line(until) for _ in ends]
        if sorted(told) != sorted(ends):
            raise Failure(f"our server saw {told}")
    return seen


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(port):
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
    raise Failure(f"nobody listens on port {port}")


def make_certificate(directory):
    """One that is trusted by itself."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    extensions = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [*command.split(), *extensions, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    (directory / "both.pem").write_text(certificate.read_text() + key.read_text())
