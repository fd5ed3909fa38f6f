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


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_example(name):
    threads = mmhash.get_num_threads()
    function = getattr(mmhash, name)
    test = doctest.DocTestParser().get_doctest(function.__doc__, {"mmhash": mmhash}, name, None, 0)
    assert test.examples, "a public docstring without an example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    try:
        assert runner.run(test).failed == 0
    finally:
        mmhash.set_num_threads(threads)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_shows_its_signature(name):
    assert inspect.signature(getattr(mmhash, name)) is not None
