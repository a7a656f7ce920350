/**
 * Lists the stored versions of the files of a container's user. They are read on demand, because each read calls S3.
 */

import { useState } from 'preact/hooks';
import { Confirm, Empty, Failure } from '../parts/notice.tsx';
import { Ago } from '../parts/time.tsx';
import { answerTo, api, type Trouble, troubleOf, type UserConfig } from '../state/api.ts';
import { mayAct } from '../state/session.ts';

type Version = UserConfig['versions'][number];

export function UserFiles({ id }: { readonly id: string }) {
  const [found, setFound] = useState<UserConfig>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [chosen, setChosen] = useState<Version>();
  const params = { path: { id } };
  const show = () => {
    setTrouble(undefined);
    answerTo(api.GET('/v1/containers/{id}/user-config', { params })).then(setFound, (error) =>
      setTrouble(troubleOf(error)),
    );
  };
  return (
    <section aria-labelledby="files-title">
      <h2 id="files-title">User's files</h2>
      {!found && (
        <button type="button" onClick={show}>
          Show the stored versions
        </button>
      )}
      {trouble && <Failure trouble={trouble} />}
      {found?.versions.length === 0 && (
        <Empty>Nothing is stored yet. The container's end stores the first version.</Empty>
      )}
      <ul class="plain">
        {found?.versions.map((one) => (
          <li key={one.version}>
            <code>{one.version}</code> stored <Ago at={one.stored} />, {Math.ceil(one.bytes / 1024)} KiB
            {one.aside && ', kept aside'} {one.current && <strong>current</strong>}{' '}
            {!one.current && mayAct.value && (
              <button type="button" onClick={() => setChosen(one)}>
                Restore …
              </button>
            )}
          </li>
        ))}
      </ul>
      {chosen && (
        <Confirm
          title="Restore this version?"
          action="Restore"
          onClose={() => setChosen(undefined)}
          onConfirm={async () => {
            const body = { version: chosen.version };
            setFound(await answerTo(api.PUT('/v1/containers/{id}/user-config', { params, body })));
          }}
        >
          <p>
            The user's next container starts with version <code>{chosen.version}</code>. This container keeps
            the files that it has, and what it saves is kept aside.
          </p>
        </Confirm>
      )}
    </section>
  );
}
