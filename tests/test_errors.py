"""An error that names a setting in its sentence also carries it, for a window to show it there."""

import ast
import re
from pathlib import Path

from napari_surfseg.config import Experiment
from napari_surfseg.errors import ConfigError

PACKAGE = Path(__file__).parents[1] / "src" / "napari_surfseg"
KEY = re.compile(rf"\b({'|'.join(Experiment.model_fields)})\.[a-z]\w+")
#: The key in this sentence is an example of how an override is written.
EXAMPLES = {"training.max_epochs=3"}


def find_errors_without_their_field(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = getattr(getattr(node, "func", None), "id", "")
        if not name.endswith("Error") or any(word.arg == "field" for word in node.keywords):
            continue
        texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
        sentence = "".join(text for text in texts if isinstance(text, str))
        if KEY.search(sentence) and not any(example in sentence for example in EXAMPLES):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno}: {sentence}"


def test_an_error_whose_sentence_names_a_setting_carries_it():
    found = [
        line for path in PACKAGE.rglob("*.py") for line in find_errors_without_their_field(path)
    ]
    assert found == []


def test_an_error_without_a_setting_has_none():
    assert ConfigError("It is wrong.").field is None
    assert ConfigError("It is wrong.", field="data.spacing").field == "data.spacing"
