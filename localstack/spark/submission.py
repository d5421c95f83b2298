"""The arguments of spark-submit: parsed as a cluster manager does, and with local files instead of remote ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    "deploy-mode", "driver-cores", "executor-cores", "master", "num-executors", "total-executor-cores",
    "py-files", "files", "jars", "archives",
}  # fmt: skip
_REPLACED_CONF = {
    "spark.submit.pyFiles", "spark.files", "spark.jars", "spark.archives", "spark.driver.cores", "spark.master",
    "spark.submit.deployMode",
}  # fmt: skip
_REPLACED_PREFIXES = ("spark.dynamicAllocation.", "spark.shuffle.service.", "spark.eventLog.")


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

    def uris(self, option: str) -> list[str]:
        """Returns the comma-separated URIs of an option such as "py-files", or of the equivalent setting."""
        setting = {"py-files": "spark.submit.pyFiles"}.get(option, f"spark.{option}")
        text = self.options.get(option, self.conf.get(setting, ""))
        return [uri.strip() for uri in text.split(",") if uri.strip()]


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


def is_remote(uri: str) -> bool:
    """True if the cluster manager has to download it."""
    return re.match(r"(s3|s3a|s3n|gs)://", uri) is not None


def yarn_arguments(
    submission: Submission, *, main: str, files: Mapping[str, Sequence[str]], conf: Mapping[str, str]
) -> list[str]:
    """Returns the arguments that submit this to the emulator's YARN.

    Args:
        submission: The parsed arguments.
        main: Local path of the program.
        files: Local paths by option, such as "py-files".
        conf: Settings that override the submission's.
    """
    arguments = ["--master", "yarn", "--deploy-mode", "cluster" if submission.in_cluster else "client"]
    for option, value in submission.options.items():
        if option not in _REPLACED:
            arguments += [f"--{option}", value]
    for option, paths in files.items():
        if paths:
            arguments += [f"--{option}", ",".join(paths)]
    kept = {
        name: value
        for name, value in submission.conf.items()
        if name not in _REPLACED_CONF and not name.startswith(_REPLACED_PREFIXES)
    }
    for setting, value in (kept | dict(conf)).items():
        arguments += ["--conf", f"{setting}={value}"]
    return [*arguments, main, *submission.arguments]
