"""Two predicted films that the tests of the review share."""

import pytest

from support.reviewing import FOUND, write_prediction


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write_prediction(folder / "p" / "anna", folder / "anna.mp4")
    write_prediction(folder / "p" / "ben", folder / "ben.mp4", FOUND[:1])
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "review"
