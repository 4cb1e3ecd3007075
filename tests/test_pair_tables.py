"""Tables and patterns of pairs, in a configuration: what becomes of them, and what is refused."""

import pytest
import yaml

from napari_surfseg.config import Experiment, ValidationSlab
from napari_surfseg.config_files import apply_overrides, build_experiment, load_experiment
from napari_surfseg.errors import ConfigError


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Make a folder with volumes a, b, ... and their labels, and others beside them."""
    for name in ("a", "b", "c10", "c9"):
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.tif").touch()
    (tmp_path / "images" / ".hidden.tif").touch()
    (tmp_path / "images" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(lab, text, name="pairs.csv", encoding="utf-8"):
    (lab / name).write_text(text, encoding=encoding)
    (lab / "my.yaml").write_text(yaml.safe_dump({"data": {"train": name}}))
    return load_experiment(lab / "my.yaml").data


FULL = """\
image,labels,weight,split,spacing,roi,#remark
images/a.tif,labels/a.tif,2,train,0.5,0:8 0:9 0:10,looks good
# not yet
images/b.tif,labels/b.tif,1.5,,"2 0.5 0.5",,

images/c9.tif,labels/c9.tif,,Val,,,
"""


def test_a_table_becomes_pairs_for_training_and_validation(lab):
    data = write(lab, FULL)
    first, second = data.train
    assert first.image == str(lab / "images" / "a.tif")
    assert (first.weight, first.spacing) == (2, (0.5, 0.5, 0.5))
    assert first.roi == ((0, 8), (0, 9), (0, 10))
    assert (second.weight, second.spacing, second.roi) == (1.5, (2, 0.5, 0.5), None)
    assert [pair.labels for pair in data.validation] == [str(lab / "labels" / "c9.tif")]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("image;labels;weight\nimages/a.tif;labels/a.tif;2,5\n", "utf-8"),
        ("image\tlabels\tweight\r\nimages/a.tif\tlabels/a.tif\t2.5\r\n", "utf-8"),
        ('\ufeffImage, Labels ,WEIGHT\n"images/a.tif",  "labels/a.tif", 2.5', "utf-8"),
    ],
    ids=["semicolons", "tabs", "as Excel writes it"],
)
def test_what_spreadsheets_write_is_read(lab, text, encoding):
    data = write(lab, text, encoding=encoding)
    assert data.train[0].weight == 2.5
    assert isinstance(data.validation, ValidationSlab)


HEADER = "image,labels,weight,split,spacing,spacing_z,spacing_y,spacing_x,roi\n"
ROW = "images/a.tif,labels/a.tif"
WRONG = [
    ("", "pairs.csv is empty."),
    ("image,labels\n", "has no rows below its header."),
    ("image,mask\nx,y\n", "has no column 'labels' in its first row; the columns are image"),
    ("image,labels,wieght\n", "has a column 'wieght', which means nothing; the columns are image"),
    ("image,labels,image\n", "has two columns 'image'"),
    (HEADER + f"{ROW}\nimages/x.tif,labels/a.tif\n", "row 3: there is no file "),
    (HEADER + f"{ROW}\nimages/b.tif,labels/x.tif\n", "labels/x.tif, the labels of that row"),
    (HEADER + ",labels/a.tif\n", "row 2 names no image."),
    (HEADER + f"{ROW},heavy\n", "row 2: weight is 'heavy', but it must be a number above 0."),
    (HEADER + f"{ROW},0\n", "row 2: weight is '0', but it must be a number above 0."),
    (HEADER + f"{ROW},nan\n", "row 2: weight is 'nan'"),
    (HEADER + f"{ROW},1\nimages/b.tif,labels/b.tif\n", "weight is given in 1 of 2 rows"),
    (HEADER + f"{ROW},,test\n", "row 2: split is 'test', but it must be train or validation."),
    (HEADER + f"{ROW},,,1 2\n", "row 2: spacing is '1 2', but it must be one number above 0, or"),
    (HEADER + f"{ROW},,,,1,2,\n", "row 2: the voxel size is either spacing_z"),
    (HEADER + f"{ROW},,,1,1,2,2\n", "row 2: the voxel size is either spacing_z"),
    (HEADER + f"{ROW},,,,,,,0:8\n", "row 2: roi is '0:8', but it must be three ranges"),
    (HEADER + f"{ROW},,,,,,,8:0 0:8 0:8\n", "data.train.0.roi"),
    (HEADER + f"{ROW}\n# x\n{ROW}\n", "row 4 repeats row 2; each pair may be there once."),
    (HEADER + f"{ROW}\n{ROW},,val\n", "row 3 scores on what is trained on in row 2;"),
    ("image,labels\n" + f"{ROW},1,2\n", "row 2 has 4 cells, but row 1 names 2 columns."),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[one[1][:40] for one in WRONG])
def test_what_is_wrong_with_a_table_names_its_row(lab, text, said):
    with pytest.raises(ConfigError) as caught:
        write(lab, text)
    sentence = str(caught.value)
    assert said in sentence
    assert "\n" not in sentence
    assert (caught.value.field or "").startswith("data.train")


def test_a_table_that_is_missing_or_no_text_is_said(lab):
    with pytest.raises(ConfigError, match=r"There is no table .*none\.csv"):
        build_experiment({"data": {"train": "none.csv"}}, folder=lab)
    with pytest.raises(ConfigError, match="it is not text in UTF-8"):
        write(lab, FULL + "ü", encoding="latin-1")
    with pytest.raises(ConfigError, match="it must be a list of pairs, a table"):
        build_experiment({"data": {"train": "images"}}, folder=lab)


def test_a_pattern_becomes_pairs_in_the_order_a_person_counts(lab):
    pattern = {"image": "images/*.tif", "labels": "labels/{name}.tif", "weight": 3}
    data = build_experiment({"data": {"train": pattern}}, folder=lab).data
    names = [pair.image.rpartition("/")[2] for pair in data.train]
    assert names == ["a.tif", "b.tif", "c9.tif", "c10.tif"]
    assert {pair.weight for pair in data.train} == {3}
    override = "data.train={image: images/c*.tif, labels: 'labels/c{name}.tif'}"
    assert len(apply_overrides(Experiment(), [override]).data.train) == 2
    # Also beside single pairs, and for validation.
    single = {"image": "x.tif", "labels": "y.tif"}
    values = {"train": [single, {**pattern, "weight": None}], "validation": pattern}
    data = build_experiment({"data": values}, folder=lab).data
    assert (len(data.train), len(data.validation)) == (5, 4)


def test_a_pattern_may_stand_for_folders_and_keys(lab):
    for name in ("one", "two"):
        (lab / "cells" / name).mkdir(parents=True)
    (lab / "cells" / "one" / "raw.h5").touch()
    pattern = {"image": "cells/*/raw.h5::raw", "labels": "cells/{name}/raw.h5::labels"}
    (pair,) = build_experiment({"data": {"train": pattern}}, folder=lab).data.train
    assert pair.image == f"{lab}/cells/one/raw.h5::raw"
    assert pair.labels == f"{lab}/cells/one/raw.h5::labels"


@pytest.mark.parametrize(
    ("image", "labels", "said"),
    [
        ("images/*.tif", "labels/a.tif", "so labels must hold {name}"),
        ("*/*.tif", "labels/{name}.tif", "must be a path with one *"),
        ("images/*.png", "labels/{name}.tif", "nothing fits the pattern images/*.png"),
        ("nowhere/*.tif", "labels/{name}.tif", "nowhere cannot be read: No such file"),
        ("images/*.tif", "labels/{name}_l.tif", "4 of the 4 volumes that fit images/*.tif have no"),
        ("images/a.h5::*", "labels/{name}.tif", "must stand in the path"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(lab, image, labels, said):
    with pytest.raises(ConfigError) as caught:
        build_experiment({"data": {"train": {"image": image, "labels": labels}}}, folder=lab)
    assert said in str(caught.value)


def test_validation_is_said_in_one_place(lab):
    (lab / "pairs.csv").write_text(FULL)
    pair = {"image": "x.tif", "labels": "y.tif"}
    with pytest.raises(ConfigError, match="say it in one place") as caught:
        build_experiment({"data": {"train": "pairs.csv", "validation": [pair]}}, folder=lab)
    assert caught.value.field == "data.validation"
    with pytest.raises(ConfigError, match="pair 1 has no weight and others have"):
        build_experiment({"data": {"train": [{**pair, "weight": 1}, pair]}})


def test_many_rows_are_read_at_once(lab):
    rows = "".join(f"images/a.tif,labels/a.tif,0:{n} 0:9 0:9\n" for n in range(1, 1001))
    assert len(write(lab, "image,labels,roi\n" + rows).train) == 1000
