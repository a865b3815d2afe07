import numpy as np
import pytest

from fedn_lightning.datasets.affectnet import CLASSES, read_affectnet
from fedn_lightning.errors import AnnotationError, CorpusNotFoundError


def write_annotated(root, labels, split="train_set"):
    for part in ("images", "annotations"):
        (root / split / part).mkdir(parents=True, exist_ok=True)
    for number, label in enumerate(labels):
        (root / split / "images" / f"{number}.jpg").write_bytes(b"")
        # The release stores labels as text, and unknown valences as -2.
        np.save(root / split / "annotations" / f"{number}_exp.npy", np.array(str(label)))
        np.save(root / split / "annotations" / f"{number}_val.npy", np.array(0.25 if number else -2.0))
    return str(root)


def test_reads_images_with_annotations(tmp_path):
    write_annotated(tmp_path, [3, 7])
    stills = read_affectnet(write_annotated(tmp_path, [0], "val_set"))
    assert [(s.label, s.valence, s.arousal) for s in stills["train"]] == [(3, None, None), (7, 0.25, None)]
    assert [s.label for s in stills["val"]] == [0]
    assert stills["train"][1].path == str(tmp_path / "train_set" / "images" / "1.jpg")


def test_reads_class_folders_by_name_or_index(tmp_path):
    for split, names in (("train", ("neutral", "Happiness", "6")), ("val", ("7_contempt",))):
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "a.png").write_bytes(b"")
    stills = read_affectnet(str(tmp_path))
    assert sorted(CLASSES[s.label] for s in stills["train"]) == ["anger", "happy", "neutral"]
    assert [CLASSES[s.label] for s in stills["val"]] == ["contempt"]


def test_faults_are_explained(tmp_path):
    with pytest.raises(CorpusNotFoundError, match=r"AffectNet was looked for in .*synthetic\.yaml"):
        read_affectnet(str(tmp_path / "none"))
    write_annotated(tmp_path, [0], "val_set")
    root = write_annotated(tmp_path, [1, 9])
    with pytest.raises(AnnotationError, match=r"1_exp\.npy holds 9; classes are 0 to 7"):
        read_affectnet(root)
    (tmp_path / "train_set" / "annotations" / "1_exp.npy").unlink()
    with pytest.raises(AnnotationError, match=r"1\.jpg has no label"):
        read_affectnet(root)
    (tmp_path / "train_set" / "annotations" / "0_exp.npy").write_bytes(b"broken")
    with pytest.raises(AnnotationError, match=r"0_exp\.npy does not hold one number"):
        read_affectnet(root)
    (tmp_path / "train_set" / "annotations").rename(tmp_path / "train_set" / "cats")
    with pytest.raises(AnnotationError, match=r"cats is named after none of the classes"):
        read_affectnet(root)
