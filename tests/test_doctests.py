"""The examples in docstrings are run; every module of the library is there to be looked at."""

import doctest
import importlib
import pkgutil

import pytest

import user_state

MODULES = sorted(found.name for found in pkgutil.walk_packages(user_state.__path__, "user_state."))


@pytest.mark.parametrize("name", ["user_state", *MODULES])
def test_examples_in(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(bool(found.examples) for module in modules for found in finder.find(module)) >= 10
