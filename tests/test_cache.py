"""The disk cache: never stale, never in the way, nobody else's code. Each test in processes of their own."""

import functools
import os
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

import jitloss
import jitloss_kernels
from jitloss_kernels import cache, lanes, pointers
from problems import check_in_fresh_process, needs_jit

CALL = """
    import warnings
    warnings.simplefilter("always")
    with warnings.catch_warnings(record=True) as caught:
        import jitloss
        loss, dW = jitloss.svm_loss([[0.0, 0.0, 0.0]], [[1.0]], [1], implementation="jit")
        again = jitloss.svm_loss([[0.0, 0.0, 0.0]], [[1.0]], [1], implementation="jit")[0]
    from jitloss_kernels import lanes
    stats = [kernel.stats for kernel in (lanes.run_lanes.serial, lanes.one_lane.addressed, lanes.fold.serial)]
    hits, misses = (sum(sum(getattr(s, name).values()) for s in stats) for name in ("cache_hits", "cache_misses"))
    print(loss, hits, misses, len(caught), *(str(w.message).replace(" ", "_") for w in caught))
"""
RIGHT = "2.0"  # two margins of 1
EACH = "3"  # kernels that a call compiles


def call(folder, **environment) -> list[str]:
    """Loss, cache hits, cache misses, number of warnings, warnings."""
    return check_in_fresh_process(CALL, NUMBA_CACHE_DIR=str(folder), **environment).split()


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of both packages that a test may edit."""
    for package in (jitloss, jitloss_kernels):
        source = Path(package.__file__).parent
        shutil.copytree(source, tmp_path / "copy" / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@needs_jit
def test_a_second_process_compiles_nothing(tmp_path):
    assert call(tmp_path) == [RIGHT, "0", EACH, "0"]
    assert call(tmp_path) == [RIGHT, EACH, "0", "0"]
    assert len(list((tmp_path / "jitloss").iterdir())) == int(EACH)


def test_two_who_write_the_same_file_at_once(tmp_path, monkeypatch):
    """One is about to put its file in place when another does all of it: each finds its own there, whole."""
    place, put = tmp_path / "tile.bin", os.replace

    def late(temporary, target):
        monkeypatch.setattr(os, "replace", put)
        cache.write_whole(place, cache.seal(b"another's"))
        assert cache.unseal(place.read_bytes()) == b"another's"
        put(temporary, target)

    monkeypatch.setattr(os, "replace", late)
    cache.write_whole(place, cache.seal(b"one's"))
    assert cache.unseal(place.read_bytes()) == b"one's"
    assert list(tmp_path.iterdir()) == [place]


BITS = """
    import hashlib
    import numpy as np
    from jitloss import TwoLayerNet, softmax_loss, svm_loss
    from problems import make
    def say(*results):
        print(*(hashlib.sha256(np.asarray(a).tobytes()).hexdigest()[:16] for a in results))
    for n_threads in (1, 2):
        say(*softmax_loss(*make((2960, 28, 103), "float32"), implementation="jit", wrt=("W", "X"), n_threads=n_threads))
        say(*softmax_loss(*make((500, 40, 10)), 0.1, wrt=("W", "X"), n_threads=n_threads))
        for shape in ((32, 64, 10), (40, 30, 500)):
            W, X, y = make(shape, "float32")
            weights = {"sample_weight": np.linspace(0.5, 1, len(y)), "class_weight": np.linspace(1, 2, shape[2])}
            say(*svm_loss(W, X, y, 0.1, wrt=("W", "b", "X"), bias=W[0].copy(), n_threads=n_threads, **weights))
    loss, gradients = TwoLayerNet(64, 20, 10, dtype="float32", rng=0).loss(*make((32, 64, 10), "float32")[1:])
    say(loss, *gradients.values())
