"""The examples in the README and in the docstrings are run."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import mmhash

README = Path(__file__).parent.parent / "README.md"
PUBLIC = sorted(name for name in mmhash.__all__ if callable(getattr(mmhash, name)))


def test_readme_examples_run_and_the_first_fits_in_ten_lines():
    pytest.importorskip("torch")
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(examples) == 2
    assert len(examples[0].splitlines()) <= 10
    for example in examples:
        exec(compile(example, str(README), "exec"), {})


def docstrings(name: str) -> dict[str, str]:
    """Of a public function or class, and of what the class itself defines, by dotted name."""
    public = getattr(mmhash, name)
    found = {name: inspect.getdoc(public) or ""}
    if inspect.isclass(public):
        for attribute, value in vars(public).items():
            text = inspect.getdoc(getattr(value, "__func__", value))
            if text and not attribute.startswith("_") and text != inspect.getdoc(type(value)):
                found[f"{name}.{attribute}"] = text
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_examples(name):
    """Those of methods too, each with nothing but `mmhash` to start from."""
    threads = mmhash.get_num_threads()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    try:
        for place, text in docstrings(name).items():
            test = doctest.DocTestParser().get_doctest(text, {"mmhash": mmhash}, place, None, 0)
            assert test.examples or place != name, "a public docstring without an example"
            assert runner.run(test).failed == 0, place
    finally:
        mmhash.set_num_threads(threads)


def test_examples_of_methods_are_found():
    """Wherever they stand: of pybind11's methods, class methods and properties."""
    found = {place: text for name in PUBLIC for place, text in docstrings(name).items()}
    for place in ("PendingIdentity.done", "PendingIdentity.result", "MultimodalInputs.from_dict"):
        assert ">>> " in found[place]
    assert {"LazyHash.identity", "MultimodalDataItem.from_dict", "HashExecutor.submit"} <= {*found}


@pytest.mark.parametrize("name", PUBLIC)
def test_signature_is_shown(name):
    """help() shows names; `(*args, **kwargs)` is what pybind11 has where nothing is said."""
    assert not {"args", "kwargs"} & inspect.signature(getattr(mmhash, name)).parameters.keys()
