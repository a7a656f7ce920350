/**
 * Computes how long to wait for an acknowledgement before a message is sent again. The timeout follows the round-trip
 * times (as in TCP, RFC 6298) and doubles with every attempt.
 */

/** Milliseconds. */
const FIRST_ROUND_TRIP = 100;
const LEAST_MARGIN = 10;
const MOST_MEASURED = 1_000;
const MOST = 5_000;

export class RetransmissionTimeout {
  #roundTrip = FIRST_ROUND_TRIP;
  #variation = FIRST_ROUND_TRIP / 4;

  /**
   * Learns from a message that was acknowledged after `milliseconds`. Only a message that was sent once can be
   * measured.
   */
  measured(milliseconds: number): void {
    this.#variation += (Math.abs(this.#roundTrip - milliseconds) - this.#variation) / 4;
    this.#roundTrip += (milliseconds - this.#roundTrip) / 8;
  }

  /** Milliseconds to wait after a message has been sent `attempts` times. */
  after(attempts: number): number {
    const measured = this.#roundTrip + Math.max(LEAST_MARGIN, 4 * this.#variation);
    return Math.min(MOST, Math.min(MOST_MEASURED, measured) * 2 ** Math.min(attempts - 1, 10));
  }
}
