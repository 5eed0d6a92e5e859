"""Reference pages say what the code says, and leave nothing out."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import typer

from user_state.cli.main import app
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.embedding import Embedding
from user_state.spec.embedding_kinds import EMBEDDING_KINDS
from user_state.spec.items import Items
from user_state.spec.model import Events, Feature, Sequence, Spec

ROOT = Path(__file__).parents[1]


def _script(name: str) -> ModuleType:
    found = spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_up_to_date() -> None:
    script = _script("generate_cli")
    assert script.PAGE.read_text() == script.reference(app()), "run `make docs`"


def test_the_page_of_the_record_is_up_to_date() -> None:
    script = _script("generate_record")
    assert script.PAGE.read_text() == script.page(), "run `make docs`"


def test_the_page_of_beam_patches_is_up_to_date() -> None:
    script = _script("generate_beam_patches")
    assert script.PAGE.read_text() == script.page(), "run `make docs`"


def test_a_patch_that_does_not_say_how_to_drop_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _script("generate_beam_patches")
    (tmp_path / "half_said.py").write_text('"""A patch.\n\nWhy.\n\nWritten for: Beam 2.77.\nReplaces: nothing.\n"""\n')
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=r"half_said.py to say Issue of Beam's, To drop it"):
        script.page()


def test_a_command_without_help_is_refused() -> None:
    cli = app()
    cli.command("secret")(lambda: None)
    with pytest.raises(ValueError, match="`user-state secret` to have a docstring"):
        _script("generate_cli").reference(cli)


def test_an_option_without_help_is_refused() -> None:
    def command(level: int = 1) -> None:
        """Say nothing of the option."""

    cli: typer.Typer = app()
    cli.command("half-said")(command)
    with pytest.raises(ValueError, match="`user-state half-said` to say what level is"):
        _script("generate_cli").reference(cli)


@pytest.mark.parametrize("model", [Spec, Events, Feature, Sequence, Embedding, Items])
def test_every_key_of_the_spec_is_documented(model: type[Spec]) -> None:
    documented = re.findall(r"^\| `(\w+)`", (ROOT / "docs/spec.md").read_text(), re.MULTILINE)
    assert {field.alias or name for name, field in model.model_fields.items()} <= set(documented)


def test_every_aggregation_and_embedding_is_documented() -> None:
    text = (ROOT / "docs/spec.md").read_text()
    assert [name for name in (*AGGREGATIONS, *EMBEDDING_KINDS) if f"`{name}`" not in text] == []
