import pytest

COMMANDS = ("train", "predict", "evaluate", "report", "runs", "phantom", "demo")


def test_help_names_every_command(surfseg):
    code, out, err = surfseg("--help")
    assert (code, err) == (0, "")
    for name in COMMANDS:
        assert f"\n    {name} " in out
    assert "surfseg demo" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(surfseg, name):
    code, out, _ = surfseg(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: surfseg {name}")
    assert "--debug" in out
