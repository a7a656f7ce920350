/** Answers an AWS client in the place of AWS, whatever the protocol of its service. */

type Answer = (input: Readonly<Record<string, unknown>>) => object;

interface Answerable {
  readonly middlewareStack: {
    add(
      middleware: (
        next: unknown,
        context: { readonly commandName?: string },
      ) => (args: { readonly input: object }) => Promise<{ output: never; response: unknown }>,
      options: { readonly step: 'initialize'; readonly priority: 'high' },
    ): void;
  };
}

/** @param answers by the name of the command, such as GetRole; each may throw an error of AWS */
export function answered<T>(client: T & Answerable, answers: Readonly<Record<string, Answer>>): T {
  client.middlewareStack.add(
    (_, { commandName = '' }) =>
      async ({ input }) => {
        const answer = answers[commandName.replace(/Command$/, '')];
        if (!answer) throw new Error(`nobody answers ${commandName}`);
        const output = { $metadata: {}, ...answer(input as Record<string, unknown>) };
        return { output: output as never, response: {} };
      },
    { step: 'initialize', priority: 'high' },
  );
  return client;
}

/** Settings of a client that reaches nobody. */
export const NOWHERE = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'test' },
};
