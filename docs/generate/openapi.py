"""Writes docs/openapi.json from the API of the worker: `python -m docs.generate.openapi`."""

import sys

from dedup.web.openapi import document_text

if __name__ == "__main__":
    sys.stdout.write(document_text())
