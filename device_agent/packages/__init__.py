"""What the package actions share: the dpkg database, apt-get behind its lock, pip's versions, and known error texts."""
