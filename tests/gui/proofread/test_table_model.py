"""The rows of the table."""

from qtpy.QtCore import Qt

from napari_surfseg.gui.proofread.table_model import ErrorTable


def test_rows_of_one_name_know_their_index_in_the_whole_list(errors):
    table = ErrorTable()
    table.set_errors(errors)
    assert table.rowCount() == len(errors)
    table.set_errors(errors, "hole")
    for row in range(table.rowCount()):
        error = errors[table.index_of(row)]
        assert error.name == table.index(row, 0).data() == "hole"
        assert table.index(row, 1).data() == f"{error.size:,}"
        assert table.index(row, 2).data() == ", ".join(map(str, error.location))
        assert "within" in table.index(row, 0).data(Qt.ItemDataRole.ToolTipRole)
