/** The use of a container's network by its clients, from the kernel's data, even if a container has filled them. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { networkUse } from '../../container/network/network-use.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const PORTS = ['32262/tcp', '32263/udp', '32273/tcp'];
/** 172.17.0.2, 172.17.0.1 and 127.0.0.1. */
const [OWN, GATEWAY, LOOPBACK] = ['020011AC', '010011AC', '0100007F'];
const MAPPED = '0000000000000000FFFF0000';
const NOTHING = '00000000:0000';
const NO_USE = { isConnected: false, takesDatagrams: false, datagrams: 0 };

/** @param state 01: connected, 0A: listening, 06: waiting for its end, 07: datagrams without a peer */
function line(local: string, peer: string, state: string): string {
  return `   0: ${local} ${peer} ${state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n`;
}

function directoryWith(t: TestContext, tables: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'network-use-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries({ tcp: '', udp: '', snmp: '', ...tables }))
    writeFileSync(join(directory, name), text);
  return directory;
}

suite('the network of a container', () => {
  test('is in use while an outside client is connected to one of its published ports', async (t) => {
    const cases = [
      [{ tcp: line(`${OWN}:7E06`, `${GATEWAY}:C001`, '01') }, true],
      [{ tcp6: line(`${MAPPED}${OWN}:7E11`, `${MAPPED}${GATEWAY}:C001`, '01') }, true],
      [{ udp: line(`${OWN}:7E07`, `${GATEWAY}:C001`, '01') }, true],
      // A port that is not published, or of the other protocol.
      [{ tcp: line(`${OWN}:0050`, `${GATEWAY}:C001`, '01') }, false],
      [{ tcp: line(`${OWN}:7E07`, `${GATEWAY}:C001`, '01') }, false],
      [{ udp: line(`${OWN}:7E06`, `${GATEWAY}:C001`, '01') }, false],
      // The container itself opened this connection.
      [{ tcp: line(`${OWN}:C001`, `${GATEWAY}:7E06`, '01') }, false],
      [{ tcp: line(`${OWN}:7E06`, NOTHING, '0A') }, false],
      [{ tcp: line(`${OWN}:7E06`, `${GATEWAY}:C001`, '06') }, false],
      [{ tcp: line(`${OWN}:7E06`, `${GATEWAY}:C001`, '08') }, false],
    ] as const;
    for (const [tables, isConnected] of cases) {
      const { isConnected: found } = await networkUse(directoryWith(t, tables), PORTS);
      assert.equal(found, isConnected, JSON.stringify(tables));
    }
  });

  test('is not in use because of connections from inside it, over any address', async (t) => {
    const [six, loopback6] = [`${'0'.repeat(24)}01000000`, `${MAPPED}${LOOPBACK}`];
    const tables = {
      tcp: [
        line(`${LOOPBACK}:7E06`, `${LOOPBACK}:C001`, '01'),
        line('0200007F:7E06', '0300007F:C001', '01'),
        line(`${OWN}:7E06`, `${OWN}:C001`, '01'),
      ].join(''),
      tcp6: [
        line(`${six}:7E06`, `${six}:C001`, '01'),
        line(`${loopback6}:7E06`, `${loopback6}:C001`, '01'),
      ].join(''),
    };
    assert.deepEqual(await networkUse(directoryWith(t, tables), PORTS), NO_USE);
  });

  test('counts the datagrams that arrive at a published port while a program waits for them', async (t) => {
    const snmp = 'Udp: InDatagrams NoPorts\nUdp: 41 7\nUdpLite: InDatagrams\nUdpLite: 9\n';
    const tables = {
      snmp,
      snmp6: 'Ip6InReceives \t5\nUdp6InDatagrams                 \t1\nUdp6NoPorts \t3\n',
    };
    const waiting = directoryWith(t, { ...tables, udp: HEAD + line('00000000:7E07', NOTHING, '07') });
    assert.deepEqual(await networkUse(waiting, PORTS), { ...NO_USE, takesDatagrams: true, datagrams: 42 });
    const elsewhere = directoryWith(t, { ...tables, udp: HEAD + line('00000000:D001', NOTHING, '07') });
    assert.deepEqual(await networkUse(elsewhere, PORTS), { ...NO_USE, datagrams: 42 });
  });

  test('is read only in part if a container has filled its list, and then counts as in use', async (t) => {
    const own = line(`${OWN}:7E06`, `${OWN}:C001`, '01');
    const many = (bytes: number) => directoryWith(t, { tcp: own.repeat(Math.floor(bytes / own.length)) });
    assert.equal((await networkUse(many(4 * 2 ** 20), PORTS)).isConnected, false);
    assert.equal((await networkUse(many(5 * 2 ** 20), PORTS)).isConnected, true);
  });

  test('yields nothing for lines that are not the kernel’s, and nothing without a process', async (t) => {
    const odd = [
      '',
      '\0',
      ':',
      '0: ',
      `0: ${OWN}:7E06`,
      `x: ${OWN}:7E06 ${GATEWAY}:C001 01 `,
      'z'.repeat(100_000),
    ];
    assert.deepEqual(await networkUse(directoryWith(t, { tcp: odd.join('\n'), udp: HEAD }), PORTS), NO_USE);
    assert.deepEqual(await networkUse(directoryWith(t, {}), []), NO_USE);
    await assert.rejects(networkUse('/proc/0/net', PORTS), { code: 'ENOENT' });
  });
});
