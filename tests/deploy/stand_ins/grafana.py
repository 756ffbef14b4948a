"""Stands in for Grafana, which no package registry has: reads what provisions it, draws nothing.

Healthy means: the source, a Prometheus, answers, and every dashboard that a provider names is JSON
whose panels refer to it or to a variable. It lists and gives the dashboards as Grafana's API does.
"""

import json
import re
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

PROVISIONING: Final = Path("/etc/grafana/provisioning")


def _values(directory: str, name: str) -> list[str]:
    texts = [path.read_text("utf-8") for path in (PROVISIONING / directory).glob("*.yml")]
    return re.findall(rf"^\s*{name}:\s*([^\s#]+)", "\n".join(texts), re.MULTILINE)


def provisioned() -> dict[str, dict[str, Any]]:
    """Return the dashboards by their uid; an exception names what can't be used."""
    (uid,), (url,) = _values("datasources", "uid"), _values("datasources", "url")
    urllib.request.urlopen(f"{url}/-/ready", timeout=4).close()  # noqa: S310 - of our own file
    found = {}
    for directory in _values("dashboards", "path"):
        for path in sorted(Path(directory).glob("*.json")):
            dashboard = json.loads(path.read_text("utf-8"))
            used = set(re.findall(r'"uid": "([^"$]+)"', json.dumps(dashboard["panels"])))
            if not used <= {uid}:
                raise LookupError(f"{path} uses the sources {used}, provisioned is {uid}")
            found[dashboard["uid"]] = dashboard
    if not found:
        raise LookupError("no dashboard is provisioned")
    return found


def answer_to(path: str) -> tuple[int, Any]:
    """Return status and body for a path of Grafana's API."""
    try:
        found = provisioned()
    except (OSError, ValueError, LookupError) as error:
        return 503, {"error": repr(error)}
    if path == "/api/health":
        return 200, {"database": "none, a stand-in"}
    if path.startswith("/api/search"):
        return 200, [{"uid": uid, "title": each["title"]} for uid, each in found.items()]
    uid = path.removeprefix("/api/dashboards/uid/")
    if uid in found:
        return 200, {"dashboard": found[uid], "meta": {"provisioned": True}}
    return 404, {"error": f"nothing is at {path}"}


class Api(BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self) -> None:
        """Answer with what is provisioned, or 503 with what is wrong."""
        status, answer = answer_to(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("", 3000), Api).serve_forever()
