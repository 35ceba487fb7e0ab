// A program that runs for long and gets its keys by the profile
// CCAD_TEST_PROFILE. It works until the file "stop" is there, without ever trying
// twice, and prints a line for each request: the key that it has then, or what
// went wrong.
import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { S3 } from "@aws-sdk/client-s3";
import { fromProcess } from "@aws-sdk/credential-provider-process";

// The SDK asks for new keys five minutes before Expiration: by CCAD_TEST_SCALE
// here.
const window = 300_000;
const shift = window - window / Number(process.env.CCAD_TEST_SCALE);
const provide = fromProcess({ profile: process.env.CCAD_TEST_PROFILE });
const credentials = async (...args) => {
  const c = await provide(...args);
  return { ...c, expiration: new Date(c.expiration.getTime() + shift) };
};
const s3 = new S3({ credentials, endpoint: process.env.CCAD_TEST_URL, region: "us-east-1", forcePathStyle: true, maxAttempts: 1 });
const Bucket = "javascript";
await s3.createBucket({ Bucket });
for (let n = 1; !existsSync("stop"); n++) {
  try {
    await s3.putObject({ Bucket, Key: "k", Body: String(n) });
    const got = await (await s3.getObject({ Bucket, Key: "k" })).Body.transformToString();
    console.log(got !== String(n) ? "differs" : (await s3.config.credentials()).accessKeyId);
  } catch (e) {
    console.log("failed:", String(e));
  }
  await setTimeout(100);
}
