import errno

import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.runs.worker.failures import explain_failure, is_foreseen


@pytest.mark.parametrize(
    ("error", "field", "code"),
    [
        (ConfigError("It is 65.", field="data.patch_size"), "data.patch_size", 2),
        (MemoryError(), "data.patch_size", 2),
        (OSError(errno.ENOSPC, "No space left on device"), None, 2),
        (OSError(errno.EIO, "Input/output error"), None, 1),
        (KeyError("training.max_epochs"), None, 1),
    ],
)
def test_a_failure_names_its_setting_and_whether_it_was_foreseen(
    folder, experiment, error, field, code
):
    failure = explain_failure(error, folder, experiment)
    assert (failure.field, failure.exit_code) == (field, code)
    assert is_foreseen(error) == (code == 2)
    assert str(failure).endswith(".")


def test_an_error_of_this_package_is_raised_as_it_is(folder, experiment):
    error = ConfigError("It is 65.")
    assert explain_failure(error, folder, experiment) is error


def test_a_disk_that_filled_up_is_found_behind_other_errors(folder, experiment):
    error = RuntimeError("the writer failed")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "is full; free some space" in str(explain_failure(error, folder, experiment))
