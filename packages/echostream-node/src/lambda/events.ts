/** The event that AWS Lambda passes to a function whose event source is an SQS queue, and the result that it expects. */

export interface LambdaRecord {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  readonly attributes: {
    readonly ApproximateReceiveCount?: string;
    readonly MessageGroupId?: string;
  };
  readonly messageAttributes: Readonly<
    Record<string, { readonly stringValue?: string; readonly dataType?: string }>
  >;
  readonly eventSourceARN: string;
}

export interface LambdaEvent {
  readonly Records: readonly LambdaRecord[];
}

/** The part of Lambda's context that a node uses. */
export interface LambdaContext {
  getRemainingTimeInMillis(): number;
}

/** The messages that Lambda must not delete. Lambda obeys this only if the mapping reports item failures. */
export interface BatchItemFailures {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}
