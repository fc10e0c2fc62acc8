"""A lake of longrun, as Arrow.

    import longrun
    lake = longrun.lake("lake")
    polars.DataFrame(lake.golden(user="alice"))
    duckdb.sql("SELECT sport, count(*) FROM golden GROUP BY ALL")   # where `golden = lake.golden().arrow()`

Whatever speaks Arrow's PyCapsule interface (polars, DuckDB, pandas, pyarrow, GeoPandas, DataFusion) takes the rows as
they are, and reads no more of the files than it was asked for.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig

import pyarrow
import pyarrow.compute
import pyarrow.dataset

__all__ = ["Lake", "Rows", "binary", "lake", "run"]


def lake(path: str | os.PathLike | None = None) -> Lake:
    """The lake in a folder: as on the command line, `LONGRUN_LAKE` or `lake` where none is named."""
    return Lake(_folder(path))


def _folder(path: str | os.PathLike | None) -> str:
    return os.fspath(path) if path is not None else os.environ.get("LONGRUN_LAKE") or "lake"


def binary() -> str:
    """The program that came with this package, or the one on the path."""
    beside = pathlib.Path(sysconfig.get_path("scripts")) / ("longrun.exe" if os.name == "nt" else "longrun")
    found = str(beside) if beside.exists() else shutil.which("longrun")
    if found is None:
        raise FileNotFoundError("there is no longrun beside this Python or on the path; install it with pip or cargo")
    return found


# Done, done with rejects or with messages held back, stopped at a quota.
_ENDED_WELL = (0, 3, 75)


def run(*words: str, lake: str | os.PathLike | None = None):
    """Runs a command, such as `run("reconcile")`, and returns what it says as JSON. One that fails raises its error."""
    command = [os.environ.get("LONGRUN_BINARY") or binary(), "--lake", _folder(lake), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in _ENDED_WELL:
        raise RuntimeError(done.stderr.strip() or f"longrun ended with {done.returncode}")
    return json.loads(done.stdout) if done.stdout.strip() else None


class Lake:
    """The datasets of a lake. Each method gives rows that are read when they are used."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        if not (self.path / "lake.toml").exists():
            raise FileNotFoundError(f"{self.path} is not a lake: it has no lake.toml")

    def __repr__(self) -> str:
        return f"longrun.lake({str(self.path)!r})"

    def golden(self, user: str | None = None, columns: list[str] | None = None) -> Rows:
        """Workouts, each once."""
        return self._rows("golden", columns, user_id=user)

    def activities(self, user: str | None = None, source: str | None = None, columns: list[str] | None = None) -> Rows:
        """Records, as each source tells them."""
        return self._rows("activities", columns, user_id=user, source=source)

    def streams(self, user: str | None = None, source: str | None = None, columns: list[str] | None = None) -> Rows:
        """Samples, a row for each record that has some."""
        return self._rows("streams", columns, user_id=user, source=source)

    def matches(self, user: str | None = None, columns: list[str] | None = None) -> Rows:
        """Pairs that were compared, with what was decided and why."""
        return self._rows("matches", columns, user_id=user)

    def rejects(self, user: str | None = None, columns: list[str] | None = None) -> Rows:
        """What could not be read, why, and where it lies."""
        return self._rows("rejects", columns, user_id=user)

    def _rows(self, dataset: str, columns: list[str] | None, **values: str | None) -> Rows:
        files = _standing(sorted(str(path) for path in (self.path / dataset).glob("*.parquet")))
        if not files:
            # A lake may well have no rejects and no streams; without the first two it was not made yet.
            made_by = {"golden": "dedupe", "matches": "dedupe", "activities": "normalize"}.get(dataset)
            how = f" yet; run `longrun --lake {self.path} {made_by}`" if made_by else ""
            raise FileNotFoundError(f"{self.path} has no {dataset}{how}")
        wanted = None
        for name, value in values.items():
            if value is not None:
                is_it = pyarrow.compute.field(name) == value
                wanted = is_it if wanted is None else wanted & is_it
        return Rows(pyarrow.dataset.dataset(files, format="parquet"), wanted, columns)


_PIECE = re.compile(r"(.*)\.(\d+)(?:-(\d+))?\.parquet")


def _standing(files: list[str]) -> list[str]:
    """Files without pieces of samples that a larger one holds: a run that is killed may leave them beside it."""
    years: dict[str, list[tuple[int, int, str]]] = {}
    for file in files:
        if found := _PIECE.fullmatch(file):
            years.setdefault(found[1], []).append((int(found[2]), int(found[3] or found[2]), file))
    held = {
        file
        for pieces in years.values()
        for first, last, file in pieces
        if any(begin <= first and last <= end and other != file for begin, end, other in pieces)
    }
    return [file for file in files if file not in held]


class Rows:
    """Rows of a dataset, not read yet."""

    def __init__(self, dataset: pyarrow.dataset.Dataset, wanted: pyarrow.compute.Expression | None, columns: list[str] | None):
        self._dataset, self._wanted, self._columns = dataset, wanted, columns

    def _scanner(self, columns: list[str] | None = None) -> pyarrow.dataset.Scanner:
        return self._dataset.scanner(columns=columns or self._columns, filter=self._wanted)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._scanner().to_reader().__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return self._scanner().count_rows()

    @property
    def schema(self) -> pyarrow.Schema:
        return self._scanner().projected_schema

    def arrow(self) -> pyarrow.Table:
        """Read, as a table of pyarrow."""
        return self._scanner().to_table()

    def lines(self, columns: list[str] | None = None):
        """Read, as a GeoDataFrame of those that have a track: a line in WGS 84. Needs geopandas."""
        import geopandas
        import numpy
        import shapely

        ends = ["track_lat_e5", "track_lon_e5"]
        flat = [field.name for field in self.schema if not pyarrow.types.is_nested(field.type)]
        names = [name for name in columns or flat if name not in ends]
        table = self._scanner([*names, *ends]).to_table()
        table = table.filter(pyarrow.compute.greater(pyarrow.compute.list_value_length(table[ends[0]]), 1))
        lat, lon = (table[name].combine_chunks() for name in ends)
        places = numpy.column_stack([of.flatten().to_numpy() / 1e5 for of in (lon, lat)])
        of_row = numpy.repeat(numpy.arange(len(table)), lat.value_lengths().to_numpy())
        lines = shapely.linestrings(places, indices=of_row) if len(table) else []
        return geopandas.GeoDataFrame(table.select(names).to_pandas(), geometry=lines, crs="OGC:CRS84")
