"""Builds the native module by driving CMake; the rest of the package is in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Configures and builds CMakeLists.txt into the place where setuptools wants the module.

    CMAKE_ARGS in the environment is passed on: CMAKE_ARGS="-DMMHASH_WERROR=ON" pip install .
    """

    def build_extension(self, ext: Extension) -> None:
        """Called by setuptools, once."""
        import pybind11

        output = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve()
        build.mkdir(parents=True, exist_ok=True)
        ninja = shutil.which("ninja")  # a build requirement
        generator: list[str] = []
        if ninja is not None and "CMAKE_GENERATOR" not in os.environ:
            # Named, because the one of the last build's isolated environment is in CMake's cache.
            generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
        self.cmake(
            *generator,
            "-S",
            str(ROOT),
            "-B",
            str(build),
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={output}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
            *os.environ.get("CMAKE_ARGS", "").split(),
        )
        self.cmake("--build", str(build), "--parallel", str(self.parallel or os.cpu_count() or 1))

    def cmake(self, *arguments: str) -> None:
        """Runs CMake, whose own output says what went wrong."""
        try:
            subprocess.run(["cmake", *arguments], check=True)
        except subprocess.CalledProcessError as error:
            # CMake has said above what is wrong; a traceback of ours would bury it.
            raise SystemExit(
                f"mmhash: cmake {arguments[0]} failed with status {error.returncode}"
            ) from None


setup(ext_modules=[Extension("mmhash._core", sources=[])], cmdclass={"build_ext": CMakeBuild})
