"""`cached_property` without the lock that Python 3.11 has in its own.

That lock is one for all objects of a class. A child forked while another thread holds it waits for it for ever, and a
ranking service that forks its workers while threads read does just that. Without it, two threads may both work out a
value; they come to the same, and one of the two stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class cached_property(Generic[T]):  # noqa: N801 - stands in for the one of functools
    """Calls a method once for each object, and keeps what it returned in the object's `__dict__`.

    >>> class Squared:
    ...     @cached_property
    ...     def value(self): return print("computing") or 9
    >>> one = Squared()
    >>> one.value, one.value
    computing
    (9, 9)
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> cached_property[T] | T:
        """Return the value; not called again for the object, whose `__dict__` comes first."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._compute(instance)
        return value
