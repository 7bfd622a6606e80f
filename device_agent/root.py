"""Every path under fleet_root, so that no other file spells one."""

import os

from .files import device_path, make_folder

SYSTEM_ROOT = "/var/lib/fleet"


def find_root(wanted="auto"):
    """The fleet_root to use: `wanted` if it is a path, else the system's if the user may write there, else his own."""
    if wanted != "auto":
        return Root(os.path.abspath(os.path.expanduser(wanted)))
    system = device_path(SYSTEM_ROOT)
    if os.path.isdir(system) and os.access(system, os.W_OK | os.X_OK):
        return Root(system)
    return Root(os.path.join(os.path.expanduser("~"), ".local", "share", "fleet"))


class Root(object):
    """fleet_root; folders are made when something is about to be written into them.

    Names (digests, keys, models, ...) were checked by `arguments` before they come here.
    """

    def __init__(self, path):
        self.path = path

    def _folder(self, *names):
        return os.path.join(self.path, *names)

    @property
    def blobs(self):
        return self._folder("blobs")

    @property
    def engines(self):
        return self._folder("engines")

    @property
    def models(self):
        return self._folder("models")

    @property
    def jobs(self):
        return self._folder("jobs")

    @property
    def cache(self):
        return self._folder("cache")

    def blob(self, digest):
        """A blob's file; its content has this sha256."""
        return self._folder("blobs", digest)

    def blob_upload(self, digest):
        """Where a blob is uploaded to before it is verified."""
        return self._folder("blobs", digest + ".part")

    def engine_dir(self, key):
        """`model.engine`, `passport.json` and `build.log` of an engine; made if missing by whoever writes."""
        return self._folder("engines", key)

    def engine(self, key):
        return self._folder("engines", key, "model.engine")

    def passport(self, key):
        return self._folder("engines", key, "passport.json")

    def timing_cache(self, bucket):
        """A timing cache's file; its folder exists afterwards."""
        make_folder(self._folder("timing"))
        return self._folder("timing", bucket + ".cache")

    def job(self, job_id):
        return self._folder("jobs", job_id)

    def model(self, name):
        return self._folder("models", name)

    def releases(self, name):
        return self._folder("models", name, "releases")

    def current(self, name):
        return self._folder("models", name, "current")
