#!/usr/bin/env python3
"""What a geometry column would cost: the tracks of a dataset packed in other ways, beside what its files take today.

usage: geometry.py LAKE/golden
needs: pip install numpy pyarrow shapely
"""

import collections
import glob
import io
import os
import sys

import numpy
import pyarrow
import pyarrow.parquet
import shapely


def packed(column, **options):
    """Bytes that a column takes in a Parquet file, packed as the lake's are."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"g": column}), out, compression="zstd", compression_level=3, write_statistics=False, **options)
    return columns(pyarrow.parquet.read_metadata(out), "")


def columns(metadata, begins):
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
    return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.startswith(begins))


def main(folder):
    bytes_of, rows, points = collections.Counter(), 0, 0
    for path in sorted(glob.glob(os.path.join(folder, "*.parquet"))):
        metadata = pyarrow.parquet.read_metadata(path)
        lists = pyarrow.parquet.read_table(path, columns=["track_lat_e5", "track_lon_e5"])
        lat, lon = (lists[name].combine_chunks() for name in ("track_lat_e5", "track_lon_e5"))
        x, y = (of.flatten().to_numpy() / 1e5 for of in (lon, lat))
        rows, points = rows + len(lists), points + len(x)
        lengths = numpy.diff(lat.offsets.to_numpy())
        of_row = numpy.repeat(numpy.arange(len(lists)), lengths)
        is_line = (lengths > 1)[of_row]
        lines = numpy.full(len(lists), None, dtype=object)
        rows_with, numbers = numpy.unique(of_row[is_line], return_inverse=True)
        if len(rows_with):
            lines[rows_with] = shapely.linestrings(numpy.c_[x, y][is_line], indices=numbers)
        wkb = pyarrow.array(shapely.to_wkb(lines, byte_order=1).tolist(), pyarrow.binary())
        pairs = pyarrow.StructArray.from_arrays([pyarrow.array(x), pyarrow.array(y)], ["x", "y"])
        split = {f"g.list.element.{axis}": "BYTE_STREAM_SPLIT" for axis in "xy"}
        line = pyarrow.ListArray.from_arrays(pyarrow.array(lat.offsets), pairs)
        bytes_of["the whole file"] += os.path.getsize(path)
        bytes_of["two lists of integers, as it has them"] += columns(metadata, "track_lat") + columns(metadata, "track_lon")
        bytes_of["WKB"] += packed(wkb, use_dictionary=False)
        bytes_of["WKB, with a dictionary"] += packed(wkb)
        bytes_of["list of pairs, with dictionaries"] += packed(line)
        bytes_of["list of pairs, bytes split"] += packed(line, use_dictionary=False, column_encoding=split)
    print(f"{rows:,} rows, {points:,} points")
    for what, size in bytes_of.items():
        share = size / bytes_of["the whole file"]
        print(f"  {what:40} {size:12,} B  {size / rows:8.0f} B a row  {size / points:5.2f} B a point  {share:5.0%} of the file")


main(sys.argv[1])
