/** What a release tells while it goes on. The command line prints it, as text or as JSON lines. */

export type Progress =
  | { readonly event: 'step'; readonly text: string }
  | { readonly event: 'look'; readonly text: string }
  | { readonly event: 'output'; readonly text: string }
  | { readonly event: 'failure'; readonly text: string };

export type Tell = (progress: Progress) => void;
