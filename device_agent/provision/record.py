"""What Fleet built from source on this device: one small file each, so that a second run knows."""

import os

from ..files import device_path, make_folder, read_json, remove, write_json

FOLDER = "/usr/local/share/fleet"


def read(name):
    """What was recorded of `name`, an empty dict where nothing."""
    found = read_json(_path(name), {})
    return found if isinstance(found, dict) else {}


def write(name, values):
    make_folder(device_path(FOLDER))
    write_json(_path(name), values)


def forget(name):
    remove(_path(name))


def _path(name):
    return os.path.join(device_path(FOLDER), name + ".json")
