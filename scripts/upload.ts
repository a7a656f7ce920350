/**
 * Uploads the build to S3: the executable under the name of the branch, for users of the newest build; and the
 * executable and the tarball under the commit, where they stay. `upload.ts EXECUTABLE TARBALL`; COMMIT, BRANCH,
 * UPLOAD_BUCKET, UPLOAD_DIRTY and the usual AWS settings come from the environment.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { messageOf } from '../errors/service-error.ts';
import { credentialDefaultProvider } from '../host/aws-credentials.ts';

const MEGABYTE = 1_000_000;

const [executable = '', tarball = ''] = process.argv.slice(2);
const {
  COMMIT = '',
  BRANCH = '',
  UPLOAD_BUCKET: bucket = 'fractal-ecs-host-service',
  UPLOAD_DIRTY,
  AWS_ENDPOINT_URL,
  AWS_ENDPOINT_URL_S3 = AWS_ENDPOINT_URL,
} = process.env;

/** @returns the commit's name @throws Error when the uploaded build could not be identified later */
function commitOf(): string {
  if (!/^[0-9a-f]{40}(-dirty)?$/.test(COMMIT))
    throw new Error('this is no checkout of git, which names the commit');
  if (!BRANCH) throw new Error('no branch is checked out; check one out, or set BRANCH=');
  const changed = execFileSync('git', ['status', '--porcelain'], { encoding: 'utf8' });
  if (changed && UPLOAD_DIRTY !== 'yes') {
    throw new Error(
      `the commit lacks these changes; commit them, or set UPLOAD_DIRTY=yes:\n${changed.trimEnd()}`,
    );
  }
  return changed && !COMMIT.endsWith('-dirty') ? `${COMMIT}-dirty` : COMMIT;
}

function show(progress: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${progress}`);
}

async function put(client: S3Client, commit: string, path: string, key: string): Promise<void> {
  const content = readFileSync(path);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const upload = new Upload({
    client,
    params: {
      Bucket: bucket,
      Key: key,
      Body: content,
      ContentType: 'application/octet-stream',
      ChecksumAlgorithm: 'SHA256',
      // HTTP header values.
      Metadata: { commit, branch: encodeURIComponent(BRANCH), sha256 },
    },
  });
  upload.on('httpUploadProgress', ({ loaded = 0 }) => {
    const percent = Math.floor((100 * loaded) / content.length);
    show(`${key}: ${percent}% of ${Math.ceil(content.length / MEGABYTE)} MB`);
  });
  await upload.done();
  show('');
  console.log(`s3://${bucket}/${key}  sha256 ${sha256}`);
}

try {
  const commit = commitOf();
  const client = new S3Client({
    credentialDefaultProvider,
    forcePathStyle: AWS_ENDPOINT_URL_S3 !== undefined,
    followRegionRedirects: true,
  });
  for (const path of [executable, tarball]) {
    await put(client, commit, path, `commits/${commit}/${basename(path)}`);
  }
  // Last, so that the newest build of a branch is already complete under its commit.
  await put(client, commit, executable, BRANCH);
} catch (error) {
  console.error(`Not uploaded to ${bucket}: ${messageOf(error)}`);
  process.exitCode = 1;
}
