"""Job: the launcher that comes by a target's schedule. It unpacks the package, and runs the day of each model.

The package is unpacked because a launcher submits trainings: its code then packs to the archive that is in the bucket.
"""

import os
import sys
import zipfile
from pathlib import Path

if __name__ == "__main__":
    archive, *others = os.environ["PYTHONPATH"].split(os.pathsep)
    if archive.endswith(".zip"):
        folder = str(Path("package").resolve())
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        sys.path[sys.path.index(archive)] = folder
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *others])  # of the processes that it starts
    from cloudlstm.cli.schedule_work import main

    sys.exit(main())
