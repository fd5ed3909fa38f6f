"""Images that no thread has loaded yet, in several at once: one decoding, one hash."""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from image_files import FORMATS, files, pixels
from PIL import Image
from subprocesses import python_output

import mmhash
from mmhash import _core

THREADS = 4
ROUNDS = 25
FILES = files(300, 200)
SLOW = ("icns", "jpeg2000", "avif")  # to decode


def rounds(name: str) -> range:
    return range(5 if name in SLOW else ROUNDS)


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    """Threads change places between any two lines of Pillow's, not each 5 ms."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(functions: list[Callable[[], bytes]]) -> list[bytes]:
    """What the functions return, each in a thread of its own, all begun together."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], bytes]) -> bytes:
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as threads:
        return [future.result() for future in [threads.submit(run, each) for each in functions]]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["memory", "file"])
def test_one_image_in_threads(name: str, place: str, tmp_path: Path) -> None:
    data = FILES[name]
    path = tmp_path / "image"
    path.write_bytes(data)
    expected = mmhash.identity(Image.open(io.BytesIO(data)))
    for _ in rounds(name):
        image = Image.open(io.BytesIO(data) if place == "memory" else path)
        assert at_once([partial(mmhash.identity, image)] * THREADS) == [expected] * THREADS
        assert mmhash.identity(image) == expected  # and it is right for whoever uses it next
        image.close()


@pytest.mark.parametrize("name", FILES)
def test_images_of_one_file_object(name: str) -> None:
    expected = mmhash.identity(Image.open(io.BytesIO(FILES[name])))
    for _ in rounds(name):
        file = io.BytesIO(FILES[name])
        images = [Image.open(file) for _ in range(THREADS)]
        found = at_once([partial(mmhash.identity, image) for image in images])
        assert found == [expected] * THREADS


def test_a_palette_in_another_form() -> None:
    """load() brings it into Pillow's own, in several steps, also without any file."""
    palette = bytes(range(200))

    def image() -> Image.Image:
        made = pixels("L", 8, 8)
        made.putpalette(palette, "BGRX")
        return made

    expected = mmhash.identity(image())
    for _ in range(100):
        shared = image()
        assert at_once([partial(mmhash.identity, shared)] * THREADS) == [expected] * THREADS


def test_items_that_share_an_image() -> None:
    expected = mmhash.hash_feature(Image.open(io.BytesIO(FILES["png"])))
    for _ in range(ROUNDS):
        image = Image.open(io.BytesIO(FILES["png"]))
        items = [mmhash.MultimodalDataItem("IMAGE", feature=image) for _ in range(THREADS)]
        with mmhash.HashExecutor(THREADS) as executor:
            futures = [executor.submit(i, item) for i, item in enumerate(items)]
        assert [future.result() for future in futures] == [[expected]] * THREADS


def test_a_broken_image_in_threads() -> None:
    data = FILES["png"]
    middle = len(data) // 2
    data = data[:middle] + bytes(50) + data[middle + 50 :]

    def failure(image: Image.Image) -> bytes:
        with pytest.raises(OSError, match="data stream"):
            mmhash.identity(image)
        return b""

    for _ in range(ROUNDS):
        image = Image.open(io.BytesIO(data))
        at_once([partial(failure, image)] * THREADS)


def test_nothing_is_left_on_a_loaded_image() -> None:
    image = Image.open(io.BytesIO(FILES["jpeg"]))
    before = set(vars(image))
    expected = mmhash.identity(image)
    assert not any("mmhash" in name for name in set(vars(image)) - before)
    assert mmhash.identity(pickle.loads(pickle.dumps(image))) == expected
    assert mmhash.identity(image.copy()) == expected


class Composed(Image.Image):
    """An image whose load() does what it is told to."""

    does: Callable[[], object]

    def load(self) -> Any:
        self.does()
        return super().load()


def composed(does: Callable[[], object]) -> Composed:
    image = Composed()
    image.im, image._mode, image._size = Image.core.new("L", (2, 2)), "L", (2, 2)
    image.does = does
    return image


def test_a_load_that_hashes_its_image() -> None:
    image = composed(lambda: mmhash.identity(image))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="being loaded by this thread"):
            mmhash.identity(image)


def test_a_load_that_hashes_another_image() -> None:
    part = Image.open(io.BytesIO(FILES["png"]))
    image = composed(lambda: mmhash.identity(part))
    expected = mmhash.identity(composed(lambda: None))
    assert at_once([lambda: mmhash.identity(image)] * THREADS) == [expected] * THREADS


