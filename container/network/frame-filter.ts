/**
 * Builds the filters that limit what a container may send into Docker's default bridge. A hosted container may send
 * frames only from its own addresses, because under a neighbour's address it would receive the neighbour's traffic. It
 * may not send frames to a neighbour by way of the host either, because the isolation of its port does not stop those.
 *
 * Each filter is a classic BPF program that the kernel's traffic control runs. Each instruction is four numbers: code,
 * jump if true, jump if false, operand. Source: linux/filter.h, linux/pkt_cls.h; RFC 826, RFC 791, RFC 8200, RFC 4861,
 * RFC 3810.
 */

import ipaddr from 'ipaddr.js';
import type { Endpoint } from '../../docker-engine/answers.ts';

const [LOAD_WORD, LOAD_HALF, LOAD_BYTE, AND, IS_EQUAL, GOES_ON, ANSWER] = [
  0x20, 0x28, 0x30, 0x54, 0x15, 0x05, 0x06,
];
/** TC_ACT_UNSPEC, which leaves the decision to the filters that follow, and TC_ACT_SHOT. */
const [PASS, DROP] = [0xffff_ffff, 2];
const [ARP, IPV4, IPV6] = [0x0806, 0x0800, 0x86dd];
/** IPv6 header types. An options, routing or authentication header can precede another header. */
const [HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION, ICMPV6] = [0, 43, 51, 60, 58];
/** ICMPv6 types: neighbour advertisements, messages that only routers send, and multicast listener reports. */
const [ADVERTISEMENT, ROUTER, REDIRECT] = [136, 134, 137];
const LISTENS = [131, 132, 143];
const ALL = 0xffff_ffff;

/** A value that a frame must have at an offset. The mask selects the bits to compare. */
interface Field {
  readonly at: number;
  readonly load: number;
  readonly mask: number;
  readonly is: number;
}
/** All fields must match. */
type Pattern = readonly Field[];
interface Rule {
  readonly verdict: number;
  /** All fields of this pattern must match. */
  readonly when: Pattern;
  /** None of these patterns may match. */
  readonly unless?: readonly Pattern[];
}

/**
 * Builds the filter for the port of a hosted container.
 * @param local the MAC addresses of the host's ends of the link; the host routes frames sent to them
 */
export function frameFilter(endpoint: Endpoint, local: readonly string[]): Uint32Array {
  const { mac, address, prefix, gateway, address6, prefix6, gateway6 } = endpoint;
  const own = macAt(6, mac);
  const routed = (when: Pattern, unless: Pattern): Rule[] =>
    local.map((one) => ({ verdict: DROP, when: [...macAt(0, one), ...when], unless: [unless] }));
  const rules: Rule[] = [
    { verdict: DROP, when: [], unless: [own] },
    { verdict: PASS, when: [type(ARP), ...macAt(22, mac), ...bytesAt(28, ipv4(address))] },
    ...routed([type(IPV4), ...bytesAt(30, ipv4(address), prefix)], bytesAt(30, ipv4(gateway))),
    { verdict: PASS, when: [type(IPV4), ...bytesAt(26, ipv4(address))] },
  ];
  if (address6) {
    const addresses = [ipv6(address6), linkLocal(mac)];
    const net6 = bytesAt(38, ipv6(address6), prefix6);
    rules.push(
      // These headers would hide a neighbour advertisement from the rules below.
      ...[ROUTING, AUTHENTICATION, DESTINATION].map((header) => drop(byte(20, header))),
      {
        verdict: DROP,
        when: [type(IPV6), byte(20, HOP_BY_HOP)],
        unless: LISTENS.map((what) => [byte(54, ICMPV6), byte(55, 0), byte(62, what)]),
      },
      ...[ROUTER, REDIRECT].map((what) => drop(byte(20, ICMPV6), byte(54, what))),
      {
        verdict: DROP,
        when: [type(IPV6), byte(20, ICMPV6), byte(54, ADVERTISEMENT)],
        unless: addresses.map((one) => bytesAt(62, one)),
      },
      ...routed([type(IPV6), ...net6], bytesAt(38, ipv6(gateway6 || address6))),
      // A host sends from the unspecified address to find out whether an address is free.
      ...[...addresses, Buffer.alloc(16)].map((one) => ({
        verdict: PASS,
        when: [type(IPV6), ...bytesAt(22, one)],
      })),
    );
  }
  return Uint32Array.from([...rules.flatMap(compile), ...[ANSWER, 0, 0, DROP]]);
}

