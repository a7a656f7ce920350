/**
 * The packets that pass the filter at a container's port, mainly of IPv6: the tests with real containers have an IPv4 bridge
 * only. The filter's program runs here as it runs in the kernel.
 */

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { frameFilter, newcomersFilter } from '../../container/network/frame-filter.ts';

const MAC = '02:42:ac:11:00:02';
const HOST = '02:42:00:00:00:01';
const ENDPOINT = {
  mac: MAC,
  address: '172.17.0.2',
  prefix: 16,
  gateway: '172.17.0.1',
  address6: 'fd00:1::2',
  prefix6: 64,
  gateway6: 'fd00:1::1',
};
const { address6: _address6, ...IPV4_ALONE } = ENDPOINT;
const OWN = 'fd000001000000000000000000000002';
const OWN_LINK = 'fe80000000000000' + '0042acfffe110002';
const NEIGHBOUR = 'fd000001000000000000000000000003';
const GATEWAY = 'fd000001000000000000000000000001';
const ELSEWHERE = '20010db8000000000000000000000001';
const NOBODY = '0'.repeat(32);
const [TCP, UDP, FRAGMENT, ICMPV6] = [6, 17, 44, 58];

const program = frameFilter(ENDPOINT, [HOST]);

/** Source: linux/filter.h. @returns whether the frame passes */
function passes(frame: Buffer, through = program): boolean {
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const [code, yes = 0, no = 0, operand = 0] = through.subarray(4 * at, 4 * at + 4);
    if (code === 0x20) accumulator = frame.readUInt32BE(operand);
    else if (code === 0x28) accumulator = frame.readUInt16BE(operand);
    else if (code === 0x30) accumulator = frame.readUInt8(operand);
    else if (code === 0x54) accumulator = (accumulator & operand) >>> 0;
    else if (code === 0x15) at += accumulator === operand ? yes : no;
    else if (code === 0x05) at += operand;
    else if (code === 0x06) return operand === 0xffff_ffff;
    else assert.fail(`no instruction: ${code}`);
  }
}

interface Packet {
  readonly from?: string;
  readonly to?: string;
  readonly next: number;
  /** Hexadecimal: the bytes after the IPv6 header. */
  readonly data?: string;
  readonly source?: string;
  readonly destination?: string;
}

function frameOf({
  from = OWN,
  to = ELSEWHERE,
  next,
  data = '',
  source = MAC,
  destination = HOST,
}: Packet): Buffer {
  const ethernet = `${destination}${source}86dd`.replaceAll(':', '');
  const header = `600000000040${next.toString(16).padStart(2, '0')}ff${from}${to}`;
  return Buffer.from(`${ethernet}${header}${data.padEnd(128, '0')}`, 'hex');
}

/** A neighbour discovery message about the link-layer address of `target`. */
const about = (type: number, target: string) => `${type.toString(16)}00000060000000${target}`;
const ADVERTISEMENT = 136;
/** An extension header of eight bytes before another one, here before ICMPv6. */
const before = (message: string) => `3a00000000000000${message}`;

suite('packets that a container can send over IPv6', () => {
  for (const [what, packet] of [
    ['TCP from its own address', { next: TCP }],
    ['UDP from its own address, in fragments too', { next: FRAGMENT }],
    ['UDP to the gateway', { next: UDP, to: GATEWAY }],
    ['a packet from its own link-local address', { next: ICMPV6, from: OWN_LINK, data: about(135, GATEWAY) }],
    ['a check whether its address is free', { next: ICMPV6, from: NOBODY, data: about(135, OWN) }],
    ['an advertisement of its own address', { next: ICMPV6, data: about(ADVERTISEMENT, OWN) }],
    [
      'an advertisement of its own link-local address',
      { next: ICMPV6, data: about(ADVERTISEMENT, OWN_LINK) },
    ],
    ['a report of its multicast groups', { next: 0, from: OWN_LINK, data: before('8f000000') }],
    [
      'a packet to its neighbour past the host, where the port is isolated',
      { next: TCP, to: NEIGHBOUR, destination: '02:42:ac:11:00:03' },
    ],
  ] as const satisfies readonly (readonly [string, Packet])[]) {
    test(what, () => assert.ok(passes(frameOf(packet))));
  }
});

