"""Machine code on disk that cannot go stale and never breaks a call.

numba's own cache looks at the file of the function alone: an edited callee in another file, or a changed
option, is served from before the edit; a truncated file raises. Here an entry is one file whose *name* is the
digest of everything its machine code depends on. What is not found, does not match its checksum or does not
load is compiled again; what cannot be saved is used from memory.

The folder holds code that will be run, so it must belong to the user and be writable by nobody else.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import stat
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config

try:  # private to numba, hence guarded: without these names every process compiles for itself
    from numba.core.caching import _Cache
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps

    HOOK = True
except ImportError:  # pragma: no cover
    _Cache, HOOK = object, False

MAGIC = b"jitloss cache 1\n"

# Settings of the environment, beside the options of a function, that change the machine code.
_SETTINGS = ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX", "DEBUGINFO_DEFAULT", "USING_SVML")


class DiskCache(_Cache):
    """The cache of one dispatcher, in the shape that numba expects of one."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        self._origin = f"{function.__module__}.{function.__qualname__}"
        self._options = sorted(
            (name, sorted(value) if isinstance(value, set) else value) for name, value in options.items()
        )
        self._enabled = True

    @classmethod
    def attach(cls, dispatcher: Any) -> None:
        """Give `dispatcher` a cache on disk, or warn once where this numba has no place for one.

        Only kernels of this package: an entry's name digests the sources of this package and of no other.
        """
        if dispatcher.py_func.__module__.partition(".")[0] != __package__:
            return
        if not HOOK or not hasattr(dispatcher, "_cache"):
            warn_once("this version of numba offers no hook for a disk cache; each process compiles for itself")
            return
        dispatcher._cache = cls(dispatcher.py_func, dispatcher.targetoptions)

    @property
    def cache_path(self) -> str | None:
        found = folder()
        return None if found is None else str(found)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        try:
            payload = unseal(path.read_bytes())
            return CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # whatever is wrong with the file, compiling is always right
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        path = self._path(sig, data.codegen)
        if path is None or data.lifted or data.library.has_dynamic_globals:
            return
        try:
            write_whole(path, seal(dumps(data._reduce())))
        except Exception as error:
            warn_once(f"compiled code could not be saved in {path.parent} ({error}); it is used from memory")

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        place = folder() if self._enabled else None
        if place is None:
            return None
        key = (environment(), self._origin, self._options, str(sig), codegen.magic_tuple())
        return place / f"{self._origin.rpartition('.')[2]}-{hashlib.sha256(repr(key).encode()).hexdigest()[:40]}.bin"

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Nothing to flush: an entry that no longer matches is never found."""


@cache
def environment() -> tuple[Any, ...]:
    """Everything but function, signature, options and CPU that the machine code depends on."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    versions = (numba.__version__, llvmlite.__version__, platform.python_implementation(), sys.version_info[:3])
    return digest.hexdigest(), versions, tuple(getattr(config, name, None) for name in _SETTINGS)


def seal(payload: bytes) -> bytes:
    return MAGIC + hashlib.sha256(payload).digest() + payload


def unseal(content: bytes) -> bytes:
    """The payload of a cache file, or ValueError when a single bit of it is not as written."""
    head = len(MAGIC) + hashlib.sha256().digest_size
    payload = content[head:]
    if content[:head] != seal(payload)[:head]:
        raise ValueError("not an intact cache file")
    return payload


def write_whole(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never a part of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@cache
def folder() -> Path | None:
    """The folder of the cache, made if need be; None, after one warning, where there is none to be had."""
    wanted = [Path(config.CACHE_DIR) / "jitloss"] if config.CACHE_DIR else []
    for place in [*wanted, user_folder()]:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if others_can_write(place) or others_can_replace(place):
                warn_once(f"{place} can be written by others and holds code that is run: not used as a cache")
            elif os.access(place, os.W_OK | os.X_OK):
                return place
        except OSError:
            continue
    warn_once("no folder for compiled code is writable (NUMBA_CACHE_DIR names one); each process compiles for itself")
    return None


def user_folder() -> Path:
    """Where this platform keeps a user's caches."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "jitloss"


def others_can_write(place: Path) -> bool:
    """Whether anybody but this user (or root) owns or may write `place`; Windows keeps per-user folders private."""
    if not hasattr(os, "getuid"):
        return False
    status = place.stat()
    return status.st_uid not in (os.getuid(), 0) or bool(status.st_mode & 0o022)


def others_can_replace(place: Path) -> bool:
    """Whether anybody else may rename `place` away and put a folder of their own there."""
    mode = place.parent.stat().st_mode
    return hasattr(os, "getuid") and bool(mode & 0o022) and not mode & stat.S_ISVTX


@cache
def warn_once(message: str) -> None:
    warnings.warn(f"jitloss: {message}", RuntimeWarning, stacklevel=2)
