"""The weights in the package: the file that was published, found without `--ckpt`, and no other than by its name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml

from fedn_lightning import Detector, weights
from fedn_lightning.cli.main import main
from fedn_lightning.errors import CheckpointError
from fedn_lightning.models.checkpoints import read_checkpoint

MEGABYTE = 2**20


@pytest.fixture
def published(trained, tmp_path, monkeypatch) -> Path:
    """Another checkpoint in the place of the package's."""
    path = tmp_path / "package" / weights.CHECKPOINT
    path.parent.mkdir()
    path.write_bytes(trained.path.read_bytes())
    (path.parent / weights.DIGESTS).write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    monkeypatch.setattr(weights, "FOLDER", path.parent)
    weights.shipped.cache_clear()
    yield path
    weights.shipped.cache_clear()


def test_the_weights_in_the_package_are_the_published_ones_and_nothing_more():
    path = weights.shipped()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == weights.published_digest()
    assert path.stat().st_size < 8 * MEGABYTE
    content = read_checkpoint(path)
    assert content.keys() == {"fedn", "state_dict"}
    assert content["fedn"]["generated"] is True
    assert yaml.safe_load((weights.FOLDER / weights.RECIPE).read_text())["experiment"] == "weights"
    assert (weights.FOLDER / "README.md").is_file()


def test_they_say_what_they_have_seen():
    config = Detector.pretrained("cpu").config
    assert config.generated_only
    assert "generated people and nobody real" in config.notes[0]


def test_predict_without_a_checkpoint_is_predict_with_that_file(published, films, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["predict", str(films / "thirty.mp4"), "--format", "json", "--threshold", "0.01", "0.01"]
    assert main([*words, "--out", "without"]) == 0
    assert main([*words, "--out", "with", "--ckpt", str(published)]) == 0
    one, other = (json.loads(Path(out, "thirty", "events.json").read_text()) for out in ("without", "with"))
    assert one["expressions"]
    assert one == other


@pytest.mark.parametrize("harm", ["changed", "missing", "no hash"])
def test_another_file_is_refused(published, harm, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_text("unread")
    if harm == "changed":
        torch.save({"state_dict": {}}, published)
    elif harm == "missing":
        published.unlink()
    else:
        (published.parent / weights.DIGESTS).write_text("")
    with pytest.raises(CheckpointError, match="again"):
        Detector.pretrained()
    assert main(["predict", "a.mp4"]) == 2
    assert "--ckpt" in capsys.readouterr().err


def test_the_cells_of_the_notebook_run(films, tmp_path, monkeypatch, capsys):
    notebook = json.loads((Path(__file__).parents[2] / "examples" / "first_look.ipynb").read_text())
    (tmp_path / "video.mp4").symlink_to(films / "thirty.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), "results are not committed"
            exec("".join(cell["source"]), names)
    assert list(names["counts"].values()) == sorted(names["counts"].values(), reverse=True)
    assert "150 frames at 30 fps" in capsys.readouterr().out
