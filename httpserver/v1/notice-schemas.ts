/** The JSON Schemas of EC2's notices in the operator's API. */

import { Type } from 'typebox';
import { NOTICE_ACTIONS, NOTICE_CODES, NOTICE_KINDS } from '../../host/notices.ts';

const time = (description: string) => Type.String({ format: 'date-time', description });

export const Notice = Type.Object(
  {
    kind: Type.Enum([...NOTICE_KINDS]),
    what: Type.String({ description: 'What EC2 will do, such as `terminate` or `system-reboot`.' }),
    at: Type.Optional(time("The time by EC2's clock; missing if EC2 gives none.")),
    since: time('When this host first saw it.'),
    action: Type.Enum([...NOTICE_ACTIONS], { description: 'What the service does about it.' }),
  },
  { title: 'Notice', description: 'An announcement of EC2 about this host.' },
);

export const NoticeEvent = Type.Object(
  {
    id: Type.String({ description: 'Send this as `Last-Event-ID` to continue after this event.' }),
    at: time('When it happened.'),
    code: Type.Enum([...NOTICE_CODES], {
      description: 'What happened as a code for programs, which does not change.',
    }),
    cause: Type.String({ description: 'The same as text for people.' }),
    notice: Notice,
  },
  { title: 'NoticeEvent', description: 'EC2 gave a notice, changed it, or withdrew it.' },
);
