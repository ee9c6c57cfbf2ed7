"""The pickle from places to panoramas: what is read of it, and that it cannot run."""

import io
import math
import pickle
import struct

import numpy as np
import pytest

from labkit.envs.virl.authors.files import read_folder
from labkit.envs.virl.records import LatLng
from labkit.errors import UsageError
from tests.envs.virl.data_folder import START, a_view, folder


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_numbers_and_numpys_are_read_in_every_protocol(tmp_path, protocol):
    mapping = {(1.5, -2.25): "a", (np.float64(3.125), np.float32(4.5)): "b-_9", (np.int64(5), 6): "c"}
    data = read_folder(folder(tmp_path, mapping=pickle.dumps(mapping, protocol)))
    for place, name in mapping.items():
        a_view(data.path, name)
        assert data.panorama(LatLng(*map(float, place))).name == name


def short(text):
    return b"\x8c" + struct.pack("<B", len(text)) + text


# A pickle is a program: here are some, spelled by hand, that would make a file when loaded trustingly.
CALLS = {
    "global and reduce": b"cos\nsystem\n(S'touch %s'\ntR.",
    "inst": b"(S'touch %s'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch %s'\no.",
    "stack global": b"\x80\x04" + short(b"os") + short(b"system") + b"\x93(S'touch %s'\ntR.",
    "eval": b'cbuiltins\neval\n(S\'open("%s", "w")\'\ntR.',
    "dotted": b"\x80\x04" + short(b"numpy") + short(b"os.system") + b"\x93(S'touch %s'\ntR.",
    "newobj": b"\x80\x02csubprocess\nPopen\n(](S'touch'\nS'%s'\nete\x81.",
    "inside a mapping": b"(dp0\n(F1.5\nF2.5\ntcos\nsystem\n(S'touch %s'\ntRs.",
    "import alone": b"cthis\ns\n.",
    "numpy load": b"cnumpy\nload\n(S'%s'\ntR.",
    "persistent": b"P%s\n.",
    "extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_pickle_that_would_run_something_is_refused_before_it_does(tmp_path, name):
    witness = tmp_path / "witness"
    program = CALLS[name].replace(b"%s", str(witness).encode())
    data = read_folder(folder(tmp_path, mapping=program))
    with pytest.raises(UsageError, match=r"^gps_pano_mapping\.pkl: ") as caught:
        data.panorama(LatLng(*START))
    assert not witness.exists() and "\n" not in str(caught.value)


def test_the_witness_would_be_there_had_the_pickle_run(tmp_path):
    """The payloads are real: the library's own unpickler, unrestricted, runs the first of them."""
    witness = tmp_path / "witness"
    pickle.load(io.BytesIO(CALLS["global and reduce"].replace(b"%s", str(witness).encode())))
    assert witness.exists()


def test_a_pickle_cannot_change_the_reader(tmp_path):
    # BUILD (b) with a pair sets attributes: here read and __new__ of the classes that stand for numpy's.
    for target in (b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n"):
        program = target + b"(N(dS'read'\nI1\nsS'__new__'\nI1\nstb."
        with pytest.raises(UsageError):
            read_folder(folder(tmp_path, mapping=program)).panorama(LatLng(*START))
    data = read_folder(folder(tmp_path, mapping=pickle.dumps({(np.float64(1.0), 2.0): "a"}, 2)))
    a_view(data.path, "a")
    assert data.panorama(LatLng(1.0, 2.0)).name == "a"


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"garbage",
        pickle.dumps({(1.0, 2.0): "x" * 99})[:-9],
        pickle.dumps([1]),
        pickle.dumps({1: "a"}),
        pickle.dumps({(1.0, 2.0, 3.0): "a"}),
        pickle.dumps({(math.nan, 2.0): "a"}),
        pickle.dumps({(95.0, 2.0): "a"}),
        pickle.dumps({(1.0, 2.0): 7}),
        pickle.dumps({(1.0, 2.0): "../../secret"}),
        pickle.dumps({(1.0, 2.0): ".."}),
        pickle.dumps({(1.0, 2.0): "a/b"}),
        pickle.dumps({(1.0, 2.0): "a\0"}),
        pickle.dumps({(1.0, 2.0): ""}),
        pickle.dumps({(1.0, 2.0): "a"})[:-1] + b"r\xff\xff\xff\x7f.",
        b"\x80\x04\x8a\x08" + b"\xff" * 3,
        pickle.dumps({(np.array([1.0]).tobytes(), 2): "a"}),
        pickle.dumps(np.zeros(3)),
    ],
)
def test_a_mapping_of_another_shape_is_named(tmp_path, program):
    with pytest.raises(UsageError, match=r"^gps_pano_mapping\.pkl: ") as caught:
        read_folder(folder(tmp_path, mapping=program)).panorama(LatLng(1.0, 2.0))
    assert "\n" not in str(caught.value)
