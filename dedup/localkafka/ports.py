"""Ports of the loopback interface that are free."""

import random
import socket
from collections.abc import Container

HOST = "127.0.0.1"
# Below the range from which Linux, macOS and Windows take the ports of outgoing connections.
# Inside it, a client that reconnects while the broker is down can be given the broker's own port,
# connect to itself, and so keep the broker from ever coming back.
_OTHER_PORTS = range(20_000, 32_768)


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port and a program may."""
    with socket.socket() as connecting:
        connecting.settimeout(1)
        if connecting.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as binding:
        binding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            binding.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(*, avoid: Container[int] = ()) -> int:
    """Return a port that is free now and that no outgoing connection will be given."""
    # Random, so that processes that start at the same moment do not choose alike.
    candidates = random.SystemRandom().sample(_OTHER_PORTS, 100)
    return next(port for port in candidates if port not in avoid and is_free(port))