def test_two_images_that_wait_for_each_other() -> None:
    """Each thread has the turn of one image and asks for the other's: one of them is refused."""
    both = threading.Barrier(2)
    found: list[str] = []

    def ask_for(other: list[Image.Image]) -> None:
        both.wait()
        try:
            mmhash.identity(other[0])
        except RuntimeError as error:
            found.append(str(error))
            raise

    ones: list[Image.Image] = []
    others: list[Image.Image] = []
    once = iter([True, True])

    def only_once(function: Callable[[], None]) -> Callable[[], None]:
        return lambda: function() if next(once, False) else None

    ones.append(composed(only_once(lambda: ask_for(others))))
    others.append(composed(only_once(lambda: ask_for(ones))))

    def identity(images: list[Image.Image]) -> bytes:
        try:
            return mmhash.identity(images[0])
        except RuntimeError:
            return b""

    at_once([lambda: identity(ones), lambda: identity(others)])
    assert len(found) >= 1
    assert "or by one that waits for it" in found[0]


def while_loading(then: Callable[[Image.Image], None]) -> None:
    """Calls it with an image that another thread is loading meanwhile."""
    loading, end = threading.Event(), threading.Event()

    def does() -> None:
        loading.set()
        end.wait()

    image = composed(does)
    thread = threading.Thread(target=mmhash.identity, args=(image,))
    thread.start()
    loading.wait()
    try:
        then(image)
    finally:
        end.set()
        thread.join()


def test_waiting_hears_signals() -> None:
    class AlarmError(Exception):
        pass

    def ring(*_: object) -> None:
        raise AlarmError

    def wait_for(image: Image.Image) -> None:
        def wait() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            mmhash.identity(image)

        with pytest.raises(AlarmError):
            wait()

    before = signal.signal(signal.SIGALRM, ring)
    try:
        while_loading(wait_for)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_waiting_goes_on_after_a_signal() -> None:
    ended = threading.Event()

    def does() -> None:
        loading.set()
        ended.wait()

    loading = threading.Event()
    image = composed(does)
    thread = threading.Thread(target=mmhash.identity, args=(image,))
    before = signal.signal(signal.SIGALRM, lambda *_: ended.set())  # what it waits for
    try:
        thread.start()
        loading.wait()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert mmhash.identity(image) == mmhash.identity(composed(lambda: None))
    finally:
        signal.signal(signal.SIGALRM, before)
        ended.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_while_another_thread_loads() -> None:
    def fork(image: Image.Image) -> None:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(30)
                mmhash.identity(Image.open(io.BytesIO(FILES["png"])))  # others are as ever
                mmhash.identity(image)
            except RuntimeError as error:
                status = 0 if "when this process forked" in str(error) else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    while_loading(fork)


def test_finalizers_that_hash() -> None:
    """The garbage collector runs them anywhere: also within a load, where another thread waits."""
    code = """
import gc, io, sys, threading
import mmhash
from image_files import files
from PIL import Image
data = files(64, 64)["png"]
gc.set_threshold(5)
sys.setswitchinterval(1e-6)
shared = [Image.open(io.BytesIO(data)) for _ in range(2)]
class Request:
    def __init__(self): self.me = self
    def __del__(self):
        for image in shared:
            try: mmhash.identity(image)
            except (RuntimeError, OSError): pass
def run(which):
    for _ in range(300):
        Request()
        shared[which] = Image.open(io.BytesIO(data))
        try: mmhash.identity(shared[which])
        except (RuntimeError, OSError): pass
threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
[t.start() for t in threads]; [t.join() for t in threads]
print(mmhash.identity(Image.open(io.BytesIO(data))).hex())
"""
    expected = mmhash.identity(Image.open(io.BytesIO(files(64, 64)["png"]))).hex()
    assert python_output(code, timeout=100) == expected


# What load_images() finds.


def test_images_in_containers() -> None:
    from collections import UserDict

    images = [Image.open(io.BytesIO(FILES["png"])) for _ in range(5)]
    value: list[Any] = [images[0], (images[1], 1, "two"), {"a": [images[2]]}, b"bytes", None]
    value.append(UserDict(b=images[3]))
    value.append(value)  # itself
    for _ in range(1500):
        value = [value]
    _core.load_images(value[0])
    assert all(getattr(image, "fp", None) for image in images)  # beyond what has an identity
    for _ in range(1000):
        value = value[0]
    _core.load_images(value)
    assert [getattr(image, "fp", None) is None for image in images] == [True] * 4 + [False]


def test_formats_are_there() -> None:
    """Pillow's own wheels have all of these."""
    assert {"png", "gif", "jpeg", "bmp", "ppm", "tiff", "pcx", "tga"} <= set(FILES) <= set(FORMATS)
