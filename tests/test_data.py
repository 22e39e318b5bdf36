"""Data files: read exactly, or refused with a message; never unpickled."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from jitloss import cifar10, data


def test_digits():
    """1797 pictures of 8×8 in ten classes; the first is a zero, whose first row of pixels is 0 0 5 13 9 1 0 0."""
    found = data.digits()
    assert found.X.shape == (1797, 64)
    assert np.bincount(found.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (found.X[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert found.y[0] == 0
    assert found.X.max() == 1


def test_digits_are_the_uci_ones():
    """As scikit-learn ships them."""
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    found = data.digits()
    np.testing.assert_array_equal(found.X * 16, bunch.data)
    np.testing.assert_array_equal(found.y, bunch.target)


def test_generated_problems_come_from_a_seed():
    one, two, other = data.generated(9, 3, 4), data.generated(9, 3, 4), data.generated(9, 3, 4, seed=1)
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.y, two.y)
    assert (one.X != other.X).any()
    assert one.X.shape == (9, 3)
    assert 0 <= one.y.min() <= one.y.max() < 4


def test_shapes_by_name_and_by_number():
    assert data.of_shape("dev").X.shape == (500, 3073)
    assert data.of_shape("7x5x3").n_classes == 3
    for text in ("7x5", "0x5x3", "7x5x-3", "axbxc", "7X5X3", "", "7x5x3x1", "99999999999x1x1"):
        with pytest.raises(data.DataError, match="expected NxDxC"):
            data.of_shape(text)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_npz(tmp_path):
    """X of any number of dimensions is flattened to rows; integers become float32."""
    path = saved(
        tmp_path / "d.npz", X=np.arange(24, dtype=np.uint8).reshape(4, 3, 2), y=np.array([0, 2, 1, 2], np.int8)
    )
    found = data.read_npz(path)
    assert found.X.shape == (4, 6)
    assert found.X.dtype == np.float32
    assert found.n_classes == 3
    assert found.y.dtype == np.int64


class Trap:
    """What must not happen when a file is read."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled!')",))


def npz_of(name: str, content: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(name, content)
    return memory.getvalue()


GOOD = {"X": np.zeros((4, 2)), "y": np.zeros(4, int)}
HUGE = (
    b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 10000000), }".ljust(127)
    + b"\n"
)


NOT_DATA = {  # names, for a zip file tells the time, and no two workers would see the same
    "empty": (b"", "not a readable"),
    "the beginning of a zip": (b"PK\x03\x04 and then nothing", "not a readable"),
    "no zip": (b"no zip at all", "not a readable"),
    "a pickle": (pickle.dumps(Trap()), "not a readable"),
    "a zip of no array": (npz_of("X.npy", b"not an array"), "holds X"),
    "a zip cut off": (npz_of("X.npy", HUGE)[:60], "not a readable"),
    "no labels": ({"X": GOOD["X"]}, "holds X: expected arrays X and y"),
    "nothing in it": ({}, "holds nothing"),
    "objects": ({"X": GOOD["X"], "y": np.array([Trap()] * 4, object)}, "not a readable"),
    "labels that are floats": ({"X": GOOD["X"], "y": np.zeros(4)}, "y has dtype float64"),
    "a label too few": ({"X": GOOD["X"], "y": np.zeros(3, int)}, "as many labels as samples"),
    "no samples": ({"X": np.zeros((0, 2)), "y": np.zeros(0, int)}, "as many labels as samples"),
    "complex numbers": ({"X": GOOD["X"].astype(complex), "y": GOOD["y"]}, "X has dtype complex128"),
    "one dimension": ({"X": np.zeros(4), "y": GOOD["y"]}, "X has shape"),
    "NaN": ({"X": GOOD["X"] + np.nan, "y": GOOD["y"]}, "NaN or infinity"),
    "a negative label": ({"X": GOOD["X"], "y": GOOD["y"] - 1}, "labels run from -1"),
    "a label beyond all classes": ({"X": GOOD["X"], "y": GOOD["y"] + 10**9}, "below a million"),
}


@pytest.mark.parametrize(("content", "message"), NOT_DATA.values(), ids=NOT_DATA)
def test_npz_that_is_not_what_it_should_be(tmp_path, content, message):
    path = tmp_path / "d.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        saved(path, **content)
    with pytest.raises(data.DataError, match=message):
        data.read_npz(path)


def test_npz_with_an_array_that_claims_to_be_huge(tmp_path):
    """80 TB in the header of a file of some bytes."""
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", HUGE)
        archive.writestr("y.npy", HUGE)
    with pytest.raises(data.DataError, match=r"fit into memory|not a readable"):
        data.read_npz(path)


def test_npz_that_is_missing_or_a_single_array(tmp_path):
    with pytest.raises(data.DataError, match="No such file"):
        data.read_npz(tmp_path / "none.npz")
    np.save(tmp_path / "one.npy", GOOD["X"])
    with pytest.raises(data.DataError, match="single array"):
        data.read_npz(tmp_path / "one.npy")


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """A folder in the format of CIFAR-10's binary version, filled from a seed."""
    folder = tmp_path_factory.mktemp("cifar")
    random = np.random.default_rng(0)
    for name in cifar10.TRAINING_FILES:
        records = random.integers(0, 256, (10_000, 3073), np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / name)
    return folder


def test_cifar10(cifar):
    """50,000 × 3073: pixels centred and scaled, the label first in the file, the feature of ones last in X."""
    found = data.read_cifar10(cifar)
    assert found.X.shape == (50_000, 3073)
    assert found.X.dtype == np.float32
    assert (found.X[:, -1] == 1).all()
    first = np.fromfile(cifar / cifar10.TRAINING_FILES[0], np.uint8, 3073)
    assert found.y[0] == first[0]
    np.testing.assert_allclose(found.X[:, :-1].mean(axis=0, dtype=np.float64), 0, atol=1e-5)
    steps = np.diff(first[1:100].astype(float)) / 128
    means = np.mean(
        [np.fromfile(cifar / n, np.uint8).reshape(-1, 3073)[:, 1:100].mean(0) for n in cifar10.TRAINING_FILES], 0
    )
    np.testing.assert_allclose(np.diff(found.X[0, :99]), steps - np.diff(means) / 128, atol=1e-5)


def test_cifar10_of_a_wrong_size_or_label(cifar, tmp_path):
    """One byte too few, one too many, a label of 10, a missing file."""
    with pytest.raises(data.DataError, match="No such file"):
        data.read_cifar10(tmp_path)
    for name in cifar10.TRAINING_FILES:
        (tmp_path / name).symlink_to(cifar / name)
    last, good = tmp_path / cifar10.TRAINING_FILES[-1], (cifar / cifar10.TRAINING_FILES[-1]).read_bytes()
    last.unlink()
    for content, message in (
        (good[:-1], "30729999 bytes: expected 30730000"),
        (good + b"\0", "30730001 bytes: expected 30730000"),
        (b"\x0a" + good[1:], "a label is 10"),
    ):
        last.write_bytes(content)
        with pytest.raises(data.DataError, match=message):
            data.read_cifar10(tmp_path)
