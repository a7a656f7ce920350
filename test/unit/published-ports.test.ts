import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostPorts } from '../../container/network/host-ports.ts';
import { adoptPorts, holdPorts, portsWanted } from '../../container/network/published-ports.ts';
import { Shortage } from '../../container/pool/shortage.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';

function portsOf(lifetime: Lifetime): string[] {
  return lifetime.holdings.list().map(({ what }) => what);
}

test('a host port that is chosen on several addresses is held once', async () => {
  const ports = new HostPorts([20_000], async () => true);
  await using lifetime = new Lifetime('test');
  const PortBindings = {
    '32262/tcp': [],
    '80/tcp': [
      { HostIp: '127.0.0.1', HostPort: '8080' },
      { HostIp: '::1', HostPort: '8080' },
    ],
    '80/udp': [{ HostPort: '8080' }, { HostPort: '8081' }],
  };
  await holdPorts(lifetime, ports, portsWanted({ HostConfig: { PortBindings } }), new Shortage());
  assert.deepEqual(portsOf(lifetime).toSorted(), ['tcp 20000', 'tcp 8080', 'udp 8080', 'udp 8081']);
});

test("after a crash, a container's ports are held again, including those that its maker chose", async () => {
  const ports = new HostPorts([20_000, 20_001], async () => true);
  await using left = new Lifetime('left');
  await using next = new Lifetime('next');
  await adoptPorts(left, ports, { '32262/tcp': 20_000 }, [{ protocol: 'udp', number: 8080 }]);
  assert.equal(await ports.acquire(next, 'tcp', 20_000), 20_001);
  await assert.rejects(ports.take(next, 'udp', 8080), { code: 'port.in_use' });
});

test('a container holds the identifying port of a network that it shares, and nobody waits until that is free', async () => {
  const looked: number[] = [];
  const ports = new HostPorts([20_000, 20_001], async (_, port) => {
    looked.push(port);
    return port !== 20_000;
  });
  const sharing = new Lifetime('sharing');
  await using next = new Lifetime('next');
  assert.equal((await holdPorts(sharing, ports, portsWanted({}, 20_000), new Shortage())).size, 0);
  assert.deepEqual(portsOf(sharing), ['tcp 20000']);
  await assert.rejects(holdPorts(next, ports, portsWanted({}, 20_000), new Shortage()), {
    code: 'port.in_use',
  });
  assert.equal(await ports.acquire(next, 'tcp', 20_000), 20_001);
  assert.deepEqual(await sharing.end(), []);
  assert.deepEqual(looked, [20_001]);
  await ports.share(next, 'tcp', 20_000);
});