"""


@needs_jit
def test_what_is_compiled_and_what_is_loaded_give_the_same_bits(tmp_path):
    """A first process, which compiles; a second, which loads; a third, which loads some and compiles some."""
    settings = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "2"}
    compiled = check_in_fresh_process(BITS, **settings)
    assert len(set(compiled.splitlines())) == 5  # on two threads the same as on one
    assert check_in_fresh_process(BITS, **settings) == compiled
    for file in (tmp_path / "jitloss").iterdir():
        if file.name.startswith("run"):  # the kernels; not what they call by address
            file.unlink()
    assert check_in_fresh_process(BITS, **settings) == compiled


@needs_jit
@pytest.mark.skipif(not pointers.by_address(), reason="the plain functions are what runs")
def test_tiles_are_kept_and_made_again_where_their_file_is_damaged(tmp_path):
    """In a process that must not compile them; then without half of each file."""
    call = "from jitloss import softmax_loss; print(softmax_loss([[0.0] * 3] * 2, [[1.0] * 2] * 9, [1] * 9)[0])"
    refuse = "from jitloss_kernels.native import Native; Native._module = None; " + call
    loss = check_in_fresh_process(call, NUMBA_CACHE_DIR=str(tmp_path))
    assert check_in_fresh_process(refuse, NUMBA_CACHE_DIR=str(tmp_path)) == loss
    tiles = [file for file in (tmp_path / "jitloss").iterdir() if "_tile-" in file.name or "_strip-" in file.name]
    assert len(tiles) == 4  # dot, outer, transpose, softmax
    for file in tiles:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert check_in_fresh_process(call, NUMBA_CACHE_DIR=str(tmp_path)) == loss


@needs_jit
def test_nothing_is_kept_where_callees_cannot_be_hidden(tmp_path):
    """By a numba that finishes its code in another way: one warning, and the result all the same."""
    hide = "        from jitloss_kernels import linkage\n        linkage.HIDES = False\n"
    hidden = CALL.replace("        import jitloss\n", "        import jitloss\n" + hide, 1)
    assert check_in_fresh_process(hidden, NUMBA_CACHE_DIR=str(tmp_path)).split()[:4] == [RIGHT, "0", EACH, "1"]
    assert not (tmp_path / "jitloss").exists()


@needs_jit
def test_an_edited_callee_in_another_file_is_seen(copy, tmp_path):
    """The kernel is in lanes.py, the margin in loops.py; numba's own cache would serve the old one."""
    packages = {"PYTHONPATH": str(copy)}
    assert call(tmp_path, **packages) == [RIGHT, "0", EACH, "0"]
    edit(copy / "jitloss_kernels" / "loops.py", "margin = scores[j] - correct + 1", "margin = scores[j] - correct + 3")
    assert call(tmp_path, **packages) == ["6.0", "0", EACH, "0"]


@needs_jit
def test_a_file_edited_while_a_process_runs_is_not_mistaken_for_what_runs(copy, tmp_path):
    """Imported, then edited, then compiled: that code is not kept under the new source's name."""
    loops, packages = copy / "jitloss_kernels" / "loops.py", {"PYTHONPATH": str(copy)}
    early = f"""
        import jitloss
        problem = [[0.0, 0.0, 0.0]], [[1.0]], [1]
        assert jitloss.svm_loss(*problem, implementation="loop")[0] == 2
        path = {str(loops)!r}
        text = open(path).read().replace("- correct + 1", "- correct + 3")
        open(path, "w").write(text)
        assert jitloss.svm_loss(*problem, implementation="jit")[0] == 2
    """
    check_in_fresh_process(early, NUMBA_CACHE_DIR=str(tmp_path), **packages)
    assert call(tmp_path, **packages) == ["6.0", "0", EACH, "0"]


@needs_jit
def test_a_file_edited_and_loaded_again_is_not_kept_under_its_old_name(copy, tmp_path):
    """As a notebook's autoreload does. Once the edit is taken back, the code of before it is what runs."""
    loops, packages = copy / "jitloss_kernels" / "loops.py", {"PYTHONPATH": str(copy)}
    original = loops.read_text()
    reloading = f"""
        import importlib, os
        import jitloss
        from jitloss_kernels import loops
        path = {str(loops)!r}
        text = open(path).read().replace("- correct + 1", "- correct + 30")
        open(path, "w").write(text)
        importlib.reload(loops)
        assert jitloss.svm_loss([[0.0, 0.0, 0.0]], [[1.0]], [1], implementation="jit")[0] == 60
    """
    check_in_fresh_process(reloading, NUMBA_CACHE_DIR=str(tmp_path), **packages)
    loops.write_text(original)
    assert call(tmp_path, **packages) == [RIGHT, "0", EACH, "0"]


