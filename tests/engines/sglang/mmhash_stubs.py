"""Stand-ins for packages that SGLang imports and that need a GPU, or another build of torch.

setup.sh puts this module into the environment, with a `.pth` file that imports it at start. The
packages import, say that they are absent to whoever asks first (importlib.util.find_spec), and
raise when anything of them is called. None of them has a part in hashing or sending features.
"""

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

STUBBED = {"sgl_kernel", "torchvision"}


class _Absent(type):
    """The type of what stands for a stub's functions and classes."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.__qualname__}.{name}")

    def __call__(cls, *_, **__):
        raise RuntimeError(f"{cls.__qualname__} is a stub: there is no GPU here")


def _absent(name):
    return _Absent(name.rpartition(".")[2], (), {"__qualname__": name})


class _Stubs(MetaPathFinder, Loader):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in STUBBED:
            return None
        return ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        def attribute(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return _absent(f"{module.__name__}.{name}")

        module.__getattr__ = attribute


_find_spec = importlib.util.find_spec


def find_spec(name, package=None):
    """None for what is only stubbed."""
    if name.partition(".")[0] in STUBBED:
        return None
    return _find_spec(name, package)


importlib.util.find_spec = find_spec
sys.meta_path.append(_Stubs())
