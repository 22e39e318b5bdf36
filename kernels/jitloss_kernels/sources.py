"""The sources of this package, as one digest: taken when the package is imported, which is the code that runs."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest() -> str | None:
    """Digest of every source file as it is on disk now; None where there is none to read (a zip, bytecode alone)."""
    try:
        sources = sorted(Path(__file__).parent.glob("*.py"))
        contents = [(source.name, source.read_bytes()) for source in sources]
    except OSError:
        return None
    return hashlib.sha256(repr(contents).encode()).hexdigest() if contents else None


IMPORTED = digest()
