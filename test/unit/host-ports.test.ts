import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { suite, test } from 'node:test';
import { HostPorts, isPortFree, type Protocol, usablePorts } from '../../container/network/host-ports.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';

const everyPortIsFree = async () => true;

suite('the ports for containers', () => {
  test('are between 1025 and 49150', () => {
    const ports = usablePorts('60000\t60999\n', '\n', []);
    assert.equal(ports[0], 1025);
    assert.equal(ports.at(-1), 49_150);
    assert.equal(ports.length, 49_150 - 1025 + 1);
  });

  test("C3: exclude the kernel's range for outgoing connections", () => {
    const ports = usablePorts('32768\t60999\n', '\n', []);
    assert.equal(ports.at(-1), 32_767);
    assert.equal(ports.length, 32_767 - 1025 + 1);
  });

  test("continue above the kernel's range for outgoing connections", () => {
    const ports = new Set(usablePorts('2000\t3000\n', '', []));
    assert.deepEqual(
      [1999, 2000, 3000, 3001].map((port) => ports.has(port)),
      [true, false, false, true],
    );
  });

  test("exclude the kernel's reserved ports", () => {
    const ports = new Set(usablePorts('60000\t60999\n', '8080,9000-9010,49150\n', []));
    const looked = [8079, 8080, 8081, 8999, 9000, 9005, 9010, 9011, 49_149, 49_150];
    const expected = [true, false, true, true, false, false, false, true, true, false];
    assert.deepEqual(
      looked.map((port) => ports.has(port)),
      expected,
    );
  });

  test('exclude the configured reserved ports', () => {
    const all = usablePorts('60000\t60999\n', '', []);
    const ports = usablePorts('60000\t60999\n', '', [4678, 2375, 80]);
    assert.deepEqual(
      all.filter((port) => !ports.includes(port)),
      [2375, 4678],
    );
  });

  test('can be empty', () => {
    assert.deepEqual(usablePorts('1024\t65535\n', '\n', []), []);
  });
});

