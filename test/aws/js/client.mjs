// Drives the AWS SDK for JavaScript through the gateway at CCAD_TEST_URL. An
// assertion that fails ends it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createReadStream, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import * as S3 from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const endpoint = process.env.CCAD_TEST_URL;
const s3 = new S3.S3({ endpoint, forcePathStyle: true });
const Bucket = "javascript";
await s3.createBucket({ Bucket });

async function holds(Key, data, client = s3) {
  const answer = await client.getObject({ Bucket, Key });
  const got = Buffer.from(await answer.Body.transformToByteArray());
  assert.ok(got.equals(Buffer.from(data)), `${Key} came back as ${got.length} bytes, not ${data.length}`);
  return answer;
}

// Buffers, streams from a file and streams of no known length.
for (const size of [0, 5, 70_000, 6 << 20]) {
  const data = randomBytes(size);
  await s3.putObject({ Bucket, Key: "buffer", Body: data, Metadata: { a: "b", "c-d": "E" } });
  const answer = await holds("buffer", data);
  assert.deepEqual(answer.Metadata, { a: "b", "c-d": "E" });
  writeFileSync("data", data);
  await s3.putObject({ Bucket, Key: "file", Body: createReadStream("data") });
  await holds("file", data);
  const pieces = [];
  for (let i = 0; i < size; i += 50_000) pieces.push(data.subarray(i, i + 50_000));
  await s3.putObject({ Bucket, Key: "stream", Body: Readable.from(pieces, { objectMode: false }), ContentLength: size });
  await holds("stream", data);
}
const packed = gzipSync("hello");
await s3.putObject({ Bucket, Key: "gzip", Body: Readable.from([packed], { objectMode: false }), ContentLength: packed.length, ContentEncoding: "gzip" });
assert.equal((await holds("gzip", packed)).ContentEncoding, "gzip");

for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  await s3.putObject({ Bucket, Key: ChecksumAlgorithm, Body: "hello", ChecksumAlgorithm });
  await s3.putObject({ Bucket, Key: "s" + ChecksumAlgorithm, Body: Readable.from([Buffer.alloc(100_000)], { objectMode: false }), ContentLength: 100_000, ChecksumAlgorithm });
  await holds(ChecksumAlgorithm, "hello");
  await holds("s" + ChecksumAlgorithm, Buffer.alloc(100_000));
}
const plain = new S3.S3({ endpoint, forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" });
await plain.putObject({ Bucket, Key: "plain", Body: "hello" });
await holds("plain", "hello", plain);
await plain.putObject({ Bucket, Key: "plain", Body: createReadStream("data") });

// Several parts, a copy of them, ranges.
const { UploadId } = await s3.createMultipartUpload({ Bucket, Key: "parts" });
const parts = [randomBytes(5 << 20), randomBytes(1000)];
const Parts = [];
for (const [i, Body] of parts.entries()) {
  const { ETag } = await s3.uploadPart({ Bucket, Key: "parts", UploadId, PartNumber: i + 1, Body });
  Parts.push({ PartNumber: i + 1, ETag });
}
await s3.completeMultipartUpload({ Bucket, Key: "parts", UploadId, MultipartUpload: { Parts } });
const { ETag } = await holds("parts", Buffer.concat(parts));
await s3.copyObject({ Bucket, Key: "copied", CopySource: `${Bucket}/parts`, CopySourceIfMatch: ETag });
await holds("copied", Buffer.concat(parts));
const ranged = await s3.getObject({ Bucket, Key: "copied", Range: "bytes=0-9" });
assert.equal((await ranged.Body.transformToByteArray()).length, 10);

const keys = ["a b", "a+b", "a%2Fb", "a//b", "ü/日本", "?q", "*'()!", ";&=", "#h", "~-_.", "x".repeat(1024), "\u{1f600}", '"q"', "<&>"];
for (const Key of keys) {
  await s3.putObject({ Bucket, Key, Body: Key });
  await holds(Key, Key);
}
const listed = (await s3.listObjectsV2({ Bucket })).Contents.map((entry) => entry.Key);
assert.deepEqual(keys.filter((key) => !listed.includes(key)), []);

const get = await fetch(await getSignedUrl(s3, new S3.GetObjectCommand({ Bucket, Key: "a+b" }), { expiresIn: 60 }));
assert.equal(await get.text(), "a+b");
const put = await fetch(await getSignedUrl(plain, new S3.PutObjectCommand({ Bucket, Key: "by url" }), { expiresIn: 60 }), { method: "PUT", body: "by url" });
assert.equal(put.status, 200, await put.text());
await holds("by url", "by url");

await assert.rejects(s3.getObject({ Bucket, Key: "missing" }), { name: "NoSuchKey" });
const { Deleted, Errors } = await s3.deleteObjects({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } });
assert.equal(Errors, undefined);
assert.equal(Deleted.length, keys.length);
console.log("works");
