"""What the provisioning actions share: CUDA's environment, pip, sources, builds, and the record of what was built."""
