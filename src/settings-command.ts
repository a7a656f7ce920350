/** The command that shows the settings of a host: their values, sources and meanings. */

import { describeSettings } from '../settings/describe.ts';
import { examineSettings } from '../settings/load.ts';
import { align } from './align.ts';

const MARGIN = '    ';

/** @returns a text for people, or a list as JSON; neither contains secrets */
export function showSettings(environment: NodeJS.ProcessEnv, isJson: boolean): string {
  const { readings } = examineSettings(environment);
  const settings = describeSettings().map(({ name, isSecret, fallback, meaning }) => {
    const { found, problem } = readings.find((reading) => reading.name === name) ?? {};
    const value = isSecret && found ? '[secret]' : found?.text;
    return { name, value, source: found?.source, default: fallback, meaning, problem };
  });
  if (isJson) return `${JSON.stringify(settings, null, 2)}\n`;
  const heads = align(settings.map(({ name, value = '-', source = '-' }) => [name, value, source]));
  return settings
    .flatMap(({ meaning, default: fallback, problem }, i) => [
      heads[i],
      `${MARGIN}${meaning} Default: ${fallback}.`,
      ...(problem ? [`${MARGIN}CANNOT BE USED: ${problem}.`] : []),
    ])
    .map((line) => `${line}\n`)
    .join('');
}
