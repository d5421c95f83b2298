"""The words of spark-submit: read as a cluster manager reads them, and said again for a standalone cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_WITH_VALUE = {
    "--archives", "--class", "--conf", "--deploy-mode", "--driver-class-path", "--driver-cores",
    "--driver-java-options", "--driver-library-path", "--driver-memory", "--exclude-packages", "--executor-cores",
    "--executor-memory", "--files", "--jars", "--keytab", "--kill", "--master", "--name", "--num-executors",
    "--packages", "--principal", "--properties-file", "--proxy-user", "--py-files", "--queue", "--remote",
    "--repositories", "--status", "--total-executor-cores",
}  # fmt: skip
_ALONE = {"--supervise", "--verbose", "--usage-error", "--load-spark-defaults"}
_SHORT = {"-c": "--conf", "-v": "--verbose"}

_OFFLINE = {"--packages", "--repositories", "--exclude-packages"}
_OURS = {
    "spark.cores.max", "spark.driver.bindAddress", "spark.driver.cores", "spark.driver.host",
    "spark.executor.cores", "spark.executor.instances", "spark.master", "spark.submit.deployMode",
}  # fmt: skip
_OUR_FAMILIES = ("spark.yarn.", "spark.dynamicAllocation.", "spark.shuffle.service.", "spark.eventLog.")
_MASTER_ENV = "spark.yarn.appMasterEnv."


class SubmitError(ValueError):
    """spark-submit would refuse these words."""


@dataclass
class Submission:
    """What spark-submit was told.

    Attributes:
        main: The program's URI.
        arguments: The program's own arguments.
        options: Every option with a value but --conf, without its dashes; the last of a repeated one.
        conf: The --conf settings; the last of a repeated one.
    """

    main: str = ""
    arguments: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    conf: dict[str, str] = field(default_factory=dict)

    @property
    def in_cluster(self) -> bool:
        """Whether the driver runs on a node (cluster deploy mode) and not where spark-submit does."""
        return self.options.get("deploy-mode", self.conf.get("spark.submit.deployMode", "client")) == "cluster"

    @property
    def driver_environment(self) -> dict[str, str]:
        """The variables that the cluster manager gives the driver; in client mode it gives none."""
        wanted = self.conf.items() if self.in_cluster else ()
        return {name.removeprefix(_MASTER_ENV): value for name, value in wanted if name.startswith(_MASTER_ENV)}

    def uris(self, option: str) -> list[str]:
        """The comma-separated URIs of an option such as "py-files", or of the setting that means the same."""
        setting = {"py-files": "spark.submit.pyFiles"}.get(option, f"spark.{option}")
        text = self.options.get(option, self.conf.get(setting, ""))
        return [uri.strip() for uri in text.split(",") if uri.strip()]

    def kept_conf(self) -> dict[str, str]:
        """The settings that mean the same on a standalone cluster."""
        files = {"spark.submit.pyFiles", "spark.archives", "spark.files"}  # given as options, with local names
        return {
            name: value
            for name, value in self.conf.items()
            if name not in _OURS | files and not name.startswith(_OUR_FAMILIES)
        }


def parse(words: Sequence[str]) -> Submission:
    """What the arguments of spark-submit say.

    Raises:
        SubmitError: for an option that spark-submit does not know, or one that needs what is not here.
    """
    submission = Submission()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            submission.main, submission.arguments = word, rest
            return submission
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        name = _SHORT.get(name, name)
        if name in _ALONE:
            continue
        if name not in _WITH_VALUE:
            raise SubmitError(f"Unrecognized option '{name}'.")
        if not equals:
            if not rest:
                raise SubmitError(f"Missing argument for option '{name}'.")
            value = rest.pop(0)
        if name in _OFFLINE:
            raise SubmitError(f"{name} needs a Maven repository, and the emulator reaches none.")
        if name == "--conf":
            setting, equals, value = value.partition("=")
            if not equals:
                raise SubmitError(f"Spark config without '=': {setting}")
            submission.conf[setting] = value
        else:
            submission.options[name.removeprefix("--")] = value
    raise SubmitError("Missing application resource.")


def archive_name(uri: str) -> tuple[str, str]:
    """The URI of an archive without its `#name`, and the folder name under which nodes find it unpacked."""
    bare, _, name = uri.partition("#")
    return bare, name or bare.rpartition("/")[2]


def is_remote(uri: str) -> bool:
    """Whether the cluster manager has to fetch it."""
    return re.match(r"(s3|s3a|s3n|gs)://", uri) is not None


def standalone_words(
    submission: Submission,
    *,
    master: str,
    main: str,
    files: Iterable[tuple[str, Sequence[str]]],
    conf: Iterable[tuple[str, str]],
) -> list[str]:
    """The arguments for spark-submit that run a submission on a standalone cluster, where Python needs client mode.

    Args:
        submission: What was asked for.
        master: URL of the standalone master.
        main: Local path of the program.
        files: Options for local files, such as ("py-files", paths).
        conf: Settings that overrule the submission's.
    """
    words = ["--master", master, "--deploy-mode", "client"]
    for option in ("name", "driver-memory", "executor-memory", "driver-java-options", "class"):
        if option in submission.options:
            words += [f"--{option}", submission.options[option]]
    for option, paths in files:
        if paths:
            words += [f"--{option}", ",".join(paths)]
    for setting, value in (submission.kept_conf() | dict(conf)).items():
        words += ["--conf", f"{setting}={value}"]
    return [*words, main, *submission.arguments]
