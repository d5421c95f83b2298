"""The arguments of spark-submit: parsed as a cluster manager does, and translated for a standalone cluster."""

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
_FLAGS = {"--supervise", "--verbose", "--usage-error", "--load-spark-defaults"}
_SHORT = {"-c": "--conf", "-v": "--verbose"}

_NEED_MAVEN = {"--packages", "--repositories", "--exclude-packages"}
_REPLACED = {
    "spark.cores.max", "spark.driver.bindAddress", "spark.driver.cores", "spark.driver.host",
    "spark.executor.cores", "spark.executor.instances", "spark.master", "spark.submit.deployMode",
}  # fmt: skip
_REPLACED_PREFIXES = ("spark.yarn.", "spark.dynamicAllocation.", "spark.shuffle.service.", "spark.eventLog.")
_MASTER_ENV = "spark.yarn.appMasterEnv."


class SubmitError(ValueError):
    """spark-submit rejects these arguments."""


@dataclass
class Submission:
    """The parsed arguments of spark-submit.

    Attributes:
        main: The program's URI.
        arguments: The program's own arguments.
        options: Options with a value except --conf, without dashes; the last value of each.
        conf: The --conf settings; the last value of each.
    """

    main: str = ""
    arguments: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    conf: dict[str, str] = field(default_factory=dict)

    @property
    def in_cluster(self) -> bool:
        """True if the driver runs on a node (cluster deploy mode), not beside spark-submit."""
        return self.options.get("deploy-mode", self.conf.get("spark.submit.deployMode", "client")) == "cluster"

    @property
    def driver_environment(self) -> dict[str, str]:
        """Returns the variables that the cluster manager sets for the driver; none in client mode."""
        wanted = self.conf.items() if self.in_cluster else ()
        return {name.removeprefix(_MASTER_ENV): value for name, value in wanted if name.startswith(_MASTER_ENV)}

    def uris(self, option: str) -> list[str]:
        """Returns the comma-separated URIs of an option such as "py-files", or of the equivalent setting."""
        setting = {"py-files": "spark.submit.pyFiles"}.get(option, f"spark.{option}")
        text = self.options.get(option, self.conf.get(setting, ""))
        return [uri.strip() for uri in text.split(",") if uri.strip()]

    def kept_conf(self) -> dict[str, str]:
        """Returns the settings that have the same meaning on a standalone cluster."""
        files = {"spark.submit.pyFiles", "spark.archives", "spark.files"}  # passed as options, with local paths
        return {
            name: value
            for name, value in self.conf.items()
            if name not in _REPLACED | files and not name.startswith(_REPLACED_PREFIXES)
        }


def parse(arguments: Sequence[str]) -> Submission:
    """Parses the arguments of spark-submit.

    Raises:
        SubmitError: if an option is unknown or not supported here.
    """
    submission = Submission()
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("-"):
            submission.main, submission.arguments = argument, rest
            return submission
        name, equals, value = argument.partition("=") if argument.startswith("--") else (argument, "", "")
        name = _SHORT.get(name, name)
        if name in _FLAGS:
            continue
        if name not in _WITH_VALUE:
            raise SubmitError(f"Unrecognized option '{name}'.")
        if not equals:
            if not rest:
                raise SubmitError(f"Missing argument for option '{name}'.")
            value = rest.pop(0)
        if name in _NEED_MAVEN:
            raise SubmitError(f"{name} needs a Maven repository, and the emulator cannot reach one.")
        if name == "--conf":
            setting, equals, value = value.partition("=")
            if not equals:
                raise SubmitError(f"Spark config without '=': {setting}")
            submission.conf[setting] = value
        else:
            submission.options[name.removeprefix("--")] = value
    raise SubmitError("Missing application resource.")


def archive_name(uri: str) -> tuple[str, str]:
    """Returns the URI of an archive without its `#name`, and the name of its unpacked folder on nodes."""
    bare, _, name = uri.partition("#")
    return bare, name or bare.rpartition("/")[2]


def is_remote(uri: str) -> bool:
    """True if the cluster manager has to download it."""
    return re.match(r"(s3|s3a|s3n|gs)://", uri) is not None


def standalone_arguments(
    submission: Submission,
    *,
    master: str,
    main: str,
    files: Iterable[tuple[str, Sequence[str]]],
    conf: Iterable[tuple[str, str]],
) -> list[str]:
    """Returns the arguments that run a submission on a standalone cluster, where Python needs client mode.

    Args:
        submission: The parsed arguments.
        master: URL of the standalone master.
        main: Local path of the program.
        files: Options for local files, such as ("py-files", paths).
        conf: Settings that override the submission's.
    """
    arguments = ["--master", master, "--deploy-mode", "client"]
    for option in ("name", "driver-memory", "executor-memory", "driver-java-options", "class"):
        if option in submission.options:
            arguments += [f"--{option}", submission.options[option]]
    for option, paths in files:
        if paths:
            arguments += [f"--{option}", ",".join(paths)]
    for setting, value in (submission.kept_conf() | dict(conf)).items():
        arguments += ["--conf", f"{setting}={value}"]
    return [*arguments, main, *submission.arguments]
