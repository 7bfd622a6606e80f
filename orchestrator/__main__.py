"""`python -m orchestrator` is `fleet`."""

import sys

from orchestrator.cli.main import main

sys.exit(main())
