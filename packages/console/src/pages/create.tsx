/** Creates a container, or only checks whether there is room for it. */

import { useRef, useState } from 'preact/hooks';
import { Failure } from '../parts/notice.tsx';
import {
  answerTo,
  api,
  type Capacity,
  type Container,
  type NewContainer,
  type Trouble,
  troubleOf,
} from '../state/api.ts';
import { go } from '../state/route.ts';
import { mayAct } from '../state/session.ts';
import { environmentIn } from './environment.ts';

const MIB = 2 ** 20;

function wantedIn(form: FormData): NewContainer {
  const text = (name: string) => {
    const given = form.get(name);
    return typeof given === 'string' ? given.trim() : '';
  };
  const number = (name: string, times = 1) => (text(name) === '' ? undefined : Number(text(name)) * times);
  const wanted = {
    image: text('image'),
    app: text('app'),
    pull: text('pull') as NonNullable<NewContainer['pull']>,
    environment: environmentIn(text('environment')),
    cpus: number('cpus'),
    memory: number('memory', MIB),
    pids: number('pids'),
    idleTimeout: number('idleTimeout'),
    ports: text('ports')
      .split(/[\s,]+/)
      .filter((port) => port !== '')
      .map((port) => ({ container: port.includes('/') ? port : `${port}/tcp` })),
    ...(form.get('console') === null && { console: false }),
  };
  const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as unknown as NewContainer;
}

export function Create() {
  const form = useRef<HTMLFormElement>(null);
  // The idempotency key: if the same request is repeated after a broken connection, it creates one container only.
  const key = useRef(crypto.randomUUID());
  const [busy, setBusy] = useState<'create' | 'try'>();
  const [room, setRoom] = useState<Capacity>();
  const [trouble, setTrouble] = useState<Trouble>();
  const send = async (dryRun: boolean) => {
    if (!form.current?.reportValidity()) return;
    setBusy(dryRun ? 'try' : 'create');
    setRoom(undefined);
    setTrouble(undefined);
    try {
      const body = wantedIn(new FormData(form.current));
      const params = { query: { dryRun }, header: dryRun ? {} : { 'idempotency-key': key.current } };
      const answer: Capacity | Container = await answerTo(api.POST('/v1/containers', { params, body }));
      if ('fits' in answer) setRoom(answer);
      else go(`#/containers/${answer.id}`);
    } catch (error) {
      const isOwn = error instanceof Error && error.message.includes('NAME=VALUE');
      setTrouble(isOwn ? { title: 'environment', text: error.message, status: 422 } : troubleOf(error));
    }
    setBusy(undefined);
  };
  if (!mayAct.value) {
    return (
      <>
        <h1 tabIndex={-1}>Create a container</h1>
        <p>Your token can only read. Sign in with the operator's token to create containers.</p>
      </>
    );
  }
  return (
    <>
      <h1 tabIndex={-1}>Create a container</h1>
      <form
        ref={form}
        class="form"
        onInput={() => {
          key.current = crypto.randomUUID();
        }}
        onSubmit={(event) => {
          event.preventDefault();
          void send(false);
        }}
      >
        <Field name="image" label="Image" hint="NAME:TAG or NAME@DIGEST" required />
        <Field
          name="app"
          label="App"
          hint="It decides which of its user's files the container gets."
          required
        />
        <label for="pull">Pull</label>
        <select id="pull" name="pull">
          <option value="missing">if it is missing on this host</option>
          <option value="always">always</option>
          <option value="never">never</option>
        </select>
        <Field
          name="cpus"
          label="Processors"
          type="number"
          step="0.01"
          min="0.01"
          hint="No limit when empty."
        />
        <Field
          name="memory"
          label="Memory in MiB"
          type="number"
          min="6"
          hint="The host's default when empty."
        />
        <Field name="pids" label="Processes" type="number" min="1" hint="The host's default when empty." />
        <Field
          name="idleTimeout"
          label="Idle timeout in seconds"
          type="number"
          min="0"
          hint="0 means never."
        />
        <Field name="ports" label="More ports" hint="Such as 8080/tcp, 9000/udp" />
        <label for="environment">Environment</label>
        <textarea
          id="environment"
          name="environment"
          rows={4}
          aria-describedby="environment-hint"
          spellcheck={false}
        />
        <p class="hint" id="environment-hint">
          One NAME=VALUE on each line.
        </p>
        <label class="check">
          <input type="checkbox" name="console" checked /> With a virtual console
        </label>
        <div class="outcome" role="status">
          {room &&
            (room.fits > 0
              ? `It fits: there is room for ${room.fits} such containers.`
              : `It does not fit: the host has no more ${room.short}. End a container, or use another host.`)}
        </div>
        {trouble && <Failure trouble={trouble} />}
        <div class="actions">
          <button type="button" disabled={busy !== undefined} onClick={() => void send(true)}>
            {busy === 'try' ? 'Checking …' : 'Check whether it fits'}
          </button>
          <button type="submit" class="primary" disabled={busy !== undefined}>
            {busy === 'create' ? 'Creating …' : 'Create'}
          </button>
        </div>
      </form>
    </>
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly type?: 'number' | 'text';
  readonly step?: string;
  readonly min?: string;
  readonly required?: boolean;
}

function Field({ name, label, hint, type = 'text', ...rest }: FieldProps) {
  return (
    <>
      <label for={`field-${name}`}>{label}</label>
      <input
        id={`field-${name}`}
        name={name}
        type={type as 'text'}
        aria-describedby={`${name}-hint`}
        autocomplete="off"
        spellcheck={false}
        {...rest}
      />
      <p class="hint" id={`${name}-hint`}>
        {hint}
      </p>
    </>
  );
}
