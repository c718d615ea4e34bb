"""Amazon S3 and what speaks its protocol: how it is reached, and the two things that pyarrow's file system cannot give.

Those are the entity tags of a listing, which say that an object is another one, and uploads that appear whole or not at
all whatever happens half-way. Bytes are read through pyarrow (`filesystem`). `files` is the only caller: it decides what
goes where. Credentials come from the environment, or from where Amazon's tools keep them; they are never handled here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sorigil.errors import RequestError

CONNECT_SECONDS, REQUEST_SECONDS = 5, 15  # the second: without a byte from the other side
ATTEMPTS = 5  # with pauses that grow to seconds (503: it is busy); all of them end before an item's deadline does
_OUTAGE = re.compile(
    r"NETWORK_CONNECTION|REQUEST_TIMEOUT|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|HTTP status 5\d\d|\(5\d\d\)|endpoint URL"
)
SCHEME = "s3://"
PART_BYTES = 16 << 20  # of a large upload; as many as eight of them are under way


def split(url: str) -> tuple[str, str]:
    """`s3://bucket/a/b` → (`bucket`, `a/b`). Raises RequestError where credentials are written into the address."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if "@" in bucket:
        raise RequestError(
            f"{SCHEME}***@{bucket.rsplit('@', 1)[1]}/{key}: credentials do not belong into an address, where logs and the "
            "catalogue would keep them; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return bucket, key


def options(bucket: str) -> dict[str, str]:
    """Where a bucket is: the endpoint (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) where it is not Amazon's, and the
    region (`AWS_REGION`, `AWS_DEFAULT_REGION`, else asked for)."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        return {"endpoint": endpoint, "region": region or "us-east-1"}
    return {"region": region or _region(bucket)}


@lru_cache(maxsize=64)
def _region(bucket: str) -> str:
    from pyarrow import fs

    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError as unknown:
        raise RequestError(
            f"s3://{bucket}: the bucket's region cannot be found out ({unknown}); set AWS_REGION, and AWS_ENDPOINT_URL "
            "where the store is not Amazon's"
        ) from unknown


def filesystem(bucket: str) -> Any:
    """The pyarrow file system that reads from a bucket, and writes what is small."""
    found = options(bucket)
    return _filesystem(found.get("endpoint"), found["region"], CONNECT_SECONDS, REQUEST_SECONDS, ATTEMPTS)


@lru_cache(maxsize=64)
def _filesystem(endpoint: str | None, region: str, connect: float, request: float, attempts: int) -> Any:
    """A small file is one PUT (`allow_delayed_open`). Parts of a larger one are written in the background: written in
    turn, a part that fails leaves a torn object behind."""
    from pyarrow import fs

    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region,
        allow_delayed_open=True,
        background_writes=True,
        connect_timeout=connect,
        request_timeout=request,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )


def table_options(root: str) -> dict[str, str]:
    """The same for pyiceberg, which opens its files by itself."""
    found = {
        **options(split(root)[0]),
        "connect-timeout": str(CONNECT_SECONDS),
        "request-timeout": str(REQUEST_SECONDS),
    }
    return {f"s3.{name}": value for name, value in found.items()}


def _client(bucket: str) -> Any:
    found = options(bucket)
    return _connected(found.get("endpoint"), found["region"], CONNECT_SECONDS, REQUEST_SECONDS, ATTEMPTS)


@lru_cache(maxsize=64)
def _connected(endpoint: str | None, region: str, connect: float, request: float, attempts: int) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=connect,
        read_timeout=request,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return boto3.Session().client("s3", endpoint_url=endpoint, region_name=region, config=config)


def is_outage(wrong: OSError) -> bool:
    """Whether it was the store that failed (it did not answer, it was too busy), which says nothing of the object."""
    return bool(_OUTAGE.search(str(wrong)))


@contextmanager
def _told_as_oserror(url: str) -> Iterator[None]:
    """What goes wrong on the way, as what goes wrong on a disk."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as wrong:
        if wrong.response.get("Error", {}).get("Code") in ("NoSuchBucket", "NoSuchKey"):
            raise FileNotFoundError(2, str(wrong), url) from wrong
        raise OSError(f"{url}: {wrong}") from wrong
    except (BotoCoreError, Boto3Error) as wrong:
        raise OSError(f"{url}: {wrong}") from wrong


def listing(url: str, *, below: bool) -> Iterator[dict[str, Any]]:
    """Every object below a prefix that ends at a slash (`below`), or in it and no deeper: a request a thousand.

    Each has `Key`, `Size`, `ETag` and `LastModified`; in the order of the keys' bytes. Raises OSError.
    """
    bucket, key = split(url)
    prefix = f"{key.rstrip('/')}/" if key else ""
    deep: dict[str, str] = {} if below else {"Delimiter": "/"}
    with _told_as_oserror(url):
        pages = _client(bucket).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **deep)
        for page in pages:
            yield from page.get("Contents", ())


def head(url: str) -> dict[str, Any] | None:
    """`ContentLength`, `ETag` and `LastModified` of one object, or None where there is none. Raises OSError."""
    from botocore.exceptions import ClientError

    bucket, key = split(url)
    with _told_as_oserror(url):
        try:
            found: dict[str, Any] = _client(bucket).head_object(Bucket=bucket, Key=key)
        except ClientError as missing:
            if missing.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
    return found


def upload(url: str, path: str) -> None:
    """Put a local file there. In parts when it is large: the object appears with the last of them, and an upload that
    fails is called off. Raises OSError."""
    from boto3.s3.transfer import TransferConfig

    bucket, key = split(url)
    parts = TransferConfig(multipart_threshold=2 * PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=8)
    with _told_as_oserror(url):
        _client(bucket).upload_file(path, bucket, key, Config=parts)
