"""Builds the compiled code; everything else about the project stands in pyproject.toml.

Sources, flags and compiler are named here alone. The compiler is what `CXX` names, or c++, g++ or clang++ on the PATH,
or else Zig's, if the package `ziglang` is installed: `setup.py fetch_compiler`, which `make` calls, installs it where
there is no other.

Environment:
    SANITIZE=1        for tests alone: stop at the first access to wrong memory, or undefined operation
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from glob import glob
from pathlib import Path
from typing import ClassVar

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import Command, setup

ROOT = "native"
BINDINGS = f"{ROOT}/bindings/bindings.cpp"
FLAGS = ["-O3", "-Wall", "-Wextra", "-ffp-contract=off"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1", "-O1"]
COMPILER_PIN = "requirements-compiler.txt"


def sources() -> list[str]:
    """Return what to compile, the longest first: `BINDINGS`, and what that does not include."""
    included = re.findall(r'#include "(.*[.]cpp)"', Path(BINDINGS).read_text(encoding="utf-8"))
    apart = {
        path for path in glob(f"{ROOT}/**/*.cpp", recursive=True) if str(Path(path).relative_to(ROOT)) not in included
    }
    return [BINDINGS, *sorted(apart - {BINDINGS})]


def compiler() -> str | None:
    """Return the command of a C++ compiler on this machine, or None."""
    named = os.environ.get("CXX")
    return named or next(filter(shutil.which, [*of_python(), "c++", "g++", "clang++"]), None)


def of_python() -> list[str]:
    """Return the compiler that Python itself was built with, if Python knows it: setuptools takes that by itself."""
    return (sysconfig.get_config_var("CXX") or "").split()[:1]


def choose_compiler() -> None:
    """Have setuptools use the compiler that there is."""
    found = compiler()
    if found is None and importlib.util.find_spec("ziglang") is not None:
        # Zig compiles for this very processor if not told otherwise; a copy of the environment may run on another. Its
        # linker refuses options that Python may have been built with, so it gets none of those.
        zig = f"{sys.executable} -m ziglang {{}} -mcpu=baseline"
        shared = "-bundle -undefined dynamic_lookup" if sys.platform == "darwin" else "-shared"
        for name, tool in (("CC", "cc"), ("CXX", "c++")):
            os.environ[name] = zig.format(tool)
        for name in ("LDSHARED", "LDCXXSHARED"):
            os.environ[name] = f"{os.environ['CXX']} {shared}"
    elif found is not None and [found] != of_python():
        os.environ["CXX"] = found


class FetchCompiler(Command):
    """Install a C++ compiler as a Python package, if this machine has none."""

    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        """Do nothing: there are no options."""

    def finalize_options(self) -> None:
        """Do nothing: there are no options."""

    def run(self) -> None:
        """Install it into the environment that runs this, unless it is there."""
        if compiler() is not None or importlib.util.find_spec("ziglang") is not None:
            return
        print(
            "no C++ compiler on this machine (CXX is not set; no c++, g++ or clang++ on the PATH): downloading one as\n"
            "the Python package ziglang, 100 MB, into this environment. Compiling with it takes some minutes, once.",
            flush=True,
        )
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        installed = subprocess.run([*pip, "--no-deps", "-r", COMPILER_PIN], check=False)  # noqa: S603
        if installed.returncode != 0:
            sys.exit("pip could not install a compiler (see above): install g++ or clang++, or set CXX")


choose_compiler()
ParallelCompile("NPY_NUM_BUILD_JOBS", default=0).install()
sanitizers = SANITIZERS if os.environ.get("SANITIZE") == "1" else []
native = Pybind11Extension(
    "user_state._native",
    sources(),
    depends=sorted(glob(f"{ROOT}/**/*.[ch]pp", recursive=True)),
    include_dirs=[ROOT],
    cxx_std=20,
    extra_compile_args=[*FLAGS, *sanitizers],
    extra_link_args=sanitizers[:1],
)

setup(ext_modules=[native], cmdclass={"fetch_compiler": FetchCompiler})
