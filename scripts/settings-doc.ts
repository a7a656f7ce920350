/** Writes the document of the settings, which is made from their schema: `settings-doc.ts OUTPUT`. */

import { writeFileSync } from 'node:fs';
import { describeSettings } from '../settings/describe.ts';

export function settingsDoc(): string {
  const rows = describeSettings().map(
    ({ name, fallback, meaning, isSecret }) =>
      `| \`${name}\`${isSecret ? ' (secret)' : ''} | ${fallback} | ${meaning.replaceAll('|', '\\|')} |`,
  );
  return `# Settings

All come from the environment; \`make docs\` makes this page from their schema. A setting that is missing, mistyped or unsafe
stops the start and says why. \`ecs-host-service settings\` shows those of a host: each with its value and who gave it.

A secret is given as the variable itself, as a file that \`<NAME>_FILE\` names and that only root can read, or as the systemd
credential of its name, in this order.

| setting | default | meaning |
| --- | --- | --- |
${rows.join('\n')}
`;
}

const [output] = process.argv.slice(2);
if (import.meta.main && output) writeFileSync(output, settingsDoc());
