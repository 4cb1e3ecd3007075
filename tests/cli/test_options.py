from napari_surfseg.cli.main import build_parser


def test_arguments_have_one_meaning():
    options = build_parser().parse_args(
        ["evaluate", "a", "b", "--spacing", "2", "--ignore", "none", "--foreground", "1,3"]
    )
    assert options.spacing == (2.0, 2.0, 2.0)
    assert options.ignore == ()
    assert options.foreground == (1, 3)
