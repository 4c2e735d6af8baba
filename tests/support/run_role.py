"""``python run_role.py ROLE``: a worker of the role, set up by CUEPOINT_ variables."""

import sys

from cuepoint.ops.settings import Settings
from cuepoint.ops.worker import run_worker

run_worker(sys.argv[1], Settings())
