"""Builds the compiled code; everything else about the project stands in pyproject.toml.

Sources, flags and compiler are named here alone. The compiler is what `CXX` names, or c++, g++ or clang++ on the PATH,
or else Zig's, if the package `ziglang` is installed: `setup.py fetch_compiler`, which `make` calls, installs it where
there is no other.

Files are compiled several at a time, as one unit (`units`): what a header and a template cost the compiler is then paid
once for all of them, and compiling takes half the processor time.

Environment:
    SANITIZE=1        for tests alone: stop at the first access to wrong memory, or undefined operation
    COMPILE_APART=1   each file that knows no Python by itself: quicker after a change of one, with ccache
"""

import importlib.util
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from glob import glob
from pathlib import Path
from typing import ClassVar

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import Command, Extension, setup

ROOT = Path("native")
UNITS = "build/units"
BINDINGS = "bindings"
FLAGS = ["-O3", "-Wall", "-Wextra", "-ffp-contract=off"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1", "-O1"]
COMPILER_PIN = "requirements-compiler.txt"


def units(sources: list[str], *, apart: bool) -> list[str]:
    """Write files that each include several sources, and return them, those that take longest to compile first.

    What does the same for each family of state is one (`fold.cpp`, `stored.cpp`, `features.cpp`), and so is each folder
    of the others. Names in an anonymous namespace are those of the whole unit.
    """
    members = defaultdict(list)
    for source in sorted(map(Path, sources)):
        folder = source.relative_to(ROOT).parts[0].removesuffix(".cpp")
        unit = source.stem if source.stem in ("fold", "stored", "features") else folder
        members[str(source.with_suffix("")) if apart and unit != BINDINGS else unit].append(source)
    sizes = {unit: sum(source.stat().st_size for source in of) for unit, of in members.items()}
    written = []
    for unit in sorted(members, key=lambda unit: (unit != BINDINGS, -sizes[unit])):
        path = Path(UNITS, f"{unit}.cpp")
        write(path, "".join(f'#include "{os.path.relpath(source, path.parent)}"\n' for source in members[unit]))
        written.append(path)
    return [str(path) for path in written]


def source_id_unit() -> str:
    """Write the file that says of which sources the rest is built, and return it; alone, since it always changes."""
    found = runpy.run_path("user_state/source_id.py")["source_id"](str(ROOT))
    path = Path(UNITS, "source_id.cpp")
    header = os.path.relpath(ROOT / "bindings/source_id.hpp", path.parent)
    write(path, f'#include "{header}"\nconst char* const user_state::kSourceId = "{found}";\n')
    return str(path)


def write(path: Path, text: str) -> None:
    """Write a file, unless it holds this text already: what is newer is compiled again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class BuildUnits(build_ext):
    """Compile units in place of the sources."""

    def build_extension(self, ext: Extension) -> None:
        """Build an extension."""
        ext.sources = [*units(ext.sources, apart=os.environ.get("COMPILE_APART") == "1"), source_id_unit()]
        super().build_extension(ext)


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
    sorted(glob(f"{ROOT}/**/*.cpp", recursive=True)),
    depends=sorted(glob(f"{ROOT}/**/*.[ch]pp", recursive=True)),
    include_dirs=[str(ROOT)],
    cxx_std=20,
    extra_compile_args=[*FLAGS, *sanitizers],
    extra_link_args=sanitizers[:1],
)

setup(ext_modules=[native], cmdclass={"build_ext": BuildUnits, "fetch_compiler": FetchCompiler})
