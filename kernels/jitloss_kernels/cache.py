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
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config

from . import sources

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
        return load(self._place(sig, target_context.codegen()), partial(CompileResult._rebuild, target_context))

    def save_overload(self, sig: Any, data: Any) -> None:
        if not data.lifted and not data.library.has_dynamic_globals:
            save(self._place(sig, data.codegen), data._reduce)

    def _place(self, sig: Any, codegen: Any) -> Path | None:
        return place_of(self._origin, self._options, str(sig), codegen.magic_tuple()) if self._enabled else None

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Nothing to flush: an entry that no longer matches is never found."""


def place_of(origin: str, *key: Any) -> Path | None:
    """The file of what was compiled from `origin` and depends on `key` and on the environment; None for no file."""
    if sources.IMPORTED is None or sources.digest() != sources.IMPORTED:  # edited since the import
        return None
    place = folder()
    if place is None:
        return None
    digest = hashlib.sha256(repr((sources.IMPORTED, environment(), origin, *key)).encode()).hexdigest()
    return place / f"{origin.rpartition('.')[2]}-{digest[:40]}.bin"


def load(place: Path | None, rebuilt: Callable[..., Any]) -> Any:
    """What `rebuilt` makes of the content of a file, or None."""
    try:
        return place and rebuilt(*pickle.loads(unseal(place.read_bytes())))
    except Exception:  # whatever is wrong with the file, compiling is always right
        return None


def save(place: Path | None, reduced: Callable[[], tuple[Any, ...]]) -> None:
    """Write what `reduced` returns to a file, if there is a place for it."""
    try:
        if place is not None:
            write_whole(place, seal(dumps(reduced())))
    except Exception as error:
        warn_once(f"compiled code could not be saved ({error}); it is used from memory")


@cache
def environment() -> tuple[Any, ...]:
    """Everything but sources, function, signature, options and CPU that the machine code depends on."""
    versions = (numba.__version__, llvmlite.__version__, platform.python_implementation(), sys.version_info[:3])
    return versions, tuple(getattr(config, name, None) for name in _SETTINGS)


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
    """The folder of the cache, made if need be; None, after a warning, where there is none to be had."""
    refused = []
    for candidate in (named_folder, user_folder):
        try:
            place = candidate()
            if place is None:
                continue
            make_private(place)
            if others_can_write(place):
                refused.append(f"{place} can be written by others, and what it holds is run")
            elif os.access(place, os.W_OK | os.X_OK):
                if refused:
                    warn_once(f"{'; '.join(refused)}: {place} is used as the cache instead")
                return place
            else:
                refused.append(f"{place} is not writable")
        except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home folder
            refused.append(str(error))
    warn_once(f"no folder for compiled code, each process compiles for itself ({'; '.join(refused)})")
    return None


def named_folder() -> Path | None:
    """Below the folder that NUMBA_CACHE_DIR names, if it does."""
    return Path(config.CACHE_DIR) / "jitloss" if config.CACHE_DIR else None


def user_folder() -> Path:
    """Where this platform keeps a user's caches."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "jitloss"


def make_private(place: Path) -> None:
    """Make `place`, and what is missing above it, for this user alone, whatever the umask."""
    for missing in reversed([folder for folder in (place, *place.parents) if not folder.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def others_can_write(place: Path) -> bool:
    """Whether anybody but this user (or root) may write `place`, or rename it away and put their own there."""
    if not hasattr(os, "getuid"):  # Windows keeps per-user folders private
        return False
    own, above = place.stat(), place.parent.stat()
    replaceable = _open_to_others(above) and not above.st_mode & stat.S_ISVTX
    return own.st_uid not in (os.getuid(), 0) or _open_to_others(own) or replaceable


def _open_to_others(status: os.stat_result) -> bool:
    """Whether the world may write, or a group that is not the user's private one (same number, by convention)."""
    private = status.st_gid == os.getgid() == os.getuid()
    return bool(status.st_mode & (0o002 if private else 0o022))


@cache
def warn_once(message: str) -> None:
    warnings.warn(f"jitloss: {message}", RuntimeWarning, stacklevel=2)
