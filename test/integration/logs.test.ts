import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { importShell, SHELL } from '../support/docker-cli.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());
async function raw(opts: object) {
  const c = await host.docker.createContainer({ Image: SHELL, ...opts } as never);
  await c.start();
  await c.wait();
  for (const q of [{}, { tail: 2 }, { tail: 0 }, { tail: 0, follow: true }]) {
    try {
      const s = (await c.logs({
        follow: true,
        _query: { stdout: true, stderr: true, timestamps: true, ...q },
      } as never)) as unknown as AsyncIterable<Buffer>;
      const all: Buffer[] = [];
      for await (const x of s) all.push(x);
      const b = Buffer.concat(all);
      console.error(
        JSON.stringify(q),
        b.length,
        JSON.stringify(b.toString('latin1').slice(0, 200)),
        JSON.stringify(b.toString('latin1').slice(-200)),
      );
      if (Object.keys(q).length === 0)
        for (const m of b.toString('latin1').matchAll(/\d{4}-\d\d-\d\dT[\d:.]+Z /g))
          console.error('   ', m.index, m[0]);
    } catch (e) {
      console.error('ERR', JSON.stringify(q), e);
    }
  }
  await c.remove({ force: true });
}
test('x', async () => {
  const big = `x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; i=0; while [ $i -lt 10 ]; do x=$x$x; i=$((i+1)); done; printf '%s\\n' $x; echo two; printf three`;
  for (const Tty of [false, true]) {
    await raw({ Cmd: ['sh', '-c', `echo one; echo err >&2; printf "\\303\\251\\377\\0z\\n"; ${big}`], Tty });
    for (const Type of ['none', 'local', 'journald', 'syslog']) {
      console.error(Tty, Type);
      await raw({
        Cmd: ['sh', '-c', 'echo one; echo two; echo three'],
        Tty,
        HostConfig: {
          LogConfig: { Type, Config: Type === 'syslog' ? { 'syslog-address': 'udp://127.0.0.1:514' } : {} },
        },
      }).catch((e) => console.error(String(e)));
    }
  }
});
