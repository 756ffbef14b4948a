"""Stands in for Grafana, which no package registry has: reads what provisions it, shows nothing.

Healthy means: the source, a Prometheus, answers, and every dashboard that a provider names is JSON
whose panels refer to it or to a variable.
"""

import json
import re
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

PROVISIONING: Final = Path("/etc/grafana/provisioning")


def _values(directory: str, name: str) -> list[str]:
    texts = [path.read_text("utf-8") for path in (PROVISIONING / directory).glob("*.yml")]
    return re.findall(rf"^\s*{name}:\s*([^\s#]+)", "\n".join(texts), re.MULTILINE)


def provisioned() -> dict[str, object]:
    """Return the sources and dashboards; an exception names what can't be used."""
    (uid,), (url,) = _values("datasources", "uid"), _values("datasources", "url")
    urllib.request.urlopen(f"{url}/-/ready", timeout=4).close()  # noqa: S310 - of our own file
    titles = []
    for directory in _values("dashboards", "path"):
        for path in sorted(Path(directory).glob("*.json")):
            dashboard = json.loads(path.read_text("utf-8"))
            used = set(re.findall(r'"uid": "([^"$]+)"', json.dumps(dashboard["panels"])))
            if not used <= {uid}:
                raise LookupError(f"{path} uses the sources {used}, provisioned is {uid}")
            titles.append(dashboard["title"])
    if not titles:
        raise LookupError("no dashboard is provisioned")
    return {"database": "none, a stand-in", "dashboards": titles}


class Health(BaseHTTPRequestHandler):
    """Answers /api/health."""

    def do_GET(self) -> None:
        """Answer 200 with what is provisioned, or 503 with what is wrong."""
        try:
            status, answer = 200, provisioned()
        except (OSError, ValueError, LookupError) as error:
            status, answer = 503, {"error": repr(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("", 3000), Health).serve_forever()
