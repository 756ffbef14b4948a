"""Writes the description of the worker's JSON pages: `make docs` keeps `docs/openapi.json`."""

import sys

from dedup.web.openapi import document_text

if __name__ == "__main__":
    sys.stdout.write(document_text())
