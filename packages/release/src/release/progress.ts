/** The progress messages of a release. The command line prints them as text or as JSON lines. */

export type Progress =
  | { readonly event: 'step'; readonly text: string }
  | { readonly event: 'look'; readonly text: string }
  | { readonly event: 'output'; readonly text: string }
  | { readonly event: 'failure'; readonly text: string };

export type Tell = (progress: Progress) => void;
