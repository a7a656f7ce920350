/**
 * The input devices that every container gets. Udev rules, X configurations and programs in the images depend on these
 * names, ids and bits. Source of the codes: the kernel's input-event-codes.h.
 */

import type { Description } from './addon.ts';

export interface DeviceDescription extends Description {
  /** A name for logs and errors. The kernel and udev use `name`. */
  readonly what: string;
}

const [EV_KEY, EV_REL, EV_ABS, PROPERTY] = [1, 2, 3, 0xffff];
const [BUS_USB, VENDOR, VERSION] = [3, 0xf4c1, 1];

const [BTN_TOOL_PEN, BTN_TOUCH, BTN_STYLUS] = [0x140, 0x14a, 0x14b];
const [ABS_X, ABS_Y, INPUT_PROP_POINTER] = [0, 1, 0];
const [BTN_LEFT, BTN_EXTRA] = [0x110, 0x114];
const [REL_X, REL_Y, REL_HWHEEL, REL_WHEEL, REL_WHEEL_HI_RES, REL_HWHEEL_HI_RES] = [0, 1, 6, 8, 0xb, 0xc];
const LAST_KEY = 0x2fe;

/** The largest value of both axes of the absolute pointer. */
export const AXIS_MAXIMUM = 0xfff;

/** In the order in which their descriptors are sent. */
export const DEVICES: readonly DeviceDescription[] = [
  {
    what: 'absolute pointer',
    name: 'Fractal Virtual Absolute Input',
    ids: Uint16Array.of(BUS_USB, VENDOR, 0x1124, VERSION),
    bits: pairs(
      [EV_KEY, [BTN_TOUCH, BTN_TOOL_PEN, BTN_STYLUS]],
      [EV_ABS, [ABS_X, ABS_Y]],
      [PROPERTY, [INPUT_PROP_POINTER]],
    ),
  },
  {
    what: 'relative mouse',
    name: 'Fractal Virtual Relative Input',
    ids: Uint16Array.of(BUS_USB, VENDOR, 0x1123, VERSION),
    bits: pairs(
      [EV_KEY, range(BTN_LEFT, BTN_EXTRA)],
      [EV_REL, [REL_X, REL_Y, REL_WHEEL, REL_HWHEEL, REL_WHEEL_HI_RES, REL_HWHEEL_HI_RES]],
    ),
  },
  {
    what: 'keyboard',
    name: 'Fractal Virtual Keyboard',
    ids: Uint16Array.of(BUS_USB, VENDOR, 0x1122, VERSION),
    bits: pairs([EV_KEY, range(0, LAST_KEY)]),
  },
];

function pairs(...bits: readonly (readonly [type: number, codes: readonly number[]])[]): Uint16Array {
  return Uint16Array.from(bits.flatMap(([type, codes]) => codes.flatMap((code) => [type, code])));
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
