"""`python -m pellucid` is `pellucid`."""

import sys

from pellucid.cli import main

sys.exit(main())
