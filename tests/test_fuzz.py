"""Bytes and objects that are not what they claim to be: a clear error, or a right answer; never anything else."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jitloss
from jitloss import cifar10, data
from problems import JIT_DISABLED

MANY = settings(deadline=None, max_examples=50 if JIT_DISABLED else 300, suppress_health_check=list(HealthCheck))


def npz(**given) -> bytes:
    file = io.BytesIO()
    np.savez(file, **given)
    return file.getvalue()


WHOLE = npz(X=np.arange(12.0).reshape(6, 2), y=np.arange(6) % 3)


@st.composite
def damaged(draw, whole=WHOLE):
    """A file with some bytes changed, left out or put in, or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "insert"]))
        if kind == "flip" and content:
            content[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[at : at + draw(st.integers(1, 40))]
        else:
            content[at:at] = draw(st.binary(min_size=1, max_size=40))
    return bytes(content)


def read_or_refuse(path):
    """What was read is sound; or it was refused, by name."""
    try:
        found = data.read_npz(path)
    except data.DataError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert path.name in refused
        return
    assert found.X.ndim == 2
    assert found.X.dtype in (np.float32, np.float64)
    assert np.isfinite(found.X).all()
    assert found.y.shape == (len(found.X),)
    assert 0 <= found.y.min() <= found.y.max() < found.n_classes


@MANY
@given(content=damaged())
@pytest.mark.filterwarnings("ignore")
def test_damaged_npz_files(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    read_or_refuse(path)


@MANY
@given(
    X=arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)),
    y=arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4)),
)
@pytest.mark.filterwarnings("ignore")
def test_npz_files_of_any_arrays(X, y, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    path.write_bytes(npz(X=X, y=y))
    read_or_refuse(path)


def test_a_zip_that_unpacks_to_more_than_memory(tmp_path):
    """A header that claims four exabytes: refused before anything of that size is made."""
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 59, 1)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())
    with pytest.raises(data.DataError, match=r"bomb\.npz"):
        data.read_npz(path)


@MANY
@given(content=st.binary(max_size=4 * cifar10.RECORD), labels=st.lists(st.integers(0, 255), min_size=2, max_size=2))
def test_cifar10_of_any_bytes(content, labels, tmp_path_factory):
    """Two records a file: exactly their size, labels of ten classes; anything else is refused."""
    folder = tmp_path_factory.getbasetemp()
    right = b"".join(bytes([label]) + bytes(3072) for label in labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar10, "BATCH", 2)
        for written, sound in ((right, max(labels) <= 9), (content, len(content) == 2 * cifar10.RECORD)):
            (folder / "data_batch_1.bin").write_bytes(written)
            try:
                X, y = cifar10.read_records(folder, ["data_batch_1.bin"])
            except cifar10.DataError:
                assert not sound or written is content
                continue
            assert X.shape == (2, 3072)
            assert y.max() <= 9


def assert_right_or_refused(name, value):
    """A loss, or an error that says something."""
    try:
        said = jitloss.softmax_loss(**(RIGHT | {name: value}))[0]
    except (TypeError, ValueError) as error:
        said = str(error)
    assert isinstance(said, (float, str))
    assert said != ""


class Liar:
    """An object that describes memory it does not have, or fails when it is asked."""

    def __init__(self, interface=None, array=None, length=3):
        if interface is not None:
            self.__array_interface__ = interface
        self.array, self.length = array, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        raise RuntimeError("no items")

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.array, Exception):
            raise self.array
        return self.array


class OtherShape(np.ndarray):
    """A subclass that says another shape than it has."""

    @property
    def shape(self):
        return (1000, 1000)


LIARS = [
    Liar({"shape": (3, 2), "typestr": "<f8", "version": 3}),
    Liar({"shape": (-1, 2), "typestr": "<f8", "data": (0, True), "version": 3}),
    Liar({"shape": (3, 2), "typestr": "nonsense", "data": (0, True), "version": 3}),
    Liar(array=RuntimeError("no")),
    Liar(array="not an array"),
    Liar(array=None),
    Liar(array=np.array([[object(), None]])),
    Liar(array=MemoryError()),
    np.zeros((2, 2)).view(OtherShape),
    np.array([[1, 2], [3, 4]], object),
    np.zeros((2, 2), "U3"),
    np.zeros((2, 2), [("a", "f8")]),
    np.zeros((2, 2), "M8[s]"),
    memoryview(b"abc"),
    b"bytes",
    "text",
    {1: 2},
    iter([1, 2]),
    float,
    None,
    ...,
]
RIGHT = {"W": np.ones((2, 2)), "X": np.ones((2, 2)), "y": np.array([0, 1])}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("liar", LIARS, ids=lambda v: type(v).__name__)
def test_objects_that_lie(name, liar):
    """Refused with a TypeError or ValueError; an array subclass is an array, whatever it says of itself."""
    arguments = RIGHT | {name: liar}
    if isinstance(liar, OtherShape) and name != "y":
        found = jitloss.softmax_loss(**arguments)
        expected = jitloss.softmax_loss(**(RIGHT | {name: np.zeros((2, 2))}))
        assert found[0] == expected[0]
        return
    with pytest.raises((TypeError, ValueError)):
        jitloss.softmax_loss(**arguments)


@MANY
@given(
    value=st.one_of(
        arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
        st.recursive(st.floats() | st.integers() | st.text(max_size=2) | st.none(), st.lists, max_leaves=6),
    ),
    name=st.sampled_from(["W", "X", "y", "bias", "sample_weight", "class_weight", "out"]),
)
@pytest.mark.filterwarnings("ignore")
def test_arguments_of_any_kind(value, name):
    """A result, or an error that says what was expected: no other exception, and no crash."""
    assert_right_or_refused(name, value)


@MANY
@given(
    name=st.sampled_from(
        ["reg", "label_smoothing", "ignore_index", "reduction", "reg_scale", "wrt", "n_threads", "implementation"]
    ),
    value=st.one_of(
        st.floats(), st.integers(), st.text(max_size=4), st.none(), st.booleans(), st.binary(max_size=2),
        st.lists(st.text(max_size=1), max_size=3), st.complex_numbers(), st.just(np.zeros(2)), st.just(object()),
    ),
)  # fmt: skip
def test_settings_of_any_kind(name, value):
    assert_right_or_refused(name, value)