/** The kernel's limit for one program. */
const MOST_INSTRUCTIONS = 4096;

/**
 * Builds the filter for a port whose owner is unknown. It drops frames that use an address of a placed container, and
 * frames that would reach a placed container by way of the host.
 */
export function newcomersFilter(placed: readonly Endpoint[]): Uint32Array {
  const rules = placed.flatMap(({ mac, address }) => {
    const own = ipv4(address);
    const sent = [
      macAt(6, mac),
      [type(ARP), ...bytesAt(28, own)],
      [type(IPV4), ...bytesAt(26, own)],
      [type(IPV4), ...bytesAt(30, own)],
    ];
    return sent.map((when): Rule => ({ verdict: DROP, when }));
  });
  // This filter cannot check the many ways to claim an IPv6 address. If a placed container has an IPv6 address, the
  // port cannot send IPv6 until its owner is known.
  const types = placed.some(({ address6 }) => address6) ? [ARP, IPV4] : [ARP, IPV4, IPV6];
  rules.push(...types.map((one) => ({ verdict: PASS, when: [type(one)] })));
  const program = [...rules.flatMap(compile), ...[ANSWER, 0, 0, DROP]];
  return Uint32Array.from(program.length / 4 > MOST_INSTRUCTIONS ? [ANSWER, 0, 0, DROP] : program);
}

function drop(...fields: Pattern): Rule {
  return { verdict: DROP, when: [type(IPV6), ...fields] };
}

/** If a rule does not match, the program continues after it. */
function compile({ verdict, when, unless = [] }: Rule): number[] {
  const end = [ANSWER, 0, 0, verdict];
  // Compiling the patterns from last to first makes each jump distance known.
  let code = end;
  for (const pattern of unless.toReversed()) {
    // A pattern that matches completely jumps past the rule.
    const behind = code.length / 4;
    const jump = [GOES_ON, 0, 0, behind];
    code = [...match(pattern, 1), ...jump, ...code];
  }
  return [...match(when, code.length / 4), ...code];
}

/** @param miss the number of instructions after the pattern to skip if it does not match */
function match(pattern: Pattern, miss: number): number[] {
  let code: number[] = [];
  for (const { at, load, mask, is } of pattern.toReversed()) {
    const over = code.length / 4 + miss;
    const masked = mask === ALL ? [] : [AND, 0, 0, mask];
    code = [load, 0, 0, at, ...masked, IS_EQUAL, 0, over, is, ...code];
  }
  return code;
}

function type(is: number): Field {
  return { at: 12, load: LOAD_HALF, mask: ALL, is };
}

function byte(at: number, is: number): Field {
  return { at, load: LOAD_BYTE, mask: ALL, is };
}

function macAt(at: number, mac: string): Pattern {
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
  return [
    { at, load: LOAD_WORD, mask: ALL, is: bytes.readUInt32BE(0) },
    { at: at + 4, load: LOAD_HALF, mask: ALL, is: bytes.readUInt16BE(4) },
  ];
}

function bytesAt(at: number, bytes: Buffer, prefix = 8 * bytes.length): Pattern {
  const words = Array.from({ length: bytes.length / 4 }, (_, i) => {
    const bits = Math.min(32, Math.max(0, prefix - 32 * i));
    const mask = bits === 0 ? 0 : (ALL << (32 - bits)) >>> 0;
    return { at: at + 4 * i, load: LOAD_WORD, mask, is: (bytes.readUInt32BE(4 * i) & mask) >>> 0 };
  });
  return words.filter(({ mask }) => mask !== 0);
}

function ipv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

function ipv6(address: string): Buffer {
  return Buffer.from(ipaddr.IPv6.parse(address).toByteArray());
}

/** Derives the link-local address from a MAC address as the kernel does. Source: RFC 4291, appendix A. */
function linkLocal(mac: string): Buffer {
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
  const flipped = Buffer.from([
    (bytes[0] ?? 0) ^ 2,
    ...bytes.subarray(1, 3),
    0xff,
    0xfe,
    ...bytes.subarray(3),
  ]);
  return Buffer.concat([Buffer.from('fe80000000000000', 'hex'), flipped]);
}
