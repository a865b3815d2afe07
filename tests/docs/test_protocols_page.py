"""The page on protocols says what the code does."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def pictures():
    spec = importlib.util.spec_from_file_location("protocol_pictures", DOCS / "pictures" / "protocols.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_the_evaluator_computes(pictures):
    assert pictures.markdown() in (DOCS / "protocols.md").read_text()


def test_the_pictures_are_drawn_and_those_of_the_page_exist(pictures, tmp_path):
    pictures.main(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn <= {path.name for path in (DOCS / "pictures").glob("*.png")}
    page = (DOCS / "protocols.md").read_text()
    assert all(f"pictures/{name}" in page for name in drawn)
    assert all((tmp_path / name).stat().st_size < 100_000 for name in drawn)
