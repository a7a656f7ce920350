/** Gets data keys from KMS. The encryption context names the session and its target, as the agent expects. */

import { GenerateDataKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import type { Target } from './choose-target.ts';
import type { GetDataKey } from './handshake.ts';
import type { Ticket } from './resuming-socket.ts';
import { sessionTarget } from './session-target.ts';

const BYTES = 64;

export function dataKeys(kms: () => Promise<KMSClient>, { sessionId }: Ticket, target: Target): GetDataKey {
  return async (keyId) => {
    const request = new GenerateDataKeyCommand({
      KeyId: keyId,
      NumberOfBytes: BYTES,
      EncryptionContext: { 'aws:ssm:SessionId': sessionId, 'aws:ssm:TargetId': sessionTarget(target) },
    });
    const { Plaintext, CiphertextBlob } = await (await kms()).send(request);
    if (!Plaintext || !CiphertextBlob) throw new Error('KMS returned no data key');
    return { plaintext: Plaintext, ciphertext: CiphertextBlob };
  };
}
