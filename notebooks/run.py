"""Executes notebooks from clean on a lake.

usage: run.py LONGRUN LAKE [--save]

Every cell has to run; what came out is compared with nothing. --save keeps the outputs in the notebooks, which
have to stay small.
"""

import os
import pathlib
import sys

import nbformat
from nbclient import NotebookClient

MOST_BYTES = 400_000


def main():
    longrun, lake = (str(pathlib.Path(argument).resolve()) for argument in sys.argv[1:3])
    os.environ.update(LONGRUN_BINARY=longrun, LONGRUN_LAKE=lake)
    folder = pathlib.Path(__file__).resolve().parent
    # `import longrun` as it is here, and not as it may be installed.
    os.environ["PYTHONPATH"] = str(folder.parent / "python")
    for path in sorted(folder.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        notebook.metadata.language_info = {"name": "python"}
        text = nbformat.writes(notebook) + "\n"
        assert len(text) <= MOST_BYTES, f"{path.name} would have {len(text):,} bytes"
        if "--save" in sys.argv:
            path.write_text(text)
        print(f"{path.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells, {len(text):,} bytes")


main()
