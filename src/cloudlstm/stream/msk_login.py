"""The login to Amazon MSK by IAM: a signed request is the token of the mechanism OAUTHBEARER.

Kafka's tools in Java name this login `sasl.mechanism=AWS_MSK_IAM`. The client library does not know that name, so a
file of settings with it means: sign with the AWS credentials of this process, and send the token over TLS. The form of
the token is that of https://github.com/aws/aws-msk-iam-sasl-signer-python: a signed URL of `kafka-cluster:Connect`.
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from cloudlstm.errors import MissingExtraError, UsageError

MECHANISM = "AWS_MSK_IAM"
_VALID_S = 900
"""MSK takes no token that is valid for longer."""
_REGION = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com")
_OF_JAVA = ("sasl.mechanism", "sasl.mechanisms", "sasl.jaas.config", "sasl.client.callback.handler.class")
"""Settings that only the client in Java takes, and the name of the mechanism."""


def with_login(properties: Mapping[str, str], servers: str) -> dict[str, Any]:
    """The settings of a connection for the client library; those without a login by IAM as they are.

    Args:
        properties: Settings of the user.
        servers: The addresses of the brokers, which name the region of a cluster.

    Raises:
        MissingExtraError: botocore is not installed.
        UsageError: There are no AWS credentials, or nothing names the region.
    """
    if MECHANISM not in (properties.get("sasl.mechanism"), properties.get("sasl.mechanisms")):
        return dict(properties)
    named = _REGION.search(servers)
    region = named[1] if named else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise UsageError(f"--kafka: the login by IAM needs the region of {servers}", hint="AWS_REGION=us-east-1")
    _credentials()
    rest = {name: value for name, value in properties.items() if name not in _OF_JAVA}
    return rest | {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "oauth_cb": partial(token, region),
    }


def token(region: str, config: object = None) -> tuple[str, float]:
    """A token of the present credentials, and when it ends, in seconds since the epoch.

    Args:
        region: The region of the cluster.
        config: What the client library gives; not used.
    """
    del config
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest

    url = f"https://kafka.{region}.amazonaws.com/"
    request = AWSRequest(method="GET", url=url, params={"Action": "kafka-cluster:Connect"})
    now = time.time()
    SigV4QueryAuth(_credentials(), "kafka-cluster", region, expires=_VALID_S).add_auth(request)
    signed = f"{request.url}&User-Agent=cloudlstm"
    return base64.urlsafe_b64encode(signed.encode()).decode().rstrip("="), now + _VALID_S


def _credentials() -> Any:
    """The AWS credentials of this process."""
    try:
        from botocore.session import Session
    except ImportError:
        raise MissingExtraError("the login by IAM needs botocore, which is not installed",
                                hint="pip install 'cloudlstm[aws]'") from None  # fmt: skip
    found = Session().get_credentials()
    if found is None:
        raise UsageError("--kafka: the login by IAM found no AWS credentials", hint="aws configure, or a role")
    return found.get_frozen_credentials()
