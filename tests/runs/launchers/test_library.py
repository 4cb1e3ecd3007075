"""The files of launchers: found, checked, copied."""

import pytest
import yaml

from napari_surfseg.errors import ConfigError, OutputError
from napari_surfseg.runs.launchers import library
from napari_surfseg.runs.launchers.library import (
    EXAMPLES,
    copy_example,
    example_names,
    find_launcher,
    find_used_launcher,
    keep_used_launcher,
    list_launchers,
    read_launcher,
)


@pytest.mark.parametrize("name", ["lsf", "sge", "slurm", "ssh"])
def test_the_examples_are_valid_and_copied_once(name, own_folders):
    assert name in example_names()
    path = copy_example(name)
    assert path == own_folders / f"{name}.yaml"
    assert find_launcher(name).launcher.start
    with pytest.raises(OutputError, match="exists already"):
        copy_example(name)


WRONG = [
    ({"colour": 1}, "there is no setting 'colour' (allowed: title, program"),
    ({"strat": ["a"]}, "there is no setting 'strat'; did you mean start?"),
    ({"start": "sbatch x"}, "start is 'sbatch x', but it must be a list."),
    ({"start": []}, "start is [], but it must be a list of at least 1 items"),
    ({"start": ["sbatch", "{rum}"]}, "start is ['sbatch', '{rum}']: {rum} is none of what can be"),
    ({"start": ["ssh", "cd {run} && {command:sh}"]}, "{run} stands in a line for a shell"),
    ({"start": ["sbatch", "{job}"]}, "{job} is none of what can be filled in"),
    ({"start": ["sbatch", "x"]}, "start does not use the {script}"),
    ({"script": None}, "so nothing would train"),
    ({"script": "exec {command:sh}"}, "a script begins with #!"),
    ({"script": "#!/bin/bash\nexec {command}"}, "{command} stands in a line for a shell"),
    ({"stop": ["scancel"]}, "it must name the {job} that it ends"),
    ({"job": "\\d+"}, "it needs a group"),
    ({"running": "("}, "running is '(': it is no regular expression"),
    ({"paths": [{"here": "lab", "there": "/x"}]}, "paths.0.here is 'lab': it must be an absolute"),
    ({"paths": [{"here": "/lab"}]}, "paths.0.there is missing"),
    ({"patience": 0}, "patience is 0, but it must be at least 1"),
    ({"patience": True}, "patience is True: it takes no true or false"),
    ({"every": "often"}, "every is 'often', but it must be a number"),
    ({"ask": None}, "ask is empty, but it must be a list."),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[str(one[0])[:40] for one in WRONG])
def test_a_file_that_is_not_valid_says_what_in_one_sentence(tmp_path, changes, said):
    values = yaml.safe_load((EXAMPLES / "slurm.yaml").read_text()) | changes
    path = tmp_path / "lab.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError) as caught:
        read_launcher(path)
    sentence = str(caught.value)
    assert said in sentence
    assert "\n" not in sentence
    assert str(path) in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "holds a list; it must be a mapping with title, program"),
        ("a: [", "is not valid YAML at line"),
        ("title: a\ntitle: b", "the key title is given twice"),
        ("", "start is missing"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, said):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"lab\.yaml") as caught:
        read_launcher(path)
    assert said in str(caught.value)


def test_of_one_name_the_nearest_counts_and_the_invalid_are_listed(
    tmp_path, own_folders, monkeypatch
):
    text = (EXAMPLES / "ssh.yaml").read_text()
    lab, experiment = tmp_path / "lab", tmp_path / "experiment"
    for folder, title in ((own_folders, "mine"), (lab, "lab"), (experiment / "launchers", "its")):
        folder.mkdir(parents=True)
        (folder / "gpu.yaml").write_text(text.replace("title: workstation", f"title: {title}"))
    (own_folders / "broken.yaml").write_text("titel: x")
    (own_folders / "-odd.yaml").write_text(text)
    (own_folders / "notes.txt").write_text("no launcher")
    assert find_launcher("gpu").title == "mine"
    monkeypatch.setenv(library.VARIABLE, f"{lab}:{tmp_path / 'nowhere.yaml'}")
    assert find_launcher("gpu").title == "lab"
    assert find_launcher("gpu", experiment).title == "its"
    assert find_launcher(str(lab / "gpu.yaml")).title == "lab"
    errors = {one.name: one.error for one in list_launchers() if one.launcher is None}
    assert set(errors) == {"broken", "-odd", "nowhere"}
    assert "There is no launcher file" in errors["nowhere"]
    for name, said in (("broken", "titel"), ("none", "There is no launcher 'none'; there are gpu")):
        with pytest.raises(ConfigError, match=said) as caught:
            find_launcher(name)
        assert caught.value.field == "launcher"


def test_only_what_was_used_here_is_found_by_its_digest(tmp_path, own_folders):
    copy_example("ssh")
    found = find_launcher("ssh")
    assert find_used_launcher(found.digest) is None
    digest = keep_used_launcher(found)
    found.path.unlink()
    assert find_used_launcher(digest) == found.launcher
    (kept,) = (library.platformdirs.user_state_path() / "used_launchers").iterdir()
    kept.write_text(kept.read_text().replace("kill", "true"))
    assert find_used_launcher(digest) is None
