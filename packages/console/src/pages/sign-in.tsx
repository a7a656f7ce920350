/** Exchanges a token for a session. The console does not store the token. */

import { useState } from 'preact/hooks';
import { Failure } from '../parts/notice.tsx';
import { type Trouble, troubleOf } from '../state/api.ts';
import { signIn } from '../state/session.ts';

export function SignIn({ why }: { readonly why?: string | undefined }) {
  const [token, setToken] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setTrouble(undefined);
    try {
      await signIn(token);
    } catch (error) {
      const found = troubleOf(error);
      setTrouble(
        found.status === 401
          ? {
              ...found,
              text: 'This token is not valid. Use the value of OPERATOR_TOKEN or VIEWER_TOKEN of this host.',
            }
          : found,
      );
      setBusy(false);
    }
  };
  return (
    <main class="sign-in" id="main">
      <form onSubmit={(event) => void submit(event)}>
        <h1 tabIndex={-1}>Sign in to {location.host}</h1>
        {why && <p role="status">{why}</p>}
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          required
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
        <p class="hint">
          The operator's token lets you act. The viewer's token lets you look only. Root on the host needs
          none: run <code>ecs-host-service console</code>.
        </p>
        {trouble && <Failure trouble={trouble} />}
        <button type="submit" class="primary" disabled={isBusy || token === ''}>
          {isBusy ? 'Signing in …' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}