test("a container cannot claim its neighbour's IPv6 address, whatever header precedes the claim", () => {
  const claim = about(ADVERTISEMENT, NEIGHBOUR);
  assert.ok(!passes(frameOf({ next: ICMPV6, data: claim })));
  for (const next of [0, 43, 51, 60]) assert.ok(!passes(frameOf({ next, data: before(claim) })), `${next}`);
  const longer = `3a01${'00'.repeat(6)}8f${'00'.repeat(7)}${claim}`;
  assert.ok(!passes(frameOf({ next: 0, data: longer })));
});

suite('packets that a container cannot send over IPv6', () => {
  for (const [what, packet] of [
    ["a packet from its neighbour's address", { next: UDP, from: NEIGHBOUR }],
    [
      "a packet from another container's link-local address",
      { next: UDP, from: 'fe80000000000000' + '0042acfffe110003' },
    ],
    ['a packet from another MAC address', { next: UDP, source: '02:42:ac:11:00:03' }],
    ['a packet to its neighbour through the host', { next: TCP, to: NEIGHBOUR }],
    ["an advertisement of the gateway's address", { next: ICMPV6, data: about(ADVERTISEMENT, GATEWAY) }],
    ['a router advertisement', { next: ICMPV6, from: OWN_LINK, data: '86000000' }],
    ['a redirect', { next: ICMPV6, from: OWN_LINK, data: '89000000' }],
  ] as const satisfies readonly (readonly [string, Packet])[]) {
    test(what, () => assert.ok(!passes(frameOf(packet))));
  }
});

test('a container without an IPv6 address sends no IPv6 packets', () => {
  const { address6, ...ipv4 } = ENDPOINT;
  const without = frameFilter(ipv4, [HOST]);
  assert.ok(address6 && without.length < program.length);
  assert.equal(without.at(-1), 2);
});

test('the kernel accepts the jumps of the filter', () => {
  assert.ok(program.every((word, i) => i % 4 === 0 || i % 4 === 3 || word <= 255));
});

test('a frame of another protocol, or with a VLAN tag, does not pass', () => {
  for (const type of ['8100', '88a8', '8847', '9000']) {
    const frame = frameOf({ next: TCP });
    frame.write(type, 12, 'hex');
    assert.ok(!passes(frame), type);
  }
});

suite('a port whose container is not known yet', () => {
  const NEWCOMER = '02:42:ac:11:00:09';
  const through = newcomersFilter([IPV4_ALONE]);
  const hex = (address: string) => Buffer.from(address.split('.').map(Number)).toString('hex');
  const frame = (source: string, type: string, rest: string) =>
    Buffer.from(`${HOST}${source}${type}`.replaceAll(':', '') + rest.padEnd(128, '0'), 'hex');
  const arp = (sender: string) => `0001080006040002${NEWCOMER.replaceAll(':', '')}${hex(sender)}`;
  const ip = (from: string, to: string) => `4500001c000000004011${'0000'}${hex(from)}${hex(to)}`;
  const OTHER = '172.17.0.9';
  for (const [what, bytes, isPassed] of [
    ['passes an announcement of its own address', frame(NEWCOMER, '0806', arp(OTHER)), true],
    ['passes packets to other addresses', frame(NEWCOMER, '0800', ip(OTHER, '172.17.0.1')), true],
    [
      'does not pass packets from the MAC address of a known container',
      frame(MAC, '0800', ip(OTHER, '172.17.0.1')),
      false,
    ],
    ['does not pass a claim of a known address', frame(NEWCOMER, '0806', arp(ENDPOINT.address)), false],
    [
      'does not pass packets from a known address',
      frame(NEWCOMER, '0800', ip(ENDPOINT.address, '172.17.0.1')),
      false,
    ],
    ['does not pass packets to a known address', frame(NEWCOMER, '0800', ip(OTHER, ENDPOINT.address)), false],
    [
      'does not pass them behind a VLAN tag either',
      frame(NEWCOMER, '8100', `0000${'0806'}${arp(ENDPOINT.address)}`),
      false,
    ],
  ] as const)
    test(what, () => assert.equal(passes(bytes, through), isPassed));

  test('passes IPv6 only if no container has an IPv6 address', () => {
    const packet = frameOf({ next: TCP, from: NEIGHBOUR, source: NEWCOMER });
    assert.ok(passes(packet, through));
    assert.ok(!passes(packet, newcomersFilter([ENDPOINT])));
  });

  test('passes nothing if the kernel would not accept a program for all addresses', () => {
    const all = Array.from({ length: 1000 }, () => ENDPOINT);
    assert.ok(!passes(frame(NEWCOMER, '0806', arp(OTHER)), newcomersFilter(all)));
  });
});
