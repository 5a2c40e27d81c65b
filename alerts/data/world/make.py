#!/usr/bin/env python3
"""Writes countries.txt from the TopoJSON files of the npm package world-atlas 2.0.2 (Natural Earth 4.1).

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    pip install pycountry
    python3 make.py package/countries-110m.json package/countries-50m.json > countries.txt

A line is a country: ISO 3166-1 code, a space, an SVG path on a grid of 2000 x 806 (equirectangular, 85 N to 60 S). Countries that
the coarse file lacks come from the finer one; where a country is smaller than the grid it is a small square.
"""
import json
import sys

import pycountry

WIDTH, TOP, BOTTOM = 2000, 85.0, -60.0
SCALE = WIDTH / 360
# What Natural Earth draws without a code of ISO.
NAMED = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}


def arcs_of(topology):
    (kx, ky), (dx, dy) = topology["transform"]["scale"], topology["transform"]["translate"]
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for ax, ay in arc:
            x, y = x + ax, y + ay
            points.append((x * kx + dx, y * ky + dy))
        yield points


def rings(geometry, arcs):
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    for polygon in polygons:
        for ring in polygon:
            points = []
            for index in ring:
                part = arcs[index] if index >= 0 else arcs[~index][::-1]
                points += part[1:] if points else part
            yield points


def whole(points):
    """The ring without a jump at 180 degrees; where there was one, twice, so that each edge of the map has its part."""
    ring, turn = [points[0]], 0
    for (before, _), (lon, lat) in zip(points, points[1:]):
        if abs(lon - before) > 180:
            turn += 360 if lon < before else -360
        ring.append((lon + turn, lat))
    if all(-180 <= lon <= 180 for lon, _ in ring):
        return [ring]
    return [[(lon + shift, lat) for lon, lat in ring] for shift in (-360, 0, 360)]


def on_grid(points):
    grid = []
    for lon, lat in points:
        lon = min(max(lon, -180), 180)
        place = (round((lon + 180) * SCALE), round((TOP - min(max(lat, BOTTOM), TOP)) * SCALE))
        if not grid or grid[-1] != place:
            grid.append(place)
    kept = []
    for place in grid:
        while len(kept) > 1 and (kept[-1][0] - kept[-2][0]) * (place[1] - kept[-1][1]) == (
            place[0] - kept[-1][0]
        ) * (kept[-1][1] - kept[-2][1]):
            kept.pop()
        kept.append(place)
    return kept


def path(points):
    (x, y), text = points[0], f"M{points[0][0]} {points[0][1]}l"
    steps = []
    for nx, ny in points[1:-1]:
        steps.append(f"{nx - x} {ny - y}")
        x, y = nx, ny
    return text + " ".join(steps).replace(" -", "-") + "z"


def code_of(geometry):
    name = geometry["properties"]["name"]
    if name in NAMED:
        return NAMED[name]
    country = pycountry.countries.get(numeric=str(geometry.get("id", "")).zfill(3))
    return country.alpha_2 if country else None


def read(file, known):
    topology = json.load(open(file, encoding="utf-8"))
    arcs = list(arcs_of(topology))
    found = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        code = code_of(geometry)
        if not code or code in known or "arcs" not in geometry:
            continue
        shapes = [on_grid(part) for ring in rings(geometry, arcs) for part in whole(ring)]
        big = [shape for shape in shapes if len(shape) > 3]
        if not big:
            x, y = max(shapes, key=len)[0]
            big = [[(x - 1, y - 1), (x + 1, y - 1), (x + 1, y + 1), (x - 1, y + 1), (x - 1, y - 1)]]
        found[code] = found.get(code, "") + "".join(path(shape) for shape in big)
    return found


countries = {}
for file in sys.argv[1:]:
    countries.update(read(file, set(countries)))
# Antarctica is below the edge.
countries.pop("AQ", None)
for code in sorted(countries):
    print(code, countries[code])
