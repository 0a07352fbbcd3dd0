"""The notebooks run from top to bottom, at the small size that they have or at a smaller one."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

# In place of the cell with the tag "parameters".
SMALLER = {"detector": "SCENES, CLASSIFIER_EPOCHS, DETECTOR_EPOCHS = 16, 1, 1"}
NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# The client talks to a process of its own, over sockets that it leaves to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = SMALLER[path.stem]
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any(output.output_type in ("execute_result", "display_data") for output in printed)
