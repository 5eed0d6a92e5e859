"""The spec: one YAML file in which a team declares its users' state."""

from __future__ import annotations

from user_state.spec.load import LoadedSpec, load_spec, parse_spec
from user_state.spec.model import Spec

__all__ = ["LoadedSpec", "Spec", "load_spec", "parse_spec"]
