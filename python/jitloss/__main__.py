"""``python -m jitloss`` is the command ``jitloss``."""

import sys

from .cli import main

sys.exit(main())