@needs_jit
def test_a_changed_option_is_seen(copy, tmp_path):
    """An edit of what all kernels are compiled with."""
    packages = {"PYTHONPATH": str(copy)}
    assert call(tmp_path, **packages) == [RIGHT, "0", EACH, "0"]
    edit(copy / "jitloss_kernels" / "jit.py", '"error_model": "numpy"', '"error_model": "python"')
    assert call(tmp_path, **packages) == [RIGHT, "0", EACH, "0"]
    assert call(tmp_path, **packages) == [RIGHT, EACH, "0", "0"]


def test_options_are_part_of_the_key():
    """Beside the source that spells them: one may follow from the environment."""
    codegen = SimpleNamespace(magic_tuple=lambda: ("x86_64",))
    paths = {
        cache.DiskCache(lanes.lane_count, {"nopython": True, "fastmath": fast})._place("(int64,)", codegen)
        for fast in (False, {"contract"}, {"contract", "nsz"})
    }
    assert len(paths) == 3


@needs_jit
@pytest.mark.parametrize(
    "setting",
    [{"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""}, {"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_OPT": "1"}],
    ids=str,
)
def test_another_cpu_or_setting_is_another_entry(tmp_path, setting):
    """Code for one CPU, or without bounds checks, is not served to the other."""
    usual = {"NUMBA_BOUNDSCHECK": "0", "NUMBA_OPT": "3"}
    call(tmp_path, **usual)
    each = "2" if "NUMBA_BOUNDSCHECK" in setting else EACH  # there a lane is a part of its kernel
    assert call(tmp_path, **usual | setting)[:3] == [RIGHT, "0", each]
    assert call(tmp_path, **usual | setting)[:3] == [RIGHT, each, "0"]


@needs_jit
@pytest.mark.parametrize("damage", ["truncated", "garbled", "empty", "another's", "a folder"])
def test_a_damaged_file_is_compiled_again(tmp_path, damage):
    """And mended, where it can be."""
    call(tmp_path)
    one, *others = sorted((tmp_path / "jitloss").iterdir())
    content = bytearray(one.read_bytes())
    if damage == "truncated":
        one.write_bytes(content[: len(content) // 2])
    elif damage == "garbled":
        content[len(content) // 2] ^= 1
        one.write_bytes(content)
    elif damage == "empty":
        one.write_bytes(b"")
    elif damage == "another's":
        one.write_bytes(b"some other program's file, with enough bytes to hold a checksum of its own, and more")
    else:
        one.unlink()
        one.mkdir()
    assert call(tmp_path)[:3] == [RIGHT, "2", "1"]
    if damage != "a folder":
        assert call(tmp_path) == [RIGHT, EACH, "0", "0"]
    assert all(other.exists() for other in others)


def test_another_version_is_another_entry(monkeypatch):
    """Of numba, llvmlite or Python."""
    before = cache.environment.__wrapped__()
    for owner, name, value in ((cache.numba, "__version__", "0.99"), (cache.llvmlite, "__version__", "0.99")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert cache.environment.__wrapped__() != before
    with monkeypatch.context() as patch:
        patch.setattr(cache.sys, "version_info", (3, 99, 0))
        other = cache.environment.__wrapped__()
    assert other != before


def test_without_sources_nothing_is_kept(monkeypatch):
    """In a zip there is nothing to digest, so nothing to tell one version's code from another's."""
    entry = cache.DiskCache(lanes.fold.python, {})
    codegen = SimpleNamespace(magic_tuple=tuple)
    assert entry._place("sig", codegen) is not None
    monkeypatch.setattr(cache.sources, "IMPORTED", None)
    monkeypatch.setattr(cache.sources, "digest", lambda: None)
    assert entry._place("sig", codegen) is None


def test_any_flipped_bit_is_noticed():
    payload = bytes(range(256))
    sealed = cache.seal(payload)
    assert cache.unseal(sealed) == payload
    for position in range(len(sealed)):
        broken = bytearray(sealed)
        broken[position] ^= 1
        with pytest.raises(ValueError, match="not an intact"):
            cache.unseal(bytes(broken))


@needs_jit
def test_no_folder_to_write_to(tmp_path):
    """One warning, the result all the same. A file stands where each folder would be: not even root can write there."""
    wall = tmp_path / "file"
    wall.touch()
    loss, _, _, count, warning = call(wall / "a", XDG_CACHE_HOME=str(wall / "b"), HOME=str(wall / "c"))
    assert (loss, count) == (RIGHT, "1")
    assert "no_folder_for_compiled_code" in warning


@needs_jit
def test_a_full_disk(tmp_path):
    """What cannot be saved is used from memory; one warning, and no part of a file stays."""
    full = CALL.replace("import jitloss\n", """import jitloss, os
        from jitloss_kernels import cache, lanes
        def replace(source, target): raise OSError(28, "No space left on device")
        cache.os.replace = replace
""", 1)  # fmt: skip
    loss, hits, misses, count, *warning = check_in_fresh_process(full, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert (loss, hits, misses) == (RIGHT, "0", EACH)
    assert (count, "No_space_left" in warning[0]) == ("1", True)
    assert not list((tmp_path / "jitloss").iterdir())


@needs_jit
@pytest.mark.parametrize("weak", ["", "jitloss"])
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path, weak):
    """It is unpickled, so it is code: warn, and use the user's own."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    (theirs / "jitloss").mkdir(parents=True)
    (theirs / weak).chmod(0o777)
    loss, hits, misses, count, warning = call(theirs, XDG_CACHE_HOME=str(ours))
    assert (loss, hits, misses, count) == (RIGHT, "0", EACH, "1")
    assert "can_be_written_by_others" in warning
    assert not list((theirs / "jitloss").iterdir())
    assert len(list((ours / "jitloss").iterdir())) == int(EACH)


@needs_jit
def test_a_user_without_a_home(tmp_path):
    """The named folder serves; without one there is a warning and no crash."""
    homeless = CALL.replace("import jitloss\n", """import jitloss
        from jitloss_kernels import cache
        def user_folder(): raise RuntimeError("Could not determine home directory.")
        cache.user_folder = user_folder
""", 1)  # fmt: skip
    assert check_in_fresh_process(homeless, NUMBA_CACHE_DIR=str(tmp_path)).split() == [RIGHT, "0", EACH, "0"]
    assert check_in_fresh_process(homeless, NUMBA_CACHE_DIR="").split()[:4] == [RIGHT, "0", EACH, "1"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of POSIX")
def test_a_group_friendly_umask(tmp_path, monkeypatch):
    """Folders made for the cache are the user's own under any umask."""
    monkeypatch.setattr(cache.config, "CACHE_DIR", str(tmp_path / "not" / "there" / "yet"))
    before = os.umask(0o002)
    try:
        place = cache.folder.__wrapped__()
    finally:
        os.umask(before)
    assert place == tmp_path / "not" / "there" / "yet" / "jitloss"
    assert all(above.stat().st_mode & 0o777 == 0o700 for above in (place, *list(place.parents)[:3]))


def test_the_folder_is_private(tmp_path, monkeypatch):
    """Made for its user alone."""
    monkeypatch.setattr(cache.config, "CACHE_DIR", str(tmp_path / "new"))
    assert cache.folder.__wrapped__() == tmp_path / "new" / "jitloss"
    assert (tmp_path / "new" / "jitloss").stat().st_mode & 0o777 == 0o700


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "entry"
    cache.write_whole(path, b"old")
    monkeypatch.setattr(cache.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        cache.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_numba_without_the_hook(monkeypatch):
    """Compiled in memory, with one warning."""
    monkeypatch.setattr(cache, "HOOK", False)
    monkeypatch.setattr(cache, "warn_once", functools.cache(cache.warn_once.__wrapped__))
    dispatcher = SimpleNamespace(py_func=lanes.fold.python, targetoptions={})
    with pytest.warns(RuntimeWarning, match="no hook for a disk cache"):
        cache.DiskCache.attach(dispatcher)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.DiskCache.attach(dispatcher)
    assert not hasattr(dispatcher, "_cache")


def test_kernels_of_others_are_not_cached():
    """Their sources are not in the digest, so they could go stale."""
    theirs = SimpleNamespace(py_func=test_any_flipped_bit_is_noticed, targetoptions={}, _cache=None)
    cache.DiskCache.attach(theirs)
    assert theirs._cache is None
