// Lambda's runtime around a function: it requests events, calls the handler, and posts the results.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
const { handler } = await import(
  pathToFileURL(join(process.env.LAMBDA_TASK_ROOT, process.env.FUNCTION_FILE)).href
);
for (;;) {
  const next = await fetch(`${api}/next`);
  const id = next.headers.get('lambda-runtime-aws-request-id');
  const deadline = Number(next.headers.get('lambda-runtime-deadline-ms'));
  const context = { awsRequestId: id, getRemainingTimeInMillis: () => deadline - Date.now() };
  const [kind, body] = await handler(await next.json(), context).then(
    (result) => ['response', result ?? null],
    (error) => ['error', { errorType: error.name, errorMessage: error.message }],
  );
  await fetch(`${api}/${id}/${kind}`, { method: 'POST', body: JSON.stringify(body) });
}
