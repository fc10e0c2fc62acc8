"""Reads a lake that keeps geometry with GeoPandas, folder by folder, and says in JSON what is there."""

import json
import sys

import geopandas

lake = sys.argv[1]
found = {}
for dataset in ("activities", "golden"):
    table = geopandas.read_parquet(f"{lake}/{dataset}")
    known = table[table.geometry.notna()]
    assert set(known.geometry.geom_type) == {"LineString"} and known.geometry.is_valid.all()
    assert table.crs.to_string() == "OGC:CRS84", table.crs
    row = known.iloc[0]
    assert [round(x * 1e5) for x in row.geometry.bounds] == [row.bbox_west_e5, row.bbox_south_e5, row.bbox_east_e5, row.bbox_north_e5]
    found[dataset] = len(known)
box = geopandas.read_parquet(f"{lake}/golden", bbox=(2.29, 48.09, 2.31, 48.21))
found["in_the_box"] = int((box.start_time.dt.strftime("%Y-%m") == "2019-05").sum())
print(json.dumps(found))
