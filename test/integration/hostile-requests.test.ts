import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { host as hostContainer, OK, startValues, token, USER } from '../support/callers.ts';
import fc from '../support/properties.ts';
import { CLIENT_SECRET, SECRET, TOKEN } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

const START_VALUES = '/set_container_start_values';

let host: TestHost;
let service: ServiceProcess;
before(async () => {
  host = await TestHost.open();
  service = await host.start({ env: { LOG_LEVEL: 'info' } }).ready();
});
after(async () => {
  assert.equal(await service.stop(), 0);
  assert.deepEqual(
    service.lines.filter(({ level }) => level === 'error' || level === 'fatal'),
    [],
    'no request causes an error of the service',
  );
  await host.finish();
  await host[Symbol.asyncDispose]();
});

function open(): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port: service.port, rejectUnauthorized: false });
  return once(socket, 'secureConnect').then(() => socket);
}

/** Resolves when the service has closed the connection, with any error. */
async function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {}).resume();
  if (socket.closed) return;
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the service keeps the connection')), 60_000);
    socket.once('close', () => {
      clearTimeout(late);
      resolve();
    });
  });
}

/** The service's open connections, from the kernel. */
function connections(): number {
  const found = execFileSync('ss', ['-Htn', 'state', 'established', `sport = :${service.port}`], {
    encoding: 'utf8',
  });
  return found.split('\n').filter(Boolean).length;
}

test('S17: a secret that is null, a list, an object or a number is refused', async () => {
  for (const auth_secret of [null, [SECRET], { secret: SECRET }, 7, true, '']) {
    const reply = await service.put(START_VALUES, { auth_secret, host_port: 32262 });
    assert.deepEqual([reply.status, reply.body], [401, 'Unauthorized\n'], JSON.stringify(auth_secret));
  }
});

test('if a key appears twice, the last one counts, also for the secret', async () => {
  const port = await host.hostPort(await hostContainer(service));
  const rest = `"host_port":1,"host_port":${port},"user_id":"${USER}","client_app_auth_secret":"${CLIENT_SECRET}"`;
  const wrongLast = await service.put(
    START_VALUES,
    `{"auth_secret":"${SECRET}","auth_secret":"wrong",${rest}}`,
  );
  assert.equal(wrongLast.status, 401);
  const rightLast = await service.put(
    START_VALUES,
    `{"auth_secret":"wrong","auth_secret":"${SECRET}",${rest}}`,
  );
  assert.deepEqual(rightLast, OK);
});

test('S5: a thousand wrong client secrets do not keep the right one out', async () => {
  const port = await host.hostPort(await hostContainer(service));
  await startValues(service, port);
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false, maxSockets: 20 });
  const guess = async (number: number): Promise<number | undefined> => {
    const body = JSON.stringify({
      user_id: USER,
      client_app_auth_secret: `guess ${number}`,
      host_port: port,
      config_encryption_token: TOKEN,
    });
    const options = {
      agent,
      host: '127.0.0.1',
      port: service.port,
      method: 'PUT',
      path: '/set_config_encryption_token',
    };
    const sent = request(options).end(body);
    const [response] = await once(sent, 'response');
    await once(response.resume(), 'end');
    return response.statusCode;
  };
  const statuses = await Promise.all(Array.from({ length: 1000 }, (_, i) => guess(i)));
  agent.destroy();
  assert.deepEqual([...new Set(statuses)], [406]);
  assert.deepEqual(await token(service, port), OK);
  const answered = service.lines.filter(
    ({ msg, path }) => msg === 'answered' && String(path).endsWith('_token'),
  );
  assert.ok(answered.length < 500, 'the wrong secrets do not fill the log');
});

