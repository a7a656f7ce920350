/** A stand-in for S3 in a process of its own, so that what it costs is not counted as ours. Ends with its parent. */

import { S3 } from '../test/support/s3.ts';

const s3 = await S3.open();
process.on('disconnect', () => void s3[Symbol.asyncDispose]());
process.send?.({ bucket: s3.bucket, url: s3.url });
