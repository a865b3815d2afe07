import importlib
import inspect
import re
from pathlib import Path

import pytest

from fedn_lightning.datasets import CLIPPED, READERS, SHARED, read, read_all
from fedn_lightning.datasets.base import PUBLISHED, is_generated
from fedn_lightning.errors import ConfigError
from lookalikes.movies import numbered, write_movie

ROOT = Path(__file__).parents[2]


def reader(name):
    module, function = READERS[name].split(":")
    return getattr(importlib.import_module(module), function)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_root_and_log_and_its_own_policies_with_defaults(name):
    root, log, *own = inspect.signature(reader(name)).parameters.values()
    assert (root.name, log.name) == ("root", "log")
    assert not {policy.name for policy in own} & set(SHARED)
    assert all(policy.default is not inspect.Parameter.empty for policy in own)


def test_the_page_on_layouts_names_every_reader_and_true_policies():
    page = (ROOT / "data" / "README.md").read_text()
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    assert all(f"`{name}`" in sections[0] for name in READERS)
    headings = {"casme2": "CAS(ME)^2", "casme3": "CAS(ME)^3", "samm_lv": "SAMM"}
    for name, heading in headings.items():
        section = next(s for s in sections if s.startswith(heading))
        listed = re.findall(r"^\| `(\w+)` \| `(\w+)`", section, re.MULTILINE)
        assert listed, name
        defaults = {key: str(p.default) for key, p in inspect.signature(reader(name)).parameters.items()}
        shared = {"offset_policy": "apex", "type_source": "label", "unusable_rows": "error"}
        defaults |= {**shared, "past_end": "clip" if name in CLIPPED else "unusable"}
        assert {policy: defaults[policy] for policy, _ in listed} == dict(listed)


def test_the_page_on_own_data_shows_a_table_that_is_read(tmp_path):
    table = re.search(r"```csv\n(.*?)```", (ROOT / "docs" / "own_data.md").read_text(), re.DOTALL).group(1)
    (tmp_path / "annotations.csv").write_text(table)
    write_movie(tmp_path / "videos" / "anna" / "interview 1.mp4", map(numbered, range(450)))
    corpus = read("csv", str(tmp_path))
    assert [(e.start, e.end, e.type, e.emotion) for e in corpus.expressions] == [
        (119, 150, "macro", "happiness"),
        (409, 421, "micro", "surprise"),
    ]


def test_published_counts_are_of_readers():
    assert set(PUBLISHED) < set(READERS)


def test_several_corpora_are_read_as_one_and_their_people_stay_apart(tmp_path):
    rows = "subject,video,onset,offset,type,emotion\nanna,a,{onset},{offset},macro,happiness\n"
    for name, onset in (("one", 3), ("two", 5)):
        write_movie(tmp_path / name / "videos" / "anna" / "a.mp4", map(numbered, range(30)))
        (tmp_path / name / "annotations.csv").write_text(rows.format(onset=onset, offset=onset + 9))
    roots = [str(tmp_path / name) for name in ("one", "two")]
    corpus = read_all("csv", roots, {})
    assert corpus.subjects == ("one-anna", "two-anna")
    assert {(e.video_key, e.start) for e in corpus.expressions} == {("one-anna/a", 2), ("two-anna/a", 4)}
    assert read_all("csv", roots[0], {}).subjects == ("anna",)
    with pytest.raises(ConfigError, match="two folders are called one"):
        read_all("csv", [roots[0], str(tmp_path / "more" / "one")], {})
    with pytest.raises(ConfigError, match="names no folder"):
        read_all("csv", [], {})


def test_faces_are_generated_if_they_are_in_every_folder(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "corpus.json").write_text("{}")
    assert is_generated(str(tmp_path / "one"))
    assert not is_generated([str(tmp_path / "one"), str(tmp_path / "two")])
