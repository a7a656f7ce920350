/** The places that the log goes to beside stdout: a file, logz.io and CloudWatch, as far as the settings name them. */

import { messageOf } from '../errors/service-error.ts';
import { readHostId } from '../host/host-id.ts';
import { pathsBelow } from '../host/paths.ts';
import type { Tags } from '../logging/line.ts';
import { LogFile } from '../logging/log-file.ts';
import type { Logger } from '../logging/logger.ts';
import { LogzIo } from '../logging/logzio.ts';
import type { Outlets } from '../logging/outlets.ts';
import type { ShippedLines } from '../logging/shipped-lines.ts';
import type { HttpClient } from '../outgoing/http-client.ts';
import type { Settings } from '../settings/load.ts';

export interface LogPlacesOptions {
  readonly settings: Settings;
  readonly outlets: Outlets;
  readonly http: HttpClient;
  /** The region of this host. */
  readonly region: () => Promise<string>;
  readonly log: Logger;
}

export class LogPlaces {
  readonly #log: Logger;
  readonly #shipped = new Map<string, ShippedLines>();
  #logzIo: LogzIo | undefined;

  /** From here on, the log goes there. */
  static async open({ settings, outlets, http, region, log }: LogPlacesOptions): Promise<LogPlaces> {
    const places = new LogPlaces(log);
    const { LOG_FILE, ROOT, USE_PROD_LOGGING, LOGZIO_URL, LOGZIO_SHIPPING_TOKEN } = settings;
    const report = (fields: object, message: string) => log.warn(fields, message);
    if (LOG_FILE !== undefined) openFile(LOG_FILE, outlets, log);
    if (USE_PROD_LOGGING && LOGZIO_URL && LOGZIO_SHIPPING_TOKEN) {
      places.#logzIo = new LogzIo({ http, url: LOGZIO_URL, token: LOGZIO_SHIPPING_TOKEN.reveal(), report });
      places.#shipped.set('logz.io', places.#logzIo);
    }
    const { CLOUDWATCH_LOG_GROUP: group, AWS_REGION, AWS_DEFAULT_REGION } = settings;
    if (group !== undefined) {
      const { CloudWatchLog } = await import('../host/cloudwatch-log.ts');
      const given = AWS_REGION ?? AWS_DEFAULT_REGION;
      const place = { group, region: async () => given ?? (await region()), report };
      const host = () => readHostId(pathsBelow(ROOT).state);
      places.#shipped.set('CloudWatch', new CloudWatchLog({ ...place, host }));
    }
    for (const one of places.#shipped.values()) outlets.add(one);
    return places;
  }

  private constructor(log: Logger) {
    this.#log = log;
  }

  set tags(tags: Tags) {
    if (this.#logzIo) this.#logzIo.tags = tags;
  }

  /** Sends the lines that wait, and stops. */
  async drain(milliseconds: number): Promise<void> {
    const drained = [...this.#shipped].map(async ([place, shipped]) => {
      const lines = await shipped.drain(milliseconds);
      if (lines) this.#log.warn({ lines }, `some log lines did not reach ${place}`);
    });
    await Promise.all(drained);
  }
}

/** The service works without it. */
function openFile(path: string, outlets: Outlets, log: Logger): void {
  try {
    outlets.add(new LogFile(path));
  } catch (error) {
    log.error({ path, why: messageOf(error) }, 'the log does not go to the file; check LOG_FILE');
  }
}
