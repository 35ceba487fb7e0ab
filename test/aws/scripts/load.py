"""A program that runs for long and gets its keys by the profile CCAD_TEST_PROFILE.

It works until the file "stop" is there, without ever trying twice, and prints a
line for each request: the key that it has then, or what went wrong. With
arguments it is the AWS CLI, with those. Botocore asks for new keys 900 seconds
before Expiration, and must have them 600 before: both by CCAD_TEST_SCALE here.
"""
import os
import sys
import time

SCALE = int(os.environ["CCAD_TEST_SCALE"])

if len(sys.argv) > 1:
    try:
        from awscli.botocore import credentials  # the CLI 2 has its own
    except ImportError:
        from botocore import credentials
else:
    from botocore import credentials
credentials.RefreshableCredentials._advisory_refresh_timeout = 900 / SCALE
credentials.RefreshableCredentials._mandatory_refresh_timeout = 600 / SCALE

if len(sys.argv) > 1:
    from awscli.clidriver import main

    sys.exit(main())

import boto3
from botocore.config import Config

session = boto3.Session(profile_name=os.environ["CCAD_TEST_PROFILE"])
s3 = session.client(
    "s3",
    endpoint_url=os.environ["CCAD_TEST_URL"],
    config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
)
s3.create_bucket(Bucket="boto3")
n = 0
while not os.path.exists("stop"):
    n += 1
    body = str(n).encode()
    try:
        s3.put_object(Bucket="boto3", Key="k", Body=body)
        got = s3.get_object(Bucket="boto3", Key="k")["Body"].read()
        print("differs" if got != body else session.get_credentials().get_frozen_credentials().access_key, flush=True)
    except Exception as e:
        print("failed:", repr(e), flush=True)
    time.sleep(0.1)
