"""Job: the launcher that comes by a target's schedule. It unpacks the package, and runs the day of each model.

The package is unpacked because a launcher submits trainings: its code then packs to the archive that is in the bucket.
"""

import os
import sys
import zipfile
from pathlib import Path

if __name__ == "__main__":
    archive = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if archive.is_file():
        folder = Path("package").resolve()
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        os.environ["PYTHONPATH"] = str(folder)
        os.execv(sys.executable, [sys.executable, __file__])
    from cloudlstm.cli.schedule_work import main

    sys.exit(main())
