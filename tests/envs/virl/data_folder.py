"""Folders in the authors' layout, written without any code of the library's."""

import json

from PIL import Image

# A route of two legs, as the authors' file has it: 0.001 degrees of latitude are 111.2 m.
START, CORNER, END = [40.7000, -74.0000], [40.7010, -74.0000], [40.7010, -73.9990]


def block(number=1, landmarks="No landmark nearby", heading="0 (north)", distance="111 meters", human=0):
    return (
        "{\n"
        f'"intersection_idx": "{number}",\n'
        f'"landmarks": "{landmarks}",\n'
        f'"distance": "{distance}",\n'
        f'"human_heading": "{human}",\n'
        f'"to_next_intersection_heading": "{heading}",\n'
        "}\n"
    )


def info(first="Blue Door Cafe is on your left front", goal="The destination Old Bank is on your right behind"):
    return "\n" + block(1, first) + "\n\n" + block(2, goal, "90 (east)", "84 meters", 0)


def a_route(**changes):
    route = {
        "start_place": {"name": "Corner Books", "geocode": [40.69995, -74.0001], "relocated_geocode": START},
        "dest_place": {
            "name": "Old Bank",
            "geocode": [40.7011, -73.9989],
            "relocated_geocode": END,
            "place_types": ["bank"],
        },
        "route_results": {
            "geocode_list": [CORNER, END],
            "landmark_list": [{"name": "Blue Door Cafe"}],
            "distance_list": [111, 84],
        },
        "init_heading": 0,
        "milestone_info": info(),
    }
    return {**route, **changes}


def folder(tmp_path, *given, mapping=None, content=None):
    """Write a folder in the authors' layout, without any code of the library's."""
    path = tmp_path / "nyc_1k_routes"
    path.mkdir(exist_ok=True)
    text = content if content is not None else json.dumps([list(given) or [a_route()], 1])
    (path / "route_infos.json").write_text(text, "utf-8")
    if mapping is not None:
        (path / "gps_pano_mapping.pkl").write_bytes(mapping)
    return path


def a_view(path, name, metadata='{"rotation": 370.5}'):
    views = path / "street_views"
    views.mkdir(exist_ok=True)
    Image.new("RGB", (64, 32), "#123456").save(views / f"{name}.jpg")
    if metadata is not None:
        (views / f"{name}.metadata.json").write_text(metadata)
    return views / f"{name}.jpg"
