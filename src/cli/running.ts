/** Something that runs until it is closed; closing finishes what it holds. */
export interface Running {
  close(): Promise<void>;
}
