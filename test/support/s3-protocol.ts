/**
 * The parts of S3's protocol that the stand-in needs: the operation of a request, the form of a refusal, and the order
 * of listings. The order is needed because fauxqs sorts keys by the rules of a language, and omits some keys from
 * listings of several pages.
 */

export interface Question {
  readonly operation: Operation;
  readonly bucket: string;
  /** The empty string if the request is about the whole bucket. */
  readonly key: string;
  readonly query: URLSearchParams;
}

export type Operation =
  | ('AbortMultipartUpload' | 'CompleteMultipartUpload' | 'CopyObject' | 'CreateMultipartUpload')
  | ('DeleteObject' | 'DeleteObjects' | 'GetObject' | 'HeadBucket' | 'HeadObject' | 'ListObjectsV2')
  | ('PutObject' | 'UploadPart' | 'UploadPartCopy' | 'Unknown');

/** @param copies whether the request names an object to copy */
export function understand(method: string, url: string, copies: boolean): Question {
  const { pathname, searchParams: query } = new URL(url, 'http://s3');
  const [, bucket = '', ...parts] = pathname.split('/');
  const key = decodeURIComponent(parts.join('/'));
  const operation = key ? ofObject(method, query, copies) : ofBucket(method, query);
  return { operation, bucket, key, query };
}

function ofBucket(method: string, query: URLSearchParams): Operation {
  if (method === 'HEAD') return 'HeadBucket';
  if (method === 'GET' && query.get('list-type') === '2') return 'ListObjectsV2';
  return method === 'POST' && query.has('delete') ? 'DeleteObjects' : 'Unknown';
}

function ofObject(method: string, query: URLSearchParams, copies: boolean): Operation {
  if (query.has('uploadId')) return ofUpload(method, copies);
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'Unknown';
  if (method === 'PUT') return copies ? 'CopyObject' : 'PutObject';
  if (method === 'GET') return 'GetObject';
  if (method === 'HEAD') return 'HeadObject';
  return method === 'DELETE' ? 'DeleteObject' : 'Unknown';
}

function ofUpload(method: string, copies: boolean): Operation {
  if (method === 'PUT') return copies ? 'UploadPartCopy' : 'UploadPart';
  if (method === 'POST') return 'CompleteMultipartUpload';
  return method === 'DELETE' ? 'AbortMultipartUpload' : 'Unknown';
}

const REFUSALS = {
  AccessDenied: [403, 'Access Denied'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NotImplemented: [501, 'A header or query you provided implies functionality that is not implemented.'],
  PreconditionFailed: [412, 'At least one of the pre-conditions you specified did not hold'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the current time is too large.'],
  SlowDown: [503, 'Please reduce your request rate.'],
} as const;
export type Refusal = keyof typeof REFUSALS;

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>';

export function refusal(code: Refusal): { readonly status: number; readonly xml: string } {
  const [status, message] = REFUSALS[code];
  const inner = `<Code>${code}</Code><Message>${message}</Message><RequestId>0</RequestId>`;
  return { status, xml: `${DECLARATION}\n<Error>${inner}<HostId>s3</HostId></Error>` };
}

/** The entries of a listing of a whole bucket, in the order of S3: by the bytes of UTF-8. */
export function contents(xml: string): { readonly key: string; readonly xml: string }[] {
  const found = [...xml.matchAll(/<Contents><Key>(.*?)<\/Key>.*?<\/Contents>/gs)];
  const entries = found.map(([all, key = '']) => ({ key: fromXml(key), xml: all }));
  return entries.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

/** One page of ListObjectsV2. @param whole the listing of fauxqs without any limit */
export function listing(bucket: string, whole: string, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const limit = Math.min(Number(query.get('max-keys') ?? 1000), 1000);
  const token = query.get('continuation-token');
  const after = token ? Buffer.from(token, 'base64url').toString() : (query.get('start-after') ?? '');
  const items = [...grouped(whole, prefix, query.get('delimiter'))].filter(([name]) => isAfter(name, after));
  const page = items.slice(0, limit);
  const next = items.length > page.length ? page.at(-1)?.[0] : undefined;
  return [
    `${DECLARATION}\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`,
    `<Name>${bucket}</Name><Prefix>${toXml(prefix)}</Prefix><KeyCount>${page.length}</KeyCount>`,
    `<MaxKeys>${limit}</MaxKeys><IsTruncated>${next !== undefined}</IsTruncated>`,
    next && `<NextContinuationToken>${Buffer.from(next).toString('base64url')}</NextContinuationToken>`,
    ...page.map(([, xml]) => xml),
    '</ListBucketResult>',
  ].join('');
}

/** Keys, and common prefixes up to the delimiter, with their XML. */
function grouped(whole: string, prefix: string, delimiter: string | null): Map<string, string> {
  const items = new Map<string, string>();
  for (const { key, xml } of contents(whole)) {
    if (!key.startsWith(prefix)) continue;
    const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    const common = key.slice(0, end + (delimiter?.length ?? 0));
    if (end < 0) items.set(key, xml);
    else items.set(common, `<CommonPrefixes><Prefix>${toXml(common)}</Prefix></CommonPrefixes>`);
  }
  return items;
}

function isAfter(name: string, other: string): boolean {
  return Buffer.compare(Buffer.from(name), Buffer.from(other)) > 0;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

function toXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

function fromXml(xml: string): string {
  return Object.entries(ENTITIES).reduceRight((text, [to, from]) => text.replaceAll(from, to), xml);
}
