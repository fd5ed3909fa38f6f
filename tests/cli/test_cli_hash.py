"""`mmhash hash` on every kind of file, against the reference."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from command_line import Run
from PIL import Image
from safetensors.torch import save_file

import mmhash

ARRAYS = {
    "c": np.arange(12, dtype=np.float32).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)),
    "big-endian": np.arange(5, dtype=">f8"),
    "scalar": np.array(7, dtype=np.uint8),
    "empty": np.zeros((0, 3), dtype=np.complex64),
    "long": np.arange(100_000, dtype=np.float64),
}


def line(path: Path, name: str, value: Any) -> str:
    """The line of a tensor."""
    dtype = str(value.dtype).removeprefix("torch.").lstrip("<>")
    dtype = {"f8": "float64"}.get(dtype, dtype)
    shape = ",".join(map(str, value.shape))
    return f"{reference.identity(value).hex()}  {path}\t{name}\t{dtype}\t[{shape}]"


@pytest.mark.parametrize("content", [b"", b"hi\n", bytes(range(256)) * 100])
def test_bytes(cli: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    result = cli("hash", path)
    assert result.lines == [f"{reference.identity(content).hex()}  {path}"]
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("name", ARRAYS)
def test_npy(cli: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "A.NPY"  # the suffix counts in either case
    with path.open("wb") as file:
        np.save(file, ARRAYS[name])
    result = cli("hash", path)
    assert result.lines == [line(path, "", ARRAYS[name])]
    assert (result.status, result.err) == (0, "")


def test_npz(cli: Run, tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.npz", tmp_path / "packed.npz"
    np.savez(plain, **ARRAYS)
    np.savez_compressed(packed, **ARRAYS)
    result = cli("hash", plain, packed)
    assert result.lines == [
        line(path, name, array) for path in (plain, packed) for name, array in ARRAYS.items()
    ]
    assert (result.status, result.err) == (0, "")


def test_a_checkpoint_gives_one_line_a_value(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    weight = torch.nn.Parameter(torch.randn(3, 4, dtype=torch.bfloat16))
    mask = torch.arange(6).reshape(2, 3).T
    torch.save(
        OrderedDict(
            {"layers.0.weight": weight, "images": [{"two words": mask}, ()], "epoch": 3, "by": "me"}
        ),
        path,
    )
    result = cli("hash", path)
    assert result.lines == [
        line(path, "layers.0.weight", weight),
        line(path, 'images[0]["two words"]', mask),
        f"{reference.identity([]).hex()}  {path}\timages[1]\tlist",
        f"{reference.identity(3).hex()}  {path}\tepoch\tint",
        f"{reference.identity('me').hex()}  {path}\tby\tstr",
    ]
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_one_tensor(cli: Run, tmp_path: Path, zipped: bool) -> None:
    path, tensor = tmp_path / "one.pth", torch.randn(50, 60)
    torch.save(tensor, path, _use_new_zipfile_serialization=zipped)
    result = cli("hash", path)
    assert result.lines == [line(path, "", tensor)]
    assert (result.status, result.err) == (0, "")


def test_safetensors(cli: Run, tmp_path: Path) -> None:
    common = {"f32": torch.randn(4, 5), "i64": torch.arange(3), "none": torch.zeros(0, 2)}
    foreign = {
        "bf16": torch.randn(3).bfloat16(),
        "f8": torch.randn(9).to(torch.float8_e4m3fn),
        "f8s": torch.randn(9).to(torch.float8_e5m2),
    }
    for path, tensors in (
        (tmp_path / "numpy.safetensors", common),  # read through NumPy
        (tmp_path / "torch.safetensors", common | foreign),  # read through torch
    ):
        save_file(tensors, path)
        result = cli("hash", path)
        assert sorted(result.lines) == sorted(line(path, n, t) for n, t in tensors.items())
        assert (result.status, result.err) == (0, "")


def pictures() -> dict[str, Image.Image]:
    ramp = np.arange(30 * 20 * 3, dtype=np.uint32).reshape(20, 30, 3).astype(np.uint8)
    colour = Image.fromarray(ramp)
    palette = colour.quantize(16)
    palette.info["transparency"] = 3
    return {
        "colour.png": colour,
        "colour.jpg": colour,
        "colour.webp": colour,
        "alpha.png": colour.convert("RGBA"),
        "palette.png": palette,
        "palette.gif": palette,
        "grey.tiff": colour.convert("L"),
        "deep.png": Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)),
        "black-and-white.bmp": colour.convert("1"),
    }


@pytest.mark.parametrize("name", pictures())
def test_images(cli: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pictures()[name].save(path)
    with Image.open(path) as image:
        image.load()
        expected = f"{reference.identity(image).hex()}  {path}\t\t{image.mode}\t30x20"
    result = cli("hash", path)
    assert result.lines == [expected]
    assert (result.status, result.err) == (0, "")


def test_of_an_animation_the_first_frame_counts(cli: Run, tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (10, 200)]
    frames[0].save(tmp_path / "one.gif")
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "two.gif") as image:
        assert image.n_frames == 2
    one, two = (text[:32] for text in cli("hash", tmp_path / "one.gif", tmp_path / "two.gif").lines)
    assert one == two


def test_a_tensor_has_one_identity_in_whatever_file_it_lies(cli: Run, tmp_path: Path) -> None:
    tensor = torch.randn(70, 80)
    np.save(tmp_path / "t.npy", tensor.numpy())
    np.savez(tmp_path / "t.npz", tensor.numpy())
    torch.save(tensor.T.contiguous().T, tmp_path / "t.pt")
    save_file({"t": tensor}, tmp_path / "t.safetensors")
    paths = [tmp_path / f"t.{suffix}" for suffix in ("npy", "npz", "pt", "safetensors")]
    result = cli("hash", *paths)
    assert {text[:32] for text in result.lines} == {mmhash.identity(tensor).hex()}
    assert len(result.lines) == 4


def test_json(cli: Run, tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    np.savez(tmp_path / "a.npz", x=array)
    torch.save([None], tmp_path / "b.pt")
    (tmp_path / "c\n.txt").write_bytes(b"hi")
    Image.new("RGB", (30, 20)).save(tmp_path / "d.png")
    paths = [tmp_path / name for name in ("a.npz", "b.pt", "c\n.txt", "d.png")]
    result = cli("hash", "--json", *paths)
    with Image.open(paths[3]) as image:
        values = [array, None, b"hi", image]
        identities = [reference.identity(value) for value in values]
    expected = [
        ("x", "tensor", "float64", [3, 4], 96),
        ("[0]", "none", None, None, None),
        ("", "bytes", None, None, 2),
        ("", "image", "RGB", [30, 20], 1800),
    ]
    keys = ("name", "kind", "dtype", "shape", "bytes")
    records = [json.loads(text) for text in result.lines]
    assert records == [
        {
            "path": str(path),
            **dict(zip(keys, facts, strict=True)),
            "algorithm": "xxh3",
            "key_id": None,
            "identity": identity.hex(),
            "hash": int.from_bytes(identity[:8], "big"),
        }
        for path, facts, identity in zip(paths, expected, identities, strict=True)
    ]
    assert records[0]["hash"] == mmhash.hash_feature(array)
    order = ["path", *keys, "algorithm", "key_id", "identity", "hash"]
    assert all(list(record) == order for record in records)


def test_the_documented_examples(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `$ mmhash hash` of docs/cli.md prints what stands there."""
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_bytes(b"hi\n")
    np.save("features.npy", np.arange(12.0).reshape(3, 4))
    weights = {
        "embed.weight": torch.arange(12.0).reshape(3, 4).bfloat16(),
        "head.bias": torch.ones(3),
    }
    save_file(weights, "model.safetensors")
    Image.new("RGB", (30, 20), (1, 2, 3)).save("photo.png")
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    first, check, named, *_ = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    files = first.splitlines()[0].removeprefix("$ mmhash hash ").split()
    assert cli("hash", *files).out == first.partition("\n")[2]
    command = named.splitlines()[0].removeprefix("$ mmhash ").split()
    assert cli(*command).out == named.partition("\n")[2]
    Path("identities.txt").write_text(cli("hash", "features.npy", "model.safetensors").out)
    save_file(weights | {"embed.weight": torch.zeros(2)}, "model.safetensors")
    result = cli("hash", "--check", "identities.txt")
    assert result.out + result.err == check.split("\n", 2)[2]
    document = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert document is not None
    printed = json.loads(cli("hash", "--json", "features.npy").out)
    assert list(printed.items()) == list(json.loads(document[1]).items())
