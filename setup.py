"""Builds the compiled inner loops; everything else about the project stands in pyproject.toml.

Without a C++ compiler the project is installed without them, and does the same in Python, more slowly.
"""

from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension
from setuptools import setup

ParallelCompile("NPY_NUM_BUILD_JOBS", default=0).install()

native = Pybind11Extension(
    "user_state._native",
    sorted(glob("native/**/*.cpp", recursive=True)),
    depends=sorted(glob("native/**/*.hpp", recursive=True)),
    cxx_std=20,
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-ffp-contract=off"],
)
native.optional = True

setup(ext_modules=[native])
