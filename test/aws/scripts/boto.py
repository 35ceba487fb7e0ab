"""Drives boto3 through the gateway at CCAD_TEST_URL. An assertion that fails ends it."""
import hashlib
import io
import os
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

URL = os.environ["CCAD_TEST_URL"]


def client(**settings):
    s3 = settings.pop("s3", {})
    # An older botocore presigns by signature version 2 unless told otherwise.
    return boto3.client("s3", endpoint_url=URL, config=Config(signature_version="s3v4", s3=s3, **settings))


def code_of(call, **args):
    try:
        call(**args)
    except ClientError as e:
        return e.response["Error"]["Code"]
    return None


def check(what, got, want):
    assert got == want, f"{what}: {got!r}, want {want!r}"


s3 = client()
s3.create_bucket(Bucket="boto")

# Metadata keeps its case; empty, small and large objects; ranges; conditions.
s3.put_object(Bucket="boto", Key="small", Body=b"hello", Metadata={"a": "b", "c-d": "E  f"}, ContentType="text/x")
answer = s3.get_object(Bucket="boto", Key="small")
check("small", answer["Body"].read(), b"hello")
check("metadata", answer["Metadata"], {"a": "b", "c-d": "E  f"})
check("type", answer["ContentType"], "text/x")
check("etag", answer["ETag"], '"%s"' % hashlib.md5(b"hello").hexdigest())
start = time.time()
for n in range(9):
    s3.put_object(Bucket="boto", Key="empty%d" % n, Body=b"")
check("empty", s3.get_object(Bucket="boto", Key="empty0")["Body"].read(), b"")
assert time.time() - start < 20, "nine empty objects took %d s" % (time.time() - start)
big = os.urandom(20 << 20)
s3.upload_fileobj(io.BytesIO(big), "boto", "big")
check("big", s3.get_object(Bucket="boto", Key="big")["Body"].read() == big, True)
check("range", s3.get_object(Bucket="boto", Key="big", Range="bytes=8388600-8388619")["Body"].read(), big[8388600:8388620])
check("missing", code_of(s3.get_object, Bucket="boto", Key="missing"), "NoSuchKey")
check("head of missing", code_of(s3.head_object, Bucket="boto", Key="missing"), "404")
check("if-match", code_of(s3.get_object, Bucket="boto", Key="small", IfMatch='"x"'), "PreconditionFailed")
check("if-none-match", code_of(s3.get_object, Bucket="boto", Key="small", IfNoneMatch=answer["ETag"]), "304")

# A multipart object is copied if its ETag is the one named.
etag = s3.head_object(Bucket="boto", Key="big")["ETag"]
assert "-" in etag, etag
source = {"Bucket": "boto", "Key": "big"}
s3.copy_object(Bucket="boto", Key="big copy", CopySource=source, CopySourceIfMatch=etag)
check("copy", s3.head_object(Bucket="boto", Key="big copy")["ContentLength"], len(big))
check("copy if another", code_of(s3.copy_object, Bucket="boto", Key="no", CopySource=source, CopySourceIfMatch='"0-3"'), "PreconditionFailed")
check("no copy", code_of(s3.head_object, Bucket="boto", Key="no"), "404")
s3.copy(source, "boto", "big managed copy")

# Every other way of covering the payload.
for name, other in {
    "unsigned": client(s3={"payload_signing_enabled": False}),
    "path": client(s3={"addressing_style": "path"}),
}.items():
    for size in (0, 5, 300_000):
        data = os.urandom(size)
        other.put_object(Bucket="boto", Key=name, Body=data)
        check(name, other.get_object(Bucket="boto", Key=name)["Body"].read() == data, True)
if "request_checksum_calculation" in Config.OPTION_DEFAULTS:
    other = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    other.put_object(Bucket="boto", Key="no checksum", Body=b"x")
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket="boto", Key=algorithm, Body=b"hello", ChecksumAlgorithm=algorithm)

# Keys of every hostile character.
keys = ["a b", "a+b", "a%2Fb", "a//b", "..", "a/../b", "./x", "ü/日本", "?q", "*'()!", ";&=", "#h", "a%zzb", "~-_.", "x" * 1024, "tab\there", "\U0001f600", '"q"', "<&>"]
for key in keys:
    s3.put_object(Bucket="boto", Key=key, Body=key.encode())
    check(key, s3.get_object(Bucket="boto", Key=key)["Body"].read(), key.encode())
listed = set()
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="boto", PaginationConfig={"PageSize": 7}):
    listed |= {entry["Key"] for entry in page["Contents"]}
check("keys listed", [k for k in keys if k not in listed], [])
check("prefix", [e["Key"] for e in s3.list_objects_v2(Bucket="boto", Prefix=";&")["Contents"]], [";&="])

# Presigned URLs, used without any credentials.
for key in ("small", "a+b", "ü/日本"):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": key}, ExpiresIn=60)
    with urllib.request.urlopen(url) as got:
        check("presigned", got.read(), s3.get_object(Bucket="boto", Key=key)["Body"].read())
url = s3.generate_presigned_url("put_object", Params={"Bucket": "boto", "Key": "put by URL"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(url, data=b"by url", method="PUT", headers={"Content-Type": ""}))
check("put by URL", s3.get_object(Bucket="boto", Key="put by URL")["Body"].read(), b"by url")
old = boto3.client("s3", endpoint_url=URL, config=Config(signature_version="s3"))
url = old.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "small"})
try:
    urllib.request.urlopen(url)
    raise AssertionError("signature version 2 was accepted")
except urllib.error.HTTPError as e:
    assert b"signature_version = s3v4" in e.read()

# Many at once go at once, by a checksum or by MD5.
for n in range(25):
    s3.put_object(Bucket="boto", Key="many/%d" % n, Body=b"")
answer = s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": "many/%d" % n} for n in range(25)]})
check("deleted", len(answer["Deleted"]), 25)
check("errors", answer.get("Errors", []), [])
check("left", s3.list_objects_v2(Bucket="boto", Prefix="many/")["KeyCount"], 0)
print("boto3", boto3.__version__, "works")
