"""Other users of this machine can run no program and read no file or object through the emulators' ports."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError  # noqa: TID253 - a test of boto3's view
from localstack.cloud import Cloud
from localstack.machines.interpreter import node_python, spark_home
from localstack.yarn.hadoop import Hadoop
from localstack.yarn.resource_manager import CLIENT_TOKEN

from cloudlstm.targets.local.java import find_java
from listening_sockets import listeners, working_in
from on_emulators import Cluster, require_network, until
from other_user import as_nobody
from trainer_groups import Trainers

BUCKET = "others"


@pytest.fixture(scope="module")
def spark(cloud: Cloud, client: Any) -> str:
    """The address of YARN's resource manager, started by a step."""
    if not cloud.control.state()["spark"]:
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="job.py", Body=b"print(1)")
        cluster = Cluster(client("emr"), s3, BUCKET)
        cluster.wait(cluster.add("--deploy-mode", "cluster", f"s3://{BUCKET}/job.py"))
    return str(cloud.control.state()["spark"])


@pytest.mark.parametrize("token", ["", "another"])
def test_yarn_refuses_whoever_does_not_have_its_token(spark: str, tmp_path: Path, token: str) -> None:
    """The client asks YARN to run a program; it would run with the rights of the emulator's user."""
    home = spark_home(node_python())
    place = f"<property><name>yarn.resourcemanager.address</name><value>{spark}</value></property>"
    (tmp_path / "yarn-site.xml").write_text(f"<configuration>{place}</configuration>")
    (tmp_path / "x.py").write_text("print(1)")
    environment = os.environ | {
        "HADOOP_CONF_DIR": str(tmp_path),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HOME": str(home),
    }
    if token:
        hadoop = Hadoop(find_java().home / "bin" / "java", home / "jars", tmp_path)
        hadoop.write_tokens(tmp_path / "token", b"", CLIENT_TOKEN, spark)
        hadoop.stop()
        environment["HADOOP_TOKEN_FILE_LOCATION"] = str(tmp_path / "token")
    command = [home / "bin" / "spark-submit", "--master", "yarn", "--deploy-mode", "cluster", tmp_path / "x.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stdout + done.stderr
    said = "SaslException" if token else "SIMPLE authentication is not enabled.  Available:[TOKEN]"
    assert said in done.stderr, done.stderr


CALLS = {
    "autoscaling": "describe_auto_scaling_groups",
    "ec2": "describe_instances",
    "emr": "list_clusters",
    "s3": "list_buckets",
    "ssm": "describe_parameters",
    "sts": "get_caller_identity",
}
OTHERS = {
    "another key": "InvalidClientTokenId AuthFailure UnrecognizedClientException InvalidAccessKeyId"
    " UnrecognizedClientException InvalidClientTokenId",
    "another secret": "SignatureDoesNotMatch AuthFailure InvalidSignatureException SignatureDoesNotMatch"
    " InvalidSignatureException SignatureDoesNotMatch",
    # Such a call does not name its service, so all get the same answer, except those with a header that names it.
    "no key": "MissingAuthenticationToken MissingAuthenticationToken MissingAuthenticationTokenException"
    " MissingAuthenticationToken MissingAuthenticationTokenException MissingAuthenticationToken",
}


@pytest.mark.parametrize("who", OTHERS)
def test_aws_refuses_calls_that_are_not_signed_with_its_own_key(cloud: Cloud, who: str) -> None:
    """Each service uses its own error. Such calls could add steps, start machines and read user data."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    key, secret = (cloud.environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    keys = {"another key": (f"{key[:-1]}_", secret), "another secret": (key, f"{secret[:-1]}_")}.get(who, (key, secret))
    session = boto3.session.Session(*keys, region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1}, signature_version=UNSIGNED if who == "no key" else None)

    def code(service: str, action: str, url: str) -> str:
        with pytest.raises(ClientError) as caught:
            getattr(session.client(service, endpoint_url=url, config=config), action)()
        return str(caught.value.response["Error"]["Code"])

    codes = [code(service, action, cloud.environment["AWS_ENDPOINT_URL"]) for service, action in CALLS.items()]
    assert codes == OTHERS[who].split()
    storage = code("s3", "list_buckets", cloud.environment["AWS_ENDPOINT_URL_S3"])
    assert storage == {"no key": "AccessDenied"}.get(who, codes[3])


@pytest.mark.parametrize("secret", ["", "another"])
def test_google_refuses_paths_that_do_not_begin_with_its_secret(
    gcp: Cloud, gcp_target: dict[str, Any], secret: str
) -> None:
    """Storage, Dataproc and Compute Engine answer 403 and do nothing."""
    place = "projects/emulated/regions/us-central1"
    group = f"/compute/v1/{place}/instanceGroupManagers/{gcp_target['trainer_group']}"
    storage, services = gcp.environment["STORAGE_EMULATOR_HOST"], gcp_target["endpoints"]["dataproc"]
    job = {"job": {"placement": {"clusterName": "boxed"}, "pysparkJob": {"mainPythonFileUri": "gs://boxed-data/x.py"}}}
    for url, method, path, body in (
        (storage, "GET", "/storage/v1/b/boxed-data/o/target.json?alt=media", None),
        (storage, "POST", "/upload/storage/v1/b/boxed-data/o?uploadType=media&name=others.txt", "x"),
        (storage, "GET", "/boxed-data/target.json", None),
        (services, "POST", f"/v1/{place}/jobs:submit", json.dumps(job)),
        (services, "GET", group, None),
        (services, "POST", f"{group}/resize?size=1", ""),
    ):
        status, output = _ask(url, method, f"/{secret}{path}" if secret else path, body)
        assert (status, "secret" in output) == (403, True), path
    assert _ask(storage, "GET", f"{urlsplit(storage).path}/storage/v1/b/boxed-data/o/others.txt")[0] == 404
    assert _ask(services, "GET", f"{urlsplit(services).path}{group}")[0] == 200
    assert json.loads(_ask(services, "GET", f"{urlsplit(services).path}{group}")[1])["targetSize"] == 0


@pytest.mark.parametrize("box", ["aws", "gcp"], indirect=True)
def test_the_emulators_own_api_refuses_them_too(box: Cloud) -> None:
    url = box.environment["CLOUDLSTM_EMULATOR_URL"]
    fault = json.dumps({"kind": "no-capacity"})
    for method, body in (("GET", None), ("PUT", fault), ("DELETE", None)):
        for secret in ("", "/another"):
            assert _ask(url, method, f"{secret}/faults", body)[0] == 403
    assert _ask(url, "GET", f"{urlsplit(url).path}/faults")[1] == "[]"


def _ask(url: str, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("box", ["aws", "gcp"], indirect=True)
def test_no_secret_is_on_a_command_line(box: Cloud) -> None:
    """Other users can read those."""
    secrets = [
        value for name, value in box.environment.items() if name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    ]
    secrets += [part for value in box.environment.values() for part in re.findall(r"^http://[^/]+/(\w+)$", value)]
    daemons = box.folder / box.options.cloud / "spark" / "jvm.txt"
    if daemons.exists():
        secrets += daemons.read_text().split()[1:]
    assert len(secrets) >= 3
    lines = b""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            lines += each.read_bytes()
    assert box.options.cloud.encode() in lines
    assert [secret for secret in secrets if secret.encode() in lines] == []


LOOK_AROUND = """
found = []
for path in [".", *sys.argv[2:]]:
    try:
        found.append(os.listdir(path) if path == "." else open(path).read())
    except OSError:
        pass
print(found)
"""


@pytest.mark.parametrize("box", ["aws", "gcp"], indirect=True)
def test_another_user_can_read_none_of_its_files_and_environments(box: Cloud) -> None:
    """Even where he can enter the folders above, as this test lets him by going there first."""
    files = [path.relative_to(box.folder) for path in box.folder.rglob("settings.json")]
    environments = [f"/proc/{each.pid}/environ" for each in listeners(working_in(box.folder))]
    assert len(files) >= 3
    assert environments
    words = [str(box.folder), *map(str, files), *environments]
    assert as_nobody("import os; os.chdir(sys.argv[1])", LOOK_AROUND, *words) == "[]\n"


SERVER = """
import os, time
import tensorflow as tf
from cloudlstm import storage

host = os.environ["CLOUDLSTM_ADDRESS"]
server = tf.distribute.Server({"worker": [f"{host}:8470"]}, job_name="worker", task_index=0)
storage.write_json(f"{os.environ['CLOUDLSTM_BUCKET_URI']}/alive/{host}", {})
time.sleep(1000)
"""

READ = """
def read(address):
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session(f"grpc://{address}", config=config) as session:
            return session.run(tf.io.read_file(sys.argv[1]))
    except tf.errors.OpError as error:
        return type(error).__name__

with ThreadPoolExecutor(32) as pool:
    print(dict(zip(sys.argv[2:], map(str, pool.map(read, sys.argv[2:])))))
"""
PREPARE = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from concurrent.futures import ThreadPoolExecutor
import tensorflow as tf
config = tf.compat.v1.ConfigProto(operation_timeout_in_ms=5000)
"""


def test_another_user_reads_no_file_through_tensorflows_ports(cloud: Cloud, trainers: Trainers, tmp_path: Path) -> None:
    """A server of TensorFlow listens on all interfaces, and reads files for everyone who connects."""
    require_network(cloud)
    private = tmp_path / "private"
    private.touch(mode=0o600)
    private.write_text("for the owner alone")
    trainers.assign(SERVER, deadline=time.time() + 1000)
    trainers.scale(1)
    (host,) = until(lambda: trainers.reports("alive/"), "TensorFlow's server")
    serving = [each for each in listeners(working_in(cloud.folder)) if each.port == 8470]
    assert serving, "no process listens at the port"
    ports = {each.port for each in listeners(working_in(cloud.folder)) if each.is_here} | {8470}
    places = {host, "127.0.0.1"}
    with suppress(OSError):  # a machine that does not know its own address
        places.add(socket.gethostbyname(socket.gethostname()))
    addresses = [f"{place}:{port}" for place in places for port in ports]
    output = as_nobody(PREPARE, READ, str(private), *addresses)
    assert len(output.split(",")) == len(addresses)
    assert "for the owner" not in output
