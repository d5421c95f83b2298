"""The login to Amazon MSK by IAM: the token is a request that AWS would accept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import urllib.parse
from typing import Any

import pytest

from cloudlstm.errors import UsageError
from cloudlstm.stream.kafka_client import Topic, client
from cloudlstm.stream.msk_login import token, with_login

SECRET, REGION = "a-secret-of-a-test", "eu-west-1"
SERVERS = f"b-1.demo.abc123.c2.kafka.{REGION}.amazonaws.com:9098"
IAM = {"security.protocol": "SASL_SSL", "sasl.mechanism": "AWS_MSK_IAM",
       "sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;"}  # fmt: skip


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


def signature(url: str) -> str:
    """The signature of a URL by the rules of AWS (Signature Version 4, query parameters), step by step."""
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    signed = sorted((name, value) for name, value in query.items() if name not in ("X-Amz-Signature", "User-Agent"))
    text = urllib.parse.urlencode(signed, quote_via=urllib.parse.quote, safe="-_.~")
    empty = hashlib.sha256(b"").hexdigest()
    request = f"GET\n/\n{text}\nhost:{parts.netloc}\n\nhost\n{empty}"
    scope = query["X-Amz-Credential"].partition("/")[2]
    what = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, hashlib.sha256(request.encode()).hexdigest()])
    key = b"AWS4" + SECRET.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, what.encode(), hashlib.sha256).hexdigest()


def test_a_token_is_a_signed_request_to_connect() -> None:
    text, ends = token(REGION)
    url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    parts, query = urllib.parse.urlsplit(url), dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    assert (parts.scheme, parts.netloc) == ("https", f"kafka.{REGION}.amazonaws.com")
    assert query["Action"] == "kafka-cluster:Connect"
    assert query["X-Amz-Credential"].split("/")[2:] == [REGION, "kafka-cluster", "aws4_request"]
    assert query["X-Amz-Signature"] == signature(url)
    assert 0 < ends - time.time() <= int(query["X-Amz-Expires"]) == 900
    assert SECRET not in url


def test_the_region_is_that_of_the_broker_or_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_login(IAM, SERVERS)
    assert found["oauth_cb"].args == (REGION,)
    assert (found["security.protocol"], found["sasl.mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert "sasl.jaas.config" not in found
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert with_login(IAM, "10.0.0.7:9098")["oauth_cb"].args == ("us-west-2",)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(UsageError, match=r"needs the region of 10\.0\.0\.7"):
        with_login(IAM, "10.0.0.7:9098")


def test_other_logins_pass_through() -> None:
    plain = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"}
    assert with_login(plain, SERVERS) == plain


def test_the_client_library_takes_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def noted(region: str, config: Any = None) -> tuple[str, float]:
        asked.append(region)
        return token(region, config)

    monkeypatch.setattr("cloudlstm.stream.msk_login.token", noted)
    monkeypatch.setenv("AWS_REGION", REGION)
    producer = client("Producer", Topic("127.0.0.1:1", "bars"), IAM, {})
    assert asked[:1] == [REGION]
    producer.purge()


def test_no_credentials_are_told_before_the_stream_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(UsageError, match="found no AWS credentials"):
        with_login(IAM, SERVERS)
