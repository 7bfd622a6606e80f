"""Content-addressed artifacts and small records on the controller, under `.fleet/store`."""

from orchestrator.store.artifacts import Store
from orchestrator.store.digests import DigestCache, digest_bytes, digest_file

__all__ = ["DigestCache", "Store", "digest_bytes", "digest_file"]