suite('holding ports', () => {
  test('C2: every port is allotted before the pool is exhausted', async () => {
    const ports = new HostPorts([20_000, 20_001, 20_002], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    const given = [
      await ports.acquire(lifetime, 'tcp'),
      await ports.acquire(lifetime, 'tcp'),
      await ports.acquire(lifetime, 'tcp'),
    ];
    assert.deepEqual(given, [20_000, 20_001, 20_002]);
    await assert.rejects(ports.acquire(lifetime, 'tcp'), {
      code: 'port.none_free',
      message: /^no tcp port is free for a container: none of 3 numbers is free: 3 are held/,
    });
  });

  test('no port is allotted if other programs listen on all', async () => {
    const ports = new HostPorts([20_000, 20_001], async () => false);
    await using lifetime = new Lifetime('test');
    await assert.rejects(ports.acquire(lifetime, 'udp'), {
      code: 'port.none_free',
      message: /^no udp port is free .* 0 are held/,
    });
  });

  test('a port on which another program listens is skipped', async () => {
    const ports = new HostPorts([20_000, 20_001], async (_, port) => port !== 20_000);
    await using lifetime = new Lifetime('test');
    assert.equal(await ports.acquire(lifetime, 'tcp', 20_000), 20_001);
  });

  test('ports are allotted from 20000 upwards, and the low ones last', async () => {
    const ports = new HostPorts([1025, 19_999, 20_000, 20_001], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    const given: number[] = [];
    for (let i = 0; i < 4; i++) given.push(await ports.acquire(lifetime, 'tcp'));
    assert.deepEqual(given, [20_000, 20_001, 1025, 19_999]);
  });

  test('concurrent requests get different ports', async () => {
    const numbers = Array.from({ length: 50 }, (_, i) => 20_000 + i);
    const ports = new HostPorts(numbers, everyPortIsFree);
    await using lifetime = new Lifetime('test');
    const given = await Promise.all(numbers.map(() => ports.acquire(lifetime, 'tcp', 20_007)));
    assert.deepEqual(
      given.toSorted((a, b) => a - b),
      numbers,
    );
  });

  test('tcp and udp ports are independent', async () => {
    const asked: string[] = [];
    const ports = new HostPorts([20_000], async (protocol, port) => {
      asked.push(`${protocol} ${port}`);
      return true;
    });
    await using lifetime = new Lifetime('test');
    assert.equal(await ports.acquire(lifetime, 'tcp'), 20_000);
    assert.equal(await ports.acquire(lifetime, 'udp'), 20_000);
    assert.deepEqual(asked, ['tcp 20000', 'udp 20000']);
    assert.deepEqual(
      lifetime.holdings.list().map(({ kind, what }) => `${kind} ${what}`),
      ['port tcp 20000', 'port udp 20000'],
    );
  });

  test('C32: a port is allotted again only after it was seen free', async () => {
    const busy = new Set<number>();
    const looked = Promise.withResolvers<void>();
    const ports = new HostPorts([20_000], async (_, port) => {
      if (busy.has(port)) looked.resolve();
      return !busy.has(port);
    });
    const holder = new Lifetime('holder');
    await using next = new Lifetime('next');
    await ports.acquire(holder, 'tcp');
    busy.add(20_000);
    const ended = holder.end();
    await looked.promise;
    await assert.rejects(ports.acquire(next, 'tcp'), { code: 'port.none_free', message: /1 are held/ });
    busy.clear();
    assert.deepEqual(await ended, []);
    assert.equal(await ports.acquire(next, 'tcp'), 20_000);
  });
});

suite('a request for a particular port', () => {
  test('gets that port if it is free', async () => {
    const ports = new HostPorts([20_000, 20_001, 20_002], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    assert.equal(await ports.acquire(lifetime, 'tcp', 20_002), 20_002);
  });

  test('gets another port if that one is held', async () => {
    const ports = new HostPorts([20_000, 20_001], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    await ports.acquire(lifetime, 'tcp', 20_000);
    assert.equal(await ports.acquire(lifetime, 'tcp', 20_000), 20_001);
  });

  for (const wish of [80, 19_999, 65_535, 70_000]) {
    test(`gets another port instead of ${wish}, which no container can get`, async () => {
      const ports = new HostPorts([20_000], everyPortIsFree);
      await using lifetime = new Lifetime('test');
      assert.equal(await ports.acquire(lifetime, 'tcp', wish), 20_000);
    });
  }
});

suite('ports that Docker found taken', () => {
  test('are skipped for a while, even if they are requested', async () => {
    const ports = new HostPorts([20_000, 20_001], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    ports.setAside('tcp', 20_000);
    assert.equal(await ports.acquire(lifetime, 'tcp', 20_000), 20_001);
    assert.equal(
      await ports.acquire(lifetime, 'udp', 20_000),
      20_000,
      'the other protocol has its own numbers',
    );
  });

  test('are returned at the end, although another program has them', async () => {
    let free = true;
    const ports = new HostPorts([20_000], async () => free);
    const lifetime = new Lifetime('test');
    await ports.acquire(lifetime, 'tcp');
    free = false;
    ports.setAside('tcp', 20_000);
    assert.deepEqual(await lifetime.end(), []);
    assert.deepEqual(lifetime.holdings.list(), []);
  });

  test('are not allotted even if no others are left', async () => {
    const ports = new HostPorts([20_000], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    ports.setAside('tcp', 20_000);
    await assert.rejects(ports.acquire(lifetime, 'tcp'), { code: 'port.none_free' });
  });

  test('are allotted again five minutes later', async (t) => {
    let now = 1000;
    t.mock.method(performance, 'now', () => now);
    const ports = new HostPorts([20_000], everyPortIsFree);
    await using lifetime = new Lifetime('test');
    ports.setAside('tcp', 20_000);
    now += 5 * 60_000 - 1;
    await assert.rejects(ports.acquire(lifetime, 'tcp'), { code: 'port.none_free' });
    now += 1;
    assert.equal(await ports.acquire(lifetime, 'tcp'), 20_000);
  });
});

interface Listener {
  readonly port: number;
  close(): Promise<unknown>;
}

async function listenTcp(host: string): Promise<Listener> {
  const server: Server = createServer().listen({ host, port: 0 });
  await once(server, 'listening');
  server.unref();
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  return { port: address.port, close: () => once(server.close(), 'close') };
}

async function listenUdp(host: string): Promise<Listener> {
  const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4').bind({ address: host, port: 0 });
  await once(socket, 'listening');
  socket.unref();
  return { port: socket.address().port, close: () => once(socket.close(), 'close') };
}

suite('the check whether a host port is free', () => {
  const listeners = { tcp: listenTcp, udp: listenUdp } satisfies Record<
    Protocol,
    (host: string) => Promise<Listener>
  >;
  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === '::1'),
  );

  for (const protocol of ['tcp', 'udp'] as const) {
    for (const host of ['127.0.0.1', '0.0.0.0', '::1', '::']) {
      const skip = host.includes(':') && !hasIpv6 ? 'this host has no IPv6' : false;
      test(`finds the ${protocol} port in use while it is open on ${host}`, { skip }, async () => {
        const listener = await listeners[protocol](host);
        assert.equal(await isPortFree(protocol, listener.port), false);
        await listener.close();
        assert.equal(await isPortFree(protocol, listener.port), true);
      });
    }
  }

  test('finds the udp port free while the tcp port is in use', async () => {
    const listener = await listenTcp('127.0.0.1');
    assert.equal(await isPortFree('udp', listener.port), true);
    await listener.close();
  });

  test('finds the tcp port free while the udp port is in use', async () => {
    const listener = await listenUdp('127.0.0.1');
    assert.equal(await isPortFree('tcp', listener.port), true);
    await listener.close();
  });

  test('does not take the port', async () => {
    const listener = await listenTcp('127.0.0.1');
    await listener.close();
    assert.equal(await isPortFree('tcp', listener.port), true);
    assert.equal(await isPortFree('tcp', listener.port), true);
    assert.equal(await isPortFree('udp', listener.port), true);
    assert.equal(await isPortFree('udp', listener.port), true);
  });
});

test('this host has ports for containers, and none of them is reserved', async () => {
  const ports = await HostPorts.ofThisHost([20_000]);
  await using lifetime = new Lifetime('test');
  assert.notEqual(await ports.acquire(lifetime, 'tcp', 20_000), 20_000);
});

test('no container gets a fixed port of a managed node, even while the node does not run', async () => {
  const ports = new HostPorts([20_000, 20_001], everyPortIsFree);
  await ports.claimed.claim(new Map([['web', [{ protocol: 'tcp', port: 20_000 }]]]));
  await using lifetime = new Lifetime('test');
  assert.equal(await ports.acquire(lifetime, 'tcp', 20_000), 20_001);
  await assert.rejects(ports.take(lifetime, 'tcp', 20_000), { code: 'port.of_node' });
  await assert.rejects(ports.acquireThe(lifetime, 'tcp', 20_000), { code: 'port.of_node' });
  assert.equal(await ports.acquire(lifetime, 'udp', 20_000), 20_000);
  await ports.claimed.claim(new Map());
  await ports.take(lifetime, 'tcp', 20_000);
});
