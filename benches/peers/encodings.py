"""What each column of a dataset takes in each encoding that Parquet has for its type, smallest first.

usage: encodings.py FILE...

The files are read and their columns written again by pyarrow, each by itself, with the codec and level of longrun. The table is
where the `encoding = …` of the columns comes from.
"""

import collections
import io
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def size(table, name, encoding):
    """Bytes of one column in a file of its own, without the footer."""
    buffer = io.BytesIO()
    is_list = pa.types.is_list(table.schema.field(name).type)
    path = f"{name}.list.element" if is_list else name
    how = {"use_dictionary": True} if encoding == "DICTIONARY" else {"use_dictionary": False, "column_encoding": {path: encoding}}
    pq.write_table(table.select([name]), buffer, compression="zstd", compression_level=3, write_statistics=False, **how)
    footer = pq.ParquetFile(buffer).metadata
    return sum(footer.row_group(group).column(0).total_compressed_size for group in range(footer.num_row_groups))


def encodings(kind):
    """Those that a type may have; none for lists of structs."""
    if pa.types.is_list(kind):
        return encodings(kind.value_type)
    if pa.types.is_string(kind):
        return ["DICTIONARY", "PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]
    if pa.types.is_floating(kind):
        return ["DICTIONARY", "PLAIN", "BYTE_STREAM_SPLIT"]
    if pa.types.is_integer(kind):
        return ["DICTIONARY", "PLAIN", "BYTE_STREAM_SPLIT", "DELTA_BINARY_PACKED"]
    return []


def main():
    sizes = collections.defaultdict(collections.Counter)
    for file in sys.argv[1:]:
        table = pq.read_table(file)
        for name in table.column_names:
            if pa.types.is_timestamp(table.schema.field(name).type):
                at = table.column_names.index(name)
                table = table.set_column(at, name, table[name].cast(pa.int64()))
            for encoding in encodings(table.schema.field(name).type):
                sizes[name][encoding] += size(table, name, encoding)
    for name, of in sorted(sizes.items(), key=lambda item: -min(item[1].values())):
        print(f"{name:24}", "  ".join(f"{encoding} {bytes:,}" for encoding, bytes in reversed(of.most_common())))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main()
