/** Messages for failures and empty lists, labels of states, and a dialog that asks for confirmation. */

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Trouble, troubleOf } from '../state/api.ts';

export function Failure({ trouble }: { readonly trouble: Trouble }) {
  return (
    <div class="failure" role="alert">
      <strong>{trouble.title}</strong> {trouble.text}
    </div>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function State({ state }: { readonly state: string }) {
  return <span class={`state ${state}`}>{state}</span>;
}

interface ConfirmProps {
  readonly title: string;
  readonly action: string;
  readonly children: ComponentChildren;
  /** If it rejects, the dialog shows the error. */
  readonly onConfirm: () => Promise<void>;
  readonly onClose: () => void;
}

/** A dialog that asks for confirmation. Escape closes it. */
export function Confirm({ title, action, children, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = async () => {
    setBusy(true);
    setTrouble(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (error) {
      setTrouble(troubleOf(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="confirm-title">
      <h2 id="confirm-title">{title}</h2>
      {children}
      {trouble && <Failure trouble={trouble} />}
      <div class="actions">
        <button type="button" onClick={() => dialog.current?.close()}>
          Cancel
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => void confirm()}>
          {isBusy ? 'Working …' : action}
        </button>
      </div>
    </dialog>
  );
}