test('a client that stops in the middle of a request, or half-closes its connection, is disconnected', async () => {
  const halves = [
    'PUT /set_container_start_values HTTP/1.1\r\nHost: x\r\n',
    'PUT /set_container_start_values HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"auth_secret":',
  ];
  for (const half of halves) {
    const tcp = connectTcp({ host: '127.0.0.1', port: service.port, allowHalfOpen: true });
    const socket = connectTls({ socket: tcp, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    socket.end(half);
    await closed(socket);
  }
});

test('a client whose host has disappeared is disconnected', async () => {
  const socket = connectTcp({ host: '127.0.0.1', port: service.port });
  await once(socket, 'connect');
  const rule = [
    'INPUT',
    '-p',
    'tcp',
    '--dport',
    String(service.port),
    '--sport',
    String(socket.localPort),
    '-j',
    'DROP',
  ];
  execFileSync('iptables', ['-I', ...rule]);
  try {
    // Neither its TLS handshake nor its answer to the end of the connection arrives.
    while (connections() > 0) await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal((await service.get('/healthz')).status, 200);
  } finally {
    execFileSync('iptables', ['-D', ...rule]);
    socket.destroy();
  }
});

/** Values of every type, some of which are valid for a field. */
const value = fc.oneof(
  fc.constantFrom<unknown>(null, '', 0, -1, 1.5, 65_536, 2 ** 53, true, USER, 'some secret'),
  fc.string({ maxLength: 40, unit: 'binary' }),
  fc.integer(),
  fc.jsonValue({ maxDepth: 2 }),
);
const FIELDS = [
  ...['host_port', 'dpi', 'container_ARN', 'user_id', 'client_app_auth_secret', 'config_encryption_token'],
  ...['app_name', 'app_image', 'mount_command', 'protocol_timeout', '__proto__', 'HOST_PORT'],
];

test('a body with arbitrary values in its fields gets one of the known answers, and never causes a crash', async () => {
  const path = fc.constantFrom(START_VALUES, '/set_config_encryption_token', '/spin_up_container');
  await fc.assert(
    fc.asyncProperty(path, fc.dictionary(fc.constantFrom(...FIELDS), value), async (to, fields) => {
      const { status, body } = await service.put(to, { ...fields, auth_secret: SECRET });
      assert.ok([400, 406, 413].includes(status), `${status} ${body}`);
      assert.match(
        body,
        status === 406 ? /^\{"result":"","error":".+"\}$/ : /^Malformed body\n$|larger than/,
      );
    }),
    { numRuns: 300, interruptAfterTimeLimit: 60_000 },
  );
  assert.deepEqual(await host.docker.listContainers({ filters: { status: ['created'] } }), []);
});

test('four addresses with 256 idle connections each do not lock out a fifth', async () => {
  const idle: Socket[] = [];
  for (const localAddress of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']) {
    for (let i = 0; i < 256; i++) {
      const socket = connectTcp({ host: '127.0.0.1', port: service.port, localAddress });
      socket.on('error', () => {});
      idle.push(socket);
      await once(socket, 'connect');
    }
  }
  try {
    const sent = request({
      host: '127.0.0.1',
      port: service.port,
      path: '/healthz',
      localAddress: '127.0.0.6',
      agent: false,
      rejectUnauthorized: false,
    });
    const [response] = await once(sent.end(), 'response');
    assert.equal(response.resume().statusCode, 200);
  } finally {
    for (const socket of idle) socket.destroy();
  }
});

const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE', 'put', ''];
const PATHS = [
  START_VALUES,
  '/set_config_encryption_token',
  '/spin_up_container',
  '/healthz',
  '/version',
  '/%',
  '*',
  '//',
  '',
];
const HEADERS = [
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Expect: 100-continue',
  'Upgrade: websocket\r\nConnection: Upgrade',
  'Content-Type: multipart/form-data; boundary=x',
  'Content-Encoding: gzip',
  ': no name',
  'Host: a\r\nHost: b',
];
const BODIES = [
  '{}',
  '{',
  '[]',
  'null',
  '5\r\nhello\r\n0\r\n\r\n',
  '{"auth_secret":null}',
  '{"__proto__":{"auth_secret":1}}',
  '\u0000',
];

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((raw) => Buffer.from(raw)),
  fc
    .record({
      method: fc.constantFrom(...METHODS),
      path: fc.oneof(fc.constantFrom(...PATHS), fc.webPath()),
      version: fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''),
      headers: fc.array(fc.constantFrom(...HEADERS), { maxLength: 3 }),
      body: fc.oneof(fc.constantFrom(...BODIES), fc.json()),
      cut: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(({ method, path, version, headers, body, cut }) => {
      const whole = `${method} ${path} ${version}\r\n${[...headers, 'Host: x'].join('\r\n')}\r\n\r\n${body}`;
      return Buffer.from(whole.slice(0, Math.ceil(whole.length * cut)));
    }),
);

test("arbitrary bytes, before TLS or inside it, cost only their sender's connection", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, fc.boolean(), async (sent, withinTls) => {
      const socket = withinTls ? await open() : connectTcp({ host: '127.0.0.1', port: service.port });
      socket.on('error', () => {});
      socket.end(sent);
      await closed(socket);
    }),
    { numRuns: 400, interruptAfterTimeLimit: 60_000 },
  );
  assert.equal((await service.get('/healthz')).status, 200);
  const port = await host.hostPort(await hostContainer(service));
  assert.deepEqual(await startValues(service, port), OK);
});
