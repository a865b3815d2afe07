from pathlib import Path

import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.write.corpus import begin_or_resume, finish

JOB = {"seed": 1, "size": 64}


def test_a_job_takes_its_own_folder_up_again_before_and_after_it_ended(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    begin_or_resume(out, "stills", JOB)
    begin_or_resume(out, "stills", JOB)
    assert (out / "stills.unfinished.json").exists()

    finish(out, "stills", JOB | {"n": 3})
    begin_or_resume(out, "stills", JOB)
    assert [path.name for path in out.iterdir()] == ["stills.json"]


@pytest.mark.parametrize("finished", [True, False])
def test_another_job_is_turned_away(tmp_path: Path, finished: bool) -> None:
    begin_or_resume(tmp_path, "stills", JOB)
    if finished:
        finish(tmp_path, "stills", JOB)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(ConfigError, match=r"stills.*says: seed 1, size 64. Asked for: seed 2, size 64. Choose another"):
        begin_or_resume(tmp_path, "stills", JOB | {"seed": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(ConfigError, match=r"holds nothing that this command began"):
        begin_or_resume(tmp_path, "corpus", JOB)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")

    with pytest.raises(ConfigError, match=r"out exists and holds nothing"):
        begin_or_resume(tmp_path / "out", "corpus", JOB)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{"])
def test_a_damaged_table_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "corpus.json").write_text(content)

    with pytest.raises(ConfigError, match=r"corpus\.json cannot be read"):
        begin_or_resume(tmp_path, "corpus", JOB)
